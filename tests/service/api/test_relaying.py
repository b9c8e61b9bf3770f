"""What DocuSign's Connect posts to a relay, and what becomes of it (R25)."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from heliograph.api import relaying, spool
from heliograph.delivery import verbatim
from heliograph.errors import InvalidBody, StorageUnavailable
from heliograph.wire.messages import legacy_xml
from heliograph.wire.messages.legacy_xml import LegacyOptions
from heliograph.wire.relayed.came import PART
from tests.busy import hang
from tests.contract.tables import rows_of
from tests.listener import LoopbackListener, Received
from tests.server import Client, Reply, serving
from tests.support import ACCOUNT, published
from tests.unit.wire.test_relayed import read, sim, stored

KEY = "dRdk7eT3q5yYv0mVb1nXs2aWl4cKj6hGf8pZu9oIiE0="
SECOND = "xC4vB6nM8aS0dF2gH4jK6lQ8wE0rT2yU4iO6pZ8xC0="


def signature(body: bytes, key: str = KEY) -> str:
    """As DocuSign's page about HMAC has listeners compute it: Base64 of HMAC-SHA256 of the body."""
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def body_of(**over: Any) -> bytes:
    # Spaces as a sender may write them: what is sent on must be these bytes.
    return json.dumps(sim(**over), indent=3).encode()


@pytest.fixture(params=["sqlite", "postgres"])
async def relayed(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Client]:
    """A server on each engine whose account has a relay."""
    url = request.getfixturevalue("database_url") if request.param == "postgres" else ""
    async with serving(tmp_path, database_url=url) as api:
        await relay(api)
        yield api


async def relay(api: Client, **over: Any) -> None:
    body = {"name": "docusign", "hmacSecrets": [KEY], **over}
    made = await api.call("POST", "relays", body)
    assert made.status == 201, made.body


async def post(api: Client, body: bytes, *signatures: str, **headers: str) -> Reply:
    """As DocuSign posts: signed by the first key unless signatures are given."""
    signed = {
        f"X_DocuSign_Signature_{number}": text
        for number, text in enumerate(signatures or [signature(body)], start=1)
    }
    sent = {"Content_Type": "application/json; charset=utf-8", "Authorization": "", **headers}
    path = f"/relay/{api.credentials.account_id}/docusign"
    return await api.call("POST", path, data=body, **{**signed, **sent})


async def arrived(listener: LoopbackListener, count: int) -> list[Received]:
    """What a listener got, once it is so many."""
    await listener.until(lambda got: len(got) == count)
    return listener.received


async def refusals(api: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.call("GET", "relays/docusign/refusals")).json[
        "refusals"
    ]
    return found


async def test_r25_a_verbatim_relay_sends_on_the_same_bytes_with_docusigns_signatures(
    relayed: Client, listener: LoopbackListener
) -> None:
    await relayed.call("POST", "secret")  # ours, which must not stand in the place of DocuSign's
    await relayed.configure(f"{listener.base}/verbatim", verbatim="true")
    body = body_of()
    answer = await post(
        *(relayed, body, signature(body, SECOND), signature(body)),
        X_Authorization_Digest="HMACSHA256",
        X_DocuSign_AccountId="their-account",
        Content_Type="application/json; charset=UTF-8",
    )
    assert (answer.status, answer.body) == (200, b"")
    (came,) = await arrived(listener, 1)
    assert came.body == body
    assert came.header("Content-Type") == "application/json; charset=UTF-8"
    assert came.header("X-DocuSign-AccountId") == "their-account"
    assert came.header("X-Authorization-Digest") == "HMACSHA256"
    assert came.header("X-DocuSign-Signature-2") == signature(came.body)
    assert came.header("X-DocuSign-Signature-1") == signature(came.body, SECOND)
    assert came.header("webhook-signature") is None


