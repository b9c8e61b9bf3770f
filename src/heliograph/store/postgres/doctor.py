"""What doctor asks a PostgreSQL; apart, so that SQLite needs no driver."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import errors

from heliograph.clock import SystemClock
from heliograph.errors import StorageUnavailable
from heliograph.model.checks import Check
from heliograph.store.attendance import attendance_check
from heliograph.store.postgres.connection import (
    CONNECTIONS_OF_A_NODE,
    Connection,
    Database,
    behind_pooler,
    fetch,
    fetch_only,
)
from heliograph.store.postgres.engine import VERBS, run_verb
from heliograph.store.postgres.node import ServerSettings, is_new
from heliograph.store.postgres.queries import QUERIES
from heliograph.store.verbs import clock


async def database_checks(url: str) -> Sequence[Check]:
    """Ask a PostgreSQL what durability rests on, and whether anything is orphaned (R4, R18)."""
    try:
        database = await Database(url).open()
    except StorageUnavailable as problem:
        mend = "see that it runs, and that --database-url names it and a user that may enter"
        return [Check("database", False, str(problem), mend)]
    try:
        return await database.transact(_look_at_database)
    except StorageUnavailable as problem:
        return [Check("database", False, str(problem), "see the log of PostgreSQL")]
    finally:
        await database.close()


async def _look_at_database(db: Connection) -> Sequence[Check]:
    settings = await ServerSettings.read(db)
    problems = [Check(name, False, found, mend) for name, found, mend in settings.problems()]
    pooler = await behind_pooler(db)
    checks = [
        Check(
            "database",
            True,
            f"PostgreSQL {settings.version // 10_000}" + (", through a pooler" if pooler else ""),
        ),
        *problems,
    ]
    if not problems:
        checks.append(Check("settings", True, "fsync, full_page_writes, synchronous_commit are on"))
    checks.append(
        Check(
            "failover",
            True,
            f"synchronous standby: {settings.synchronous_standby_names}"
            if settings.synchronous_standby_names
            else "no synchronous standby: a failover may lose what was accepted last",
        )
    )
    if (await fetch_only(db, QUERIES["clock_known"]))[0]:
        checks.append(await run_verb(db, clock.check(SystemClock())))
    if await is_new(db):
        checks.append(Check("deliveries", True, "no node has started on this database yet"))
    else:
        orphans = await fetch(db, QUERIES["orphans"])
        checks.append(
            Check(
                "deliveries",
                not orphans,
                f"{len(orphans)} that nothing will end, the first: {orphans[0].problem}"
                if orphans
                else "none is orphaned",
                "this is a bug of Heliograph: report it with the output of --json",
            )
        )
        checks += [await _due_check(db), await _nodes_check(db)]
    return checks


async def _nodes_check(db: Connection) -> Check:
    """Which nodes run, of all servers on this database, and whether they find connections."""
    (now,) = await fetch_only(db, QUERIES["server_clock"])
    hosts = await fetch(db, QUERIES["nodes_running"], {"now": now})
    if not hosts:
        return Check("nodes", True, "none runs")
    count = sum(len(row.process_ids) for row in hosts)
    found = f"{count}: " + "; ".join(
        f"{row.host}, processes {', '.join(map(str, row.process_ids))}" for row in hosts
    )
    wanted, there_are = count * CONNECTIONS_OF_A_NODE, hosts[0].connections
    if wanted > there_are:
        found = f"WARNING: they may want {wanted} connections of {there_are} there are. {found}"
    return Check("nodes", True, found)


async def _due_check(db: Connection) -> Check:
    """Whether somebody looks for what is due (R21)."""
    (now,) = await fetch_only(db, QUERIES["server_clock"])
    try:
        async with db.transaction():
            found = await fetch_only(db, VERBS["attendance"], {"now": now})
    except errors.UndefinedColumn:
        return Check("due", True, "not known: no node of this version has started on it yet")
    return attendance_check(found.due_us, found.looked_us, now)
