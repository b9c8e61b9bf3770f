"""Every check, by subject, in the order in which they are played. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from heliograph.verify.checks import contents, hostile, load, repeats, signatures
from heliograph.verify.plays import Check

GROUPS: Final[Mapping[str, Sequence[Check]]] = {
    "Contents": contents.CHECKS,
    "Signatures": signatures.CHECKS,
    "Repeats and order": repeats.CHECKS,
    "Load": load.CHECKS,
    "Hostile messages": hostile.CHECKS,
}

CHECKS: Final[Mapping[str, Check]] = {
    check.name: check for group in GROUPS.values() for check in group
}
"""Each by its name."""
