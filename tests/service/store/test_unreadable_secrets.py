"""A secret that does not open costs the deliveries that need it, and nobody else's (R17)."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw
import psycopg
import pytest

from heliograph.model.accounts import Secret
from heliograph.model.deliveries import DeliveryState
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from tests.conftest import OpenStore
from tests.support import (
    ACCOUNT,
    OTHER_ACCOUNT,
    accept,
    claim_all,
    deliver,
    new_event,
    wanted_configuration,
)
from tests.taking import Sending

Spoil = Callable[[str], Awaitable[Store]]


@pytest.fixture
async def spoil(
    open_store: OpenStore, store: Store, engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Spoil:
    """Opens the store again, after what the first of its two accounts has sealed in a table was
    made such that it does not open."""
    for account_id in (ACCOUNT, OTHER_ACCOUNT):
        await store.add_hmac_key(account_id, f"key of {account_id}", Secret("x"))
        await store.create_configuration(wanted_configuration(account_id))

    async def again(table: str) -> Store:
        await store.close()
        statement = f"update {table} set sealed = {{}} where account_id = '{ACCOUNT}'"  # noqa: S608
        if engine == "sqlite":
            with contextlib.closing(apsw.Connection(str(tmp_path / "heliograph.db"))) as raw:
                raw.execute(statement.format("x'00'"))
        else:
            url = request.getfixturevalue("database_url")
            with psycopg.connect(url, autocommit=True) as raw:
                raw.execute(statement.format(r"'\x00'::bytea").encode())
        return await open_store()

    return again


async def is_parked(store: Store) -> bool:
    """Whether the first account's delivery is a failure that says what is wrong."""
    (failure,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    return failure.state is DeliveryState.FAILED and "master.key" in (failure.error or "")


async def test_r17_what_needs_it_is_accepted_and_parked_by_the_claim(spoil: Spoil) -> None:
    store = await spoil("hmac_key")
    sending = Sending(store)
    for account_id in (ACCOUNT, OTHER_ACCOUNT):
        (accepted,) = await accept(store, new_event(), account_id=account_id)
        assert accepted.deliveries == 1
    assert [claim.event.account_id for claim in sending.taken] == [OTHER_ACCOUNT]
    await deliver(store, sending.taken)
    assert await claim_all(store) == []
    assert await is_parked(store)


@pytest.mark.parametrize("table", ["hmac_key", "connect_configuration"])
async def test_r17_a_claim_parks_it_and_takes_what_others_have(
    store: Store, spoil: Spoil, table: str
) -> None:
    for account_id in (ACCOUNT, OTHER_ACCOUNT):
        await accept(store, new_event(), account_id=account_id)
    again = await spoil(table)
    (claim,) = await claim_all(again)
    assert claim.event.account_id == OTHER_ACCOUNT
    assert await is_parked(again)
