"""The page of help: what each page is for, keys, and where the rest is written."""

from __future__ import annotations

from collections.abc import Sequence

from heliograph.console.visits import Page, Place, Visit


def places() -> Sequence[Place]:
    """The pages of this module."""
    return [Place("help", _help)]


async def _help(_: Visit) -> Page:
    return Page("help.html", "Help", {})
