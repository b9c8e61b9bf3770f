"""Runs the server with a planted defect, or with its store observed: never for real use.

A suite that cannot see a defect proves nothing. Each function here breaks one promise in a
running server; the controls (`faults/control.py`) see to it that the checker notices.

    HELIOGRAPH_CHAOS_PLANT=unfenced python -m tests.chaos.controls serve ...
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from heliograph import clock
from heliograph.cli import main
from heliograph.delivery import matching
from heliograph.delivery.dispatcher import Dispatcher
from heliograph.errors import ConfigurationsChanged
from heliograph.model.deliveries import Settlement
from heliograph.model.events import Accepted
from heliograph.model.republishing import RepublishJob, Source
from heliograph.outbound import dialling
from heliograph.store import ClaimResult, sql
from heliograph.store.postgres import hints
from heliograph.store.postgres.queries import QUERIES as POSTGRES
from heliograph.store.postgres.store import PostgresStore
from heliograph.store.sqlite import connection as sqlite_connection
from heliograph.store.sqlite.queries import QUERIES as SQLITE
from heliograph.store.sqlite.store import SqliteStore
from heliograph.store.times import to_microseconds
from heliograph.store.verbs import Step, republishing, resending, verb_of
from tests.chaos.ledger import Ledger

PLANT = "HELIOGRAPH_CHAOS_PLANT"
OBSERVE = "HELIOGRAPH_CHAOS_OBSERVE"


def sync_off() -> None:
    """SQLite does not flush: a power cut takes what was acknowledged."""
    module: Any = sqlite_connection
    module.PRAGMAS = tuple(
        ("synchronous", "off", 0) if name == "synchronous" else (name, value, expected)
        for name, value, expected in sqlite_connection.PRAGMAS
    )


def unfenced() -> None:
    """A settlement moves the delivery whoever has claimed it meanwhile."""
    queries: Any = POSTGRES
    for name in ("settle_delivered", "settle_others"):
        _take_out(queries, name, "and d.state = 'in_flight' and d.epoch = s.epoch")
        _take_out(queries, name, "and d.attempt_id = s.attempt_id")


def no_unique_key() -> None:
    """An event id is not unique: a repeated publish is a new event."""
    queries: Any = SQLITE
    known = queries["events_known"].strip().removesuffix(";")
    queries["events_known"] = f"select * from ({known}) limit 0"  # noqa: S608 (our own query)
    migrations = sql.migrations

    def without(engine: str) -> Sequence[sql.Migration]:
        return [
            replace(step, sql=step.sql.replace(",\n    unique (account_id, event_id)", ""))
            for step in migrations(engine)
        ]

    module: Any = sql
    module.migrations = without


def _take_out(queries: Any, name: str, text: str) -> None:
    assert text in queries[name]
    queries[name] = queries[name].replace(text, "")


def early_reply() -> None:
    """202 is answered before the commit."""
    background: set[asyncio.Task[Any]] = set()

    def eager(accept: Callable[..., Any]) -> Callable[..., Any]:
        async def reply(
            self: Any, account_id: str, version: int, events: Sequence[Any], **named: Any
        ) -> Sequence[Accepted]:
            if (await self.configurations(account_id)).version != version:
                raise ConfigurationsChanged

            async def later() -> None:
                await asyncio.sleep(0.3)
                await accept(self, account_id, version, events, **named)

            task = asyncio.create_task(later())
            background.add(task)
            task.add_done_callback(background.discard)
            return [Accepted(event.event_id, len(wanted), False) for event, wanted in events]

        return reply

    stores: Any = (SqliteStore, PostgresStore)
    for store in stores:
        store.accept = eager(store.accept)


def no_order() -> None:
    """No delivery waits for an earlier one of its envelope."""
    module: Any = matching
    module.lane = lambda configuration, event: None


def trusting() -> None:
    """Whatever a clock shows is believed at once."""
    module: Any = clock
    module.MOST_APART = module._LONGEST_STOP = timedelta(days=36_500)


def one_clock() -> None:
    """And others are told the time of the store's clock."""
    trusting()
    store_clock: Any = clock.StoreClock
    store_clock.machine = store_clock.now


