"""Which configurations may want an event: found by its name and its users, not one by one. Pure.

Nobody who wants it is left out; whether those that are found do, `matching` says of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

from heliograph.delivery.matching import EVERYONE, NO_GROUPS
from heliograph.model.configurations import ConnectConfiguration, Interest
from heliograph.model.events import NewEvent
from heliograph.model.people import Memberships

_NOBODY: Final[frozenset[int]] = frozenset()


class _People(NamedTuple):
    """Some people: a user, a group's, or all of them.

    They are who send an envelope or, where `received`, who receive it. It is no dataclass: of each
    event some are made and looked up.
    """

    received: bool
    kind: Literal["all", "user", "group"]
    name: str = ""


class Index:
    """Configurations by what they want; it takes as much memory as what they list.

    An event of a name that few want, or of users whom few name, is asked about few, however many
    configurations there are: those that are found are in both sets.
    """

    def __init__(self, configurations: Iterable[ConnectConfiguration] = ()) -> None:
        self._configurations: dict[int, ConnectConfiguration] = {}
        self._by_event: dict[str, set[int]] = {}
        self._by_people: dict[_People, set[int]] = {}
        for configuration in configurations:
            self._add(configuration)

    def _add(self, configuration: ConnectConfiguration) -> None:
        connect_id = configuration.connect_id
        self._configurations[connect_id] = configuration
        if _wants_nothing(configuration):
            return
        for name in configuration.interest.events:
            self._by_event.setdefault(name, set()).add(connect_id)
        for people in _of_interest(configuration.interest):
            self._by_people.setdefault(people, set()).add(connect_id)

    def candidates(
        self, event: NewEvent, groups: Memberships = NO_GROUPS
    ) -> Sequence[ConnectConfiguration]:
        """Those that may want an event, by id."""
        named = self._by_event.get(event.name.lower())
        if named is None:
            return ()
        found = set[int]()
        for people in _of_event(event, groups):
            found |= named & self._by_people.get(people, _NOBODY)
        return [self._configurations[connect_id] for connect_id in sorted(found)]


def _wants_nothing(configuration: ConnectConfiguration) -> bool:
    """Whether no event can be wanted. What was taken out of service for failing wants its own."""
    off = not configuration.publishing and configuration.disabled_by is None
    return off or configuration.interest.preset is not None


def _of_interest(interest: Interest) -> Iterator[_People]:
    """Whose events may be wanted."""
    if interest.all_users or interest.all_users_except:
        yield _People(interest.received, "all")
        return
    for user_id in interest.user_ids:
        yield _People(interest.received, "user", user_id)
    for group_id in interest.group_ids:
        yield _People(interest.received, "group", group_id)


def _of_event(event: NewEvent, groups: Memberships) -> Iterator[_People]:
    """Whose an event is."""
    senders = () if event.user_id is None else (event.user_id.lower(),)
    for received, user_ids in ((False, senders), (True, event.recipients)):
        yield _People(received, "all")
        for user_id in user_ids:
            yield _People(received, "user", user_id)
            for group_id in groups.get(user_id, EVERYONE) | EVERYONE:
                yield _People(received, "group", group_id)
