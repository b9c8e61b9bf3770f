"""S7: changing the master key, with the real command."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from heliograph.errors import UnsafeStorage
from heliograph.model.accounts import Account, Secret
from heliograph.model.configurations import ClientCredentials
from heliograph.settings import Settings
from heliograph.store.keyring import KeyRing, read_keys
from heliograph.store.opening import open_store
from tests.server import serving
from tests.support import ACCOUNT, wanted_configuration

KEY = "master.key"


async def command(*words: object, status: int = 0) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "heliograph.cli", *map(str, words)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "COLUMNS": "200"},
    )
    out, _ = await process.communicate()
    assert process.returncode == status, out.decode()
    return out.decode()


async def fill(settings: Settings) -> None:
    async with open_store(settings) as store:
        await store.create_account(Account(ACCOUNT, 1, "First"))
        await store.create_configuration(wanted_configuration(password="canary-password"))
        await store.add_hmac_key(ACCOUNT, "key-1", Secret("canary-key"))
        await store.set_client_certificate(ACCOUNT, "certificate", Secret("canary-client"))
        client = ClientCredentials("https://a.example.com/", "a", Secret("canary-oauth"))
        await store.oauth.create(ACCOUNT, client)


async def revealed(settings: Settings) -> list[str]:
    async with open_store(settings) as store:
        (configuration,) = (await store.configurations(ACCOUNT)).all
        (key,) = await store.hmac_keys(ACCOUNT)
        client = await store.client_certificate(ACCOUNT)
        oauth = await store.oauth.get(ACCOUNT)
        assert client is not None
        assert oauth is not None
        found = (configuration.secrets["password"], key.secret, oauth.client_secret, client[1])
        return [secret.reveal() for secret in found]


ALL = ["canary-password", "canary-key", "canary-oauth", "canary-client"]


async def test_s7_rotate_seals_everything_anew_and_forgets_the_old_key(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, i_accept_data_loss=True)
    await fill(settings)
    old = (tmp_path / KEY).read_bytes()
    done = json.loads(await command("secrets", "rotate", "--data-dir", tmp_path, "--json"))
    assert done == {"resealed": 4, "masterKey": str(tmp_path / KEY), "done": True}
    assert (tmp_path / KEY).read_bytes() != old
    assert len(read_keys(tmp_path / KEY)) == 1
    assert await revealed(settings) == ALL

    (tmp_path / KEY).write_bytes(old)
    with pytest.raises(UnsafeStorage, match=r"put the master\.key"):
        await revealed(settings)


@pytest.mark.parametrize("place", ["before", "after"])
async def test_s7_a_rotation_that_was_cut_short_goes_on(tmp_path: Path, place: str) -> None:
    settings = Settings(data_dir=tmp_path, i_accept_data_loss=True)
    await fill(settings)
    path = tmp_path / KEY
    old, new = path.read_bytes(), b"n" * 32
    path.write_bytes(new + old)
    if place == "after":
        async with open_store(settings) as store:
            assert await store.reseal() == 4
    assert await revealed(settings) == ALL
    told = await command("secrets", "rotate", "--data-dir", tmp_path)
    assert "Encrypted 4 secrets" in told
    assert path.read_bytes() == new
    assert await revealed(settings) == ALL


async def test_s7_a_server_that_runs_keeps_its_keys(tmp_path: Path) -> None:
    async with serving(tmp_path):
        data = tmp_path / "data"
        before = (data / KEY).read_bytes()
        await command("secrets", "rotate", "--data-dir", data, status=5)
        assert (data / KEY).read_bytes() == before


async def test_s7_nodes_on_one_postgresql_change_keys_step_by_step(
    tmp_path: Path, database_url: str
) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    one = Settings(data_dir=first, database_url=database_url, i_accept_data_loss=True)
    await fill(one)
    second.mkdir()
    shutil.copy(first / KEY, second)
    two = Settings(data_dir=second, database_url=database_url, i_accept_data_loss=True)
    rotate = ("secrets", "rotate", "--database-url", database_url, "--data-dir")
    os.environ["HELIOGRAPH_I_ACCEPT_DATA_LOSS"] = "true"
    try:
        assert "secrets add-key" in await command(*rotate, first, status=2)
        await command("secrets", "add-key", "--data-dir", first)
        await command("secrets", "add-key", "--data-dir", first, status=2)
        shutil.copy(first / f"{KEY}.next", second)
        assert "give it to every node" in await command(*rotate, first)
        # The other node opens what is sealed with the new key, and seals with the old one.
        assert await revealed(two) == ALL
        async with open_store(two) as store:
            await store.set_client_certificate(ACCOUNT, "newer", Secret("canary-newer"))
        newest = [*ALL[:3], "canary-newer"]
        assert await revealed(one) == newest
        shutil.copy(first / KEY, second)
        (second / f"{KEY}.next").unlink()
        assert "forgotten" in await command(*rotate, first)
    finally:
        del os.environ["HELIOGRAPH_I_ACCEPT_DATA_LOSS"]
    assert len(read_keys(first / KEY)) == 1
    assert await revealed(one) == newest
    assert await revealed(two) == newest
    shutil.copy(first / KEY, second)
    assert await revealed(two) == newest
    assert KeyRing.load(second / KEY)
