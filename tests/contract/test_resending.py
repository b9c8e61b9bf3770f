"""The store contract: what was delivered is sent again, where somebody asks for it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from heliograph import store as port
from heliograph.model.deliveries import Claim, Delivered, DeliveryState
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from tests.conftest import OpenStore
from tests.contract.traffic import Traffic
from tests.support import (
    ACCOUNT,
    OTHER_ACCOUNT,
    START,
    ManualClock,
    claim_all,
    deliver,
    wanted_configuration,
)

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def delivered(store: Store, traffic: Traffic, clock: ManualClock) -> list[Claim]:
    """Four envelopes, a minute apart, that two configurations have taken."""
    for name in ("crm", "erp"):
        await traffic.configure(name=name)
    claims: list[Claim] = []
    for number in range(4):
        name = "envelope-completed" if number % 2 else "envelope-sent"
        await traffic.publish(name, f"env-{number}")
        claimed = await traffic.claim_all()
        for claim in claimed:
            await traffic.settle(claim, Delivered(), clock.now())
        claims += claimed
        clock.move(60)
    assert len(claims) == 8
    return claims


def shown(claims: list[Claim]) -> list[tuple[int, int, str | None]]:
    return sorted((claim.delivery_id, claim.number, claim.resent_by) for claim in claims)


async def test_what_was_delivered_is_sent_again_as_the_same_delivery(
    store: Store, traffic: Traffic, delivered: list[Claim], clock: ManualClock
) -> None:
    page = await store.resend_delivered(ACCOUNT, LogQuery(), "ada")
    assert page.next_cursor is None
    assert {(done.state, done.attempts) for done in page.requeued} == {(DeliveryState.WAITING, 1)}
    again = await traffic.claim_all()
    assert shown(again) == sorted((claim.delivery_id, 2, "ada") for claim in delivered)
    before = {claim.delivery_id: claim.event for claim in delivered}
    assert all(claim.event == before[claim.delivery_id] for claim in again)
    assert {claim.schedule_number for claim in again} == {1}
    assert {claim.schedule_started_at for claim in again} == {clock.now()}
    # Not a failure, unless it fails.
    assert (await store.failures(ACCOUNT, LogQuery(), 10)).entries == ()
    for claim in again:
        await traffic.settle(claim, Delivered(), clock.now())
    entries = (await store.logs(ACCOUNT, LogQuery(), 100)).entries
    assert sorted((entry.retry_count, entry.resent_by) for entry in entries) == [
        *[(0, None)] * 8,
        *[(1, "ada")] * 8,
    ]
    # And once more: one delivery stays one.
    assert len((await store.resend_delivered(ACCOUNT, LogQuery(), "bob")).requeued) == 8
    assert shown(await traffic.claim_all()) == sorted(
        (claim.delivery_id, 3, "bob") for claim in delivered
    )


async def test_one_that_fails_is_a_failure_and_says_who_asked(
    store: Store, traffic: Traffic, delivered: list[Claim], clock: ManualClock
) -> None:
    await store.resend_envelopes(ACCOUNT, ["env-1"], "ada")
    first, second = await traffic.claim_all()
    await traffic.retry(first, 60, clock.now())
    await traffic.give_up([second])
    failures = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert {(entry.envelope_id, entry.resent_by) for entry in failures} == {("env-1", "ada")}
    assert {entry.retry_count for entry in failures} == {1}
    clock.move(61)
    (again,) = await traffic.claim_all()
    assert (again.number, again.schedule_number, again.resent_by) == (3, 2, "ada")
    await traffic.settle(again, Delivered(), clock.now())
    assert len((await store.failures(ACCOUNT, LogQuery(), 10)).entries) == 1
    for failure in failures:
        assert failure.failure_id is not None
        await store.delete_failure(ACCOUNT, failure.failure_id, "ada")
    # What was deleted was cancelled: it is not what was delivered any more.
    assert len(await store.resend_envelopes(ACCOUNT, ["env-1"], "ada")) == 1


async def test_each_filter_narrows_what_is_sent_again_and_what_is_counted(
    store: Store, traffic: Traffic, delivered: list[Claim], clock: ManualClock
) -> None:
    for query, wanted in (
        (LogQuery(from_date=START + 2 * MINUTE), 4),
        (LogQuery(to_date=START), 2),
        (LogQuery(from_date=START + MINUTE, to_date=START + 2 * MINUTE, connect_id=2), 2),
        (LogQuery(envelope_id="env-3"), 2),
        (LogQuery(status="Completed", connect_id=1), 2),
        (LogQuery(envelope_id="env-9"), 0),
    ):
        chosen = await store.chosen_delivered(ACCOUNT, query)
        assert sum(one.count for one in chosen) == wanted, query
        assert len((await store.resend_delivered(ACCOUNT, query, "ada")).requeued) == wanted, query
        claims = await traffic.claim_all()
        assert len(claims) == wanted, query
        for claim in claims:
            await traffic.settle(claim, Delivered(), clock.now())
    crm, erp = await store.chosen_delivered(ACCOUNT, LogQuery())
    assert (crm.config_name, crm.count, crm.oldest, crm.newest) == (
        *("crm", 4, START),
        START + 3 * MINUTE,
    )
    assert erp.count == 4


async def test_pages_go_on_where_the_one_before_ended(
    store: Store, traffic: Traffic, delivered: list[Claim], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph.store.verbs.store.BATCH_MOST", 3)
    monkeypatch.setattr("heliograph.store.verbs.store.BATCH", 2)
    assert port.BATCH_MOST > 3
    counts, after, seen = [], None, []
    while True:
        left = sum(one.count for one in await store.chosen_delivered(ACCOUNT, LogQuery(), after))
        page = await store.resend_delivered(ACCOUNT, LogQuery(), "ada", after)
        counts.append((left, len(page.requeued)))
        seen += [done.delivery_id for done in page.requeued]
        after = page.next_cursor
        if after is None:
            break
    assert counts == [(8, 3), (5, 3), (2, 2)]
    assert seen == sorted(claim.delivery_id for claim in delivered)
    some = await store.resend_envelopes(ACCOUNT, ["env-0", "env-1"], "ada")
    assert some == []  # all wait already


async def test_pages_go_on_behind_what_cannot_be_sent_again(
    store: Store, delivered: list[Claim], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph.store.verbs.store.BATCH_MOST", 6)
    await store.delete_configuration(ACCOUNT, 1)
    await store.delete_configuration(ACCOUNT, 2)
    first = await store.resend_delivered(ACCOUNT, LogQuery(), "ada")
    left = await store.chosen_delivered(ACCOUNT, LogQuery(), first.next_cursor)
    rest = await store.resend_delivered(ACCOUNT, LogQuery(), "ada", first.next_cursor)
    told = [done.delivery_id for done in (*first.requeued, *rest.requeued)]
    assert (told, rest.next_cursor) == (sorted(claim.delivery_id for claim in delivered), None)
    assert sum(one.count for one in left) == len(rest.requeued) == 2


async def test_a_log_entry_names_the_delivery_that_is_sent_again(
    store: Store, traffic: Traffic, delivered: list[Claim], clock: ManualClock
) -> None:
    entry = (await store.logs(ACCOUNT, LogQuery(envelope_id="env-2", connect_id=2), 1)).entries[0]
    assert entry.log_id is not None
    done = await store.resend_log(ACCOUNT, entry.log_id, "ada")
    assert done is not None
    assert (done.state, done.envelope_id, done.connect_id) == (DeliveryState.WAITING, "env-2", 2)
    waits = await store.resend_log(ACCOUNT, entry.log_id, "ada")
    assert waits is not None
    assert (waits.state, waits.note) == (DeliveryState.WAITING, "It waits to be sent.")
    (claim,) = await traffic.claim_all()
    flies = await store.resend_log(ACCOUNT, entry.log_id, "ada")
    assert flies is not None
    assert flies.state is DeliveryState.IN_FLIGHT
    await traffic.give_up([claim])
    failed = await store.resend_log(ACCOUNT, entry.log_id, "ada")
    assert failed is not None
    assert (failed.state, "republish the failure" in failed.note) == (DeliveryState.FAILED, True)
    assert await store.resend_log(ACCOUNT, 10**6, "ada") is None


async def test_what_is_paused_is_held_and_what_is_deleted_stays_as_it_is(
    store: Store, traffic: Traffic, delivered: list[Claim]
) -> None:
    await store.update_configuration(wanted_configuration(connect_id=1, pausePublish="true"))
    await store.delete_configuration(ACCOUNT, 2)
    done = await store.resend_envelopes(ACCOUNT, ["env-0"], "ada")
    assert [(one.connect_id, one.state) for one in done] == [
        (1, DeliveryState.HELD),
        (2, DeliveryState.FAILED),
    ]
    assert ["paused" in done[0].note, "deleted" in done[1].note] == [True, True]
    assert await traffic.claim_all() == []
    await store.update_configuration(wanted_configuration(connect_id=1))
    (claim,) = await traffic.claim_all()
    assert (claim.event.envelope_id, claim.resent_by) == ("env-0", "ada")
    assert await store.failures(ACCOUNT, LogQuery(), 10) == await store.failures(
        OTHER_ACCOUNT, LogQuery(), 10
    )


async def test_r6_it_waits_for_nothing_and_nothing_waits_for_it(
    store: Store, traffic: Traffic, delivered: list[Claim], clock: ManualClock
) -> None:
    await traffic.publish("envelope-completed", "env-0")
    later = await traffic.claim_all()
    await store.resend_envelopes(ACCOUNT, ["env-0"], "ada")
    assert len(await traffic.claim_all()) == 2
    for claim in later:
        await traffic.settle(claim, Delivered(), clock.now())


async def test_r14_what_waits_again_keeps_its_event(
    store: Store, traffic: Traffic, delivered: list[Claim], clock: ManualClock
) -> None:
    await store.update_configuration(wanted_configuration(connect_id=1, pausePublish="true"))
    await store.resend_envelopes(ACCOUNT, ["env-0"], "ada")
    (sent,) = await traffic.claim_all()
    clock.move(40 * 86400)
    while (await store.retire(clock.now() - timedelta(days=30))).total:
        pass
    await traffic.settle(sent, Delivered(), clock.now())
    await store.update_configuration(wanted_configuration(connect_id=1))
    (held,) = await traffic.claim_all()
    assert held.event.envelope_id == "env-0"
    await traffic.settle(held, Delivered(), clock.now())
    # Of the others nothing is left to send.
    page = await store.resend_delivered(ACCOUNT, LogQuery(from_date=START + MINUTE), "ada")
    assert page.requeued == ()


async def test_r5_what_a_stop_left_unknown_says_who_asked_and_is_sent_again(
    store: Store, traffic: Traffic, delivered: list[Claim], open_store: OpenStore
) -> None:
    await store.resend_envelopes(ACCOUNT, ["env-0"], "ada")
    in_flight = await traffic.claim_all()
    assert len(in_flight) == 2
    await store.close()
    again = await open_store()
    claims = await claim_all(again)
    assert shown(claims) == sorted((one.delivery_id, 3, "ada") for one in in_flight)
    assert await deliver(again, claims) == [True, True]
    entries = (await again.logs(ACCOUNT, LogQuery(envelope_id="env-0"), 100)).entries
    asked = sorted((entry.retry_count, entry.resent_by) for entry in entries)
    assert asked == [(0, None), (0, None), *[(1, "ada")] * 2, *[(2, "ada")] * 2]


async def test_s8_another_account_sends_nothing_of_it_again(
    store: Store, traffic: Traffic, delivered: list[Claim]
) -> None:
    (entry, *_) = (await store.logs(ACCOUNT, LogQuery(), 1)).entries
    assert entry.log_id is not None
    assert (await store.resend_delivered(OTHER_ACCOUNT, LogQuery(), "m")).requeued == ()
    assert await store.resend_envelopes(OTHER_ACCOUNT, ["env-0", "env-1"], "m") == []
    assert await store.resend_log(OTHER_ACCOUNT, entry.log_id, "m") is None
    assert await store.chosen_delivered(OTHER_ACCOUNT, LogQuery()) == ()
    assert await traffic.claim_all() == []
