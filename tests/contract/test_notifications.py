"""The store contract: configurations of one envelope, named with its events."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from heliograph.delivery.matching import match_all
from heliograph.delivery.publisher import Publisher, Receipt
from heliograph.delivery.signals import Signals
from heliograph.errors import ConfigurationsChanged
from heliograph.model.accounts import Account
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from heliograph.store.verbs import Step
from tests.contract.tables import rows_of
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


async def test_r14_when_the_last_notification_has_gone_whoever_reads_anew_can_publish(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    before = publisher(store)
    await publish(before, "envelope-sent", eventNotification=HOOK)
    await traffic.deliver(await traffic.claim_all())
    for _ in range(2):
        clock.move(100 * 86_400)
        await store.renew_lease()
        while (await store.retire(clock.now() - timedelta(days=90))).total:
            pass
    assert not (await store.configurations(ACCOUNT)).notifies
    for by in (before, publisher(store)):
        receipt = await publish(by, "envelope-voided")
        assert receipt.accepted.deliveries == 0


async def test_an_account_without_notifications_says_so(store: Store, traffic: Traffic) -> None:
    await store.create_account(Account("third", 3, "Third"))
    assert not (await store.configurations("third")).notifies
    await publish(publisher(store), "envelope-sent", eventNotification=HOOK, account_id="third")
    assert (await store.configurations("third")).notifies
    await sent_to(traffic)


def hook(number: int) -> dict[str, Any]:
    """A listener that only one envelope has."""
    return {"url": f"https://one.example.com/{number}", "events": ["envelope-sent"]}


async def test_new_notifications_leave_the_accounts_configurations_as_they_were(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure()
    by = publisher(store)
    await publish(by, "envelope-sent", "env-0")
    before = await store.configurations(ACCOUNT)
    events = [new_event("envelope-sent", f"env-{n}", eventNotification=hook(n)) for n in (1, 2, 3)]
    await by.publish(ACCOUNT, events)
    after = await store.configurations(ACCOUNT)
    assert (after.version, after.all) == (before.version, before.all)
    # What was matched before them is taken as it is.
    other = new_event("envelope-sent", "env-9")
    verdicts = match_all(before.all, other)
    (accepted,) = await store.accept(ACCOUNT, before.version, [(other, verdicts)])
    assert accepted.deliveries == 1
    assert len(await sent_to(traffic)) == 8


async def test_another_publisher_that_knew_of_none_finds_them(
    store: Store, traffic: Traffic
) -> None:
    another = publisher(store)
    await publish(another, "envelope-sent", "env-2")  # it knows the account now
    await publish(publisher(store), "envelope-sent", eventNotification=HOOK)
    receipt = await publish(another, "envelope-completed")
    assert receipt.accepted.deliveries == 1
    assert len(await sent_to(traffic)) == 2


async def test_a_call_with_many_new_ones_takes_few_statements(
    store: Store, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Counter[str] = Counter()

    def counted(step: Step, queries: Mapping[str, str]) -> str:
        asked[step.query] += 1
        return text(step, queries)

    text = Step.text
    monkeypatch.setattr(Step, "text", counted)
    counts = []
    for number in (3, 100):
        asked.clear()
        events = [
            new_event("envelope-sent", f"env-{number}-{n}", eventNotification=hook(number + n))
            for n in range(number)
        ]
        receipts = await publisher(store).publish(ACCOUNT, events)
        assert [receipt.accepted.deliveries for receipt in receipts] == [1] * number
        counts.append(asked.total())
    assert counts[1] <= counts[0]
    sent = await sent_to(traffic)
    assert len(set(sent)) == len(sent) == 103


async def test_r4_one_that_was_let_go_while_it_was_matched_is_made_anew(
    store: Store, traffic: Traffic
) -> None:
    made = await store.create_configuration(wanted_configuration(), b"of an envelope")
    known = await store.configurations(ACCOUNT)
    event = replace(new_event(), notified=(made.connect_id,))
    matched = [(event, match_all([made], event))]
    assert await store.delete_configuration(ACCOUNT, made.connect_id)
    now = await store.configurations_version(ACCOUNT)
    with pytest.raises(ConfigurationsChanged):
        await store.accept(ACCOUNT, now, matched)
    assert known.version != now
    again = await store.create_configuration(wanted_configuration(), b"of an envelope")
    assert again.connect_id != made.connect_id
    paused = wanted_configuration(connect_id=again.connect_id, pausePublish="true")
    event = replace(event, notified=(again.connect_id,))
    assert await store.update_configuration(paused)
    now = await store.configurations_version(ACCOUNT)
    with pytest.raises(ConfigurationsChanged):  # it was not held when it was matched
        await store.accept(ACCOUNT, now, [(event, match_all([again], event))])
    (accepted,) = await store.accept(ACCOUNT, now, [(event, match_all([paused], event))])
    assert accepted.deliveries == 1
    assert await traffic.claim_all() == []


async def test_r14_what_nothing_names_any_more_goes_and_its_row_too(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    listed = await traffic.configure(events=["envelope-voided"])
    unnamed = await store.create_configuration(wanted_configuration(), b"never named")
    for number in range(3):
        await publish(
            publisher(store), "envelope-sent", f"env-{number}", eventNotification=hook(number)
        )
    claims = await traffic.claim_all()
    await traffic.deliver(claims)
    ids = [*(claim.configuration.connect_id for claim in claims), unnamed.connect_id]

    for _ in range(2):  # logs may name them for as long as they are kept
        clock.move(100 * 86_400)
        await store.renew_lease()
        while (await store.retire(clock.now() - timedelta(days=90))).total:
            pass
    # An id that is gone wholly can be seen by no digest either.
    left = [await store.configuration(ACCOUNT, connect_id) for connect_id in ids]
    assert left == [None] * 4
    assert await store.configuration(ACCOUNT, listed.connect_id) == listed
    assert not (await store.configurations(ACCOUNT)).notifies
    assert await rows_of(store, "connect_configuration", "envelope_notification") == [1, 0]
