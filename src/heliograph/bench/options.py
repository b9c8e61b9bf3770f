"""Options of `heliograph serve` that a bench passes on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

OWN: Final = frozenset({"data_dir", "database_url"})
"""Settings of each server that the bench itself gives."""


def own(options: Sequence[str]) -> Sequence[str]:
    """Those among options that are the bench's to give."""
    return [word.partition("=")[0] for word in options if _setting(word) in OWN]


def _setting(word: str) -> str:
    """The setting of an option, empty where a word is none."""
    if not word.startswith("--"):
        return ""
    return word.partition("=")[0].removeprefix("--").replace("-", "_")