async def test_r25_it_is_re_rendered_for_who_does_not_ask_for_the_same_bytes(
    relayed: Client, listener: LoopbackListener
) -> None:
    secret = (await relayed.call("POST", "secret")).json["secret"]
    connect_id = await relayed.configure(f"{listener.base}/json")
    legacy = {"events": [], "envelopeEvents": ["Completed"], "eventData": {"format": "xml"}}
    await relayed.configure(f"{listener.base}/xml", **legacy)
    assert (await post(relayed, body_of())).status == 200
    came = {one.path: one for one in await arrived(listener, 2)}
    message = json.loads(came["/json"].body)
    assert message["configurationId"] == int(connect_id)
    assert message["data"] == sim()["data"]
    assert message.keys() <= sim().keys() | {"uri"}
    assert came["/json"].header("X-DocuSign-Signature-1") == signature(came["/json"].body, secret)
    xml = legacy_xml.render(stored(read(body_of())), LegacyOptions())
    assert came["/xml"].body == xml


async def test_r25_xml_comes_in_and_json_goes_out(
    relayed: Client, listener: LoopbackListener
) -> None:
    await relayed.configure(f"{listener.base}/json")
    await relayed.configure(f"{listener.base}/verbatim", verbatim="true")
    soap = LegacyOptions(soap_namespace="http://www.docusign.net/API/3.0")
    body = legacy_xml.render(stored(read(body_of())), soap)
    answer = await post(relayed, body, Content_Type="text/xml; charset=utf-8", SOAPAction='""')
    assert answer.status == 200
    came = {one.path: one for one in await arrived(listener, 2)}
    assert came["/verbatim"].body == body
    assert came["/verbatim"].header("SOAPAction") == '""'
    message = json.loads(came["/json"].body)
    assert message["event"] == "envelope-completed"
    assert message["data"]["envelopeSummary"]["sender"]["userName"] == "Ada"


async def test_r25_a_repeat_adds_nothing(relayed: Client, listener: LoopbackListener) -> None:
    await relayed.configure(f"{listener.base}/verbatim", verbatim="true")
    for count in range(3):
        assert (await post(relayed, body_of(retryCount=count))).status == 200
    later = body_of(generatedDateTime="2026-11-23T09:00:00.0000000Z")
    assert (await post(relayed, later)).status == 200
    came = await arrived(listener, 2)
    assert [one.body for one in came] == [body_of(retryCount=0), later]
    events = (await relayed.call("GET", "events")).json
    assert events["totalRecords"] == "2"
    metrics = (await relayed.call("GET", "/metrics")).body.decode()
    assert 'heliograph_events_total{result="repeated"} 2.0' in metrics
    assert 'heliograph_requests_total{operation="relay",status="200"} 4.0' in metrics


@pytest.mark.parametrize(
    "signatures",
    [
        ["", ""],
        [signature(body_of(), SECOND)],
        [signature(body_of() + b" ")],
        [signature(body_of())[:-1]],
        [signature(body_of()).lower()],
        ["\u00e9"],
    ],
)
async def test_r25_what_no_key_has_signed_is_refused_counted_kept_and_never_delivered(
    api: Client, signatures: list[str]
) -> None:
    await relay(api)
    answer = await post(api, body_of(), *signatures, User_Agent="DocuSign/1")
    assert (answer.status, answer.error) == (401, "RELAY_MESSAGE_REFUSED")
    (kept,) = await refusals(api)
    assert kept["reason"] == "RELAY_MESSAGE_REFUSED"
    assert kept["size"] == str(len(body_of()))
    assert kept["content"] == body_of().decode()[: 4 * 1024]
    assert "user-agent: DocuSign/1" in kept["headers"]
    assert (await api.call("GET", "events")).json["totalRecords"] == "0"
    metrics = (await api.call("GET", "/metrics")).body.decode()
    assert 'heliograph_relay_refused_total{code="RELAY_MESSAGE_REFUSED"} 1.0' in metrics


