"""PgBouncer in transaction mode between the nodes and the database."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.busy import hang
from tests.conftest import new_database
from tests.listener import LoopbackListener
from tests.postgres_server import PostgresServer, new_folder
from tests.server import serving
from tests.support import published

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

CONFIGURATION = """
[databases]
* = host={server} port=5432 user=postgres
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 100
server_reset_query =
logfile = {folder}/log
pidfile = {folder}/pid
"""


@pytest.fixture
def pooler(postgres: PostgresServer) -> Iterator[Path]:
    """The folder of the socket of a running PgBouncer before the test's PostgreSQL."""
    if PROGRAM is None:
        pytest.skip("pgbouncer is not installed (Debian package pgbouncer)")
    with new_folder() as folder:
        settings = folder / "pgbouncer.ini"
        settings.write_text(CONFIGURATION.format(server=postgres.folder, folder=folder))
        settings.chmod(0o644)
        nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        with subprocess.Popen(
            [PROGRAM, str(settings)],
            user=nobody and nobody.pw_uid,
            group=nobody and nobody.pw_gid,
            extra_groups=[] if nobody else None,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as running:
            try:
                yield folder
            finally:
                running.terminate()


@pytest.fixture
async def url(pooler: Path, postgres: PostgresServer) -> str:
    """A new database, through the pooler, once that answers."""
    name = urlsplit(new_database(postgres)).path.removeprefix("/")
    through = f"postgresql://postgres@/{name}?host={pooler}&port=6432"
    async with hang(10):
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                async with await psycopg.AsyncConnection.connect(through):
                    break
            await asyncio.sleep(0.05)
    return through


async def test_two_nodes_publish_retry_and_deliver_through_a_pooler(
    url: str, tmp_path: Path, listener: LoopbackListener
) -> None:
    (tmp_path / "other" / "data").mkdir(parents=True)
    async with serving(tmp_path / "one", database_url=url) as client:
        shutil.copy(tmp_path / "one/data/master.key", tmp_path / "other/data/master.key")
        shutil.copy(tmp_path / "one/data/credentials.json", tmp_path / "other/data/")
        async with serving(tmp_path / "other", database_url=url) as other:
            assert client.server.store._database.behind_pooler  # type: ignore[attr-defined]
            await client.configure(listener.base)
            wanted = {f"env-{number}" for number in range(200)}

            async def publish(envelope: str) -> None:
                node = (client, other)[hash(envelope) % 2]
                body = published(envelope_id=envelope, eventId=envelope)
                # Of so many at once a slow machine turns some away: a repeat adds nothing (R2).
                while (reply := await node.call("POST", "events", body)).status == 503:
                    await asyncio.sleep(0.05)
                assert reply.status == 202

            await asyncio.gather(*map(publish, wanted))
            await listener.until(
                lambda received: {one.message["data"]["envelopeId"] for one in received} == wanted
            )
            assert len(listener.received) == len(wanted)  # R3: nobody sent anything twice