def unwoken() -> None:
    """Who deletes failures wakes nobody, and the dispatcher sleeps until the next due time."""

    def quiet(verb: Callable[..., Any]) -> Callable[..., Any]:
        async def run(self: Any, *given: Any) -> Any:
            wake = self._wake
            self.when_due(lambda: None)
            try:
                return await verb(self, *given)
            finally:
                self.when_due(wake)

        return run

    stores: Any = (SqliteStore, PostgresStore)
    for store in stores:
        store.delete_failure = quiet(store.delete_failure)
        store.delete_failures = quiet(store.delete_failures)
    defaults: Any = Dispatcher.__init__.__kwdefaults__
    defaults["longest_sleep"] = math.inf
    # Nor does a look without a hint, or the hint that a node gives itself.
    module: Any = hints
    module._LOOK_ANYWAY = 3600.0
    module.Hints.give = lambda self: None


def first_address() -> None:
    """Of all addresses of a name only the first one is tried."""
    module: Any = dialling
    start = module.start_connection

    async def one(addresses: Sequence[Any], **named: Any) -> Any:
        return await start(addresses[:1], **named)

    module.start_connection = one


def nameless() -> None:
    """Who comes in the place of a dead process is another node, which takes nothing over."""
    opened = PostgresStore.open

    async def anew(*given: Any, instance: str, **named: Any) -> PostgresStore:
        return await opened(*given, instance=f"{instance}/{uuid.uuid4()}", **named)

    PostgresStore.open = anew  # type: ignore[method-assign]


def cursor_first() -> None:
    """A republish job's cursor moves in a transaction of its own, before what it asks for."""

    async def apart(self: Any, job: RepublishJob, most: int, paced_at: datetime) -> bool:
        page = republishing._next(job, most)
        found = await self._engine.read(lambda: verb_of(page))
        some, now = found[:most], self._now()
        last = (some[-1].created_us, some[-1].delivery_id) if some else (0, 0)
        values = {
            "job_id": job.job_id,
            "step": job.step,
            "asked": len(some),
            "passed_over": 0,
            "cursor_us": last[0],
            "cursor_id": last[1],
            "walked": len(found) <= most,
            "paced_us": to_microseconds(paced_at),
        }
        await self._engine.write(lambda: verb_of(Step("job_stepped", values)))
        await asyncio.sleep(0.3)
        if job.source is Source.DELIVERED:
            await self._engine.write(
                lambda: resending.send_again(job.account_id, some, job.who, now, job.job_id)
            )
        else:
            await self._engine.write(lambda: republishing._requeue(job, some, now))
        return True

    republishing.RepublishingVerbs.ask = apart  # type: ignore[method-assign]


PLANTS: dict[str, Callable[[], None]] = {
    plant.__name__: plant
    for plant in (
        sync_off,
        unfenced,
        no_unique_key,
        early_reply,
        no_order,
        unwoken,
        first_address,
        trusting,
        one_clock,
        nameless,
        cursor_first,
    )
}


def observe(path: Path) -> None:
    """Write down each claim, and each settlement with whether it took effect (R8)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(path)
    claim, settle = PostgresStore.claim, PostgresStore.settle

    async def claiming(self: PostgresStore, **bounds: Any) -> ClaimResult:
        result = await claim(self, **bounds)
        for one in result.claims:
            _note(ledger, "claim", one, True, time.time_ns())
        return result

    async def settling(self: PostgresStore, settlements: Sequence[Settlement]) -> Sequence[bool]:
        began = time.time_ns()  # others may claim what we settle before we have written it down
        effects = await settle(self, settlements)
        for one, effect in zip(settlements, effects, strict=True):
            _note(ledger, "settle", one.claim, effect, began)
        return effects

    PostgresStore.claim = claiming  # type: ignore[assignment, method-assign]
    PostgresStore.settle = settling  # type: ignore[method-assign]


def _note(ledger: Ledger, kind: str, claim: Any, effect: bool, ns: int) -> None:
    ledger.write(
        kind=kind,
        ns=ns,
        delivery=str(claim.delivery_id),
        epoch=claim.epoch,
        attempt=claim.attempt_id,
        effect=effect,
    )


if __name__ == "__main__":
    if plant := os.environ.get(PLANT):
        sys.stderr.write(f"WARNING: this server has a planted defect: {plant}\n")
        PLANTS[plant]()
    if observed := os.environ.get(OBSERVE):
        observe(Path(observed))
    main()
