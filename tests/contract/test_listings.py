"""The store contract: listings of failures and logs, bulk republish and delete, tenants."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from heliograph.model.causes import cause_of
from heliograph.model.deliveries import Delivered, GaveUp
from heliograph.model.logs import LogEntry, LogQuery, Order
from heliograph.store import Store
from heliograph.store.pages import Page, every_page
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, OTHER_ACCOUNT, START, WHY, ManualClock, wanted_configuration


@pytest.fixture
async def failing(store: Store, traffic: Traffic, clock: ManualClock) -> Store:
    """Two configurations and five envelopes, a minute apart: ten open failures."""
    for name in ("crm", "erp"):
        await traffic.configure(name=name)
    for number in range(5):
        event_name = "envelope-completed" if number % 2 else "envelope-sent"
        await traffic.publish(event_name, f"env-{number}")
        await traffic.give_up(await traffic.claim_all())
        clock.move(60)
    return store


async def envelopes(store: Store, **query: object) -> list[str]:
    page = await store.failures(ACCOUNT, LogQuery(**query), 100)  # type: ignore[arg-type]
    return [entry.envelope_id for entry in page.entries]


async def test_failures_are_listed_newest_first_or_oldest_first(failing: Store) -> None:
    newest = await envelopes(failing)
    assert newest == [f"env-{n}" for n in (4, 4, 3, 3, 2, 2, 1, 1, 0, 0)]
    assert await envelopes(failing, order=Order.OLDEST_FIRST) == newest[::-1]


async def test_each_filter_narrows_the_listing(failing: Store) -> None:
    minute = timedelta(minutes=1)
    assert await envelopes(failing, from_date=START + 3 * minute) == ["env-4"] * 2 + ["env-3"] * 2
    assert await envelopes(failing, to_date=START) == ["env-0"] * 2
    assert (
        await envelopes(failing, from_date=START + minute, to_date=START + minute) == ["env-1"] * 2
    )
    assert len(await envelopes(failing, connect_id=1)) == 5
    assert await envelopes(failing, envelope_id="env-2", connect_id=2) == ["env-2"]
    assert await envelopes(failing, status="Completed") == ["env-3"] * 2 + ["env-1"] * 2
    assert len(await envelopes(failing, error="INTERNAL server")) == 10
    assert await envelopes(failing, error="timed out") == []
    assert await envelopes(failing, error="%") == []


@pytest.mark.parametrize("order", list(Order))
async def test_pages_follow_each_other_without_gap_or_repeat(failing: Store, order: Order) -> None:
    query = LogQuery(order=order)
    whole = (await failing.failures(ACCOUNT, query, 100)).entries
    pages: list[Page[LogEntry]] = [
        page async for page in every_page(failing.failures, ACCOUNT, query, size=3)
    ]
    assert [len(page.entries) for page in pages] == [3, 3, 3, 1]
    assert tuple(entry for page in pages for entry in page.entries) == whole


async def test_a_page_that_ends_with_the_listing_has_no_next(failing: Store) -> None:
    assert (await failing.failures(ACCOUNT, LogQuery(), 10)).next_cursor is None
    assert (await failing.failures(ACCOUNT, LogQuery(), 9)).next_cursor is not None


async def test_logs_have_the_same_filters_and_pages(failing: Store) -> None:
    page = await failing.logs(ACCOUNT, LogQuery(connect_id=2, status="Sent"), 2)
    assert [entry.envelope_id for entry in page.entries] == ["env-4", "env-2"]
    rest = await failing.logs(ACCOUNT, LogQuery(connect_id=2, status="Sent"), 2, page.next_cursor)
    assert [entry.envelope_id for entry in rest.entries] == ["env-0"]
    assert rest.next_cursor is None


async def test_logs_are_selected_by_their_attempts_and_each_that_failed_has_its_cause(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure()
    await traffic.publish()
    (claim,) = await traffic.claim_all()
    await traffic.retry(claim, 60, clock.now())
    clock.move(3600)
    (again,) = await traffic.claim_all()
    await traffic.settle(again, Delivered(), clock.now())

    async def counts(**query: Any) -> list[int]:
        entries = (await store.logs(ACCOUNT, LogQuery(**query), 10)).entries
        return [entry.retry_count for entry in entries]

    assert await counts() == [1, 0]
    assert await counts(from_date=START + timedelta(hours=1)) == [1]
    assert await counts(to_date=START + timedelta(minutes=59)) == [0]
    assert await counts(error="internal server") == [0]
    pages = [page async for page in every_page(store.logs, ACCOUNT, LogQuery(), size=1)]
    (delivered,), (failed,) = (page.entries for page in pages)
    assert (delivered.retry_count, delivered.cause) == (1, None)
    assert (failed.retry_count, failed.cause) == (0, cause_of(f"{WHY}"))


async def test_failures_are_kept_whatever_enable_log_says_and_logs_are_not(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure(enableLog="false")
    await traffic.publish()
    await traffic.give_up(await traffic.claim_all())

    assert (await store.logs(ACCOUNT, LogQuery(), 10)).entries == ()
    (failure,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert failure.failure_id is not None
    (attempt,) = await store.attempts(ACCOUNT, failure.failure_id)
    assert attempt.entry.error == failure.error


async def test_every_failure_of_a_selection_is_republished(
    failing: Store, traffic: Traffic
) -> None:
    page = await failing.requeue_failures(ACCOUNT, LogQuery(connect_id=2))
    assert (len(page.requeued), page.next_cursor) == (5, None)
    claims = await traffic.claim_all()
    assert {claim.configuration.name for claim in claims} == {"erp"}
    assert len(claims) == 5


async def test_every_failure_of_a_selection_is_deleted_and_never_sent_again(
    failing: Store,
) -> None:
    assert await failing.delete_failures(ACCOUNT, LogQuery(envelope_id="env-3"), "alice") == 2
    assert "env-3" not in await envelopes(failing)
    assert await failing.requeue_envelopes(ACCOUNT, ["env-3"]) == []
    # The log keeps what was tried; it no longer points to a failure.
    page = await failing.logs(ACCOUNT, LogQuery(envelope_id="env-3"), 10)
    assert [entry.failure_id for entry in page.entries] == [None, None]


async def test_log_entries_are_deleted_one_by_one_or_all_and_attempts_stay(
    failing: Store,
) -> None:
    first, *others = (await failing.logs(ACCOUNT, LogQuery(), 100)).entries
    assert first.log_id is not None
    assert await failing.delete_log(ACCOUNT, first.log_id)
    assert not await failing.delete_log(ACCOUNT, first.log_id)
    assert (await failing.logs(ACCOUNT, LogQuery(), 100)).entries == tuple(others)
    assert await failing.delete_logs(ACCOUNT) == 9
    assert (await failing.logs(ACCOUNT, LogQuery(), 100)).entries == ()
    assert first.failure_id is not None
    assert len(await failing.attempts(ACCOUNT, first.failure_id)) == 1


async def test_s8_another_account_sees_and_changes_nothing(failing: Store) -> None:
    (entry, *_) = (await failing.logs(ACCOUNT, LogQuery(), 100)).entries
    assert entry.log_id is not None
    assert entry.failure_id is not None
    other = OTHER_ACCOUNT
    assert (await failing.failures(other, LogQuery(), 10)).entries == ()
    assert (await failing.logs(other, LogQuery(), 10)).entries == ()
    assert await failing.failure(other, entry.failure_id) is None
    assert await failing.log(other, entry.log_id) is None
    assert await failing.attempts(other, entry.failure_id) == []
    assert await failing.requeue_envelopes(other, [entry.envelope_id]) == []
    assert (await failing.requeue_failures(other, LogQuery())).requeued == ()
    assert not await failing.delete_failure(other, entry.failure_id, "mallory")
    assert await failing.delete_failures(other, LogQuery(), "mallory") == 0
    assert not await failing.delete_log(other, entry.log_id)
    assert await failing.delete_logs(other) == 0
    assert await failing.progress(other, [entry.failure_id]) == {}
    assert (await failing.configurations(other)).all == ()
    assert not await failing.update_configuration(
        wanted_configuration(other, connect_id=entry.connect_id, name="stolen")
    )
    assert not await failing.delete_configuration(other, entry.connect_id)
    assert len(await envelopes(failing)) == 10


async def test_failures_and_logs_show_what_the_envelope_is_about(failing: Store) -> None:
    for listing in (failing.failures, failing.logs):
        for entry in (await listing(ACCOUNT, LogQuery(), 100)).entries:
            assert entry.subject == "Lease of 12 Harbour Street"
            assert (entry.sender_name, entry.sender_email) == ("Ada Lovelace", "ada@example.com")


async def test_one_failure_is_found_by_its_id(failing: Store) -> None:
    for entry in (await failing.failures(ACCOUNT, LogQuery(), 100)).entries:
        assert entry.failure_id is not None
        assert await failing.failure(ACCOUNT, entry.failure_id) == entry
    assert await failing.failure(ACCOUNT, 99) is None


async def test_a_delivered_entry_shows_no_failure(store: Store, traffic: Traffic) -> None:
    await traffic.configure()
    await traffic.publish()
    (claim,) = await traffic.claim_all()
    await traffic.settle(claim, Delivered())

    (entry,) = (await store.logs(ACCOUNT, LogQuery(), 10)).entries
    assert (entry.failure_id, entry.error, entry.next_try) == (None, None, None)
    assert entry.log_id is not None
    assert (await store.progress(ACCOUNT, [claim.delivery_id]))[claim.delivery_id].attempts == 1


async def test_fidelity_log_id_of_a_failure_is_of_its_newest_logged_attempt(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    configuration = await traffic.configure()
    await traffic.publish()
    (claim,) = await traffic.claim_all()
    await traffic.settle(claim, GaveUp(WHY))

    async def failure() -> LogEntry:
        (entry,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
        return entry

    (first,) = (await store.logs(ACCOUNT, LogQuery(), 10)).entries
    assert ((await failure()).log_id, (await failure()).of_failure) == (first.log_id, True)
    assert not first.of_failure
    # Nothing that is not a log entry counts: a try that was not logged, or is still open.
    await store.update_configuration(
        wanted_configuration(connect_id=configuration.connect_id, enableLog="false")
    )
    clock.move(60)
    await store.requeue_failures(ACCOUNT, LogQuery())
    (claim,) = await traffic.claim_all()
    assert (await failure()).log_id == first.log_id
    await traffic.settle(claim, GaveUp(WHY))
    assert (await failure()).log_id == first.log_id
    await store.update_configuration(wanted_configuration(connect_id=configuration.connect_id))
    clock.move(60)
    await store.requeue_failures(ACCOUNT, LogQuery())
    await traffic.give_up(await traffic.claim_all())
    newest, _ = (await store.logs(ACCOUNT, LogQuery(), 10)).entries
    assert newest.log_id != first.log_id
    assert (await failure()).log_id == newest.log_id
    await store.delete_logs(ACCOUNT)
    assert (await failure()).log_id is None


async def test_what_a_call_in_bulk_is_about_is_counted_by_configuration(
    failing: Store, clock: ManualClock
) -> None:
    minute = timedelta(minutes=1)
    crm, erp = await failing.chosen_failures(ACCOUNT, LogQuery())
    assert (crm.config_name, crm.count, crm.oldest, crm.newest) == (
        *("crm", 5, START),
        START + 4 * minute,
    )
    assert crm.config_url == erp.config_url == "https://listener.example.com/connect"
    query = LogQuery(connect_id=erp.connect_id, status="Completed", from_date=START + 2 * minute)
    (found,) = await failing.chosen_failures(ACCOUNT, query)
    assert (found.connect_id, found.count, found.oldest) == (erp.connect_id, 1, START + 3 * minute)
    assert await failing.chosen_failures(ACCOUNT, LogQuery(error="timed out")) == ()

    # What follows a cursor is what the next batch would change: the newer ones.
    page = await failing.failures(ACCOUNT, LogQuery(order=Order.OLDEST_FIRST), 6)
    rest = await failing.chosen_failures(ACCOUNT, LogQuery(), page.next_cursor)
    assert [chosen.count for chosen in rest] == [2, 2]

    logged = await failing.chosen_logs(ACCOUNT, LogQuery())
    assert [chosen.count for chosen in logged] == [5, 5]
    assert len(await envelopes(failing)) == 10  # nothing was changed
    await failing.delete_logs(ACCOUNT)
    assert await failing.chosen_logs(ACCOUNT, LogQuery()) == ()
    for other in (failing.chosen_failures, failing.chosen_logs):
        assert await other(OTHER_ACCOUNT, LogQuery()) == ()
