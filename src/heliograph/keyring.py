"""Secrets at rest: AES-256-GCM with a master key that lives outside the database (S7).

A sealed value is bound to where it is stored (`table:id:column` as associated data), so a
ciphertext that is copied to another row does not open.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from heliograph.errors import UnsafeStorage

_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32


class KeyRing:
    """Seals and opens secrets with one master key of 32 bytes."""

    def __init__(self, master_key: bytes) -> None:
        self._cipher = AESGCM(master_key)

    @classmethod
    def load(cls, path: Path, *, make: bool = True) -> Self:
        """Read the master key, or make one on first use (mode 0600).

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
        return cls(_read_key(path))

    def seal(self, plain: bytes, place: str) -> bytes:
        """Encrypt for one place, named `table:id:column`."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt what `seal` made for the same place.

        Raises:
            UnsafeStorage: another master key, another place, or changed bytes.
        """
        try:
            return self._cipher.decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode()
            )
        except (InvalidTag, ValueError):  # ValueError: too short for a nonce
            raise UnsafeStorage(
                f"The secret at {place} does not open with this master key: put the "
                "master.key that belongs to this database back in its place."
            ) from None


def _make_key(path: Path) -> None:
    """Write a new key whole or not at all, and flush it before anything is sealed with it:
    a power cut must not take the key away and leave the ciphertext."""
    with tempfile.NamedTemporaryFile(dir=path.parent) as file:  # made with mode 0600
        file.write(AESGCM.generate_key(_KEY_BYTES * 8))
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another start was first: its key counts
            os.link(file.name, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read_key(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise UnsafeStorage(f"{path} can be read by others: run `chmod 600 {path}`.")
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise UnsafeStorage(f"{path} is not a master key of {_KEY_BYTES} bytes: restore it.")
    return key
