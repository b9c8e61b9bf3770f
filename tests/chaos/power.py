"""Power cuts: the state of a disk at a moment, without what only memory held.

A file system in a file (ext4) lies on another that can copy files at once (XFS with reflinks).
A copy of that file at any moment is what a disk would hold after a power cut: what was written
and not flushed is missing from it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.catalogue import NotHere
from tests.chaos.host import lacks, must, no_loops, run


class Disk:
    """A small disk whose power can be cut; `folder` is what is on it."""

    def __init__(self, place: Path, megabytes: int) -> None:
        self._outer, self.folder = place / "outer", place / "disk"
        self._image = place / "outer.img"
        self._megabytes = megabytes

    def make(self) -> None:
        """Make and mount it."""
        for folder in (self._outer, self.folder):
            folder.mkdir(parents=True)
        must("truncate", "-s", f"{self._megabytes * 3 + 200}M", str(self._image))
        must("mkfs.xfs", "-q", "-m", "reflink=1", str(self._image))
        must("mount", "-o", "loop", str(self._image), str(self._outer))
        inner = self._outer / "inner.img"
        must("truncate", "-s", f"{self._megabytes}M", str(inner))
        must("mkfs.ext4", "-q", str(inner))
        must("mount", "-o", "loop", str(inner), str(self.folder))

    def cut(self) -> None:
        """Keep what is on the disk now; the power is still on for everything else."""
        inner, copy = self._outer / "inner.img", self._outer / "cut.img"
        must("cp", "--reflink=always", str(inner), str(copy))

    def come_back(self) -> None:
        """The disk as it was at the last cut. Nothing may use it any more."""
        must("umount", str(self.folder))
        inner, copy = self._outer / "inner.img", self._outer / "cut.img"
        copy.replace(inner)
        must("mount", "-o", "loop", str(inner), str(self.folder))

    def close(self) -> None:
        """Unmount it and forget it."""
        for folder in (self.folder, self._outer):
            if folder.is_mount() and run("umount", str(folder)).returncode:
                run("umount", "-l", str(folder))
        self._image.unlink(missing_ok=True)


@contextlib.contextmanager
def disk(place: Path, megabytes: int = 128) -> Iterator[Disk]:
    """A disk for the time of the block.

    Raises:
        NotHere: this machine cannot make one.
    """
    if reason := no_loops() or lacks("mkfs.xfs", "mkfs.ext4"):
        raise NotHere(reason)
    made = Disk(place, megabytes)
    try:
        made.make()
        yield made
    finally:
        made.close()
