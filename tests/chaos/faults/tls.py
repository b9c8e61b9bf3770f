"""F18: listeners whose TLS is not to be trusted, or does not work."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.busy import hang
from tests.chaos.bench import Bench, Result
from tests.chaos.catalogue import Context, fault
from tests.chaos.installation import Node
from tests.pki import Authority, Pair, serving

PROMPT = 2.0
"""Seconds in which a listener without these troubles gets something (R7)."""

TROUBLES = {
    "expired": "the listener's certificate has expired",
    "unknown authority": "the listener's certificate comes from an unknown CA",
    "another host": "the listener's certificate is not for the name localhost",
    "not valid yet": "the listener's certificate is not valid yet",
    "self-signed": "the listener's certificate is self-signed",
    "reset": "connection during the TLS handshake",
    "no TLS": "does not speak TLS",
}
"""In turn, each with what the failure log says of it.

Where the listener ends the handshake itself (TLS below 1.2, a missing client certificate) asyncio
closes before its alert is out: the service tests have those, with blocking sockets.
"""


class Front:
    """Ends TLS before the sink, on one port, in the way that a test sets."""

    def __init__(self, authority: Authority, folder: Path, base: str) -> None:
        self._authority = authority
        self._folder = folder
        self._sink = urlsplit(base)
        self._server: asyncio.Server | None = None
        self._tls: ssl.SSLContext | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.port = 0
        self.trouble = ""

    async def open(self) -> None:
        """Take connections; it begins well."""
        await self.set()
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def set(self, trouble: str = "") -> None:
        """End what is open, and take what comes then with one of `TROUBLES`, or well.

        The server stays: asyncio forgets connections that come while one closes.
        """
        self.trouble = trouble
        self._tls = serving(self._pair(trouble), self._folder)
        await self._end()

    async def close(self) -> None:
        """Take nothing, and end what is open."""
        if self._server is not None:
            self._server.close()
            await self._end()
            await self._server.wait_closed()

    async def _end(self) -> None:
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _pair(self, trouble: str) -> Pair:
        match trouble:
            case "expired":
                return self._authority.pair("localhost", days=(-9, -1))
            case "not valid yet":
                return self._authority.pair("localhost", days=(1, 9))
            case "another host":
                return self._authority.pair("hooks.example.org")
            case "unknown authority":
                return Authority("Another CA").pair("localhost")
            case "self-signed":
                itself = Authority("localhost")
                return itself.pair("localhost", key=itself.key)
            case _:
                return self._authority.pair("localhost")

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.trouble == "reset":
            await reader.read(9)
            writer.transport.abort()
            return
        if self.trouble == "no TLS":
            await reader.read(9)
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        assert self._tls is not None
        await writer.start_tls(self._tls)
        to_reader, to_writer = await asyncio.open_connection(self._sink.hostname, self._sink.port)
        pumps = [
            asyncio.ensure_future(_pump(reader, to_writer)),
            asyncio.ensure_future(_pump(to_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            to_writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()


@asynccontextmanager
async def front(authority: Authority, folder: Path, base: str) -> AsyncIterator[Front]:
    """TLS before the sink at `base`; it begins well."""
    made = Front(authority, folder, base)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


@fault(
    "F18",
    "a listener's TLS is wrong",
    quick={"sqlite-1": 2},
    full={"sqlite-1": 14, "postgres-1": 7},
)
async def broken_tls(context: Context) -> Result:
    """Nothing is sent to a listener whose certificate or TLS cannot be trusted, the failure log
    says exactly what is wrong, others are served in time, and everything arrives once it is
    mended (S5, R4, R7)."""
    result, authority = Result(), Authority()
    roots = context.folder / "ca.pem"
    roots.write_text(authority.certificate)

    def change(node: Node) -> None:
        node.environment["SSL_CERT_FILE"] = str(roots)

    async with (
        context.bench(change=change) as bench,
        front(authority, context.folder, bench.sink.base) as secure,
    ):
        bench.sink.broken = 0.0
        url = f"https://localhost:{secure.port}/c"
        wanted = bench.wanted("/c", urlToPublishTo=url, retrySchedule="standard")
        made = await bench.client.done("POST", "", wanted)
        bench.configurations.append(made["connectId"])
        async with bench.load(pace=0.1) as load:
            for cycle in range(context.cycles):
                trouble = list(TROUBLES)[cycle % len(TROUBLES)]
                await load.accepts()
                await _mistrust(bench, secure, made["connectId"], trouble, result)
        await bench.judge(result)
    return result


async def _mistrust(
    bench: Bench, secure: Front, connect_id: str, trouble: str, result: Result
) -> None:
    async with bench.nemesis.fault("tls", trouble=trouble):
        await secure.set(trouble)
        deadline, said = time.monotonic() + 30, ""
        while TROUBLES[trouble] not in said and time.monotonic() < deadline:
            await bench.serves_others(result, PROMPT)
            path = f"failures?connect_id={connect_id}&order=desc"
            listed = (await bench.client.done("GET", path))["failures"]
            said = "\n".join({one["error"] for one in listed})
        result.expect(TROUBLES[trouble] in said, f"{trouble} shows as {said[:200]!r}")
    await secure.set()
    await bench.client.done("PUT", "failures/retry_queue?all=true")
    async with hang(60):
        while (await bench.client.done("GET", f"failures?connect_id={connect_id}"))["failures"]:
            await asyncio.sleep(0.2)
            await bench.client.done("PUT", "failures/retry_queue?all=true")
