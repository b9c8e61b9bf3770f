"""Who gets an event, and the reason for each one who does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.delivery.matching import GATHERING, NO_GROUPS, includes, match, match_all
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.events import HeldReason, NewEvent, Skip, Wanted
from heliograph.model.people import EVERYONE_ID, Memberships
from tests.support import new_event, wanted_configuration

EVENT = new_event("envelope-sent")
"""Of the user `user-1`."""

NOBODY = replace(EVENT, user_id=None)


def some_configuration(
    *,
    users: frozenset[str] = frozenset(),
    groups: frozenset[str] = frozenset(),
    all_users: bool = True,
    all_except: bool = False,
) -> ConnectConfiguration:
    return interested(
        wanted_configuration(connect_id=5),
        user_ids=users,
        group_ids=groups,
        all_users=all_users,
        all_users_except=all_except,
    )


def interested(configuration: ConnectConfiguration, **interest: Any) -> ConnectConfiguration:
    """A configuration with another interest in some respect."""
    return replace(configuration, interest=replace(configuration.interest, **interest))


def reason(
    configuration: ConnectConfiguration, event: NewEvent = EVENT, groups: Memberships = NO_GROUPS
) -> str | None:
    """Why the event is not wanted, or None when it is."""
    verdict = match(configuration, event, groups)
    if isinstance(verdict, Wanted):
        return None
    assert (verdict.connect_id, verdict.name) == (5, "crm")
    return verdict.reason


def test_an_event_of_any_user_that_is_among_the_events_is_wanted() -> None:
    assert match(some_configuration(), EVENT) == Wanted(5, lane="env-1")
    assert match(some_configuration(), NOBODY) == Wanted(5, lane="env-1")


def test_the_case_of_an_event_name_and_of_a_users_guid_does_not_matter() -> None:
    wanted = wanted_configuration(
        connect_id=5, events=["Envelope-Sent"], allUsers="false", userIds=["USER-1"]
    )
    assert match(wanted, new_event("ENVELOPE-SENT")) == Wanted(5, lane="env-1")


def test_a_paused_configuration_wants_the_event_and_holds_it() -> None:
    paused = replace(some_configuration(), paused=True)
    assert match(paused, EVENT) == Wanted(5, HeldReason.PAUSED, "env-1")


def test_each_rule_is_told_from_the_widest_to_the_narrowest() -> None:
    # Everything is wrong at once; each step mends what the reason named.
    configuration = replace(
        some_configuration(users=frozenset({"user-2"}), all_users=False),
        publishing=False,
        paused=True,
    )
    configuration = interested(configuration, events=frozenset())
    assert reason(configuration) == "allowEnvelopePublish is false"
    configuration = replace(configuration, publishing=True)
    assert reason(configuration) == "the configuration names no events"
    configuration = interested(configuration, events=frozenset({"envelope-voided"}))
    assert reason(configuration) == "envelope-sent is not among its events"
    configuration = interested(configuration, events=frozenset({"envelope-sent"}))
    assert reason(configuration) == "user user-1 is not in userIds and allUsers is false"
    configuration = interested(configuration, user_ids=frozenset({"user-1"}))
    assert match(configuration, EVENT) == Wanted(5, HeldReason.PAUSED, "env-1")


@pytest.mark.parametrize(
    ("configuration", "event", "why"),
    [
        (some_configuration(all_users=False, users=frozenset({"user-1"})), EVENT, None),
        (
            some_configuration(all_users=False),
            EVENT,
            "user user-1 is not in userIds and allUsers is false",
        ),
        (
            some_configuration(all_users=False, users=frozenset({"user-1"})),
            NOBODY,
            "the event names no user and allUsers is false",
        ),
        # allUsers true: userIds narrows nothing.
        (some_configuration(users=frozenset({"user-2"})), EVENT, None),
    ],
)
def test_users_are_those_listed_unless_all_are_meant(
    configuration: ConnectConfiguration, event: NewEvent, why: str | None
) -> None:
    assert reason(configuration, event) == why


@pytest.mark.parametrize("all_users", [True, False])
def test_all_users_except_turns_the_list_round_whether_or_not_all_users_is_set(
    all_users: bool,
) -> None:
    left_out = some_configuration(users=frozenset({"user-1"}), all_users=all_users, all_except=True)
    assert reason(left_out) == "allUsersExcept leaves out user user-1"
    assert reason(left_out, replace(EVENT, user_id="user-2")) is None
    assert reason(left_out, NOBODY) is None
    assert reason(interested(left_out, user_ids=frozenset())) is None


SALES = frozenset({"7"})
IN_SALES = {"user-1": frozenset({"3", "7"})}


def test_who_is_in_a_named_group_counts_as_named() -> None:
    wanted = some_configuration(groups=SALES, all_users=False)
    assert reason(wanted, groups=IN_SALES) is None
    assert reason(wanted, replace(EVENT, user_id="USER-1"), IN_SALES) is None
    alone = "user user-1 is not in userIds or groupIds and allUsers is false"
    assert reason(wanted, groups={"user-1": frozenset({"3"})}) == alone
    assert reason(wanted, groups={"user-2": SALES}) == alone
    assert reason(wanted) == alone
    assert reason(wanted, NOBODY, IN_SALES) == "the event names no user and allUsers is false"
    both = some_configuration(users=frozenset({"user-2"}), groups=SALES, all_users=False)
    assert reason(both, groups=IN_SALES) is None
    assert reason(both, replace(EVENT, user_id="user-2")) is None
    # allUsers true: groupIds narrow nothing.
    assert reason(some_configuration(groups=frozenset({"8"})), groups=IN_SALES) is None


@pytest.mark.parametrize("all_users", [True, False])
def test_all_users_except_leaves_out_who_is_in_a_named_group(all_users: bool) -> None:
    wanted = some_configuration(groups=SALES, all_users=all_users, all_except=True)
    out = "allUsersExcept leaves out user user-1, who is in group 7"
    assert reason(wanted, groups=IN_SALES) == out
    assert reason(wanted, groups={"user-1": frozenset({"3"})}) is None
    assert reason(wanted, NOBODY, IN_SALES) is None


def test_everybody_is_in_the_group_of_everyone_but_nobody_is_not() -> None:
    everyone = frozenset({str(EVERYONE_ID)})
    wanted = some_configuration(groups=everyone, all_users=False)
    assert reason(wanted) is None
    assert reason(wanted, NOBODY) == "the event names no user and allUsers is false"
    left_out = some_configuration(groups=everyone, all_except=True)
    assert reason(left_out) is not None
    assert reason(left_out, NOBODY) is None


def test_a_configuration_reads_its_group_ids_as_texts() -> None:
    read = wanted_configuration(groupIds=[" 7 ", "eight"])
    assert read.interest.group_ids == frozenset({"7", "eight"})
    assert wanted_configuration(groupIds="7,8").interest.group_ids == frozenset({"7", "8"})


@given(
    st.booleans(),
    st.booleans(),
    st.frozensets(st.sampled_from(["user-1", "user-2"])),
    st.frozensets(st.sampled_from(["7", "8"])),
    st.frozensets(st.sampled_from(["7", "8"])),
)
def test_includes_says_of_a_user_what_match_says_of_an_event(
    all_users: bool,
    all_except: bool,
    listed: frozenset[str],
    named: frozenset[str],
    member: frozenset[str],
) -> None:
    wanted = some_configuration(
        users=listed, groups=named, all_users=all_users, all_except=all_except
    )
    included = reason(wanted, groups={"user-1": member}) is None
    assert includes(wanted, "user-1", member) is included
    inside = "user-1" in listed or bool(named & member)
    assert included is (not inside if all_except else all_users or inside)


def test_match_all_answers_for_each_configuration_in_its_order() -> None:
    first, second = some_configuration(), replace(some_configuration(), connect_id=9)
    refused = replace(second, publishing=False)
    assert match_all([refused, first], EVENT) == (
        Skip(9, "crm", "allowEnvelopePublish is false"),
        Wanted(5, lane="env-1"),
    )
    assert match_all([], EVENT) == ()
    in_group = some_configuration(groups=SALES, all_users=False)
    assert match_all([in_group], EVENT, IN_SALES) == (Wanted(5, lane="env-1"),)


names = st.sampled_from(["envelope-sent", "envelope-completed", "recipient-sent", "x"])
users = st.sampled_from(["user-1", "user-2", ""])


@given(
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.frozensets(names),
    st.frozensets(users),
    names,
    st.none() | users,
)
def test_match_is_total_and_each_refusal_has_a_reason(
    publishing: bool,
    paused: bool,
    all_users: bool,
    all_except: bool,
    events: frozenset[str],
    listed: frozenset[str],
    name: str,
    user: str | None,
) -> None:
    configuration = replace(
        some_configuration(users=listed, all_users=all_users, all_except=all_except),
        publishing=publishing,
        paused=paused,
    )
    configuration = interested(configuration, events=events)
    verdict = match(configuration, replace(EVENT, name=name, user_id=user))
    meant = user not in listed if all_except else all_users or user in listed
    if publishing and name in events and meant:
        assert verdict == Wanted(5, HeldReason.PAUSED if paused else None, "env-1")
    else:
        assert isinstance(verdict, Skip)
        assert verdict.reason


def test_r4_what_was_disabled_for_failing_keeps_its_events() -> None:
    off = replace(some_configuration(), publishing=False)
    assert reason(off) == "allowEnvelopePublish is false"
    failing = replace(off, disabled_by="Heliograph")
    assert match(failing, EVENT) == Wanted(5, HeldReason.DISABLED, "env-1")


@pytest.mark.parametrize(
    ("fields", "lane"),
    [
        ({}, "env-1"),
        ({"deliveryOrder": "envelope"}, "env-1"),
        ({"deliveryOrder": "Configuration"}, "*"),
        ({"deliveryOrder": "none"}, None),
    ],
)
def test_r6_the_lane_is_the_configurations_choice(fields: dict[str, str], lane: str | None) -> None:
    verdict = match(wanted_configuration(connect_id=5, **fields), EVENT)
    assert verdict == Wanted(5, lane=lane)


def test_an_aggregate_message_gathers_the_events_of_its_envelope() -> None:
    fields = {"deliveryMode": "aggregate", "deliveryOrder": "configuration"}
    verdict = match(wanted_configuration(connect_id=5, **fields), EVENT)
    assert verdict == Wanted(5, lane="env-1", gathers=GATHERING)


def received_by(*user_ids: str) -> NewEvent:
    """An event that `user-1` sent to these users, beside one who is nobody's user."""
    signers = [{"recipientId": str(n), "userId": one} for n, one in enumerate(user_ids)]
    summary = {"recipients": {"signers": [{"email": "bob@example.com"}], "carbonCopies": signers}}
    data = {"userId": "user-1", "envelopeId": "env-1", "envelopeSummary": summary}
    return new_event("envelope-sent", data=data)


