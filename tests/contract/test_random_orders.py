"""R6 over random histories, a few on each engine; `python -m tests.contract.orders` runs more."""

from __future__ import annotations

import pytest

from heliograph.delivery import matching
from heliograph.store import Store
from tests.contract import orders
from tests.support import ManualClock


async def test_r6_nothing_is_sent_out_of_turn_and_nothing_kept_back(
    store: Store, clock: ManualClock
) -> None:
    sent, waited = await orders.run(store, clock, 25, 7)
    assert sent > 100
    assert waited > 100


async def test_r6_a_lost_lane_is_seen(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "lane", lambda *_: None)
    with pytest.raises(AssertionError, match="sent out of turn"):
        await orders.run(store, clock, 25, 7)
    while claims := (await store.claim(1000, 1000)).claims:  # leave nothing in flight behind
        del claims
