"""Large messages over real sockets: shared, in parts, and whole where they arrive (S17)."""

from __future__ import annotations

from heliograph.model.accounts import Secret
from heliograph.wire.messages.signing import signature
from tests.listener import LoopbackListener
from tests.server import Client
from tests.support import published


async def test_s17_a_large_message_reaches_each_listener_whole_and_signed(
    api: Client, listener: LoopbackListener
) -> None:
    secret = Secret((await api.call("POST", "secret")).json["secret"])
    hooks = [
        {"url": f"{listener.base}/{number}", "events": ["envelope-sent"]} for number in range(5)
    ]
    event = published(eventNotifications=hooks, filler="x" * 900_000)
    assert (await api.call("POST", "events", event)).status == 202
    await listener.until(lambda got: len(got) == 5)
    assert len({got.message["configurationId"] for got in listener.received}) == 5
    for got in listener.received:
        assert got.message["filler"] == event["filler"]
        assert got.message["data"] == event["data"]
        assert got.header("Content-Length") == str(len(got.body))
        assert got.header("X-DocuSign-Signature-1") == signature(secret, got.body)
