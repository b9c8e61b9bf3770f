"""Configurations on PostgreSQL: what runs inside the transactions that write them."""

from __future__ import annotations

from typing import Any

from heliograph.model.configurations import ConnectConfiguration
from heliograph.store import rows as shared
from heliograph.store.keyring import KeyRing
from heliograph.store.postgres.connection import Connection, one, rows, run
from heliograph.store.postgres.queue import QUERIES
from heliograph.wire.configurations import read as read_configuration


async def create(
    db: Connection,
    keyring: KeyRing,
    wanted: ConnectConfiguration,
    now: int,
    ad_hoc: bytes | None = None,
) -> ConnectConfiguration:
    """See `Store.create_configuration`; `now` is microseconds UTC."""
    values = {"account_id": wanted.account_id, "ad_hoc": ad_hoc, "now": now}
    if ad_hoc and (known := await _ad_hoc(db, keyring, values)):
        return known
    await run(db, QUERIES["configurations_changed"], (wanted.account_id,))
    # That has waited for who was making the same one.
    if ad_hoc and (known := await _ad_hoc(db, keyring, values)):
        return known
    (connect_id,) = await one(db, QUERIES["configuration_reserve"], values)
    # The secrets are sealed for the id that it was given.
    made = read_configuration(wanted.account_id, connect_id, wanted.document, wanted.secrets)
    await write(db, keyring, made, now)
    return made


async def write(db: Connection, keyring: KeyRing, wanted: ConnectConfiguration, now: int) -> bool:
    """Replace a live configuration; False when there is none of its id."""
    values = {**shared.writing(keyring, wanted), "now": now}
    return await run(db, QUERIES["configuration_write"], values) > 0


async def delete(db: Connection, account_id: str, connect_id: int, now: int) -> bool:
    """See `Store.delete_configuration`."""
    await run(db, QUERIES["configurations_changed"], (account_id,))
    values = {"account_id": account_id, "connect_id": connect_id, "now": now}
    if not await run(db, QUERIES["configuration_delete"], values):
        return False
    failed = {"connect_id": connect_id, "now": now, "error": shared.DELETED}
    await run(db, QUERIES["fail_unfinished"], failed)
    return True


async def _ad_hoc(
    db: Connection, keyring: KeyRing, values: dict[str, Any]
) -> ConnectConfiguration | None:
    found = await rows(db, QUERIES["configuration_ad_hoc"], values)
    known = shared.configurations(keyring, values["account_id"], found)
    return known[0] if known else None
