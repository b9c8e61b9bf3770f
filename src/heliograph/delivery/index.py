"""Which configurations may want an event: found by its name and its users, not one by one. Pure.

Nobody who wants it is left out; whether those that are found do, `matching` says of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

from heliograph.bounded import size_of
from heliograph.delivery.matching import EVERYONE, NO_GROUPS
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.events import NewEvent
from heliograph.model.people import Memberships

K = TypeVar("K")

_NOBODY: Final[frozenset[int]] = frozenset()

_PLACE: Final = 200
"""About the bytes of a configuration's place in the index; each event and each user is one."""


_People = tuple[bool, Literal["all", "user", "group"], str]
"""Some people: a user or a group, by its id, or all of them.

They are who receive an envelope where the first is True, else who send it. Of each event some are
made and looked up.
"""


@dataclass(frozen=True, slots=True)
class Index:
    """Configurations by what they want; it takes as much memory as what they list.

    An event of a name that few want, or of users whom few name, is asked about few, however many
    configurations there are: those that are found are in both sets. `size` is about the bytes of
    it and of all configurations.
    """

    configurations: Mapping[int, ConnectConfiguration] = field(default_factory=dict)
    by_event: Mapping[str, frozenset[int]] = field(default_factory=dict)
    by_people: Mapping[_People, frozenset[int]] = field(default_factory=dict)
    size: int = 0

    def changed_to(self, configurations: Iterable[ConnectConfiguration]) -> Index:
        """The index of these; what is in this one already is not looked at again."""
        before = self.configurations
        now = {configuration.connect_id: configuration for configuration in configurations}
        gone = [one for connect_id, one in before.items() if now.get(connect_id) is not one]
        come = [one for connect_id, one in now.items() if before.get(connect_id) is not one]
        return Index(
            now,
            _moved(self.by_event, _by(_events_of, gone), _by(_events_of, come)),
            _moved(self.by_people, _by(_people_of, gone), _by(_people_of, come)),
            self.size - sum(map(_size_of, gone)) + sum(map(_size_of, come)),
        )

    def candidates(
        self, event: NewEvent, groups: Memberships = NO_GROUPS
    ) -> Sequence[ConnectConfiguration]:
        """Those that may want an event, by id."""
        named = self.by_event.get(event.name.lower())
        if named is None:
            return ()
        found = set[int]()
        for people in _people_of_event(event, groups):
            found |= named & self.by_people.get(people, _NOBODY)
        return [self.configurations[connect_id] for connect_id in sorted(found)]


def _by(
    keys: Callable[[ConnectConfiguration], Iterable[K]], of: Iterable[ConnectConfiguration]
) -> Mapping[K, set[int]]:
    found: dict[K, set[int]] = {}
    for configuration in of:
        for key in keys(configuration):
            found.setdefault(key, set()).add(configuration.connect_id)
    return found


def _moved(
    places: Mapping[K, frozenset[int]], gone: Mapping[K, set[int]], come: Mapping[K, set[int]]
) -> Mapping[K, frozenset[int]]:
    """The places without those that are gone, and with those that have come."""
    moved = {**places}
    for key in gone.keys() | come.keys():
        there = moved.pop(key, _NOBODY).difference(gone.get(key, ())).union(come.get(key, ()))
        if there:
            moved[key] = there
    return moved


def _size_of(configuration: ConnectConfiguration) -> int:
    interest = configuration.interest
    places = 1 + len(interest.events) + len(interest.user_ids) + len(interest.group_ids)
    return size_of(configuration) + _PLACE * places


def _events_of(configuration: ConnectConfiguration) -> Iterable[str]:
    """The events that may be wanted. What was taken out of service for failing wants its own."""
    off = not configuration.publishing and configuration.disabled_by is None
    return () if off or configuration.interest.preset is not None else configuration.interest.events


def _people_of(configuration: ConnectConfiguration) -> Iterator[_People]:
    """Whose events may be wanted."""
    interest = configuration.interest
    if interest.all_users or interest.all_users_except:
        yield interest.received, "all", ""
        return
    for user_id in interest.user_ids:
        yield interest.received, "user", user_id
    for group_id in interest.group_ids:
        yield interest.received, "group", group_id


def _people_of_event(event: NewEvent, groups: Memberships) -> Iterator[_People]:
    """Whose an event is."""
    senders = () if event.user_id is None else (event.user_id.lower(),)
    for received, user_ids in ((False, senders), (True, event.recipients)):
        yield received, "all", ""
        for user_id in user_ids:
            yield received, "user", user_id
            for group_id in groups.get(user_id, EVERYONE) | EVERYONE:
                yield received, "group", group_id
