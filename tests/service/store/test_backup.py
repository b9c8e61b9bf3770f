"""R19: a backup under load, and what a restored server sends."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from heliograph.errors import UnsafeStorage
from heliograph.store.opening import DATABASE
from heliograph.store.sqlite import backup
from tests.listener import LoopbackListener, listening
from tests.server import Client, serving
from tests.support import published

HELIOGRAPH = (sys.executable, "-m", "heliograph.cli")


async def publish(client: Client, envelope: str) -> None:
    body = published(envelope_id=envelope, eventId=envelope)
    assert (await client.call("POST", "events", body)).status == 202


def envelopes(listener: LoopbackListener) -> list[str]:
    return [request.message["data"]["envelopeId"] for request in listener.received]


async def test_r19_a_backup_under_load_has_all_that_was_accepted_and_resends_nothing_delivered(
    tmp_path: Path, listener: LoopbackListener
) -> None:
    target, restored = tmp_path / "backup.db", tmp_path / "restored" / "data"
    before = [f"before-{number}" for number in range(100)]
    async with listening() as broken:
        broken.status = 500
        async with serving(tmp_path) as client:
            await client.configure(listener.base)
            await client.configure(broken.base)
            await asyncio.gather(*(publish(client, name) for name in before))
            await listener.until(lambda received: len(received) == len(before))
            await broken.until(lambda received: len(received) == len(before))
            while (await client.call("GET", "failures")).json["totalRecords"] != "100":
                await asyncio.sleep(0.01)

            over = asyncio.Event()

            async def load(number: int) -> None:
                place = 0
                while not over.is_set():
                    await publish(client, f"during-{number}-{place}")
                    place += 1

            loading = [asyncio.create_task(load(number)) for number in range(4)]
            await asyncio.to_thread(
                backup.back_up, tmp_path / "data" / DATABASE, target, with_secrets=True
            )
            over.set()
            await asyncio.gather(*loading)
            accepted_later = await client.call("POST", "events", published(eventId="later"))
            assert accepted_later.status == 202
    assert backup.restore(target, restored, DATABASE)
    listener.received.clear()
    async with serving(tmp_path / "restored") as client:
        for name in before:
            body = published(envelope_id=name, eventId=name)
            reply = await client.call("POST", "events", body)
            assert reply.json["events"][0]["repeated"] == "true"
        failures = (await client.call("GET", "failures")).json["failures"]
        assert set(before) <= {failure["envelopeId"] for failure in failures}
        orphans = await client.server.store.orphans()
        assert list(orphans) == []
    assert not set(envelopes(listener)) & set(before)  # they had been delivered


def test_r19_a_backup_never_overwrites_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeStorage, match="no database"):
        backup.back_up(tmp_path / "none.db", tmp_path / "x")
    bad = tmp_path / "bad.db"
    bad.write_bytes(b"not a database" * 1000)
    with pytest.raises(UnsafeStorage, match="cannot be read as a backup"):
        backup.restore(bad, tmp_path / "data", DATABASE)
    assert not (tmp_path / "data").exists()


async def test_r19_the_commands_do_the_drill(tmp_path: Path) -> None:
    async with serving(tmp_path):
        wrote = await _heliograph("backup", "--data-dir", tmp_path / "data", "--to", tmp_path / "b")
        assert "checked" in wrote
        assert "master.key only" in wrote
        again = await _heliograph(
            *("backup", "--data-dir", tmp_path / "data", "--to", tmp_path / "b"), status=5
        )
        assert "nothing is overwritten" in again
    drill = tmp_path / "drill" / "data"
    told = await _heliograph("restore", "--from", tmp_path / "b", "--data-dir", drill)
    assert "Now put master.key and credentials.json" in told
    for name in backup.SECRETS:
        shutil.copy(tmp_path / "data" / name, drill / name)
        (drill / name).chmod(0o600)
    async with serving(tmp_path / "drill") as client:
        assert (await client.call("GET", "failures")).status == 200
    checks = json.loads(await _heliograph("doctor", "--json", "--data-dir", drill))
    assert {check["name"]: check["passed"] for check in checks["checks"]}["settings"]


async def _heliograph(*arguments: str | Path, status: int = 0) -> str:
    done = await asyncio.to_thread(
        subprocess.run,
        [*HELIOGRAPH, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


async def test_r19_a_restore_reads_a_backup_where_nothing_can_be_written_and_is_whole_or_nothing(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path):
        (tmp_path / "kept").mkdir()
        target = tmp_path / "kept" / "b.db"
        backup.back_up(tmp_path / "data" / DATABASE, target)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["b.db"]
    (tmp_path / "drill").mkdir()
    (tmp_path / "drill" / f"{DATABASE}.unfinished").write_bytes(b"half of an older try")
    assert not backup.restore(target, tmp_path / "drill", DATABASE)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["b.db"]
    assert [path.name for path in (tmp_path / "drill").iterdir()] == [DATABASE]


async def test_r19_f24_a_backup_takes_the_place_of_a_damaged_database_beside_its_key(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path):
        target = tmp_path / "b.db"
        backup.back_up(tmp_path / "data" / DATABASE, target, with_secrets=True)
    key = (tmp_path / "data" / "master.key").read_bytes()
    with pytest.raises(UnsafeStorage, match="exists already"):
        backup.restore(target, tmp_path / "data", DATABASE)
    for file in (tmp_path / "data").glob(f"{DATABASE}*"):
        file.unlink()
    with pytest.raises(UnsafeStorage, match=r"master\.key exists already"):
        backup.restore(target, tmp_path / "data", DATABASE)

    for file in tmp_path.glob("b.db.*"):
        file.unlink()
    assert backup.restore(target, tmp_path / "data", DATABASE)
    assert (tmp_path / "data" / "master.key").read_bytes() == key
    async with serving(tmp_path) as client:
        assert (await client.call("GET", "failures")).status == 200
