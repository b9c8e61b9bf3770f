"""The store contract: a claim stops at a bound of bytes in flight, and goes on later (S17)."""

from __future__ import annotations

from collections.abc import Sequence

from heliograph.model.deliveries import Claim
from heliograph.store import Store
from heliograph.store.loads import LIGHT, Load
from tests.contract.traffic import Traffic
from tests.support import OTHER_ACCOUNT, new_event

SIZE = 10 * LIGHT
"""About the bytes of a heavy event's document; its message has as many."""


class Node:
    """What one node has in flight, as its dispatcher counts it."""

    def __init__(self, store: Store, most: int) -> None:
        self.store = store
        self.load = Load(most)

    async def claim(self, room: int = 100, per_configuration: int = 100) -> list[str]:
        """Claims what it may; the envelopes."""
        claims = (await self.store.claim(room, per_configuration, load=self.load)).claims
        for claim in claims:
            self.load.began(claim)
        self.claims = list(claims)
        return sorted(claim.event.envelope_id for claim in claims)

    async def end(self, traffic: Traffic, claims: Sequence[Claim]) -> None:
        """Their listeners take them."""
        await traffic.deliver(claims)
        for claim in claims:
            self.load.ended(claim)


async def publish(traffic: Traffic, envelope_id: str, size: int = SIZE) -> None:
    await traffic.accept(new_event(envelope_id=envelope_id, filler="x" * size))


async def test_s17_a_claim_stops_at_the_bound_and_goes_on_as_they_end(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure()
    for number in range(5):
        await publish(traffic, f"env-{number}")
    node = Node(store, 5 * SIZE)  # documents and messages of two
    first = await node.claim()
    assert first == ["env-0", "env-1"]
    taken = node.claims
    assert await node.claim() == []
    await node.end(traffic, taken[:1])
    assert await node.claim() == ["env-2"]
    await node.end(traffic, [*taken[1:], *node.claims])
    assert await node.claim() == ["env-3", "env-4"]
    # What was passed over had no attempt.
    assert {claim.number for claim in node.claims} == {1}
    await node.end(traffic, node.claims)
    assert node.load.bytes == 0
    assert await store.orphans() == []


async def test_s17_what_is_larger_than_the_bound_goes_alone(store: Store, traffic: Traffic) -> None:
    await traffic.configure()
    for number in range(2):
        await publish(traffic, f"env-{number}")
    node = Node(store, SIZE)
    for envelope_id in ("env-0", "env-1"):
        assert await node.claim() == [envelope_id]
        taken = node.claims
        assert await node.claim() == []
        await node.end(traffic, taken)


async def test_s17_one_event_to_many_listeners_counts_once_and_is_in_memory_once(
    store: Store, traffic: Traffic
) -> None:
    for _ in range(20):
        await traffic.configure()
    await publish(traffic, "env-0")
    node = Node(store, 3 * SIZE + LIGHT)
    assert len(await node.claim(room=7, per_configuration=1)) == 7
    claims = node.claims
    while await node.claim(room=7, per_configuration=1):
        claims += node.claims
    assert len(claims) == 20
    assert len({id(claim.event) for claim in claims}) == 1
    assert 2 * SIZE < node.load.bytes < 3 * SIZE + LIGHT
    await node.end(traffic, claims)


async def test_r7_a_listener_whose_messages_are_light_waits_for_none_that_are_heavy(
    store: Store, traffic: Traffic
) -> None:
    for _ in range(4):
        await traffic.configure(events=["envelope-sent"])
    await traffic.configure(events=["envelope-voided"])
    for number in range(3):
        await publish(traffic, f"env-{number}")
    await traffic.publish("envelope-voided", "light", filler="x" * (LIGHT // 2))
    node = Node(store, 2 * SIZE + LIGHT)
    # There is room for two in each claim, so that the light one is behind what finds none.
    await node.claim(room=2, per_configuration=1)
    claims = node.claims
    while await node.claim(room=2, per_configuration=2):
        claims += node.claims
    found = sorted(claim.event.envelope_id for claim in claims)
    assert found == ["env-0"] * 4 + ["light"]


async def test_r7_an_account_leaves_bytes_to_others(store: Store, traffic: Traffic) -> None:
    other = Traffic(store, OTHER_ACCOUNT)
    await traffic.configure()
    await other.configure()
    await publish(other, "small", 10)
    node = Node(store, 8 * SIZE)
    await node.claim()  # several accounts are known
    for number in range(4):
        await publish(traffic, f"mine-{number}")
    assert await node.claim() == ["mine-0"]  # a quarter
    await publish(other, "theirs")
    assert await node.claim() == ["theirs"]
