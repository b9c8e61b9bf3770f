"""F5, F6, F10, F11: the database stops, restarts, loses connections, has no room (R11)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.listener import LoopbackListener, Received
from tests.postgres_server import DURABLE, PostgresServer, new_folder, postgres_server
from tests.server import Client, Reply, serving
from tests.support import published

ANSWERED, RESUMED = 2.0, 5.0
"""Seconds promised."""

SLACK = 3.0 if "PYTEST_XDIST_WORKER" in os.environ else 0.4
"""Seconds more for either: more where other tests share the machine."""


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL that flushes, for one test alone."""
    with postgres_server(**DURABLE, max_connections="25") as opened:
        yield opened


@pytest.fixture
async def client(server: PostgresServer, tmp_path: Path) -> AsyncIterator[Client]:
    async with serving(tmp_path, database_url=server.url) as opened:
        yield opened


async def publish(client: Client, event_id: str) -> Reply:
    return await client.call("POST", "events", published(envelope_id=event_id, eventId=event_id))


async def refused_in_time(client: Client, event_id: str) -> None:
    """503 with Retry-After, in time."""
    began = time.monotonic()
    reply = await publish(client, event_id)
    assert reply.status == 503, reply.body
    assert int(reply.headers["Retry-After"]) >= 1
    assert reply.error == "SERVICE_UNAVAILABLE"
    assert time.monotonic() - began < ANSWERED + SLACK


async def resumes(client: Client, listener: LoopbackListener, event_id: str) -> None:
    """Publishing and sending work again in time, by themselves."""
    async with asyncio.timeout(RESUMED + SLACK):
        while (await publish(client, event_id)).status != 202:
            await asyncio.sleep(0.05)
        await listener.until(lambda received: event_id in events_of(received))


def events_of(received: list[Received]) -> set[str]:
    return {request.message["data"]["envelopeId"] for request in received}


def stopped(server: PostgresServer) -> Callable[[], None]:
    """Stop every process of the server with SIGSTOP; the answer lets them go on."""
    processes = [server.postmaster(), *server.children()]
    for process_id in processes:
        os.kill(process_id, signal.SIGSTOP)

    def go_on() -> None:
        for process_id in processes:
            os.kill(process_id, signal.SIGCONT)

    return go_on


async def test_f5_r11_a_database_that_stands_still_is_answered_with_503_in_time(
    client: Client, server: PostgresServer, listener: LoopbackListener
) -> None:
    await client.configure(listener.base)
    await resumes(client, listener, "before")
    go_on = stopped(server)
    try:
        await asyncio.gather(*(refused_in_time(client, f"meanwhile-{n}") for n in range(20)))
        await refused_in_time(client, "meanwhile-20")
    finally:
        go_on()
    await resumes(client, listener, "after")


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_f6_r11_a_database_that_restarts_is_found_again(
    client: Client, server: PostgresServer, listener: LoopbackListener, mode: str
) -> None:
    await client.configure(listener.base)
    await resumes(client, listener, "before")
    for number in range(3):
        await asyncio.to_thread(server.stop, mode)
        await asyncio.gather(*(refused_in_time(client, f"down-{number}-{n}") for n in range(5)))
        await asyncio.to_thread(server.start)
        await resumes(client, listener, f"after-{number}")


async def test_f6_r11_killed_connections_are_replaced_and_nothing_is_lost(
    client: Client, server: PostgresServer, listener: LoopbackListener
) -> None:
    await client.configure(listener.base)
    accepted = []
    with psycopg.connect(server.url, autocommit=True) as other:
        for number in range(40):
            if number % 4 == 0:
                other.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where application_name = 'heliograph'"
                )
            reply = await publish(client, f"event-{number}")
            assert reply.status in (202, 503)
            if reply.status == 202:
                accepted.append(f"event-{number}")
    await resumes(client, listener, "after")
    assert len(accepted) >= 20
    await listener.until(lambda received: events_of(received) >= set(accepted), RESUMED + SLACK)


async def test_f10_r11_without_a_free_connection_publish_answers_503_and_recovers(
    client: Client, server: PostgresServer, listener: LoopbackListener
) -> None:
    await client.configure(listener.base)
    await resumes(client, listener, "before")
    held = []
    with psycopg.connect(server.url, autocommit=True) as other:
        for _ in range(30):  # take every connection, also those that are ours
            other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'heliograph'"
            )
            try:
                held.append(psycopg.connect(server.url))
            except psycopg.OperationalError:
                break
        replies = await asyncio.gather(*(publish(client, f"meanwhile-{n}") for n in range(10)))
        assert {reply.status for reply in replies} <= {202, 503}
        for connection in held:
            connection.close()
    await resumes(client, listener, "after")


async def test_r11_a_database_that_takes_no_writes_is_no_202_and_reads_go_on(
    client: Client, server: PostgresServer, listener: LoopbackListener
) -> None:
    await client.configure(listener.base)
    await resumes(client, listener, "before")
    with psycopg.connect(server.url, autocommit=True) as other:
        other.execute("alter system set default_transaction_read_only = on")
        other.execute("select pg_reload_conf()")
        async with asyncio.timeout(RESUMED + SLACK):
            while (await publish(client, "read-only")).status == 202:
                await asyncio.sleep(0.05)
        await refused_in_time(client, "read-only-2")
        assert (await client.call("GET", "failures")).status == 200
        other.execute("set default_transaction_read_only = off")
        other.execute("alter system reset default_transaction_read_only")
        other.execute("select pg_reload_conf()")
    await resumes(client, listener, "after")


@contextlib.contextmanager
def small_disk(size: str) -> Iterator[PostgresServer]:
    """A server whose data, but not its WAL, lies on a file system of its own."""
    with new_folder() as folder:
        server = PostgresServer(folder, DURABLE)
        server.data.mkdir(mode=0o700)
        options = f"size={size},mode=0700,uid={folder.stat().st_uid}"
        mounted = subprocess.run(
            ["/bin/mount", "-t", "tmpfs", "-o", options, "none", str(server.data)],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
        try:
            server.initialize("-X", str(folder / "wal"))
            server.start()
            yield server
        finally:
            with contextlib.suppress(RuntimeError, FileNotFoundError):
                server.stop("immediate")
            subprocess.run(["/bin/umount", str(server.data)], check=True)


async def test_f11_r11_a_full_disk_of_the_database_refuses_and_goes_on_when_there_is_room(
    tmp_path: Path, listener: LoopbackListener
) -> None:
    with small_disk("96m") as server:
        async with serving(tmp_path, database_url=server.url) as client:
            await client.configure(listener.base)
            await resumes(client, listener, "before")
            filler = server.data / "filler"
            with contextlib.suppress(OSError), filler.open("wb") as file:
                while True:
                    file.write(os.urandom(64 * 1024))
            large = published(
                envelope_id="large", eventId="large", padding=os.urandom(200_000).hex()
            )
            for _ in range(3):
                began = time.monotonic()
                refused = await client.call("POST", "events", large)
                assert refused.status == 503, refused.body
                assert "full" in refused.json["message"]
                assert time.monotonic() - began < ANSWERED + SLACK
            assert (await client.call("GET", "failures")).status == 200
            filler.unlink()
            await resumes(client, listener, "after")
            assert (await client.call("POST", "events", large)).status == 202
