"""What every page of a listing says of itself."""

from __future__ import annotations

from heliograph.wire.codec import Wire


class Paged(Wire):
    """What every page of these listings says of itself; places count from 0."""

    end_position: str | None = None
    next_uri: str | None = None
    previous_uri: str | None = None
    result_set_size: str | None = None
    start_position: str | None = None
    total_set_size: str | None = None
