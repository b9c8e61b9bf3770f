"""The store contract: an account with many listeners leaves room for the others (R7)."""

from __future__ import annotations

from collections import Counter

from heliograph.model.deliveries import Claim
from heliograph.store import Store
from tests.support import (
    ACCOUNT,
    OTHER_ACCOUNT,
    accept,
    deliver,
    new_event,
    wanted_configuration,
)

SHARE = 10


async def prepare(store: Store, account_id: str, configurations: int) -> None:
    for _ in range(configurations):
        await store.create_configuration(wanted_configuration(account_id))
    await accept(store, new_event(event_id=account_id), account_id=account_id)


async def claim(store: Store, room: int, share: int | None = SHARE) -> list[Claim]:
    return list((await store.claim(room, 8, per_account=share)).claims)


def by_account(claims: list[Claim]) -> Counter[str]:
    return Counter(one.event.account_id for one in claims)


async def test_r7_an_account_gets_its_share_while_another_has_something_due(
    store: Store,
) -> None:
    await prepare(store, ACCOUNT, 60)
    await prepare(store, OTHER_ACCOUNT, 3)
    claims = await claim(store, 40)
    assert by_account(claims) == {ACCOUNT: SHARE, OTHER_ACCOUNT: 3}
    await deliver(store, claims)


async def test_r7_it_gets_more_where_nobody_else_has_but_never_the_last_share(
    store: Store,
) -> None:
    await prepare(store, ACCOUNT, 60)
    await prepare(store, OTHER_ACCOUNT, 1)
    room, claims = 40, []
    while some := await claim(store, room):
        room -= len(some)
        claims += some
    assert by_account(claims) == {ACCOUNT: 29, OTHER_ACCOUNT: 1}
    # Somebody else comes: there is room at once, though everything else hangs.
    await accept(store, new_event(event_id="late"), account_id=OTHER_ACCOUNT)
    late = await claim(store, room)
    assert late == []  # of that envelope one is on its way
    await deliver(store, [one for one in claims if one.event.account_id == OTHER_ACCOUNT])
    claims = [one for one in claims if one.event.account_id == ACCOUNT]
    late = await claim(store, room + 1)
    assert by_account(late) == {OTHER_ACCOUNT: 1}
    await deliver(store, [*claims, *late])


async def test_r7_a_single_account_may_have_everything(store: Store) -> None:
    await prepare(store, ACCOUNT, 60)
    room, claims = 40, []
    while some := await claim(store, room):
        room -= len(some)
        claims += some
    assert len(claims) == 40
    await deliver(store, claims)


async def test_r7_a_look_that_finds_nothing_left_is_no_fault(store: Store) -> None:
    # Somebody else took it meanwhile, as another node does.
    await prepare(store, ACCOUNT, 3)
    await prepare(store, OTHER_ACCOUNT, 1)
    for _ in range(3):
        await deliver(store, await claim(store, 40))
        assert await claim(store, 40) == []


async def test_r7_without_a_share_nobody_is_bounded(store: Store) -> None:
    await prepare(store, ACCOUNT, 30)
    await prepare(store, OTHER_ACCOUNT, 1)
    claims = await claim(store, 40, None)
    assert len(claims) == 31
    await deliver(store, claims)
