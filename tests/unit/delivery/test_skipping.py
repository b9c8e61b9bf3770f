"""Why a configuration has no delivery of a stored event, as it is now."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from heliograph.delivery.skipping import LATER, WANTS_IT_NOW, Skipped, explained, without
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.people import Memberships
from heliograph.store import Changes
from tests.support import START, new_event, wanted_configuration

BEFORE, AFTER = START - timedelta(seconds=1), START + timedelta(seconds=1)
EVENT = new_event("envelope-sent")


def a_configuration(connect_id: int, **fields: Any) -> ConnectConfiguration:
    return wanted_configuration(connect_id=connect_id, name=f"number {connect_id}", **fields)


def skipped(
    configuration: ConnectConfiguration, made: Changes | None, groups: Memberships | None = None
) -> list[Skipped]:
    changes = {} if made is None else {configuration.connect_id: made}
    return list(explained([configuration], changes, EVENT, START, groups or {}))


def test_those_that_get_the_event_are_left_out_and_others_come_once() -> None:
    one, two, three = (a_configuration(number) for number in (1, 2, 3))
    newer = replace(two, name="newer")
    assert without([one, two, newer, three], {3}) == [one, newer]


def test_a_reason_is_what_matching_says_now() -> None:
    deaf = a_configuration(1, events=["envelope-voided"])
    reason = "envelope-sent is not among its events"
    assert skipped(deaf, Changes(BEFORE, BEFORE)) == [Skipped(1, "number 1", reason, False)]
    assert skipped(deaf, Changes(START, START)) == [Skipped(1, "number 1", reason, False)]
    assert skipped(deaf, Changes(BEFORE, AFTER)) == [Skipped(1, "number 1", reason, True)]


def test_who_would_get_it_now_or_was_made_later_is_told_so() -> None:
    wanting = a_configuration(2)
    assert skipped(wanting, Changes(BEFORE, AFTER)) == [Skipped(2, "number 2", WANTS_IT_NOW, True)]
    assert skipped(wanting, Changes(AFTER, AFTER)) == [Skipped(2, "number 2", LATER, True)]


def test_groups_count_and_a_configuration_that_is_gone_is_passed_over() -> None:
    grouped = a_configuration(3, allUsers="false", groupIds=["7"])
    (without_group,) = skipped(grouped, Changes(BEFORE, BEFORE))
    assert without_group.reason != WANTS_IT_NOW
    member = {str(EVENT.user_id): frozenset({"7"})}
    (with_group,) = skipped(grouped, Changes(BEFORE, BEFORE), member)
    assert with_group.reason == WANTS_IT_NOW
    kept = a_configuration(4)
    changes = {4: Changes(BEFORE, BEFORE)}
    told = explained([grouped, kept], changes, EVENT, START, {})
    assert [one.connect_id for one in told] == [4]
