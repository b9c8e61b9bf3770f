"""What commands do where the server says later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from heliograph.access.credentials_file import Credentials
from heliograph.cli.connection import Connection
from heliograph.model.accounts import Secret
from tests.service.cli.shell import Shell


@pytest.fixture
async def busy(unused_tcp_port: int) -> AsyncIterator[tuple[Credentials, list[str]]]:
    """A server that answers a listing of failures or incidents 429 with each wait that is left."""
    waits: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/connect"):
            return web.json_response({"configurations": [], "totalRecords": "0"})
        if request.path.endswith(("/failures", "/incidents")) and waits:
            details = {"errorCode": "BURST_APIINVOCATION_LIMIT_EXCEEDED", "message": "Later."}
            return web.json_response(details, status=429, headers={"Retry-After": waits.pop()})
        return web.Response(body=b"{}\n")

    application = web.Application()
    application.router.add_get("/{any:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    yield Credentials(f"http://127.0.0.1:{unused_tcp_port}", "1", Secret("token")), waits
    await runner.cleanup()


async def test_a_listing_by_lines_waits_as_it_is_asked_to(
    busy: tuple[Credentials, list[str]],
) -> None:
    credentials, waits = busy
    waits += ["0", "0"]
    async with Connection(credentials) as connection, connection.lines("failures", {}) as lines:
        assert [line async for line in lines] == [b"{}"]
    assert waits == []


async def test_the_doctor_prints_its_other_checks_where_one_is_refused(
    busy: tuple[Credentials, list[str]], tmp_path: Path
) -> None:
    credentials, waits = busy
    credentials.write(tmp_path)
    waits += ["3600"]
    told = await Shell(tmp_path).run("doctor")
    said = " ".join(told.stdout.split())
    assert (told.exit_code, "token ok accepted" in said) == (1, True)
    assert "failures FAILED Later." in said