def recipient_configuration(**fields: Any) -> ConnectConfiguration:
    given = {"allUsers": "false", "userIds": ["user-2"], **fields}
    return wanted_configuration(connect_id=5, configurationType="customrecipient", **given)


def test_recipient_connect_wants_what_its_users_receive_and_not_what_they_send() -> None:
    wanted = recipient_configuration()
    assert reason(wanted, received_by("user-3", "USER-2")) is None
    assert reason(wanted, received_by("user-3")) == (
        "user user-3 is not in userIds and allUsers is false"
    )
    assert reason(wanted, received_by()) == "no user is a recipient of the envelope"
    sender = recipient_configuration(userIds=["user-1"])
    assert reason(sender, EVENT) == "no user is a recipient of the envelope"


def test_fidelity_message_for_each_recipient() -> None:
    wanted = recipient_configuration(userIds=["user-2", "User-3", "user-9"])
    event = received_by("USER-3", "user-2", "user-4", "user-2")
    assert match_all([wanted], event) == (
        Wanted(5, lane="env-1", recipient="user-2"),
        Wanted(5, lane="env-1", recipient="user-3"),
    )
    grouped = recipient_configuration(userIds=["user-2"], groupIds=["7"], pausePublish="true")
    groups = {"user-4": frozenset({"7"})}
    held = Wanted(5, HeldReason.PAUSED, "env-1")
    assert match_all([grouped], event, groups) == (
        replace(held, recipient="user-2"),
        replace(held, recipient="user-4"),
    )
    # An envelope is the same whoever receives it.
    (one,) = match_all([recipient_configuration(deliveryMode="aggregate")], event)
    assert one == Wanted(5, lane="env-1", gathers=GATHERING)
    assert match_all([wanted], received_by("user-8")) == (match(wanted, received_by("user-8")),)


