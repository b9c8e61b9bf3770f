"""F1 and F22: the server is killed, or stopped, again and again under load."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import random
import re
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import apsw
import pytest
from aiohttp import web

from heliograph.credentials import Credentials
from tests.chaos.checker import Verdict, check
from tests.chaos.ledger import Ledger, entries
from tests.support import published

KILLS = int(os.environ.get("HELIOGRAPH_CHAOS_KILLS", "30"))
STOPS = 5
PUBLISHERS = 8
LISTENERS = ("/a", "/b")


class Server:
    """The server as a process of its own, started again after each kill."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.process: Process | None = None
        self.up = asyncio.Event()

    @property
    def credentials(self) -> Credentials:
        return Credentials.read(self.folder)

    async def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "heliograph.cli", "serve", "--port", "0"),
                *("--data-dir", str(self.folder), "--egress", "emulator"),
                "--i-accept-data-loss",
                stdout=PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        async with asyncio.timeout(20):
            while line := await self.process.stdout.readline():
                if re.search(rb"http://127\.0\.0\.1:\d+", line):
                    break
            else:
                raise AssertionError((self.folder / "server.log").read_text())
        self.up.set()

    async def kill(self) -> None:
        assert self.process is not None
        self.up.clear()
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


async def publish(
    server: Server, ledger: Ledger, number: int, over: asyncio.Event, counted: asyncio.Event
) -> None:
    """Publish one event after another; a call without an answer is repeated (R2)."""
    async with aiohttp.ClientSession() as session:
        for sequence in range(1_000_000):
            if over.is_set():
                return
            envelope = f"env-{number}-{sequence}"
            ledger.write(kind="intent", envelope=envelope)
            event = published(envelope_id=envelope, eventId=envelope)
            while not await _publish_once(server, session, event):
                await server.up.wait()
            ledger.write(kind="ok", envelope=envelope)
            counted.set()


async def _publish_once(
    server: Server, session: aiohttp.ClientSession, event: dict[str, Any]
) -> bool:
    try:
        reply = await call(server, session, "POST", "events", event)
    except (aiohttp.ClientError, TimeoutError, ConnectionError):
        await asyncio.sleep(0.01)
        return False
    return reply is not None


async def call(
    server: Server,
    session: aiohttp.ClientSession,
    method: str,
    path: str,
    body: Any = None,
) -> Any:
    """One call; None where the server could not answer it just now (503)."""
    credentials = server.credentials
    account = f"{credentials.base_uri}/restapi/v2.1/accounts/{credentials.account_id}"
    url = f"{account}/connect/{path}".rstrip("/")
    headers = {"Authorization": f"Bearer {credentials.access_token.reveal()}"}
    timeout = aiohttp.ClientTimeout(total=20)
    async with session.request(method, url, json=body, headers=headers, timeout=timeout) as answer:
        if answer.status == 503:
            return None
        assert answer.status < 300, (answer.status, await answer.text())
        return json.loads(await answer.read() or b"null")


@asynccontextmanager
async def sink(path: Path, keys: list[str]) -> AsyncIterator[str]:
    """A listener that writes down each request before it answers; a few answers are 500."""
    ledger = Ledger(path)
    chance = random.Random(1)

    async def receive(request: web.BaseRequest) -> web.Response:
        body = await request.read()
        message = json.loads(body)
        mac = base64.b64encode(hmac.digest(keys[0].encode(), body, "sha256")).decode()
        without_count = re.sub(rb'"retryCount":\d+', b"", body)
        status = 500 if chance.random() < 0.02 else 200
        ledger.write(
            envelope=message["data"]["envelopeId"],
            configuration=str(message["configurationId"]),
            status=status,
            signature=hmac.compare_digest(mac, request.headers.get("X-DocuSign-Signature-1", "")),
            digest=hashlib.sha256(without_count).hexdigest(),
        )
        return web.Response(status=status)

    runner = web.ServerRunner(web.Server(receive))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        ledger.close()


@dataclass(frozen=True)
class Run:
    """What a run under faults came to."""

    verdict: Verdict
    in_flight: int
    failures: int

    def show(self, what: str) -> None:
        """The figures of the run; pytest shows them with -s."""
        print(  # noqa: T201
            f"{what}: accepted={self.verdict.accepted} delivered={self.verdict.delivered} "
            f"failures={self.failures} lost={len(self.verdict.lost)} "
            f"duplicates={self.verdict.duplicates} in_flight_at_faults={self.in_flight}"
        )


async def run(folder: Path, faults: int, fault: Callable[[Server], Awaitable[None]]) -> Run:
    """Publish under load, let `fault` end the server so many times, heal, and judge."""
    keys: list[str] = []
    server = Server(folder / "data", int(os.environ.get("HELIOGRAPH_CHAOS_SEED", "20261123")))
    server.folder.mkdir()
    try:
        return await _run(folder, server, keys, faults, fault)
    finally:
        # A run that failed half-way must not leave its server behind.
        if server.process is not None and server.process.returncode is None:
            await server.kill()


