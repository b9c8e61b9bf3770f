"""Opens the storage that the settings name: here an engine is chosen."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Final

import structlog

from heliograph import files
from heliograph.clock import Clock, SystemClock
from heliograph.errors import UnsafeStorage
from heliograph.settings import Settings
from heliograph.store import Store
from heliograph.store.file_lock import FileLock
from heliograph.store.keyring import KeyRing
from heliograph.store.sqlite import doctor
from heliograph.store.sqlite.store import SqliteStore

DATABASE: Final = "heliograph.db"
"""File of a data directory on SQLite."""


NODE_ID: Final = "node-id"
"""File of a data directory on PostgreSQL that names its node; with a number, each further one."""

_log = structlog.get_logger()


def check_url(database_url: str | None) -> None:
    """See that the URL of a PostgreSQL can be read, before anything is made of a typing error.

    Raises UnusableSetting. None, and an empty one, stand for SQLite.
    """
    if database_url:
        # A server on SQLite need not wait for the driver to be imported.
        from heliograph.store.postgres.url import parameters_of  # noqa: PLC0415

        parameters_of(database_url)


@contextlib.asynccontextmanager
async def open_store(
    settings: Settings, clock: Clock | None = None, number: int = 1
) -> AsyncIterator[Store]:
    """The storage that the settings name, closed with the block.

    Args:
        settings: What to open.
        clock: None stands for the machine's, or on PostgreSQL the database's.
        number: Which of the nodes that share the data directory this is, on PostgreSQL.

    Raises:
        UnusableSetting: the URL of the database cannot be read.
        UnsafeStorage: the storage cannot keep the promises (R18), or another process has
            it (R20).
        StorageUnavailable: the disk is full, or no PostgreSQL answers.
        StorageBroken: the database cannot be read or written.
        OSError: nor can another file of the data directory.
    """
    data_dir = settings.data_dir
    check_url(settings.database_url)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if files.cut_short(data_dir / DATABASE):
        raise UnsafeStorage(
            f"A restore into {data_dir} is not finished: run `heliograph restore` again."
        )
    files.clear(data_dir)
    if settings.database_url:
        store: Store
        lock = FileLock(data_dir / ("node.lock" if number == 1 else f"node-{number}.lock"))
        try:
            store = await _open_postgres(settings, clock, number)
        except BaseException:
            lock.release()
            raise
    else:
        lock = None
        store = await _open_sqlite(settings, clock or SystemClock())
    try:
        yield store
    finally:
        await store.close()
        if lock is not None:
            lock.release()


async def _open_sqlite(settings: Settings, clock: Clock) -> Store:
    data_dir = settings.data_dir
    for failed in doctor.refuse_unsafe(
        doctor.storage_checks(data_dir), accept_data_loss=settings.i_accept_data_loss
    ):
        _log.warning("unsafe_storage", check=failed.name, found=failed.found, mend=failed.mend)
    database = data_dir / DATABASE
    keyring = KeyRing.load(data_dir / "master.key", make=not database.exists())
    return await SqliteStore.open(database, keyring, clock, adopt=settings.adopt)


async def _open_postgres(settings: Settings, clock: Clock | None, number: int) -> Store:
    from heliograph.store.postgres.store import PostgresStore  # noqa: PLC0415 (as above)

    key = settings.data_dir / "master.key"
    node_id = settings.data_dir / NODE_ID
    if not node_id.exists():
        files.write(node_id, str(uuid.uuid4()).encode("ascii"))
    if not key.exists() and not await PostgresStore.is_new(settings.database_url):
        raise UnsafeStorage(
            f"{key} is missing, and the database has secrets sealed with it: copy master.key "
            "from a node that runs."
        )
    instance = node_id.read_text(encoding="ascii")
    return await PostgresStore.open(
        settings.database_url,
        KeyRing.load(key),
        clock,
        instance=instance if number == 1 else f"{instance}/{number}",
        lease=settings.lease,
        accept_data_loss=settings.i_accept_data_loss,
    )