def test_recipient_connect_of_all_users_takes_any_user_and_a_group_its_members() -> None:
    assert reason(recipient_configuration(allUsers="true"), received_by("user-3")) is None
    grouped = recipient_configuration(userIds=[], groupIds=["7"])
    groups = {"user-3": frozenset({"7"})}
    assert reason(grouped, received_by("user-3"), groups) is None
    assert reason(grouped, received_by("user-2"), groups) is not None


def test_recipient_connect_leaves_an_envelope_out_only_when_all_its_users_are_left_out() -> None:
    all_but = recipient_configuration(allUsersExcept="true")
    assert reason(all_but, received_by("user-2")) == "allUsersExcept leaves out user user-2"
    assert reason(all_but, received_by("user-2", "user-3")) is None


@pytest.mark.parametrize("recipients", [None, [], {"signers": None}, {"signers": ["x", {}]}])
def test_recipients_of_any_other_shape_are_no_users(recipients: object) -> None:
    summary = {"recipients": recipients}
    event = new_event(data={"envelopeId": "env-1", "envelopeSummary": summary})
    assert event.recipients == frozenset()


def test_a_preset_of_another_service_is_kept_and_nothing_is_sent_to_it() -> None:
    preset = wanted_configuration(connect_id=5, configurationType="Salesforce")
    assert reason(preset) == ("configurationType Salesforce is not one that Heliograph delivers to")
    assert reason(wanted_configuration(connect_id=5, configurationType=" Custom ")) is None


def test_fidelity_events_without_an_envelope_have_no_order_unless_all_have() -> None:
    event = new_event("order.shipped", data={"order": 7})
    for over, verdict in (
        ({}, Wanted(5)),
        ({"deliveryOrder": "none"}, Wanted(5)),
        ({"deliveryOrder": "configuration"}, Wanted(5, lane="*")),
        ({"deliveryMode": "aggregate"}, Wanted(5)),
    ):
        wanting = wanted_configuration(connect_id=5, events=["Order.Shipped"], **over)
        assert match(wanting, event) == verdict


def test_fidelity_events_without_an_envelope_are_skipped_where_messages_are_xml() -> None:
    xml = wanted_configuration(connect_id=5, events=["order.shipped"], eventData={"format": "xml"})
    assert reason(xml, new_event("order.shipped", data={})) is not None
    assert reason(xml, new_event("order.shipped")) is None
