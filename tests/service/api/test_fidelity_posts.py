"""What every post has, whoever asked for it."""

from __future__ import annotations

from tests.listener import LoopbackListener
from tests.server import Client
from tests.support import published


async def test_fidelity_account_id_header_comes_with_events_test_sends_and_the_past(
    api: Client, listener: LoopbackListener
) -> None:
    connect_id = await api.configure(listener.base)
    assert (await api.call("POST", f"{connect_id}/test")).json["success"] == "true"
    await api.call("POST", "events", published("envelope-completed", "env-1"))
    await listener.until(lambda received: len(received) == 2)
    config = {"urlToPublishTo": listener.base + "/old", "deliveryMode": "SIM"}
    past = {"envelopes": ["env-1"], "config": config}
    await api.call("POST", "envelopes/publish/historical", past)
    await listener.until(lambda received: len(received) == 3)
    sent = [one.header("X-DocuSign-AccountId") for one in listener.received]
    assert sent == [api.credentials.account_id] * 3
