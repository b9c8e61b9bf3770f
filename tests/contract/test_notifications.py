"""The store contract: configurations of one envelope, named with its events."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from heliograph.delivery.publisher import Publisher, Receipt
from heliograph.delivery.signals import Signals
from heliograph.model.accounts import Account
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, OTHER_ACCOUNT, ManualClock, new_event, wanted_configuration

HOOK = {"url": "https://one.example.com/hook", "events": ["envelope-sent", "envelope-completed"]}


def publisher(store: Store) -> Publisher:
    return Publisher(store, Signals())


async def publish(
    by: Publisher, name: str, envelope_id: str = "env-1", account_id: str = ACCOUNT, **over: Any
) -> Receipt:
    (receipt,) = await by.publish(account_id, [new_event(name, envelope_id, **over)])
    return receipt


async def sent_to(traffic: Traffic) -> list[tuple[str, str]]:
    """Takes what is due, again and again: its event and URL."""
    found = []
    while claims := await traffic.claim_all():
        found += [(claim.event.name, claim.configuration.url) for claim in claims]
        await traffic.deliver(claims)
    return sorted(found)


async def test_a_notification_gets_this_and_the_later_events_of_its_envelope_alone(
    store: Store, traffic: Traffic
) -> None:
    by = publisher(store)
    await publish(by, "envelope-sent", eventNotification=HOOK)
    await publish(by, "envelope-delivered")  # which it does not want
    await publish(by, "envelope-completed")
    await publish(publisher(store), "envelope-sent", "env-2")

    url = HOOK["url"]
    assert await sent_to(traffic) == [("envelope-completed", url), ("envelope-sent", url)]


async def test_it_goes_out_beside_the_accounts_configurations_and_is_not_listed(
    store: Store, traffic: Traffic
) -> None:
    made = await traffic.configure()
    by = publisher(store)
    receipt = await publish(by, "envelope-sent", eventNotifications=[HOOK])

    assert receipt.accepted.deliveries == 2
    assert [one.connect_id for one in (await store.configurations(ACCOUNT)).all] == [
        made.connect_id
    ]
    assert sorted(url for _, url in await sent_to(traffic)) == [
        "https://listener.example.com/connect",
        HOOK["url"],
    ]


async def test_the_same_notification_is_one_configuration_for_any_number_of_envelopes(
    store: Store, traffic: Traffic
) -> None:
    by = publisher(store)
    for number in range(3):
        await publish(by, "envelope-sent", f"env-{number}", eventNotification=HOOK)
    other = {**HOOK, "deliveryMode": "SIM"}
    await publish(by, "envelope-sent", "env-9", eventNotification=other)

    claims = await traffic.claim_all()
    assert len({claim.configuration.connect_id for claim in claims[:3]}) == 1
    assert len({claim.configuration.connect_id for claim in claims}) == 2
    await traffic.deliver(claims)


async def test_events_of_one_call_know_the_notifications_of_those_before_them(
    store: Store, traffic: Traffic
) -> None:
    events = [
        new_event("envelope-sent", eventNotification=HOOK),
        new_event("envelope-completed"),
        new_event("envelope-sent", "env-2"),
    ]
    receipts = await publisher(store).publish(ACCOUNT, events)
    assert [one.accepted.deliveries for one in receipts] == [1, 1, 0]
    assert len(await sent_to(traffic)) == 2


async def test_r2_a_repeat_with_its_notification_adds_nothing(
    store: Store, traffic: Traffic
) -> None:
    by = publisher(store)
    await publish(by, "envelope-sent", eventNotification=HOOK)
    receipt = await publish(by, "envelope-sent", eventNotification=HOOK)
    assert receipt.accepted.repeated
    assert len(await sent_to(traffic)) == 1


async def test_publishing_at_once_makes_one_configuration(store: Store, traffic: Traffic) -> None:
    await asyncio.gather(
        *(
            publish(publisher(store), "envelope-sent", f"env-{number}", eventNotification=HOOK)
            for number in range(8)
        )
    )
    claims = []
    while some := await traffic.claim_all():
        claims += some
        await traffic.deliver(some)
    assert len(claims) == 8
    assert len({claim.configuration.connect_id for claim in claims}) == 1


async def test_s8_another_accounts_envelope_of_that_id_is_not_notified(
    store: Store, traffic: Traffic
) -> None:
    await publish(publisher(store), "envelope-sent", eventNotification=HOOK)
    await publish(publisher(store), "envelope-sent", account_id=OTHER_ACCOUNT)
    assert len(await sent_to(traffic)) == 1
    (made,) = (await store.notified(ACCOUNT, ["env-1"]))["env-1"]
    assert await store.notified(OTHER_ACCOUNT, ["env-1"]) == {}
    assert await store.configuration(OTHER_ACCOUNT, made.connect_id) is None


async def test_r4_a_notification_can_be_paused_and_deleted_by_its_id(
    store: Store, traffic: Traffic
) -> None:
    by = publisher(store)
    await publish(by, "envelope-sent", eventNotification=HOOK)
    (made,) = (await store.notified(ACCOUNT, ["env-1"]))["env-1"]
    paused = wanted_configuration(
        connect_id=made.connect_id, urlToPublishTo=made.url, pausePublish="true"
    )
    assert await store.update_configuration(paused)
    await publish(by, "envelope-completed")
    assert await traffic.claim_all() == []
    assert await store.delete_configuration(ACCOUNT, made.connect_id)
    failed = await store.failures(ACCOUNT, LogQuery(), 10)
    assert len(failed.entries) == 2  # what it was to get is visible

    await publish(by, "envelope-sent", event_id="anew", eventNotification=HOOK)
    (claim,) = await traffic.claim_all()
    assert claim.configuration.connect_id != made.connect_id
    await traffic.deliver([claim])


async def test_r14_a_notification_goes_with_its_last_envelope(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    by = publisher(store)
    await publish(by, "envelope-sent", eventNotification=HOOK)
    await publish(
        by, "envelope-sent", "env-2", eventNotification={**HOOK, "loggingEnabled": "true"}
    )
    first, second = sorted(await traffic.claim_all(), key=lambda claim: claim.event.envelope_id)
    await traffic.deliver([first])
    await traffic.give_up([second])

    clock.move(10 * 86_400)
    await store.renew_lease()
    before = clock.now() - timedelta(days=2)
    while (await store.retire(before)).total:
        pass
    assert await store.notified(ACCOUNT, ["env-1"]) == {}
    assert await store.configuration(ACCOUNT, first.configuration.connect_id) is None
    # An open failure keeps its event, envelope and configuration: it can be republished.
    assert len((await store.failures(ACCOUNT, LogQuery(), 10)).entries) == 1
    await store.requeue_envelopes(ACCOUNT, ["env-2"])
    (again,) = await traffic.claim_all()
    assert again.configuration.url == HOOK["url"]
    await traffic.deliver([again])


async def test_an_account_without_notifications_says_so(store: Store, traffic: Traffic) -> None:
    await store.create_account(Account("third", 3, "Third"))
    assert not (await store.configurations("third")).notifies
    await publish(publisher(store), "envelope-sent", eventNotification=HOOK, account_id="third")
    assert (await store.configurations("third")).notifies
    await sent_to(traffic)
