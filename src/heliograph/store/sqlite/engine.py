"""Runs verbs on SQLite: on the writer's thread, or a reader's."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextvars import copy_context
from typing import Final, TypeVar

import apsw

from heliograph.store import sql
from heliograph.store.sqlite.connection import Readers, Writer, fetch
from heliograph.store.verbs import PATIENCE, AlreadyThere, Rows, Step, Verb

T = TypeVar("T")

VERBS: Final = sql.verbs("sqlite")

_TAKEN: Final = (apsw.SQLITE_CONSTRAINT_UNIQUE, apsw.SQLITE_CONSTRAINT_PRIMARYKEY)


class SqliteEngine:
    """The Engine on apsw. The file is local: nobody's patience is asked for."""

    def __init__(
        self, writer: Writer, readers: Readers, changed_by: Callable[[Step], None]
    ) -> None:
        """`changed_by` is told of each step on the writer's thread."""
        self._writer = writer
        self._readers = readers
        self._changed_by = changed_by

    async def read(self, verb: Callable[[], Verb[T]], patience: float = PATIENCE) -> T:
        return await self._readers.read(lambda db: run_verb(db, verb()))

    async def write(
        self, verb: Callable[[], Verb[T]], patience: float | None = PATIENCE, name: str = "other"
    ) -> T:
        # On the writer's thread too, whoever acts here is who acts.
        context = copy_context()
        return await self._writer.write(
            lambda db: context.run(run_verb, db, verb(), self._changed_by), name
        )


def run_verb(
    db: apsw.Connection, verb: Verb[T], changed_by: Callable[[Step], None] = lambda _: None
) -> T:
    """Run a verb within a transaction; `changed_by` is told of each step."""
    try:
        step = next(verb)
        while True:
            try:
                rows = _execute(db, step)
            except apsw.ConstraintError as error:
                if getattr(error, "extendedresult", 0) not in _TAKEN:
                    raise
                step = verb.throw(AlreadyThere(str(error)))
                continue
            changed_by(step)
            step = verb.send(rows)
    except StopIteration as ended:
        result: T = ended.value
        return result


def _execute(db: apsw.Connection, step: Step) -> Rows:
    values = {
        name: json.dumps(value) if isinstance(value, list) else value
        for name, value in step.values.items()
    }
    return Rows(fetch(db, step.text(VERBS), values), db.changes())
