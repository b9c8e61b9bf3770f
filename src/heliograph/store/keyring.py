"""Secrets at rest: AES-256-GCM with a master key that lives outside the database (S7).

A sealed value is bound to where it is stored (`table:id:column` as associated data), so a
ciphertext that is copied to another row does not open.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from heliograph import files
from heliograph.errors import UnsafeStorage

_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32


class KeyRing:
    """Seals secrets with the first of its master keys, and opens them with any.

    There is one key but while the keys are changed (`heliograph secrets rotate`).
    """

    def __init__(self, *master_keys: bytes) -> None:
        """Each key has 32 bytes."""
        self._ciphers = [AESGCM(key) for key in master_keys]

    @classmethod
    def load(cls, path: Path, *, make: bool = True) -> Self:
        """Read the master keys, or make one on first use (mode 0600).

        Args:
            path: The key's file.
            make: False when there is a database already: its key must then be there too.

        Raises:
            UnsafeStorage: others may read the file, it is not a key, or it is missing.
        """
        if not path.exists():
            if not make:
                raise UnsafeStorage(
                    f"{path} is missing and the database has secrets sealed with it: put it "
                    "back from a backup."
                )
            _make_key(path)
        upcoming = next_file(path)
        return cls(*read_keys(path), *(read_keys(upcoming) if upcoming.exists() else ()))

    def seal(self, plain: bytes, place: str) -> bytes:
        """Encrypt for one place, named `table:id:column`."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt what `seal` made for the same place.

        Raises:
            UnsafeStorage: another master key, another place, or changed bytes.
        """
        for cipher in self._ciphers:
            # A value that is too short for a nonce is a ValueError.
            with contextlib.suppress(InvalidTag, ValueError):
                return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode())
        raise UnsafeStorage(
            f"The secret at {place} does not open with this master key: put the "
            "master.key that belongs to this database back in its place."
        )


def next_file(path: Path) -> Path:
    """The file of a key that opens and does not seal yet, beside that of the others."""
    return path.with_name(f"{path.name}.next")


def new_key() -> bytes:
    """A master key."""
    return AESGCM.generate_key(_KEY_BYTES * 8)


def read_keys(path: Path) -> list[bytes]:
    """The keys of a ring's file, the one that seals first.

    Raises:
        UnsafeStorage: others may read the file, or it holds no keys.
    """
    if path.stat().st_mode & 0o077:
        raise UnsafeStorage(f"{path} can be read by others: run `chmod 600 {path}`.")
    text = path.read_bytes()
    if not text or len(text) % _KEY_BYTES:
        raise UnsafeStorage(f"{path} is not a master key of {_KEY_BYTES} bytes: restore it.")
    return [text[at : at + _KEY_BYTES] for at in range(0, len(text), _KEY_BYTES)]


def write_keys(path: Path, keys: Sequence[bytes]) -> None:
    """Put keys in the place of those in a ring's file: all of them or none, and flushed."""
    files.write(path, b"".join(keys))


def _make_key(path: Path) -> None:
    """Write a new key whole or not at all, and flush it before anything is sealed with it:
    a power cut must not take the key away and leave the ciphertext."""
    with contextlib.suppress(FileExistsError):  # another start was first: its key counts
        files.write_new(path, new_key())
