"""Retention on SQLite (being written)."""

from __future__ import annotations

import apsw

from heliograph.store import Retired


def retire(db: apsw.Connection, before_us: int) -> Retired:
    """One batch."""
    raise NotImplementedError
