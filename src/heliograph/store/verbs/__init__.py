"""What both engines do alike, written once.

A verb is a generator of steps, the named queries of its transaction in their order: it yields a
`Step`, is sent its rows and goes on. An engine runs it: SQLite on the writer's or a reader's
thread, PostgreSQL awaiting each statement in one transaction. Where PostgreSQL undoes a
transaction to break a deadlock it is run again, so an engine is given what makes the generator.

The SQL is in this folder, with `:name` for values. What an engine says in words of its own, locks
above all, is in its `verbs.sql`; see `sql.verbs`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")

PATIENCE: Final = 1.7
"""Seconds a caller waits for the database: a publish is answered within 2 s (R11)."""

BULK_PATIENCE: Final = 30.0
"""Seconds a caller waits for what changes many users, groups or deliveries, all or none."""

LISTING_PATIENCE: Final = 30.0
"""Seconds a caller waits for a page of a listing."""


@dataclass(frozen=True, slots=True)
class Step:
    """One statement: the name of a query, and its values; a list is bound as a set of values.

    `filters` and `order` name the queries that `{filters}` and `{order}` in it stand for, and
    `within` those of `{within}` in a filter that selects rows by itself.
    """

    query: str
    values: Mapping[str, Any] = field(default_factory=dict)
    filters: Sequence[str] = ()
    order: str = ""
    within: Sequence[str] = ()

    def text(self, queries: Mapping[str, str]) -> str:
        """The statement, of an engine's queries."""
        text = queries[self.query]
        for place, names in (("{filters}", self.filters), ("{within}", self.within)):
            text = text.replace(place, "\n".join(queries[name] for name in names))
        return text.replace("{order}", queries[self.order]) if self.order else text


class Rows(list[Any]):
    """The rows of a step, whose columns have names, and how many rows it `changed`."""

    def __init__(self, rows: Iterable[Any], changed: int) -> None:
        super().__init__(rows)
        self.changed = changed

    @property
    def first(self) -> Any:
        """The first row, or None."""
        return self[0] if self else None


Verb = Generator[Step, Rows, T]


def verb_of(step: Step) -> Verb[Rows]:
    """The verb that has this step alone."""
    return (yield step)


class AlreadyThere(Exception):
    """Thrown into a verb by a step: what it adds is there already. No step may follow it."""


class Engine(Protocol):
    """What runs verbs. Errors common to all: StorageUnavailable and StorageBroken."""

    async def read(self, verb: Callable[[], Verb[T]], patience: float = PATIENCE) -> T:
        """Run what only reads."""
        ...

    async def write(
        self, verb: Callable[[], Verb[T]], patience: float | None = PATIENCE, name: str = "other"
    ) -> T:
        """Run a verb in a transaction; returns when that is committed.

        Args:
            verb: Makes the generator, anew for each try.
            patience: Seconds that the caller waits for another machine; None: until it is done.
            name: The failpoints' of the commit.
        """
        ...
