"""F7: the primary is killed and a standby promoted. Nothing is lost if it was synchronous."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.busy import hang
from tests.listener import LoopbackListener
from tests.postgres_server import DURABLE, PostgresServer, new_folder
from tests.server import Client, serving
from tests.support import published


@contextlib.contextmanager
def pair(*, synchronous: bool) -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """A primary and its standby, both running."""
    with new_folder() as first, new_folder() as second:
        primary = PostgresServer(first, DURABLE)
        primary.initialize()
        primary.start()
        standby = primary.standby(second)
        try:
            standby.start()
            if synchronous:
                with psycopg.connect(primary.url, autocommit=True) as connection:
                    connection.execute("alter system set synchronous_standby_names = '*'")
                    connection.execute("select pg_reload_conf()")
            yield primary, standby
        finally:
            for server in (primary, standby):
                with contextlib.suppress(RuntimeError, FileNotFoundError, ProcessLookupError):
                    server.stop("immediate")


def either(primary: PostgresServer, standby: PostgresServer) -> str:
    """The URL of whichever takes writes."""
    hosts = f"{primary.folder},{standby.folder}"
    return f"postgresql://postgres@/postgres?host={hosts}&target_session_attrs=read-write"


async def publish(client: Client, envelope: str) -> bool | None:
    """None: not accepted; else whether it was known already."""
    body = published(envelope_id=envelope, eventId=envelope)
    reply = await client.call("POST", "events", body)
    if reply.status != 202:
        return None
    repeated: bool = reply.json["events"][0]["repeated"] in (True, "true")
    return repeated


async def load(client: Client, accepted: list[str], number: int, over: asyncio.Event) -> None:
    place = 0
    while not over.is_set():
        envelope = f"env-{number}-{place}"
        place += 1
        if await publish(client, envelope) is not None:
            accepted.append(envelope)


async def lost_of(client: Client, accepted: list[str]) -> list[str]:
    """Which accepted events the promoted database does not know: they count as new."""
    lost = []
    for envelope in accepted:
        async with hang(10):
            while (known := await publish(client, envelope)) is None:
                await asyncio.sleep(0.05)
        if not known:
            lost.append(envelope)
    return lost


@pytest.mark.timeout(120)
async def test_f7_r1_a_promoted_synchronous_standby_has_every_accepted_event(
    tmp_path: Path, listener: LoopbackListener
) -> None:
    with pair(synchronous=True) as (primary, standby):
        async with serving(tmp_path, database_url=either(primary, standby)) as client:
            await client.configure(listener.base)
            accepted: list[str] = []
            over = asyncio.Event()
            publishers = [
                asyncio.create_task(load(client, accepted, number, over)) for number in range(8)
            ]
            while len(accepted) < 200:
                await asyncio.sleep(0.01)
            primary.kill()
            await asyncio.to_thread(standby.promote)
            before = len(accepted)
            async with asyncio.timeout(5):  # it resumes by itself
                while len(accepted) < before + 20:
                    await asyncio.sleep(0.01)
            over.set()
            await asyncio.gather(*publishers)
            assert await lost_of(client, accepted) == []
            arrived = set(accepted)
            await listener.until(
                lambda received: {one.message["data"]["envelopeId"] for one in received} >= arrived
            )


@pytest.mark.timeout(120)
async def test_control_a_standby_that_is_behind_does_lose_and_this_test_would_see_it(
    tmp_path: Path, listener: LoopbackListener
) -> None:
    with pair(synchronous=False) as (primary, standby):
        async with serving(tmp_path, database_url=either(primary, standby)) as client:
            await client.configure(listener.base)
            await asyncio.to_thread(standby.stop)
            accepted = [f"env-{number}" for number in range(20)]
            for envelope in accepted:
                assert await publish(client, envelope) is False
            primary.kill()
            await asyncio.to_thread(standby.start)
            await asyncio.to_thread(standby.promote)
            assert await lost_of(client, accepted) != []
