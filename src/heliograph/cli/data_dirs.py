"""Which server is meant where nobody says: the data directory that this folder has."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
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
"""Looked into: what has more is no folder that somebody works in."""


def found(otherwise: Path | None = None) -> Path:
    """The data directory in the current folder, or the folder itself; of several the one whose
    server runs; where there is none, `otherwise`.

    Raises:
        Stop: there is none, or it is not clear which.
    """
    known = _known(Path())
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
            f"{Path.cwd()} or in a folder of it, such as hg.",
            f"Say where a server has its data with --data-dir or {VARIABLE}, or give --base-uri, "
            "--account-id and --token.",
            "`heliograph serve --data-dir ./hg --egress emulator` starts one to develop with.",
        )
    return known[0]


def _known(folder: Path) -> Sequence[Path]:
    """Data directories of this user: another's could lead anywhere."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = sorted(entry.name for _, entry in zip(range(_MOST_FOLDERS), entries, strict=False))
        return [path for path in (folder, *map(folder.joinpath, names)) if _is_mine(path)]
    return []


def _is_mine(folder: Path) -> bool:
    try:
        return (folder / FILE_NAME).stat().st_uid == os.geteuid()
    except OSError:
        return False


def _runs(folder: Path) -> bool:
    """Whether something listens at the address that its last start has noted."""
    try:
        address = urlsplit(Credentials.read(folder).base_uri)
        with socket.create_connection((address.hostname or "", address.port or 0), _PATIENCE):
            return True
    except (OSError, ValueError, UnsafeStorage):
        return False
