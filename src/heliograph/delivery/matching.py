"""Does this configuration want this event, and if not, why not? Pure, total, explained.

Source of the rules: DocuSign's descriptions of connectCustomConfiguration's fields
(docs/reference/configurations.md). The checks run from the widest to the narrowest, so a
reason names the first thing that a person would have to change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import Final, assert_never

from heliograph.model.configurations import ConnectConfiguration, Format, Interest, Ordering
from heliograph.model.events import NewEvent, Skip, Verdict, Wanted
from heliograph.model.people import EVERYONE_ID, Memberships

GATHERING: Final = 5.0
"""Seconds in which events of one envelope become one aggregate message (DocuSign: a few)."""

_ALL: Final = "*"
"""The one lane of a configuration whose events are all kept in order."""

NO_GROUPS: Final[Memberships] = MappingProxyType({})
_NONE: Final[frozenset[str]] = frozenset()
EVERYONE: Final = frozenset({str(EVERYONE_ID)})
"""The group of every user, known here or not."""


def match(
    configuration: ConnectConfiguration, event: NewEvent, groups: Memberships = NO_GROUPS
) -> Verdict:
    """Decide for one configuration and one event.

    Returns:
        `Wanted`, held when the configuration is paused or disabled, or `Skip` with its reason.
    """
    reason = _unwanted(configuration, event, groups)
    if reason is not None:
        return Skip(configuration.connect_id, configuration.name, reason)
    gathers = configuration.pace.aggregate and event.envelope.envelope_id
    return Wanted(
        configuration.connect_id,
        configuration.held,
        lane(configuration, event),
        GATHERING if gathers else None,
    )


def lane(configuration: ConnectConfiguration, event: NewEvent) -> str | None:
    """What an event is kept in order with for a listener (R6).

    None where nothing is, as for the events of no envelope. In aggregate mode no order is kept: a
    lane is what one message may stand for, the events of an envelope.
    """
    envelope_id = event.envelope.envelope_id or None
    if configuration.pace.aggregate:
        return envelope_id
    match configuration.pace.ordering:
        case Ordering.ENVELOPE:
            return envelope_id
        case Ordering.CONFIGURATION:
            return _ALL
        case Ordering.NONE:
            return None
        case _:
            assert_never(configuration.pace.ordering)


def match_all(
    configurations: Iterable[ConnectConfiguration], event: NewEvent, groups: Memberships = NO_GROUPS
) -> tuple[Verdict, ...]:
    """`match` for each configuration, in the order given; of Recipient Connect what follows for
    each recipient that is wanted (DocuSign: a message for each of them and each event)."""
    return tuple(
        verdict
        for configuration in configurations
        for verdict in _for_each(configuration, event, groups)
    )


def _for_each(
    configuration: ConnectConfiguration, event: NewEvent, groups: Memberships
) -> Iterable[Verdict]:
    verdict = match(configuration, event, groups)
    # An aggregate message is the envelope, and the same for all of them.
    each = configuration.interest.received and not configuration.pace.aggregate
    if isinstance(verdict, Skip) or not each:
        return (verdict,)
    wanted = (
        user_id
        for user_id in sorted(event.recipients)
        if _unwanted_user(configuration.interest, user_id, groups.get(user_id, _NONE)) is None
    )
    return [replace(verdict, recipient=user_id) for user_id in wanted]


def includes(
    configuration: ConnectConfiguration, user_id: str, group_ids: frozenset[str] = _NONE
) -> bool:
    """Whether events of a user (its id in small letters), who is in these groups, are wanted."""
    return _unwanted_user(configuration.interest, user_id, group_ids) is None


def _unwanted(
    configuration: ConnectConfiguration, event: NewEvent, groups: Memberships
) -> str | None:
    # What was taken out of service for failing loses nothing: its events are held (R4).
    if not configuration.publishing and configuration.disabled_by is None:
        return "allowEnvelopePublish is false"
    interest = configuration.interest
    if interest.preset is not None:
        return f"configurationType {interest.preset} is not one that Heliograph delivers to"
    if not interest.events:
        return "the configuration names no events"
    if event.name.lower() not in interest.events:
        return f"{event.name} is not among its events"
    if configuration.rendering.format is Format.XML and not event.envelope.envelope_id:
        return "the event names no envelope, and XML messages tell of nothing else"
    if interest.received:
        return _unwanted_recipients(interest, event.recipients, groups)
    # A user's GUID is the same in either case.
    user_id = event.user_id and event.user_id.lower()
    return _unwanted_user(interest, user_id, groups.get(user_id or "", _NONE))


def _unwanted_recipients(
    interest: Interest, recipients: frozenset[str], groups: Memberships
) -> str | None:
    """One wanted user among those who receive the envelope is enough (Recipient Connect)."""
    if not recipients:
        return "no user is a recipient of the envelope"
    reasons = [
        _unwanted_user(interest, user_id, groups.get(user_id, _NONE))
        for user_id in sorted(recipients)
    ]
    return None if None in reasons else reasons[0]


def _unwanted_user(
    interest: Interest, user_id: str | None, group_ids: frozenset[str]
) -> str | None:
    if interest.all_users and not interest.all_users_except:
        return None
    named = user_id in interest.user_ids
    if user_id is not None:
        group_ids |= EVERYONE
    shared = () if named else interest.group_ids & group_ids
    if interest.all_users_except:
        # userIds and groupIds then list who is left out, whether or not allUsers is set.
        if named:
            return f"allUsersExcept leaves out user {user_id}"
        if shared:
            return f"allUsersExcept leaves out user {user_id}, who is in group {min(shared)}"
        return None
    if user_id is None:
        return "the event names no user and allUsers is false"
    if not named and not shared:
        if not interest.group_ids:
            return f"user {user_id} is not in userIds and allUsers is false"
        return f"user {user_id} is not in userIds or groupIds and allUsers is false"
    return None
