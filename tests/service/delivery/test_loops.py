"""S15: a listener that publishes what it gets."""

from __future__ import annotations

import pytest

from tests.listener import LoopbackListener
from tests.server import Client
from tests.support import published


async def test_s15_a_listener_wired_to_our_own_publish_ends_after_five_rounds(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(listener.base)
    reply = await api.call("POST", "events", published())
    statuses = []
    for number in range(1, 6):
        await listener.until(lambda received, count=number: len(received) == count)  # type: ignore[misc]
        got = listener.received[-1]
        hops = str(got.header("X-Heliograph-Hops"))
        assert hops == str(number)
        reply = await api.call("POST", "events", data=got.body, X_Heliograph_Hops=hops)
        statuses.append(reply.status)
    assert statuses == [202, 202, 202, 202, 508]
    assert reply.json["errorCode"] == "LOOP_DETECTED"
    assert "publishes what it gets" in reply.json["message"]
    assert all("heliographHops" not in one.message for one in listener.received)


@pytest.mark.parametrize("given", ["", "soon", "-1", "9" * 40, "5.0"])
async def test_s15_what_is_no_number_of_ours_counts_for_nothing(api: Client, given: str) -> None:
    assert (await api.call("POST", "events", published(), X_Heliograph_Hops=given)).status == 202


async def test_s15_a_publisher_cannot_say_by_itself_how_often_it_was(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(listener.base)
    await api.call("POST", "events", published(heliographHops=3))
    await listener.until(lambda received: len(received) == 1)
    assert listener.received[0].header("X-Heliograph-Hops") == "1"
