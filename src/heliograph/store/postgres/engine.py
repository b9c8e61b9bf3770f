"""Runs verbs on PostgreSQL: statement by statement, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from psycopg.errors import UniqueViolation

from heliograph.store import sql
from heliograph.store.postgres.connection import Connection, Database, execute
from heliograph.store.verbs import PATIENCE, AlreadyThere, Rows, Step, Verb

T = TypeVar("T")

VERBS: Final = {name: sql.with_pyformat(text) for name, text in sql.verbs("postgres").items()}


class PostgresEngine:
    """The Engine on psycopg."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, verb: Callable[[], Verb[T]], patience: float = PATIENCE) -> T:
        return await self._database.read(lambda db: run_verb(db, verb()), patience)

    async def write(
        self, verb: Callable[[], Verb[T]], patience: float | None = PATIENCE, name: str = "other"
    ) -> T:
        writing = self._database.transact(lambda db: run_verb(db, verb()), name)
        return await (writing if patience is None else self._database.bounded(writing, patience))


async def run_verb(db: Connection, verb: Verb[T]) -> T:
    """Run a verb within a transaction."""
    try:
        step = next(verb)
        while True:
            try:
                rows = await _execute(db, step)
            except UniqueViolation as error:
                step = verb.throw(AlreadyThere(str(error)))
            else:
                step = verb.send(rows)
    except StopIteration as ended:
        result: T = ended.value
        return result


async def _execute(db: Connection, step: Step) -> Rows:
    cursor = await execute(db, step.text(VERBS), step.values)
    if cursor.description is None:  # it gives no rows
        return Rows((), cursor.rowcount)
    return Rows(await cursor.fetchall(), cursor.rowcount)
