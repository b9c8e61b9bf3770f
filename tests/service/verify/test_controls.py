"""Negative controls: a listener without a fault passes, and each fault is caught (verify.md)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from heliograph.model.accounts import Secret
from heliograph.verify.checks import CHECKS
from heliograph.verify.crafting import Scale, World
from heliograph.verify.plays import Check, Kind, Outcome, Verdict
from heliograph.verify.running import Trial, run
from tests.service.verify.listener import KEYS, WITHIN, listening

PAGE: Final = (Path(__file__).parents[3] / "docs" / "reference" / "verify.md").read_text()
TABLE: Final = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| `([a-z0-9-]+)` \| (.*) \|$", PAGE, re.M)

SMALL: Final = Scale(at_once=40, an_hour=2, document=300_000, slow=1.2 * WITHIN)
FORMATS: Final = ("json", "aggregate", "xml", "soap")

LONG: Final = frozenset(
    {
        *("slow-writing", "beside-slow-writing", "every-event"),
        *("retries-25h-accepted", "retries-25h-once"),
        *("crowd-accepted", "crowd-in-time", "crowd-once"),
    }
)
"""Played where they are to catch something: they take seconds, or send many messages."""


async def verdicts(fault: str, checks: Sequence[Check]) -> list[Verdict]:
    with listening(fault) as base:
        first, second = map(Secret, KEYS)
        world = World(datetime.now(UTC), first, second, FORMATS, scale=SMALL)
        trial = Trial(f"{base}/hook", world, f"{base}/count", WITHIN, settle=0.05)
        return [verdict async for verdict in run(trial, checks)]


def played(fault: str, expected: set[str]) -> list[Check]:
    left_out = LONG - expected
    if fault == "is-slow":  # it takes its time for each message
        left_out |= {check.name for check in CHECKS.values() if check.kind is not Kind.IN_TIME}
    return [check for name, check in CHECKS.items() if name not in left_out]


async def test_a_listener_that_does_all_that_it_should_passes_every_check() -> None:
    found = await verdicts("", list(CHECKS.values()))
    assert [(one.check.name, one.said) for one in found if one.outcome is not Outcome.PASSED] == []
    assert len(found) == len(CHECKS)


@pytest.mark.parametrize(("fault", "meant", "others"), TABLE, ids=[row[0] for row in TABLE])
async def test_each_fault_is_caught_by_the_check_that_is_meant_for_it(
    fault: str, meant: str, others: str
) -> None:
    expected = {meant, *re.findall(r"`(.+?)`", others)}
    found = await verdicts(fault, played(fault, expected))
    failed = {one.check.name: one.said for one in found if one.outcome is Outcome.FAILED}
    assert meant in failed
    assert set(failed) == expected, failed


def test_the_table_has_a_fault_for_every_check_that_can_fail_alone() -> None:
    assert len(TABLE) >= 30
    caught = {meant for _, meant, _ in TABLE} | {
        name for row in TABLE for name in re.findall(r"`(.+?)`", row[2])
    }
    # What every listener that can be judged at all does, and both keys where it does the second.
    assert set(CHECKS) - caught == {"usual-message", "right-signature", "both-keys"}