async def test_r25_what_is_large_and_has_no_signature_takes_no_room(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "MOST_LARGE", 0)
    await relay(api)
    large = body_of() + b" " * spool.SMALL
    assert (await post(api, large, "")).status == 401
    assert (await post(api, large, signature(large, SECOND))).status == 503


async def test_r25_any_of_the_relays_keys_may_have_signed(api: Client) -> None:
    await relay(api, hmacSecrets=[KEY, SECOND])
    for number, key in enumerate((KEY, SECOND)):
        body = body_of(generatedDateTime=f"2026-11-23T09:00:0{number}Z")
        assert (await post(api, body, "none", signature(body, key))).status == 200
    assert (await api.call("GET", "events")).json["totalRecords"] == "2"


async def test_r25_a_user_name_and_password_are_asked_for_where_they_are_set(api: Client) -> None:
    basic = {"userName": "docu", "password": "a password"}
    await relay(api, **basic)

    def sent(text: str) -> dict[str, str]:
        return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}

    for wrong in ({}, sent("docu:another"), sent(""), {"Authorization": "Bearer x"}):
        answer = await post(api, body_of(), **wrong)
        assert (answer.status, answer.error) == (401, "RELAY_MESSAGE_REFUSED")
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert (await post(api, body_of(), "wrong", **sent("docu:a password"))).status == 401
    assert (await post(api, body_of(), **sent("docu:a password"))).status == 200
    # What was wrong may have been a slip of the right one: it is not kept.
    assert "another" not in json.dumps(await refusals(api))


async def test_r25_a_signed_message_that_is_none_is_refused_and_kept(api: Client) -> None:
    await relay(api)
    answer = await post(api, b"hello")
    assert (answer.status, answer.error) == (400, "INVALID_REQUEST_BODY")
    assert [one["content"] for one in await refusals(api)] == ["hello"]


async def test_a_relay_that_there_is_not_tells_nothing(api: Client) -> None:
    await relay(api)
    account_id, nothing = api.credentials.account_id, (await api.call("POST", "/nothing", {})).json
    for path in (
        f"/relay/{account_id}/other",
        f"/relay/{ACCOUNT}/docusign",
        f"/relay/{account_id}/a%00b",
        "/relay/x/docusign",
        "/relay/docusign",
    ):
        answer = await api.call("POST", path, {})
        assert (answer.status, answer.json) == (404, nothing)
    answer = await api.call("GET", f"/relay/{account_id}/docusign")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_r25_what_is_refused_is_bounded(relayed: Client) -> None:
    found = await relayed.server.store.relays.get(relayed.credentials.account_id, "docusign")
    assert found is not None
    assert (await post(relayed, body_of(), "wrong")).status == 401
    assert (await post(relayed, body_of(), "wrong")).status == 401  # at once: counted alone
    assert len(await refusals(relayed)) == 1
    assert (await relayed.call("DELETE", "relays/docusign")).status == 200


@pytest.mark.parametrize("failing", ["keep", "accept"])
async def test_r25_nothing_is_answered_200_that_is_not_committed(
    relayed: Client,
    listener: LoopbackListener,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
) -> None:
    await relayed.configure(f"{listener.base}/verbatim", verbatim="true")
    store: Any = relayed.server.store

    async def fail(*_: Any, **__: Any) -> None:
        raise StorageUnavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(store.relays if failing == "keep" else store, failing, fail)
        answer = await post(relayed, body_of())
        assert answer.status == 503
    assert (await relayed.call("GET", "events")).json["totalRecords"] == "0"
    assert (await post(relayed, body_of(retryCount=1))).status == 200
    (came,) = await arrived(listener, 1)
    assert came.body == body_of(retryCount=1)


