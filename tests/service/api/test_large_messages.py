"""R25, S17: a message of 100 MB goes through a relay in 64 MiB of the server's memory."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web

from heliograph.wire.messages import legacy_xml
from heliograph.wire.messages.legacy_xml import LegacyOptions
from tests.bench.stalled import memory
from tests.busy import hang
from tests.process import started
from tests.unit.wire.test_relayed import PDF, read, sim, stored

KEY = "dRdk7eT3q5yYv0mVb1nXs2aWl4cKj6hGf8pZu9oIiE0="

SIZE = 99 * 2**20
"""Bytes of a document within the message, which has some more."""

MOST_MIB = 64.0


@contextmanager
def watched(process: int) -> Iterator[list[float]]:
    """The most anonymous memory of a process within the block, in MiB, above what it had.

    Pages of files that it has mapped are the kernel's, which takes them back when it needs them.
    """
    before, over = memory(process, "RssAnon"), threading.Event()
    most = [0.0]

    def watch() -> None:
        while not over.wait(0.002):
            most[0] = max(most[0], memory(process, "RssAnon") - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def message(form: str, envelope_id: str, size: int) -> bytes:
    """A message with a document of so many bytes."""
    body = sim()
    body["data"]["envelopeId"] = envelope_id
    small = json.dumps(body).encode()
    if form == "xml":
        small = legacy_xml.render(stored(read(small)), LegacyOptions(include_documents=True))
    return small.replace(PDF.encode(), b"A" * size, 1)


class Sink:
    """A listener that keeps the digest of each body, and its signature."""

    def __init__(self) -> None:
        self.base = ""
        self.got: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        digest = hashlib.sha256()
        async for piece in request.content.iter_any():
            digest.update(piece)
        self.got.put_nowait((digest.hexdigest(), request.headers["X-DocuSign-Signature-1"]))
        return web.Response()


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    made = Sink()
    runner = web.ServerRunner(web.Server(made.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("form", ["json", "xml"])
async def test_r25_s17_100_mb_come_in_and_go_out_in_64_mib(
    form: str,
    engine: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    sink: Sink,
) -> None:
    url = request.getfixturevalue("database_url") if engine == "postgres" else ""
    options = ("--senders", "0", *(("--processes", "1") if url else ()))
    with started(tmp_path, *options, HELIOGRAPH_DATABASE_URL=url) as server:
        relay = {"name": "docusign", "hmacSecrets": [KEY]}
        wanted = {
            "name": "same bytes",
            "urlToPublishTo": f"{sink.base}/verbatim",
            "allowEnvelopePublish": "true",
            "allUsers": "true",
            "events": ["envelope-completed"],
            "verbatim": "true",
        }
        for path, body in (("relays", relay), ("", wanted)):
            assert (await asyncio.to_thread(server.call, "POST", path, body)).status == 201
        path = f"/relay/{server.credentials.account_id}/docusign"

        async def through(content: bytes) -> str:
            """Post it, and see it arrive."""
            mac = hmac.new(KEY.encode(), content, hashlib.sha256).digest()
            signature = base64.b64encode(mac).decode()
            headers = {"X_DocuSign_Signature_1": signature, "Authorization": ""}
            status = 503  # on a busy machine it may take more than 5 s: DocuSign comes again
            async with hang(100):
                while status == 503:
                    post = asyncio.to_thread(server.call, "POST", path, content, **headers)
                    status = (await post).status
            assert status == 200
            async with hang(60):
                came, signed = await sink.got.get()
            assert signed == signature
            return came

        # What a first message of some size brings into memory for good is no matter of its size.
        warm = message(form, "warm", 2**20)
        assert await through(warm) == hashlib.sha256(warm).hexdigest()
        content = message(form, "large", SIZE)
        assert SIZE < len(content) <= 100 * 2**20
        with watched(server.process.pid) as most:
            assert await through(content) == hashlib.sha256(content).hexdigest()
        assert most[0] <= MOST_MIB
