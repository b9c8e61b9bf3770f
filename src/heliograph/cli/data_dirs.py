"""Which server is meant where nobody says: the data directory that this folder has."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from heliograph.access.credentials_file import FILE_NAME, Credentials
from heliograph.cli.exits import wrong
from heliograph.errors import UnsafeStorage
from heliograph.settings import environment_name

VARIABLE: Final = environment_name("data_dir")

_PATIENCE: Final = 0.5
"""Seconds that a server on this machine has to take a connection."""

_MOST_FOLDERS: Final = 1000
"""Looked into; of a folder that has more, such as a home, `hg` alone."""

_USUAL: Final = "hg"
"""The name that the help gives to a data directory."""


def found(otherwise: Path | None = None) -> Path:
    """The data directory in the current folder, or the folder itself; of several the one whose
    server runs. `otherwise` comes before all of them where it is there, and where none is.

    Raises:
        Stop: there is none, or it is not clear which.
    """
    if otherwise is not None and otherwise.is_dir():
        return otherwise
    looked = {folder: _objection(folder) for folder in _candidates(Path())}
    known = [folder for folder, objection in looked.items() if objection is None]
    if len(known) > 1:
        known = [folder for folder in known if _runs(folder)] or known
    if len(known) > 1:
        raise wrong(
            f"{len(known)} data directories are here: {', '.join(map(str, known))}.",
            f"Say which is meant with --data-dir or {VARIABLE}.",
        )
    if not known and otherwise is not None:
        return otherwise
    if not known:
        raise wrong(
            f"No server is known here: there is no {VARIABLE}, and no {FILE_NAME} of yours in "
            f"{Path.cwd()} or in a folder of it, such as {_USUAL}.",
            *(
                f"{folder / FILE_NAME} is there, and is not taken unless its folder is named: "
                f"{objection}."
                for folder, objection in looked.items()
                if objection
            ),
            f"Say where a server has its data with --data-dir or {VARIABLE}, or give --base-uri, "
            "--account-id and --token.",
            "`heliograph serve --data-dir ./hg --egress emulator` starts one to develop with.",
        )
    return known[0]


def _candidates(folder: Path) -> Sequence[Path]:
    """Where a data directory may be; which of many are seen must not hang on their order."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = sorted(entry.name for entry in islice(entries, _MOST_FOLDERS + 1))
        if len(names) > _MOST_FOLDERS:
            names = [_USUAL]
        return [folder, *map(folder.joinpath, names)]
    return []


def _objection(folder: Path) -> str | None:
    """Why a data directory is not taken unless it is named, empty where it is none.

    Whoever made it says where calls go. What somebody unpacks or clones is their own, but is not
    kept from others, as that is which a server has written; in a link or in a folder of others it
    may become another while it is looked at.
    """
    try:
        place, file = folder.lstat(), (folder / FILE_NAME).lstat()
    except OSError:
        return ""
    mine = place.st_uid == file.st_uid == os.geteuid()
    if not mine:
        return "it is another user's"
    if not stat.S_ISDIR(place.st_mode) or not stat.S_ISREG(file.st_mode):
        return "it is reached by a link"
    if file.st_mode & 0o077 or place.st_mode & 0o022:
        return "others than you can read it or put another in its place"
    return None


def _runs(folder: Path) -> bool:
    """Whether something listens at the address that its last start has noted."""
    try:
        address = urlsplit(Credentials.read(folder).base_uri)
        with socket.create_connection((address.hostname or "", address.port or 0), _PATIENCE):
            return True
    except (OSError, ValueError, UnsafeStorage):
        return False
