"""Starting, stopping and starting again: what a server keeps, and what it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from heliograph.access.credentials_file import Credentials
from heliograph.errors import UnsafeStorage
from heliograph.incoming import door
from heliograph.model.accounts import Secret
from heliograph.model.fidelity import Fidelity
from heliograph.model.logs import LogQuery
from heliograph.service import fidelity_from
from heliograph.settings import Settings, from_environment
from tests.busy import hang
from tests.listener import LoopbackListener
from tests.server import Client, serving
from tests.support import published


async def test_two_updates_of_one_configuration_at_once_both_hold(api: Client) -> None:
    connect_id = await api.configure("http://127.0.0.1:4999/")
    for number in range(10):
        pause = "true" if number % 2 else "false"
        await asyncio.gather(
            api.call("PUT", api.connect, {"connectId": connect_id, "pausePublish": pause}),
            api.call("PUT", api.connect, {"connectId": connect_id, "name": f"n{number}"}),
        )
        (found,) = (await api.call("GET", connect_id)).json["configurations"]
        assert (found["pausePublish"], found["name"]) == (pause, f"n{number}")


async def test_a_slash_at_the_end_is_no_matter_and_one_in_between_is(api: Client) -> None:
    assert (await api.call("GET", "failures/")).status == 200
    answer = await api.call("GET", "/failures")
    assert (answer.status, answer.error) == (404, "RESOURCE_NOT_FOUND")
    answer = await api.call("POST", "/healthz")
    assert (answer.status, answer.error) == (405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_listening_socket_is_named_as_tcp_so_that_answers_are_sent_at_once(host: str) -> None:
    with contextlib.closing(
        door.bound_socket(from_environment({}, host=host, port=0))
    ) as listening:
        assert listening.proto == socket.IPPROTO_TCP  # what asyncio sets TCP_NODELAY by


async def test_s7_a_missing_master_key_is_not_replaced(tmp_path: Path) -> None:
    async with serving(tmp_path):
        pass
    path = tmp_path / "data" / "master.key"
    key = path.read_bytes()
    path.unlink()
    with pytest.raises(UnsafeStorage, match="put it back from a backup"):
        async with serving(tmp_path):
            pass
    path.write_bytes(key)
    path.chmod(0o600)
    async with serving(tmp_path) as api:
        assert (await api.call("GET", "failures")).status == 200


async def test_a_first_start_that_was_cut_short_is_mended_by_the_next(tmp_path: Path) -> None:
    # As after a crash between the file and the database: the file is there, the account not.
    (tmp_path / "data").mkdir()
    token = Secret("t" * 43)
    made = Credentials("http://127.0.0.1:1", "11111111-2222-4333-8444-000000000001", token)
    made.write(tmp_path / "data")
    async with serving(tmp_path) as api:
        assert api.credentials.access_token == token
        assert (await api.call("GET", "failures")).status == 200


async def test_a_restart_keeps_the_account_the_token_and_what_was_waiting(
    tmp_path: Path, listener: LoopbackListener
) -> None:
    async with serving(tmp_path) as api:
        before = api.credentials
        await api.configure(listener.base, pausePublish="true")
        await api.call("POST", "events", published())
    async with serving(tmp_path) as api:
        assert api.credentials.account_id == before.account_id
        assert api.credentials.access_token == before.access_token
        assert api.credentials.base_uri == api.server.base_uri
        assert listener.received == []
        await api.call("PUT", api.connect, {"connectId": "1", "pausePublish": "false"})
        await listener.until(lambda received: len(received) == 1)
        async with hang(10):  # skipped for the pause, it is listed until its outcome is written
            while (await api.server.store.failures(before.account_id, LogQuery(), 1)).entries:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("egress", "chosen", "fidelity"),
    [
        ("emulator", "auto", Fidelity.DOCUSIGN),
        ("public", "auto", Fidelity.RELAXED),
        ("private", "auto", Fidelity.RELAXED),
        ("emulator", "relaxed", Fidelity.RELAXED),
        ("public", "docusign", Fidelity.DOCUSIGN),
    ],
)
def test_the_emulator_is_docusign_unless_told_otherwise(
    egress: str, chosen: str, fidelity: Fidelity
) -> None:
    assert fidelity_from(Settings(egress=egress, fidelity=chosen)) is fidelity
