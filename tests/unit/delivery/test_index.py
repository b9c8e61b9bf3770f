"""An index of configurations leaves out nobody who wants an event, and asks few of many."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.bounded import size_of
from heliograph.delivery.index import Index
from heliograph.delivery.matching import match_all
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.events import NewEvent, Verdict, Wanted
from heliograph.model.fidelity import Fidelity
from heliograph.model.people import EVERYONE_ID
from tests.support import new_event, wanted_configuration
from tests.unit.delivery.test_silences import documents, made

WISHED = ["Envelope-Sent", "envelope-completed"]
Draft = tuple[Any, Fidelity, bool]

USERS = ["u-1", "U-2", ""]
GROUP_IDS = ["7", "8", str(EVERYONE_ID)]

wishes = st.fixed_dictionaries(
    {
        "allowEnvelopePublish": st.sampled_from(["true", "true", "false"]),
        "allUsers": st.sampled_from(["false", "false", "true"]),
        "userIds": st.lists(st.sampled_from(USERS), max_size=2),
        "groupIds": st.lists(st.sampled_from(GROUP_IDS), max_size=1),
        "events": st.lists(st.sampled_from(WISHED), min_size=1, max_size=2),
        "configurationType": st.sampled_from(["custom", "customrecipient"]),
    }
)
"""Such as something may come of; `documents` are of every kind."""

drafts = st.tuples(
    st.builds(lambda usual, odd: {**usual, **odd}, wishes, st.just({}) | documents),
    st.sampled_from(Fidelity),
    st.sampled_from([False, False, True]),
)
"""What a configuration is made of, in which profile, and whether it was disabled for failing."""

events = st.builds(
    lambda name, user, recipients, envelope: replace(
        new_event(name), user_id=user, recipients=recipients, envelope=envelope
    ),
    st.sampled_from([*WISHED, "click-agreed"]),
    st.none() | st.sampled_from(USERS),
    st.frozensets(st.sampled_from(["u-1", "u-2"])),
    st.sampled_from([replace(new_event().envelope, envelope_id=one) for one in ("env-1", "")]),
)
memberships = st.dictionaries(
    st.sampled_from(["u-1", "u-2"]), st.frozensets(st.sampled_from(GROUP_IDS[:2]))
)


def configuration(connect_id: int, draft: Draft) -> ConnectConfiguration:
    fields, fidelity, failing = draft
    found = made(fields, fidelity) or wanted_configuration()
    found = replace(found, connect_id=connect_id)
    return replace(found, publishing=False, disabled_by="failing") if failing else found


def wanting(verdicts: tuple[Verdict, ...]) -> list[Wanted]:
    return [verdict for verdict in verdicts if isinstance(verdict, Wanted)]


@settings(max_examples=200, deadline=None)
@given(drafts=st.lists(drafts, max_size=6), event=events, groups=memberships)
def test_the_candidates_want_exactly_what_all_together_want(
    drafts: list[Draft], event: NewEvent, groups: dict[str, frozenset[str]]
) -> None:
    # A set has small numbers in their order by itself.
    every = [configuration(2**40 + number * 2**20, draft) for number, draft in enumerate(drafts)]
    candidates = Index().changed_to(every).candidates(event, groups)
    assert [one for one in every if one in candidates] == list(candidates)
    assert wanting(match_all(candidates, event, groups)) == wanting(match_all(every, event, groups))


@given(
    before=st.lists(drafts, max_size=5),
    after=st.lists(drafts, max_size=5),
    kept=st.sets(st.integers(0, 4)),
)
def test_an_index_that_has_changed_is_as_one_that_is_made_anew(
    before: list[Draft],
    after: list[Draft],
    kept: set[int],
) -> None:
    old = [configuration(number, draft) for number, draft in enumerate(before)]
    new = [
        old[number] if number in kept and number < len(old) else configuration(number, draft)
        for number, draft in enumerate(after)
    ]
    index = Index().changed_to(old)
    same = Index().changed_to(old)
    assert index.changed_to(new) == Index().changed_to(new)
    assert index == same  # somebody may be using it
    assert index.changed_to(()) == Index()


OF_ALL = {"allUsers": "true", "userIds": []}


def of_user(number: int) -> dict[str, Any]:
    return {"allUsers": "false", "userIds": [f"User-{number}"]}


@pytest.mark.parametrize(
    "fields",
    [
        lambda n: {**OF_ALL, "events": [f"Order-{n}", "order-any"]},
        lambda n: {**of_user(n), "events": ["order-7", "order-any"]},
        lambda n: {**of_user(n), "events": [f"order-{n}", "order-any"]},
        lambda n: {"allUsers": "false", "groupIds": [str(n)], "events": ["order-7"]},
        lambda n: {
            **of_user(n),
            "events": ["order-7"],
            "configurationType": "customrecipient",
        },
        lambda n: {
            "allUsers": "false",
            "groupIds": [str(EVERYONE_ID if n == 7 else n + 1000)],
            "events": ["order-7"],
        },
        lambda n: {**OF_ALL, "events": ["order-7"], "allowEnvelopePublish": str(n == 7).lower()},
    ],
    ids=["names", "users", "both", "groups", "recipients", "everyone", "switched off"],
)
def test_of_many_configurations_the_one_that_wants_an_event_is_asked_alone(fields: Any) -> None:
    every = [wanted_configuration(connect_id=n, **fields(n)) for n in range(500)]
    index = Index().changed_to(every)
    event = replace(new_event("order-7"), user_id="USER-7", recipients=frozenset({"user-7"}))
    groups = {"user-7": frozenset({"7"})}
    assert index.candidates(event, groups) == [every[7]]
    assert not index.candidates(new_event("order-x"), groups)


def test_s17_an_index_counts_its_configurations_and_a_place_for_each_thing_that_they_list() -> None:
    def places(**interest: Any) -> float:
        """What one configuration takes beside itself, in places of one that lists nothing."""
        made = wanted_configuration(connect_id=7)
        nothing = replace(
            made.interest, events=frozenset(), user_ids=frozenset(), group_ids=frozenset()
        )
        bare, full = (
            replace(made, interest=replace(nothing, **listed)) for listed in ({}, interest)
        )
        plain, size = (Index().changed_to([one]).size - size_of(one) for one in (bare, full))
        assert plain > 0
        return size / plain

    three = frozenset({"1", "2", "3"})
    assert places() == 1
    for listed in ("events", "user_ids", "group_ids"):
        assert places(**{listed: three}) == 4
    assert places(events=three, user_ids=three, group_ids=three) == 10


def test_s17_an_index_that_has_changed_counts_what_it_has_now() -> None:
    one = wanted_configuration(connect_id=1, events=["order"])
    two = wanted_configuration(connect_id=2, events=["order", "invoice"])
    sizes = {Index().changed_to([each]).size for each in (one, two)}
    assert len(sizes) == 2
    both = Index().changed_to([one, two])
    assert both.size == sum(sizes)
    assert both.changed_to([two]).size == Index().changed_to([two]).size
