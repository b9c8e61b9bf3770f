"""S1: wherever the API saves a URL, what is no URI by RFC 3986 is refused by its field's name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.listener import LoopbackListener
from tests.server import Client
from tests.support import published

BAD = ("/%zz", "/%", "/a?b=%4", "/[a]", "?a[]=1")
NAMES = ("xn--0.localhost", "xn--a.shop.localhost")


@pytest.mark.parametrize(
    "url", [*(f"http://127.0.0.1:9001{bad}" for bad in BAD), *(f"http://{name}/" for name in NAMES)]
)
async def test_s1_no_place_of_a_url_saves_what_is_no_uri(
    api: Client, listener: LoopbackListener, url: str
) -> None:
    good = "http://127.0.0.1:9001/hook"
    connect_id = await api.configure(good)
    client = {"clientId": "c", "clientSecret": "a secret"}
    new = {"name": "n", "events": ["envelope-sent"], "urlToPublishTo": url}
    own = {"includeOAuth": "true", "oAuthConfiguration": {**client, "authorizationServerUrl": url}}
    notification = {"url": url, "events": ["envelope-sent"]}
    event: dict[str, Any] = published(envelope_id="e")
    await api.call("POST", "events", event)
    past = {"envelopes": ["e"], "config": {"urlToPublishTo": url}}
    made = {"authorizationServerUrl": f"{listener.base}/token", **client}
    assert (await api.call("POST", "oauth", made)).status == 201
    for method, path, body in (
        ("POST", api.connect, new),
        ("PUT", api.connect, {"connectId": connect_id, "urlToPublishTo": url}),
        ("PUT", api.connect, {"connectId": connect_id, **own}),
        ("PUT", "oauth", {"authorizationServerUrl": url}),
        ("POST", "events", {**published(envelope_id="f"), "eventNotification": notification}),
        ("POST", "events", {**published(envelope_id="f"), "eventNotifications": [notification]}),
        ("POST", "envelopes/publish/historical", past),
    ):
        reply = await api.call(method, path, body)
        assert reply.status == 400, (method, path, reply.body)
        assert reply.error in ("INVALID_REQUEST_PARAMETER", "INVALID_REQUEST_BODY")
        assert "is refused" in reply.json["message"]
    assert (await api.call("DELETE", "oauth")).status == 200
    reply = await api.call("POST", "oauth", {**made, "authorizationServerUrl": url})
    assert (reply.status, reply.error) == (400, "INVALID_REQUEST_PARAMETER")
    assert (await api.call("GET", connect_id)).json["configurations"][0]["urlToPublishTo"] == good
