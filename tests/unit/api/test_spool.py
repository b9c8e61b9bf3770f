"""Where large messages of relays lie while they come."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliograph.api.spool import MOST_LARGE, Room
from heliograph.errors import Unavailable


def test_a_file_that_cannot_be_opened_takes_no_room(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    room = Room(gone)
    for _ in range(MOST_LARGE + 1):
        with pytest.raises(Unavailable, match="The disk takes no more"):
            room.take()
    gone.mkdir()
    files = [room.take() for _ in range(MOST_LARGE)]
    with pytest.raises(Unavailable, match="Too many"):
        room.take()
    for file in files:
        room.leave(file)