async def _run(
    folder: Path,
    server: Server,
    keys: list[str],
    faults: int,
    fault: Callable[[Server], Awaitable[None]],
) -> Run:
    await server.start()
    async with sink(folder / "received", keys) as base, aiohttp.ClientSession() as session:
        configurations = await _configure(server, session, base, keys)
        ledger, over = Ledger(folder / "published"), asyncio.Event()
        counted = asyncio.Event()
        publishers = [
            asyncio.create_task(publish(server, ledger, number, over, counted))
            for number in range(PUBLISHERS)
        ]
        in_flight = 0
        for _ in range(faults):
            counted.clear()
            await counted.wait()  # it accepts again
            await asyncio.sleep(server.random.uniform(0.02, 0.5))  # the moment of the fault
            await fault(server)
            in_flight += _in_flight(server.folder)
            await server.start()
        over.set()
        await asyncio.gather(*publishers)
        ledger.close()
        failures, logged = await _heal(server, session, folder / "published", configurations)
        assert await server.stop() == 0
    _no_orphans(server.folder)
    verdict = check(
        entries(folder / "published"),
        entries(folder / "received"),
        configurations=configurations,
        failures=failures,
        logged=logged,
    )
    return Run(verdict, in_flight, len(failures))


@pytest.mark.timeout(400)
async def test_f1_r1_r3_r4_r5_kill_9_in_a_loop_under_load_loses_nothing(tmp_path: Path) -> None:
    came = await run(tmp_path, KILLS, Server.kill)
    came.show(f"kill -9 x {KILLS}")
    assert came.verdict.sound, came.verdict
    assert came.verdict.accepted > 0
    # Each delivery that was in flight at a kill may arrive once more, and no other (R3).
    assert came.verdict.duplicates <= came.in_flight


@pytest.mark.timeout(200)
async def test_f22_r15_sigterm_in_a_loop_under_load_loses_and_repeats_nothing(
    tmp_path: Path,
) -> None:
    async def stop(server: Server) -> None:
        server.up.clear()
        assert await server.stop() == 0

    came = await run(tmp_path, STOPS, stop)
    came.show(f"SIGTERM x {STOPS}")
    assert came.verdict.sound, came.verdict
    assert (came.verdict.duplicates, came.in_flight) == (0, 0)


async def _configure(
    server: Server, session: aiohttp.ClientSession, base: str, keys: list[str]
) -> list[str]:
    keys.append((await call(server, session, "POST", "secret"))["secret"])
    made = []
    for path in LISTENERS:
        wanted = {
            "name": path,
            "urlToPublishTo": base + path,
            "allowEnvelopePublish": "true",
            "allUsers": "true",
            "enableLog": "true",
            "events": ["envelope-sent"],
        }
        made.append((await call(server, session, "POST", "", wanted))["connectId"])
    return made


async def _heal(
    server: Server, session: aiohttp.ClientSession, ledger: Path, configurations: list[str]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """All faults are over: republish what failed until every accepted pair is delivered, or a
    minute is over; the checker then says what is missing."""
    accepted = {line["envelope"] for line in entries(ledger) if line["kind"] == "ok"}
    wanted = {(envelope, one) for envelope in accepted for one in configurations}
    deadline = time.monotonic() + 60
    while True:
        failed = (await call(server, session, "GET", "failures"))["failures"]
        if failed:
            await call(server, session, "PUT", "failures/retry_queue")
        logged = await _delivered(server, session)
        open_pairs = [(one["envelopeId"], one["connectId"]) for one in failed]
        healed = not open_pairs and wanted <= set(logged)
        if healed or time.monotonic() > deadline:
            return open_pairs, logged
        await asyncio.sleep(0.1)


async def _delivered(server: Server, session: aiohttp.ClientSession) -> list[tuple[str, str]]:
    credentials = server.credentials
    url = f"{credentials.base_uri}/v2.1/accounts/{credentials.account_id}/connect/logs"
    headers = {
        "Authorization": f"Bearer {credentials.access_token.reveal()}",
        "Accept": "application/x-ndjson",
    }
    async with session.get(url, headers=headers) as answer:
        lines = [json.loads(line) for line in (await answer.read()).splitlines()]
    return [(line["envelopeId"], line["connectId"]) for line in lines if "error" not in line]


def _in_flight(folder: Path) -> int:
    """What the server had claimed and not settled when it was killed."""
    connection = apsw.Connection(str(folder / "heliograph.db"))
    count: int = connection.execute("select count(*) from delivery where state = 'in_flight'").get
    connection.close()
    return count


def _no_orphans(folder: Path) -> None:
    connection = apsw.Connection(str(folder / "heliograph.db"))
    orphans = connection.execute(
        "select * from v_audit_orphans where problem not like 'in flight for a node%'"
    ).fetchall()
    in_flight = connection.execute(
        "select count(*) from delivery where state in ('in_flight', 'waiting')"
    ).fetchall()
    connection.close()
    assert (orphans, in_flight) == ([], [(0,)])
