"""The store contract: what a claim says of what it left, and that it has nobody look in vain."""

from __future__ import annotations

import asyncio
from typing import Any

from heliograph.store import ClaimResult, Store
from heliograph.store.loads import Load
from tests.contract.traffic import Traffic
from tests.support import OTHER_ACCOUNT, new_event

HEAVY = "x" * 600_000
"""Of two of these one finds room in `Load(2**20)`."""


def left(result: ClaimResult) -> tuple[int, bool, bool]:
    """How many were claimed, whether some were left, and not for their own listener's room."""
    return len(result.claims), result.left, result.crowded


async def publish(traffic: Traffic, count: int, **over: Any) -> None:
    await traffic.accept(*(new_event(envelope_id=f"env-{n}", **over) for n in range(count)))


async def test_who_claims_all_leaves_nothing(store: Store, traffic: Traffic) -> None:
    await traffic.configure()
    await publish(traffic, 2)
    assert left(await store.claim(10, 10)) == (2, False, False)
    assert left(await store.claim(10, 10)) == (0, False, False)


async def test_what_its_own_listener_has_no_room_for_is_left_and_nothing_is_crowded(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure()
    await publish(traffic, 3)
    assert left(await store.claim(10, 1)) == (1, True, False)
    assert left(await store.claim(10, 1)) == (0, True, False)


async def test_r7_what_finds_no_room_in_all_is_crowded(store: Store, traffic: Traffic) -> None:
    await traffic.configure()
    await publish(traffic, 3)
    assert left(await store.claim(2, 10)) == (2, True, True)
    assert left(await store.claim(10, 10)) == (1, False, False)


async def test_s17_what_finds_no_room_for_its_bytes_is_crowded(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure()
    await publish(traffic, 2, padding=HEAVY)
    assert left(await store.claim(10, 10, load=Load(2**20))) == (1, True, True)


async def test_r7_what_an_account_has_beyond_its_share_is_not_left(
    store: Store, traffic: Traffic
) -> None:
    other = Traffic(store, OTHER_ACCOUNT)
    for one in (traffic, other):
        await one.configure()
    await other.publish()
    assert left(await store.claim(10, 10, per_account=1))[0] == 1
    await publish(traffic, 1)
    assert left(await store.claim(10, 10, per_account=1))[0] == 1
    await other.publish(envelope_id="beyond")
    assert left(await store.claim(10, 10, per_account=1)) == (1, False, False)


async def test_s17_what_finds_no_room_for_its_bytes_has_nobody_look_again(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure()
    await publish(traffic, 2, padding=HEAVY)
    load = Load(2**20)
    (claim,) = (await store.claim(10, 10, load=load)).claims
    load.began(claim)
    woken: list[None] = []
    store.when_due(lambda: woken.append(None))
    assert left(await store.claim(10, 10, load=load)) == (0, True, True)
    await asyncio.sleep(0)
    assert woken == []
