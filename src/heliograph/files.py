"""Files that appear whole or not at all, whenever the process ends or the disk is full.

A file is made in a room: a folder beside its place, `NAME.unfinished-` and 16 hexadecimal digits,
which is locked while its process lives, and gone when the file has its name. The room of a process
that was killed is cleared by the next one that makes the same file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from heliograph.failpoints import failpoint

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a disk that is full or fails says: what was asked of it can be asked again."""

_ROOM: Final = re.compile(r".+\.unfinished-[0-9a-f]{16}")


class Room:
    """Where files lie until they are whole and flushed, and get their names beside it."""

    def __init__(self, folder: Path, placed_before: frozenset[str], *, again: bool) -> None:
        self.folder = folder
        self.placed_before = placed_before
        """Names that a run which was killed gave to files that still have them."""
        self._again = again

    @contextlib.contextmanager
    def new(self, name: str, mode: int = 0o600) -> Iterator[BinaryIO]:
        """A new file of the room, flushed when the block ends."""
        descriptor = os.open(self.folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            yield file
            file.flush()
            _flush(descriptor)

    def replace(self, name: str) -> None:
        """Give a file its name, whatever had that name before."""
        (self.folder / name).replace(self.folder.parent / name)

    def place(self, name: str) -> None:
        """Give a file its name, unless somebody else's has it.

        Raises:
            FileExistsError: it has.
        """
        made, target = self.folder / name, self.folder.parent / name
        if name in self.placed_before:
            second = self.folder / f"{name}.again"
            os.link(made, second)
            second.replace(target)
        else:
            os.link(made, target)
        if not self._again:
            made.unlink()

    def flush(self) -> None:
        """Flush the names that were given."""
        flush(self.folder.parent)

    def take_back(self) -> None:
        """Take the names back that `place` gave."""
        for name in _placed(self.folder):
            (self.folder.parent / name).unlink()


@contextlib.contextmanager
def room(path: Path, *, again: bool = False) -> Iterator[Room]:
    """A room for a file, and for what is made with it; gone with the block.

    Args:
        path: The file. Rooms that dead processes have left for it are cleared.
        again: Let `place` replace what was placed by a run that was killed before its room was
            gone: nobody was told that it is there. When the block fails, names are taken back.

    Raises:
        OSError: as the block does; what cannot be written is named by its place, not by the room.
    """
    with contextlib.ExitStack() as stack:
        dead = [folder for folder in _rooms(path) if stack.enter_context(_taken(folder))]
        placed = [_cleared(folder) for folder in dead]
        with _naming(path):
            folder = stack.enter_context(_made(path))
            made = Room(folder, frozenset().union(*placed) if again else frozenset(), again=again)
            try:
                yield made
            except BaseException:
                if again:
                    made.take_back()
                raise
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        for left in dead:
            shutil.rmtree(left, ignore_errors=True)


def write(path: Path, text: bytes, mode: int = 0o600) -> None:
    """Write a file, whatever was there before: the whole text or nothing of it, flushed."""
    with room(path) as made:
        with made.new(path.name, mode) as file:
            file.write(text)
        made.replace(path.name)
        made.flush()


def write_new(path: Path, text: bytes) -> None:
    """Write a file (0600) that is not there yet: the whole text or nothing of it, flushed.

    Raises:
        FileExistsError: it is there.
    """
    with room(path) as made:
        with made.new(path.name) as file:
            file.write(text)
        made.place(path.name)
        made.flush()


def cut_short(path: Path) -> bool:
    """Whether a run that was to place a file is not finished: it lives, or it was killed before
    everything had its name. One that was killed after that is finished by this."""
    for folder in _rooms(path):
        with _taken(folder) as taken:
            if not taken or len(_placed(folder)) < len(list(folder.iterdir())):
                return True
            shutil.rmtree(folder)
    return False


def left(path: Path) -> bool:
    """Whether a run that was killed has left a room for a file."""
    for folder in _rooms(path):
        with _taken(folder) as taken:
            if taken:
                return True
    return False


def clear(folder: Path) -> None:
    """Remove what dead processes have left of unfinished files in a folder."""
    for left in list(folder.iterdir()):
        if _ROOM.fullmatch(left.name):
            with _taken(left) as taken:
                if taken and not _cleared(left):
                    shutil.rmtree(left, ignore_errors=True)


def flush(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _flush(descriptor)
    finally:
        os.close(descriptor)


def _flush(descriptor: int) -> None:
    failpoint("file.flush")
    os.fsync(descriptor)


def _rooms(path: Path) -> Sequence[Path]:
    if not path.parent.is_dir():
        return []
    begins = f"{path.name}.unfinished-"
    return [
        folder
        for folder in path.parent.iterdir()
        if folder.name.startswith(begins) and _ROOM.fullmatch(folder.name)
    ]


@contextlib.contextmanager
def _taken(folder: Path) -> Iterator[bool]:
    """Hold a room that nobody lives in; False where somebody does, or it cannot be told."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _made(path: Path) -> Iterator[Path]:
    """A new room, held until the block ends."""
    while True:
        folder = path.with_name(f"{path.name}.unfinished-{secrets.token_hex(8)}")
        folder.mkdir(mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # A file system without locks: nobody takes it for one that was left.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if folder.exists():  # else another process took it for one, before it was locked
                yield folder
                return
        finally:
            os.close(descriptor)


def _placed(folder: Path) -> Sequence[str]:
    """The files of a room that have their names beside it."""
    names = []
    for made in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if made.samefile(folder.parent / made.name):
                names.append(made.name)
    return names


def _cleared(folder: Path) -> frozenset[str]:
    """Remove everything from a dead process's room but what has its name beside it."""
    placed = frozenset(_placed(folder))
    for left in list(folder.iterdir()):
        if left.name not in placed:
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()
    return placed


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        unnamed = error.filename is None and error.errno in FULL
        if unnamed or str(error.filename).startswith(f"{path}.unfinished-"):
            error.filename, error.filename2 = str(path), None
        raise
