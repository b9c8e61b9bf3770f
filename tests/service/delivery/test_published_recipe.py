"""S6: listeners that verify as DocuSign's published samples do accept every message.

The recipe: HMAC-SHA256 of the raw body under the key's UTF-8 text, in base64, compared in constant
time with each X-DocuSign-Signature-N header. Here once in Python's and once in Node's own crypto,
neither knowing anything of Heliograph.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import shutil
from typing import Any

import pytest

from tests.listener import LoopbackListener, Received
from tests.server import Client
from tests.service.api.test_api import records
from tests.support import published

NODE = """
const crypto = require("crypto");
const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
const body = Buffer.from(given.body, "base64");
const accepts = (key) => {
  const digest = crypto.createHmac("sha256", key).update(body).digest("base64");
  return given.signatures.some((one) =>
    one.length === digest.length &&
    crypto.timingSafeEqual(Buffer.from(digest, "base64"), Buffer.from(one, "base64")));
};
console.log(JSON.stringify(given.keys.map(accepts)));
"""


def accepts(key: str, got: Received) -> bool:
    """What a listener does that has this one key."""
    digest = hmac.new(key.encode("utf-8"), got.body, hashlib.sha256).digest()
    computed = base64.b64encode(digest).decode()
    return any(hmac.compare_digest(computed, one) for one in signatures(got))


def signatures(got: Received) -> list[str]:
    return [v for k, v in got.headers if k.lower().startswith("x-docusign-signature-")]


async def new_key(api: Client) -> tuple[str, str]:
    made = (await api.call("POST", "secret")).json
    return made["keyId"], made["secret"]


async def deliver(api: Client, listener: LoopbackListener, number: int) -> Received:
    before = len(listener.received)
    body = published(envelope_id=f"env-{number}", note="schlüssel-☂ \U0001f511")
    await api.call("POST", "events", body)
    await listener.until(lambda got: len(got) > before)
    return listener.received[-1]


async def test_s6_five_keys_give_five_headers_and_each_is_accepted_by_its_listener(
    api: Client, listener: LoopbackListener
) -> None:
    keys = [(await new_key(api))[1] for _ in range(5)]
    await api.configure(listener.base)
    for number in range(3):
        got = await deliver(api, listener, number)
        names = sorted(k for k, _ in got.headers if k.lower().startswith("x-docusign-signature"))
        assert names == [f"X-DocuSign-Signature-{place}" for place in range(1, 6)]
        assert got.header("X-Authorization-Digest") == "HMACSHA256"
        assert [accepts(key, got) for key in keys] == [True] * 5
        assert not accepts("another key", got)
        altered = Received(got.path, got.headers, got.body.replace(b"env-", b"enx-"))
        assert not any(accepts(key, altered) for key in keys)


async def test_s6_keys_are_changed_without_a_gap(api: Client, listener: LoopbackListener) -> None:
    old_id, old = await new_key(api)
    await api.configure(listener.base)
    assert accepts(old, await deliver(api, listener, 1))
    _, new = await new_key(api)
    both = await deliver(api, listener, 2)
    assert (accepts(old, both), accepts(new, both)) == (True, True)
    await api.call("DELETE", f"secret/{old_id}")
    after = await deliver(api, listener, 3)
    assert (accepts(old, after), accepts(new, after)) == (False, True)
    assert len(signatures(after)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"deliveryMode": "aggregate", "events": ["envelope-sent"]},
        {"events": [], "envelopeEvents": ["Sent"]},
        {"events": [], "envelopeEvents": ["Sent"], "useSoapInterface": "true"},
    ],
    ids=["json-sim", "json-aggregate", "xml", "soap"],
)
async def test_s6_every_format_is_signed_over_its_exact_bytes(
    api: Client, listener: LoopbackListener, fields: dict[str, Any]
) -> None:
    _, key = await new_key(api)
    await api.configure(listener.base, **fields)
    assert accepts(key, await deliver(api, listener, 1))


async def test_s6_a_retry_is_signed_anew_over_what_it_says(
    api: Client, listener: LoopbackListener
) -> None:
    _, key = await new_key(api)
    await api.configure(listener.base, retrySchedule=["1"])
    listener.status = 500
    first = await deliver(api, listener, 1)
    await records(api, "failures", 1)
    listener.status = 200
    await api.call("PUT", "envelopes/env-1/retry_queue")
    await listener.until(lambda got: len(got) >= 2)
    second = listener.received[-1]
    assert first.body != second.body  # the retryCount
    assert accepts(key, first)
    assert accepts(key, second)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed here")
async def test_s6_a_node_listener_accepts_them_too(api: Client, listener: LoopbackListener) -> None:
    keys = [(await new_key(api))[1] for _ in range(2)]
    await api.configure(listener.base)
    got = await deliver(api, listener, 1)
    given = {
        "body": base64.b64encode(got.body).decode(),
        "signatures": signatures(got),
        "keys": [*keys, "another key"],
    }
    process = await asyncio.create_subprocess_exec(
        *("node", "-e", NODE), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate(json.dumps(given).encode())
    assert json.loads(said) == [True, True, False]
