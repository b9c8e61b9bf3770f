"""The store contract: it tells when something is due and nobody looks (R21)."""

from __future__ import annotations

from heliograph.store import Store
from tests.contract.traffic import Traffic
from tests.support import ManualClock


async def figures(store: Store) -> tuple[float, float]:
    """How long the oldest has been due, and for how long nobody has looked since."""
    found = await store.statistics()
    return found.overdue, found.unattended


async def test_r21_the_figures_tell_for_how_long_nobody_has_looked_for_what_is_due(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure()
    await traffic.publish()
    await traffic.publish(envelope_id="env-2")
    clock.move(100)
    await store.renew_lease()
    assert await figures(store) == (100, 100)

    await traffic.claim_all(per_configuration=1)  # the other one has no room
    await store.renew_lease()
    assert await figures(store) == (100, 0)
    clock.move(50)
    assert await figures(store) == (150, 50)

    claims = await traffic.claim_all()
    assert len(claims) == 1
    assert await figures(store) == (0, 0)  # nothing waits


async def test_r21_what_is_not_due_yet_is_looked_for_by_nobody(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure()
    await traffic.publish()
    (claim,) = await traffic.claim_all()
    await traffic.retry(claim, 3600)
    clock.move(3590)
    assert await figures(store) == (0, 0)
    clock.move(40)
    assert await figures(store) == (30, 30)