@pytest.mark.parametrize("failing", ["a part", "the event"])
async def test_r25_a_try_that_failed_leaves_no_bytes(
    relayed: Client, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    store: Any = relayed.server.store
    keep, of_part = store.relays.keep, failing == "a part"

    async def fail(*given: Any, **_: Any) -> None:
        if not of_part:
            raise InvalidBody("It would make too many deliveries.")
        if given[2]:  # the number of the part
            raise StorageUnavailable("the disk is full")
        await keep(*given)

    with monkeypatch.context() as patched:
        patched.setattr(*((store.relays, "keep") if of_part else (store, "accept")), fail)
        answer = await post(relayed, body_of(padding="x" * PART))
        assert answer.status == (503 if of_part else 400)
    assert await rows_of(store, "relay_message", "relay_part") == [0, 0]


async def test_r25_a_full_disk_is_not_the_listeners_fault(
    relayed: Client, listener: LoopbackListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    await relayed.configure(f"{listener.base}/verbatim", verbatim="true")

    def full(**_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(verbatim, "_HELD", 0)
    monkeypatch.setattr(verbatim, "tempfile", SimpleNamespace(TemporaryFile=full))
    assert (await post(relayed, body_of())).status == 200
    async with hang(10):
        found: dict[str, Any] = {}
        while "error" not in found:
            (found,) = (await relayed.call("GET", "deliveries")).json["deliveries"]
    assert found["deliveryState"] == "waiting"
    assert found["error"] == "claim: no bytes: [Errno 28] No space left on device"
    assert listener.received == []


async def test_r25_what_is_not_on_disk_in_time_is_answered_503_and_a_repeat_finds_it(
    relayed: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: Any = relayed.server.store
    accept, slow = store.accept, asyncio.Event()

    async def wait(*given: Any, **named: Any) -> Any:
        await slow.wait()
        return await accept(*given, **named)

    monkeypatch.setattr(relaying, "ANSWERED_WITHIN", 0.05)
    monkeypatch.setattr(relaying, "_TO_STORE", 0.05)
    with monkeypatch.context() as patched:
        patched.setattr(store, "accept", wait)
        assert (await post(relayed, body_of())).status == 503
        slow.set()
        async with hang(10):
            while (await relayed.call("GET", "events")).json["totalRecords"] != "1":
                pass
    monkeypatch.undo()
    assert (await post(relayed, body_of(retryCount=1))).status == 200
    assert (await relayed.call("GET", "events")).json["totalRecords"] == "1"


async def test_r25_a_message_above_the_setting_is_answered_413(tmp_path: Path) -> None:
    async with serving(tmp_path, relay_mib=1) as api:
        await relay(api)
        body = body_of(padding="x" * 2**20)
        answer = await post(api, body)
        assert (answer.status, answer.error) == (413, "REQUEST_ENTITY_TOO_LARGE")
        waits = await post(api, body, Expect="100-continue")
        assert waits.status == 413


async def test_s15_a_message_that_goes_round_is_refused(api: Client) -> None:
    await relay(api)
    answer = await post(api, body_of(), X_Heliograph_Hops="5")
    assert answer.error == "LOOP_DETECTED"


async def test_r25_a_delivery_that_failed_is_republished_as_it_came(
    relayed: Client, listener: LoopbackListener
) -> None:
    listener.status = 500
    await relayed.configure(f"{listener.base}/verbatim", verbatim="true", retrySchedule=["86400"])
    assert (await post(relayed, body_of())).status == 200
    await arrived(listener, 1)
    async with hang(10):
        while (await relayed.call("GET", "failures")).json["totalRecords"] != "1":
            pass
    listener.status = 200
    again = await relayed.call("PUT", "envelopes/env-1/retry_queue", {"synchronous": "true"})
    assert again.status == 200
    first, second = await arrived(listener, 2)
    assert first.body == second.body == body_of()


async def test_what_is_published_goes_to_a_verbatim_configuration_as_ever(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(f"{listener.base}/verbatim", verbatim="true")
    forged = published(heliographRelayed={"messageId": "x", "size": 3, "headers": []})
    assert (await api.call("POST", "events", forged)).status == 202
    (came,) = await arrived(listener, 1)
    assert json.loads(came.body)["event"] == "envelope-sent"
