"""No configuration may silently receive nothing: what matching will skip is said beforehand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.delivery.matching import match
from heliograph.delivery.silences import silences
from heliograph.errors import InvalidParameter
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.events import NewEvent, Wanted
from heliograph.model.fidelity import Fidelity
from heliograph.wire import configurations, docusign
from heliograph.wire.codec import decode_json
from heliograph.wire.rest import ConnectCustomConfiguration
from tests.support import ACCOUNT, new_event

NAMES = [
    *("envelope-sent", "envelope-completed", "recipient-sent", "click-agreed"),
    *("Envelope-Sent", "envelope-complete", "order.shipped", ""),
]
STATUSES = ["Sent", "completed", "Signed", "Finished", ""]
IDS = ["u-1", "U-2", ""]
GROUPS = {"u-3": frozenset({"7"})}

flags = st.sampled_from(["true", "false", ""])
documents = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["crm", ""]),
        "configurationType": st.sampled_from(
            ["custom", "customrecipient", "salesforce", "Custom", "hook", ""]
        ),
        "allowEnvelopePublish": flags,
        "allUsers": flags,
        "allUsersExcept": flags,
        "userIds": st.lists(st.sampled_from(IDS), max_size=2),
        "groupIds": st.lists(st.sampled_from(["7", "8", ""]), max_size=2),
        "events": st.lists(st.sampled_from(NAMES), max_size=3),
        "envelopeEvents": st.lists(st.sampled_from(STATUSES), max_size=2),
        "recipientEvents": st.lists(st.sampled_from(STATUSES), max_size=2),
        "deliveryMode": st.sampled_from(["SIM", "aggregate", ""]),
        "eventData": st.sampled_from([{}, {"version": "restv2.1"}, {"format": "xml"}]),
        "pausePublish": flags,
    },
)


def made(fields: dict[str, Any], fidelity: Fidelity) -> ConnectConfiguration | None:
    """The configuration as a call makes it, or None where the profile refuses it."""
    given_fields = {"urlToPublishTo": "https://one.example.com/", **fields}
    wire = decode_json(json.dumps(given_fields).encode(), ConnectCustomConfiguration)
    document, secrets = configurations.merge(wire, None, fidelity)
    if fidelity is Fidelity.DOCUSIGN:
        try:
            docusign.refuse(document, None)
        except InvalidParameter:
            return None
    return configurations.read(ACCOUNT, 5, document, secrets)


def wanted(configuration: ConnectConfiguration, event: NewEvent) -> bool:
    return isinstance(match(configuration, event, GROUPS), Wanted)


def best(configuration: ConnectConfiguration, fidelity: Fidelity) -> list[NewEvent]:
    """Events that it wants if it wants any: each name of its, of and for somebody it names."""
    interest = configuration.interest
    names = {
        name
        for name in interest.events
        if fidelity is Fidelity.RELAXED or name in docusign.PUBLISHED
    }
    users = {"u-9", "u-3", *interest.user_ids} - {""}
    # Of whichever group it names: the people of a test are as many as it needs.
    return [
        replace(new_event(name), user_id=user, recipients=frozenset({user}))
        for name in names
        for user in users
    ]


@settings(max_examples=300, deadline=None)
@given(fields=documents, fidelity=st.sampled_from(Fidelity))
def test_fidelity_no_configuration_is_silent_unless_it_was_refused_or_warned_about(
    fields: dict[str, Any], fidelity: Fidelity
) -> None:
    configuration = made(fields, fidelity)
    if configuration is None:
        return
    told = silences(configuration, fidelity)
    everyone = dict.fromkeys(("u-3", "u-9"), configuration.interest.group_ids)
    groups = everyone if not configuration.interest.all_users_except else {}
    arrives = any(
        isinstance(match(configuration, event, groups), Wanted)
        for event in best(configuration, fidelity)
    )
    assert arrives != any(silence.whole for silence in told), [s.text for s in told]


@settings(max_examples=200, deadline=None)
@given(
    fields=documents,
    fidelity=st.sampled_from(Fidelity),
    name=st.sampled_from([name for name in NAMES if name]),
    user=st.sampled_from(["u-1", "u-2", "u-3", None]),
)
def test_fidelity_no_configuration_is_silent_and_a_warned_one_gets_no_event_at_all(
    fields: dict[str, Any], fidelity: Fidelity, name: str, user: str | None
) -> None:
    configuration = made(fields, fidelity)
    if configuration is None or (fidelity is Fidelity.DOCUSIGN and name not in docusign.PUBLISHED):
        return
    event = replace(new_event(name), user_id=user, recipients=frozenset({user or "u-1"}))
    if any(silence.whole for silence in silences(configuration, fidelity)):
        assert not wanted(configuration, event)


@pytest.mark.parametrize(
    ("fields", "text", "whole"),
    [
        ({"allowEnvelopePublish": "false"}, "allowEnvelopePublish is false", True),
        ({"configurationType": "eOriginal"}, "of type eOriginal", True),
        ({"events": []}, "names no events", True),
        ({"allUsers": "false"}, "neither userIds nor groupIds names anybody", True),
        ({"allUsers": "false", "userIds": [""], "groupIds": [" "]}, "names anybody", True),
        ({"events": ["envelope-complete"]}, "DocuSign does not have: envelope-complete.", False),
        (
            {"events": ["order.shipped"], "eventData": {"format": "xml"}},
            "the messages being XML: order.shipped.",
            False,
        ),
    ],
)
def test_what_will_not_arrive_is_said_in_a_sentence(
    fields: dict[str, Any], text: str, whole: bool
) -> None:
    base = {"allowEnvelopePublish": "true", "allUsers": "true", "events": ["envelope-sent"]}
    configuration = made({**base, **fields}, Fidelity.RELAXED)
    assert configuration is not None
    (silence,) = silences(configuration, Fidelity.RELAXED)
    assert text in silence.text
    assert silence.whole is whole
    assert not silences(made(base, Fidelity.RELAXED) or configuration, Fidelity.RELAXED)


def test_events_of_ones_own_are_not_doubted_and_a_held_configuration_is_not_silent() -> None:
    base = {"allowEnvelopePublish": "true", "allUsers": "true", "events": ["order.shipped"]}
    configuration = made(base, Fidelity.RELAXED)
    assert configuration is not None
    for held in (configuration, replace(configuration, paused=True)):
        assert not silences(held, Fidelity.RELAXED)
    disabled = replace(configuration, publishing=False, disabled_by="failing for 14 days")
    assert not silences(disabled, Fidelity.RELAXED)


def test_of_many_names_a_few_are_said() -> None:
    names = [f"envelope-{number:03}-{'x' * 100}" for number in range(300)]
    fields = {"allowEnvelopePublish": "true", "allUsers": "true", "events": names}
    configuration = made(fields, Fidelity.RELAXED)
    assert configuration is not None
    (silence,) = silences(configuration, Fidelity.RELAXED)
    assert silence.text.endswith(" and 295 more.")
    assert len(silence.text) < 500


@pytest.mark.parametrize(
    ("count", "ends"), [(5, "e-0, e-1, e-2, e-3, e-4."), (6, "e-3, e-4 and 1 more.")]
)
def test_as_many_as_are_said_are_said_whole(count: int, ends: str) -> None:
    names = [f"envelope-{number}" for number in range(count)]
    fields = {"allowEnvelopePublish": "true", "allUsers": "true", "events": names}
    configuration = made(fields, Fidelity.RELAXED)
    assert configuration is not None
    (silence,) = silences(configuration, Fidelity.RELAXED)
    assert silence.text.replace("envelope-", "e-").endswith(ends)


def test_fidelity_no_configuration_is_silent_that_was_made_when_less_was_refused() -> None:
    base = {"allowEnvelopePublish": "true", "allUsers": "true"}
    for names, whole in ((["order.shipped"], True), (["order.shipped", "envelope-sent"], False)):
        configuration = made({**base, "events": names}, Fidelity.RELAXED)
        assert configuration is not None
        (silence,) = silences(configuration, Fidelity.DOCUSIGN)
        assert "order.shipped" in silence.text
        assert silence.whole is whole
