"""A new database on a server, for a while: what a bench measures with."""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from heliograph.store.postgres.connection import translate
from heliograph.store.postgres.queries import QUERIES
from heliograph.store.postgres.url import parameters_of


@dataclass(frozen=True, slots=True)
class Fresh:
    """A database: how to connect to it, and what `look` has found, if it is on this machine."""

    url: str
    process: int | None


@contextlib.contextmanager
def fresh_database(url: str, look: Callable[[int], int | None]) -> Iterator[Fresh]:
    """A database beside the one that a URL names, dropped with the block.

    Args:
        url: As for `--database-url`.
        look: Makes a process of the one that serves a connection, while it does.

    Raises:
        UnusableSetting: the URL cannot be read.
        StorageUnavailable: no server answers, or it lets us make none.
    """
    given = dict(parameters_of(url))
    name = f"heliograph_bench_{secrets.token_hex(8)}"
    beside = make_conninfo("", **cast(Any, {**given, "dbname": name}))
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            _run(connection, "database_add", name)
        try:
            with psycopg.connect(beside) as connection:
                process = look(connection.info.backend_pid) if _is_here(connection) else None
            yield Fresh(beside, process)
        finally:
            with psycopg.connect(url, autocommit=True) as connection:
                _run(connection, "database_drop", name)
    except psycopg.Error as error:
        raise translate(error) from error


def _is_here(connection: psycopg.Connection[Any]) -> bool:
    address = connection.info.hostaddr  # empty for a Unix socket
    return not address or ipaddress.ip_address(address).is_loopback


def _run(connection: psycopg.Connection[Any], query: str, name: str) -> None:
    text = sql.SQL(cast(Any, QUERIES[query])).format(name=sql.Identifier(name))
    connection.execute(text)
