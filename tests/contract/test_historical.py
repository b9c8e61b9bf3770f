"""The store contract: envelopes of the past are published once more."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from heliograph.errors import TooMuchPublished
from heliograph.model.deliveries import Claim
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from heliograph.store.historical import MOST_AN_HOUR, PublishTransaction, Wish
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, OTHER_ACCOUNT, ManualClock, new_event, wanted_configuration

URL = "https://archive.example.com/hook"


def wish(*envelope_ids: str, name: str = "first", **fields: Any) -> Wish:
    configuration = wanted_configuration(urlToPublishTo=URL, **fields)
    return Wish(name, configuration, envelope_ids, "an administrator")


async def followed(store: Store, name: str = "first") -> PublishTransaction:
    found = await store.historical.transaction(ACCOUNT, name)
    assert found is not None
    return found


async def past(traffic: Traffic, *envelope_ids: str) -> None:
    """Events that nobody wanted when they were published."""
    for envelope_id in envelope_ids:
        for name in ("envelope-sent", "envelope-completed"):
            await traffic.publish(name, envelope_id)


def of(claims: list[Claim]) -> list[tuple[str, str, str]]:
    return [(one.event.envelope_id, one.event.name, one.configuration.url) for one in claims]


async def test_the_newest_event_of_each_envelope_goes_to_the_ad_hoc_configuration(
    store: Store, traffic: Traffic
) -> None:
    await past(traffic, "env-1", "env-2", "env-3")
    made = await store.historical.submit(wish("env-2", "env-1", "env-2", "nowhere"))
    assert (made.envelopes, made.repeated, made.unknown, made.submitted) == (3, 1, 1, 2)
    assert (made.unfinished, made.failed, made.submitted_by) == (2, 0, "an administrator")
    assert (await store.configurations(ACCOUNT)).all == ()

    claims = await traffic.claim_all()
    while some := await traffic.claim_all():
        claims += some
    await traffic.deliver(claims)
    while some := await traffic.claim_all():
        claims += some
        await traffic.deliver(some)
    assert sorted(of(claims)) == [
        ("env-1", "envelope-completed", URL),
        ("env-2", "envelope-completed", URL),
    ]
    done = await followed(store)
    assert (done.unfinished, done.failed) == (0, 0)


async def test_r2_the_event_knows_of_its_new_delivery(store: Store, traffic: Traffic) -> None:
    await past(traffic, "env-1")
    await store.historical.submit(wish("env-1"))
    await store.historical.submit(wish("env-1", name="second"))
    again = new_event("envelope-completed", "env-1")
    (receipt,) = await traffic.accept(again)
    assert (receipt.repeated, receipt.deliveries) == (True, 2)
    assert list(await store.orphans()) == []
    while claims := await traffic.claim_all():
        await traffic.deliver(claims)
    assert list(await store.orphans()) == []


async def test_r4_a_failure_of_it_is_listed_and_republished(store: Store, traffic: Traffic) -> None:
    await past(traffic, "env-1")
    await store.historical.submit(wish("env-1"))
    await traffic.give_up(await traffic.claim_all())
    assert ((await followed(store)).unfinished, (await followed(store)).failed) == (0, 1)
    (failure,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert failure.config_url == URL

    await store.requeue_envelopes(ACCOUNT, ["env-1"])
    await traffic.deliver(await traffic.claim_all())
    assert ((await followed(store)).unfinished, (await followed(store)).failed) == (0, 0)


async def test_r4_cancelling_ends_what_was_not_sent_by_name(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await past(traffic, "env-1", "env-2", "env-3")
    await store.historical.submit(wish("env-1", "env-2", "env-3"))
    claims = list((await store.claim(1, 1)).claims)
    assert len(claims) == 1
    assert await store.historical.cancel(ACCOUNT, "first", "somebody")
    assert await traffic.claim_all() == []
    found = await followed(store)
    assert (found.unfinished, found.cancelled_at) == (1, clock.now())

    # What was under way may still be delivered; if it fails it is listed and not tried again.
    await traffic.retry(claims[0], 5)
    clock.move(60)
    assert await traffic.claim_all() == []
    assert (await followed(store)).failed == 1
    assert await store.historical.cancel(ACCOUNT, "first", "somebody else")
    assert (await followed(store)).cancelled_at == found.cancelled_at


async def test_s8_another_account_neither_sees_nor_cancels_it_nor_publishes_its_envelopes(
    store: Store, traffic: Traffic
) -> None:
    await past(traffic, "env-1")
    theirs = wanted_configuration(OTHER_ACCOUNT, urlToPublishTo=URL)
    made = await store.historical.submit(replace(wish("env-1"), configuration=theirs))
    assert (made.unknown, made.submitted) == (1, 0)
    assert await store.historical.transaction(ACCOUNT, "first") is None
    assert not await store.historical.cancel(ACCOUNT, "first", "somebody")
    assert list(await store.historical.transactions(ACCOUNT, 10)) == []
    assert len(await store.historical.transactions(OTHER_ACCOUNT, 10)) == 1


async def test_each_is_followed_by_its_own_id(store: Store) -> None:
    names = ["first", "second", "third"]
    for name in names:
        await store.historical.submit(wish("env-1", name=name))
    assert [(await followed(store, name)).transaction_id for name in names] == names
    assert await store.historical.transaction(ACCOUNT, "fourth") is None


async def test_s13_an_account_has_so_many_envelopes_an_hour(
    store: Store, clock: ManualClock
) -> None:
    many = [f"env-{number}" for number in range(MOST_AN_HOUR - 1)]
    await store.historical.submit(wish(*many))
    with pytest.raises(TooMuchPublished, match="9998 were, and 2 are asked for"):
        await store.historical.submit(wish("a", "b", name="second"))
    clock.move(1800)
    await store.historical.submit(wish("a", name="third"))
    clock.move(1800)
    await store.historical.submit(wish("a", "b", name="fourth"))
    listed = await store.historical.transactions(ACCOUNT, 2)
    assert [one.transaction_id for one in listed] == ["fourth", "third"]


async def test_s13_two_calls_at_once_are_counted_one_after_the_other(store: Store) -> None:
    half = [f"env-{number}" for number in range(MOST_AN_HOUR // 2 + 1)]
    results = await asyncio.gather(
        *(store.historical.submit(wish(*half, name=f"call-{number}")) for number in range(3)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, TooMuchPublished) for one in results) == 2


async def test_a_paused_configuration_holds_it(store: Store, traffic: Traffic) -> None:
    await past(traffic, "env-1")
    made = await store.historical.submit(wish("env-1", pausePublish="true"))
    assert await traffic.claim_all() == []
    resumed = wanted_configuration(connect_id=made.connect_id, urlToPublishTo=URL)
    await store.update_configuration(resumed)
    await traffic.deliver(await traffic.claim_all())
    assert (await followed(store)).unfinished == 0


async def test_r14_it_is_forgotten_with_the_logs(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await past(traffic, "env-1")
    made = await store.historical.submit(wish("env-1"))
    await traffic.deliver(await traffic.claim_all())
    clock.move(10 * 86_400)
    await store.renew_lease()
    while (await store.retire(clock.now())).total:
        pass
    await store.retire(clock.now())
    assert await store.historical.transaction(ACCOUNT, "first") is None
    assert await store.configuration(ACCOUNT, made.connect_id) is None
