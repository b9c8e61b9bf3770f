"""The store contract: failures by a part of their error, however many errors there are."""

from __future__ import annotations

import itertools
from collections import namedtuple
from datetime import timedelta
from typing import Any

import pytest

from heliograph.model.deliveries import GaveUp, Phase, Why
from heliograph.model.logs import LogEntry, LogQuery, Order
from heliograph.store import Store
from heliograph.store.pages import every_page
from heliograph.store.verbs import Rows, log_rows
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, OTHER_ACCOUNT, START, ManualClock

Text = namedtuple("Text", ["text", "place"])
LONG = "x" * 600
TEXTS = (
    "500 Internal Server Error",
    "500 INTERNAL",
    "404 Not Found",
    "503 % _ \\ ' \" \N{SNOWMAN} \u00c4\u00d6",
    f"{LONG} the end",
    f"{LONG} another end",
    "500 Internal Server Error",
)
PARTS = (
    *("internal", "INTERNAL SERVER", "status: 404", "%", "\N{SNOWMAN} \u00c4", "\u00e4"),
    *("x" * 550, "xx THE END", "status", "nothing like it"),
)


@pytest.fixture
async def failing(store: Store, traffic: Traffic, clock: ManualClock) -> Store:
    """Two configurations and nine envelopes, whose eighteen failures have these errors in turn."""
    for name in ("crm", "erp"):
        await traffic.configure(name=name)
    texts = itertools.cycle(TEXTS)
    for number in range(9):
        event_name = "envelope-completed" if number % 2 else "envelope-sent"
        await traffic.publish(event_name, f"env-{number}")
        for claim in await traffic.claim_all():
            await traffic.settle(claim, GaveUp(Why(Phase.STATUS, next(texts))), clock.now())
        clock.move(60)
    return store


async def listed(store: Store, query: LogQuery, size: int = 4) -> list[LogEntry]:
    pages = [page async for page in every_page(store.failures, ACCOUNT, query, size=size)]
    assert all(len(page.entries) == size for page in pages[:-1])
    return [entry for page in pages for entry in page.entries]


async def all_ways(
    store: Store, query: LogQuery, monkeypatch: pytest.MonkeyPatch
) -> list[list[int | None]]:
    """The failures of a query, among few errors, and where they or those that match are many."""
    found = []
    ways = (
        (1_000, 100, 20_000),
        (3, 100, 20_000),
        (6, 100, 20_000),
        (1_000, 1, 20_000),
        (1_000, 100, 1),
    )
    for texts, matching, ids in ways:
        with monkeypatch.context() as bounds:
            bounds.setattr(log_rows, "_MOST_TEXTS", texts)
            bounds.setattr(log_rows, "_MOST_MATCHING", matching)
            bounds.setattr(log_rows, "_MOST_IDS", ids)
            found.append([entry.failure_id for entry in await listed(store, query)])
            chosen = await store.chosen_failures(ACCOUNT, query)
            assert sum(one.count for one in chosen) == len(found[-1])
    return found


@pytest.mark.parametrize("part", PARTS)
async def test_a_part_of_an_error_selects_what_has_it_beside_every_other_filter(
    failing: Store, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[dict[str, Any]] = [
        *({}, {"connect_id": 2}, {"envelope_id": "env-3"}, {"status": "Completed"}),
        {"from_date": START + timedelta(minutes=2), "to_date": START + timedelta(minutes=6)},
    ]
    for order, other in itertools.product(Order, others):
        everything = await listed(failing, LogQuery(order=order, **other))
        few, *many = await all_ways(
            failing, LogQuery(order=order, error=part, **other), monkeypatch
        )
        assert all(found == few for found in many)
        copied = {one.failure_id for one in everything if part in str(one.error)}
        assert copied <= set(few)
        if part.isascii():  # capitals of other letters are the database's
            naive = [one for one in everything if part.lower() in str(one.error).lower()]
            assert few == [one.failure_id for one in naive]
    assert (await failing.failures(OTHER_ACCOUNT, LogQuery(error=part), 10)).entries == ()


async def test_more_different_errors_than_are_looked_at_are_found_too(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure()
    for number in range(130):
        await traffic.publish(envelope_id=f"env-{number}")
    for number, claim in enumerate(await traffic.claim_all(200, 200)):
        why = Why(Phase.CONNECT, f"host-{number} refused the connection")
        await traffic.settle(claim, GaveUp(why), clock.now())

    assert len(await listed(store, LogQuery(error="REFUSED"), 50)) == 130
    (one,) = await listed(store, LogQuery(error="host-77 "))
    assert one.envelope_id == "env-77"
    assert len(await listed(store, LogQuery(error="host-7"), 5)) == 11
    assert await store.delete_failures(ACCOUNT, LogQuery(error="host-7"), "ada") == 11
    assert await listed(store, LogQuery(error="host-7")) == []
    assert len(await listed(store, LogQuery(error="host"), 50)) == 119


@pytest.mark.parametrize(("texts", "apart"), [(2, True), (100, False)])
def test_what_is_looked_up_apart_for_a_page_is_bounded(texts: int, apart: bool) -> None:
    query = LogQuery(error="refused")
    step = log_rows.listing("failures", ACCOUNT, query, 1_000, None)
    verb = log_rows.found(step)
    next(verb)
    walked = [Text(f"host-{number} refused", number) for number in range(texts)]
    page = verb.send(Rows(walked, 0))
    assert ("failures_of_each_text" in page.filters) is apart
