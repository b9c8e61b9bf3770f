"""The databases under test: how a server is pointed at one, and what is in it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import apsw
import psycopg

from tests.chaos.checker import Dump
from tests.postgres_server import DURABLE, PostgresServer, new_folder

_DELIVERIES = """
select e.event_id, cast(d.connect_id as text), d.state
from delivery as d inner join event as e on d.event_row = e.event_row
"""
_ENDED = """
union all
select e.event_id, cast(d.connect_id as text), d.state
from delivery_ended as d inner join event as e on d.event_row = e.event_row
"""
_ATTEMPTS = """
select e.event_id, cast(a.connect_id as text), a.outcome
from attempt as a inner join {} as d on a.delivery_id = d.delivery_id
inner join event as e on d.event_row = e.event_row
"""
_HISTORY = """
select e.event_id, cast(a.connect_id as text), a.outcome
from attempt as a inner join event as e on a.event_row = e.event_row
"""
_FAILURES = """
select e.event_id, cast(d.connect_id as text)
from delivery as d inner join event as e on d.event_row = e.event_row
where d.failed_us is not null
"""
_UNFINISHED = "select count(*) from delivery where state in ('waiting', 'held', 'in_flight')"
_IN_FLIGHT_OF_PROCESS = """
select count(*) from delivery as d inner join node as n on d.epoch = n.epoch
where d.state = 'in_flight' and n.process_id = %s
"""
# Of several processes each but the first has a number behind the name.
_IN_FLIGHT_OF_INSTANCE = """
select count(*) from delivery as d inner join node as n on d.epoch = n.epoch
where d.state = 'in_flight' and split_part(n.instance, '/', 1) = %s
"""
_UNANSWERED = "where a.outcome = 'failed' and a.phase in ('headers', 'body')"
_BROKEN_OFF = "where a.outcome = 'failed' and a.phase = 'claim' and a.error like '%internal error%'"
_ORPHANS = "select problem from v_audit_orphans"


class Engine(Protocol):
    """A database that one or more nodes share."""

    name: str
    many_nodes: bool

    def arguments(self) -> list[str]:
        """What `serve` is told about the database."""
        ...

    def in_flight(self, folder: Path) -> int:
        """Deliveries that the node of this data directory has claimed and not settled."""
        ...

    def unfinished(self) -> int:
        """Deliveries that are to be sent still."""
        ...

    def dump(self) -> Dump:
        """What the checker needs to know."""
        ...

    def close(self) -> None:
        """End what was started."""
        ...


class Sqlite:
    """One file in the data directory of the one node."""

    name = "sqlite"
    many_nodes = False

    def __init__(self, folder: Path) -> None:
        self.file = folder / "node-1" / "heliograph.db"

    def arguments(self) -> list[str]:
        return []

    def in_flight(self, folder: Path) -> int:
        ((count,),) = self._read("select count(*) from delivery where state = 'in_flight'")
        return int(count)

    def unfinished(self) -> int:
        ((count,),) = self._read(_UNFINISHED)
        return int(count)

    def dump(self) -> Dump:
        attempts = _ATTEMPTS.format("delivery")
        return Dump(
            self._read(_DELIVERIES),
            self._read(attempts),
            # The one process is stopped when this is asked.
            [text for (text,) in self._read(_ORPHANS)],
            self._read(_FAILURES),
            [(event, connect) for event, connect, _ in self._read(attempts + _UNANSWERED)],
            [(event, connect) for event, connect, _ in self._read(attempts + _BROKEN_OFF)],
        )

    def integrity(self) -> str:
        """What SQLite's own check says."""
        ((said,), *_) = self._read("pragma integrity_check")
        return str(said)

    def _read(self, statement: str) -> list[Any]:
        with contextlib.closing(apsw.Connection(str(self.file))) as connection:
            connection.set_busy_timeout(5000)
            return connection.execute(statement).fetchall()

    def close(self) -> None:
        return


class Postgres:
    """A server of our own that flushes, or a part of it that a fault stands in for."""

    name = "postgres"
    many_nodes = True

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.url = server.url
        self._close: Callable[[], None] = lambda: None

    @classmethod
    def started(cls, **settings: str) -> Postgres:
        """A new server."""
        stack = contextlib.ExitStack()
        folder = stack.enter_context(new_folder())
        server = PostgresServer(folder, {**DURABLE, **settings})
        server.initialize()
        server.start()
        stack.callback(_stop, server)
        engine = cls(server)
        engine._close = stack.close
        return engine

    def closes_with(self, server: PostgresServer) -> None:
        """Stop this server when the engine is closed."""
        self._close = lambda: _stop(server)

    def arguments(self) -> list[str]:
        return ["--database-url", self.url]

    def in_flight(self, folder: Path) -> int:
        instance = (folder / "node-id").read_text()
        return self._count(_IN_FLIGHT_OF_INSTANCE, instance)

    def in_flight_of(self, process: int) -> int:
        """Deliveries that a process, which may be dead, has claimed and nobody has settled."""
        return self._count(_IN_FLIGHT_OF_PROCESS, process)

    def _count(self, statement: str, value: object) -> int:
        ((count,),) = self.ask(statement, (value,))
        return int(count)

    def unfinished(self) -> int:
        ((count,),) = self.ask(_UNFINISHED)
        return int(count)

    def dump(self) -> Dump:
        return Dump(
            self.ask(_DELIVERIES + _ENDED),
            self.ask(_HISTORY),
            [text for (text,) in self.ask(_ORPHANS)],
            self.ask(_FAILURES),
            [(event, connect) for event, connect, _ in self.ask(_HISTORY + _UNANSWERED)],
            [(event, connect) for event, connect, _ in self.ask(_HISTORY + _BROKEN_OFF)],
        )

    def ask(self, statement: str, values: tuple[object, ...] = ()) -> list[Any]:
        """The rows of a statement, past whatever stands between the nodes and the server."""
        with self.connected() as connection:
            return connection.execute(statement.encode(), values or None).fetchall()

    @contextlib.contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection of the suite's own."""
        with psycopg.connect(self.server.url, autocommit=True, connect_timeout=5) as connection:
            yield connection

    def close(self) -> None:
        self._close()


def _stop(server: PostgresServer) -> None:
    with contextlib.suppress(RuntimeError, FileNotFoundError, ProcessLookupError):
        server.stop("immediate")
