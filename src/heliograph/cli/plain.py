"""Text for people and for spreadsheets, in which nothing from elsewhere acts (S10, S12)."""

from __future__ import annotations

from typing import Final

from heliograph.plain import harmless

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def spreadsheet_cell(text: str) -> str:
    """Text for CSV that no spreadsheet takes for a formula (S10)."""
    guarded = "'" if text.startswith(FORMULA_STARTS) else ""
    return guarded + harmless(text)
