"""The API over real sockets: publish to failure log and back, filters, bad input."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hmac
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from lxml import etree

from heliograph.api import failures as operations
from tests.busy import hang
from tests.listener import LoopbackListener
from tests.server import Client, serving
from tests.support import published

EXTENSIONS = {"cause", "deliveryState", "nextTry"}
PAGE_FIELDS = {
    "accountId",
    "configUrl",
    "connectId",
    "created",
    "email",
    "envelopeId",
    "error",
    "failureId",
    "failureUri",
    "lastTry",
    "logId",
    "logUri",
    "retryCount",
    "retryUri",
    "status",
    "subject",
    "userName",
}


async def records(api: Client, kind: str, count: int, query: str = "") -> list[dict[str, str]]:
    """A listing, as soon as it has `count` records; each settlement tells to look again."""
    async with hang(20):
        while True:
            settled = api.server.signals.next_settled()
            found: list[dict[str, str]] = (await api.call("GET", f"{kind}{query}")).json[kind]
            if len(found) == count:
                return found
            await settled.wait()


async def test_an_event_goes_from_publish_to_the_failure_log_and_back(
    api: Client, listener: LoopbackListener
) -> None:
    connect_id = await api.configure(listener.base + "/hook")
    listener.status = 500
    answer = await api.call("POST", "events", published())
    assert answer.status == 202
    (event,) = answer.json["events"]
    assert (event["deliveries"], event["skipped"], event["envelopeId"]) == ("1", [], "env-1")

    (failure,) = await records(api, "failures", 1)
    assert set(failure) == PAGE_FIELDS | EXTENSIONS
    assert failure["connectId"] == connect_id
    assert failure["error"].startswith("status: 500 Internal Server Error")
    assert (failure["status"], failure["subject"], failure["userName"], failure["email"]) == (
        "Sent",
        "Lease of 12 Harbour Street",
        "Ada Lovelace",
        "ada@example.com",
    )
    (log,) = await records(api, "logs", 1)
    assert log["failureId"] == failure["failureId"]

    listener.status = 200
    retried = await api.call("PUT", failure["retryUri"])
    assert retried.json["retryQueue"] == [
        {
            "configId": connect_id,
            "configUrl": listener.base + "/hook",
            "envelopeId": "env-1",
            "status": "queued",
            "statusMessage": "Queued: the next try is due now.",
        }
    ]
    await records(api, "failures", 0)
    newest, oldest = await records(api, "logs", 2)
    assert "error" not in newest
    assert (newest["retryCount"], oldest["retryCount"]) == ("1", "0")


async def test_the_uris_of_a_failure_and_a_log_work_when_followed(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(listener.base)
    listener.status = 503
    await api.call("POST", "events", published(envelope_id="env 1/a?b#ü"))
    (failure,) = await records(api, "failures", 1)
    (log,) = await records(api, "logs", 1)

    for prefix in ("", "/restapi"):
        assert (await api.call("GET", prefix + failure["failureUri"])).json == failure
        assert (await api.call("GET", prefix + log["logUri"])).json == log
    for prefix in ("", "/restapi"):
        assert (await api.call("PUT", prefix + failure["retryUri"])).status == 200
    assert (await api.call("DELETE", failure["failureUri"])).json == {}
    assert (await api.call("GET", failure["failureUri"])).error == "RESOURCE_NOT_FOUND"


async def test_a_log_entry_shows_the_whole_exchange_when_asked(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(listener.base, name="crm")
    listener.status = 500
    await api.call("POST", "events", published())
    (log,) = await records(api, "logs", 1)
    (failure,) = await records(api, "failures", 1)
    plain = await api.call("GET", f"logs/{log['logId']}")
    assert "connectDebugLog" not in plain.json

    for path in (f"logs/{log['logId']}", f"failures/{failure['failureId']}"):
        full = await api.call("GET", f"{path}?additional_info=true")
        sent, came_back = full.json["connectDebugLog"]
        assert sent["payload"].encode() == listener.received[0].body
        assert sent["connectConfig"] == "crm"
        assert came_back["payload"].startswith("HTTP/1.1 500 Internal Server Error\n")
        assert came_back["payload"].endswith("\n\nlistener is broken")
        assert came_back["errorDetails"]["errorCode"] == "STATUS"


async def test_every_active_key_signs_the_exact_bytes(
    api: Client, listener: LoopbackListener
) -> None:
    secrets = [(await api.call("POST", "secret")).json for _ in range(5)]
    assert (await api.call("DELETE", f"secret/{secrets[1]['keyId']}")).status == 200
    listed = (await api.call("GET", "secret")).json["secrets"]
    assert [one["keyId"] for one in listed] == [
        one["keyId"] for n, one in enumerate(secrets) if n != 1
    ]
    assert [one["secret"] for one in listed] == [
        one["secret"][:4] + "********" for n, one in enumerate(secrets) if n != 1
    ]
    await api.configure(listener.base, includeHMAC="true")
    await api.call("POST", "events", published())
    await listener.until(lambda received: len(received) == 1)

    (received,) = listener.received
    assert received.header("X-Authorization-Digest") == "HMACSHA256"
    active = [one["secret"] for n, one in enumerate(secrets) if n != 1]
    for position, secret in enumerate(active, start=1):
        mac = hmac.digest(secret.encode(), received.body, "sha256")
        given = received.header(f"X-DocuSign-Signature-{position}")
        assert given == base64.b64encode(mac).decode()
    assert received.header("X-DocuSign-Signature-5") is None


async def test_fidelity_index_of_an_hmac_key_names_it_beside_its_id(api: Client) -> None:
    ids = [(await api.call("POST", "secret")).json["keyId"] for _ in range(3)]
    for nowhere in ("0", "4", "-1", "1.0", "9" * 30, "\u0661"):
        assert (await api.call("DELETE", f"secret/{nowhere}")).error == "RESOURCE_NOT_FOUND"
    deleted = await api.call("DELETE", f"{api.account.replace('v2.1', 'v2')}/connect/secret/2")
    assert (deleted.status, deleted.body) == (200, b"")
    left = (await api.call("GET", "secret")).json["secrets"]
    assert [one["keyId"] for one in left] == [ids[0], ids[2]]
    assert (await api.call("DELETE", "secret/2")).status == 200  # the last is the second now
    left = (await api.call("GET", "secret")).json["secrets"]
    assert [one["keyId"] for one in left] == ids[:1]


async def test_fidelity_truncated_hmac_secrets_are_listed(api: Client) -> None:
    made = (await api.call("POST", "secret")).json
    (listed,) = (await api.call("GET", "secret")).json["secrets"]
    assert listed == made | {"secret": made["secret"][:4] + "********"}


async def test_r2_a_repeated_call_with_an_idempotency_key_adds_nothing(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(listener.base)
    batch = [published(envelope_id="env-1"), published(envelope_id="env-2")]
    answers = await asyncio.gather(
        *(api.call("POST", "events", batch, Idempotency_Key="run-7") for _ in range(20))
    )
    ids = {tuple(event["eventId"] for event in answer.json["events"]) for answer in answers}
    assert len(ids) == 1
    await records(api, "logs", 2)
    assert len(listener.received) == 2


async def test_r2_a_key_repeats_a_call_in_whatever_form_it_comes_again(api: Client) -> None:
    await api.configure("http://127.0.0.1:4999/")
    batch = [published(envelope_id="env-1", data={"envelopeId": "env-1", "sum": 1, "to": "\u00e9"})]
    batch.append(published(envelope_id="env-2"))
    first = await api.call("POST", "events", batch, Idempotency_Key="run-7")
    turned = [dict(reversed(list(event.items()))) for event in batch]
    lines = "\n\n".join(json.dumps(event, ensure_ascii=False) for event in turned)
    again = await api.call(
        "POST",
        "events",
        data=lines.replace('"sum": 1,', '"sum": 1.0,').encode(),
        Content_Type="application/x-ndjson",
        Idempotency_Key="run-7",
    )
    ids = [event["eventId"] for event in first.json["events"]]
    assert [(event["eventId"], event["repeated"]) for event in again.json["events"]] == [
        (event_id, "true") for event_id in ids
    ]
    hook = {"url": "http://127.0.0.1:4998/", "events": ["envelope-sent"]}
    more = [{**batch[0], "eventNotification": hook}, batch[1]]
    refused = await api.call("POST", "events", more, Idempotency_Key="run-7")
    assert (refused.status, refused.error) == (409, "EVENT_ID_CONFLICT")


async def test_r2_a_client_event_id_is_kept_and_a_different_event_under_it_refused(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(listener.base)
    first = await api.call("POST", "events", published(eventId="mine-1"))
    again = await api.call("POST", "events", published(eventId="mine-1", retryCount=3))
    assert first.json["events"][0]["eventId"] == again.json["events"][0]["eventId"] == "mine-1"
    assert again.json["events"][0]["repeated"] == "true"

    other = await api.call("POST", "events", published("envelope-completed", eventId="mine-1"))
    assert (other.status, other.error) == (409, "EVENT_ID_CONFLICT")


async def test_ndjson_and_arrays_are_published_and_a_bad_line_is_named(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(listener.base)
    lines = b"\n".join(json.dumps(published(envelope_id=f"env-{n}")).encode() for n in range(3))
    answer = await api.call(
        "POST", "events", data=lines + b"\n", Content_Type="application/x-ndjson"
    )
    assert answer.json["totalRecords"] == "3"

    broken = await api.call(
        "POST", "events", data=lines + b"\n{oops}", Content_Type="application/x-ndjson"
    )
    assert (broken.status, broken.error) == (400, "INVALID_REQUEST_BODY")
    assert "Line 4" in broken.json["message"]
    await records(api, "logs", 3)


async def test_each_skipped_configuration_is_told_with_its_reason(api: Client) -> None:
    await api.configure("http://127.0.0.1:4999/", name="off", allowEnvelopePublish="false")
    await api.configure("http://127.0.0.1:4999/", name="voided", events=["envelope-voided"])
    await api.configure(
        "http://127.0.0.1:4999/", name="users", allUsers="false", userIds=["user-2"]
    )
    answer = await api.call("POST", "events", published())
    (event,) = answer.json["events"]
    assert event["deliveries"] == "0"
    assert {skip["name"]: skip["reason"] for skip in event["skipped"]} == {
        "off": "allowEnvelopePublish is false",
        "voided": "envelope-sent is not among its events",
        "users": "user user-1 is not in userIds and allUsers is false",
    }
    assert event["skippedCount"] == "3"


async def test_of_many_skipped_configurations_ten_are_told_or_all_where_somebody_asks(
    api: Client,
) -> None:
    for number in range(12):
        await api.configure("http://127.0.0.1:4999/", name=str(number), events=["envelope-voided"])
    for query, shown in (("", 10), ("?explain=false", 10), ("?Explain=TRUE", 12)):
        answer = await api.call("POST", f"events{query}", published())
        (event,) = answer.json["events"]
        assert event["skippedCount"] == "12"
        assert [skip["name"] for skip in event["skipped"]] == [str(n) for n in range(shown)]
    refused = await api.call("POST", "events?explain=all", published())
    assert (refused.status, refused.error) == (400, "INVALID_REQUEST_PARAMETER")


async def test_what_is_listed_after_a_publish_has_what_was_changed_since(api: Client) -> None:
    async def names() -> list[str]:
        listed = (await api.call("GET", api.connect)).json
        assert listed["totalRecords"] == str(len(listed["configurations"]))
        return [one["name"] for one in listed["configurations"]]

    ids = [
        await api.configure("http://127.0.0.1:4999/", name=name)
        for name in ("same", "changed", "gone")
    ]
    assert await names() == ["same", "changed", "gone"]
    await api.call("POST", "events", published())
    assert await names() == ["same", "changed", "gone"]
    await api.call("PUT", api.connect, {"connectId": ids[1], "name": "new"})
    await api.call("DELETE", ids[2])
    await api.configure("http://127.0.0.1:4999/", name="later")
    assert await names() == ["same", "new", "later"]


async def test_lists_come_as_on_the_page_in_xml(api: Client, listener: LoopbackListener) -> None:
    await api.configure(listener.base)
    listener.status = 500
    await api.call("POST", "events", published())
    await records(api, "failures", 1)

    answer = await api.call("GET", "failures", Accept="application/xml")
    assert answer.headers["Content-Type"].startswith("application/xml")
    root = etree.fromstring(answer.body)
    space = "{http://www.docusign.com/restapi}"
    assert root.tag == f"{space}connectLogs"
    assert [child.tag for child in root] == [
        f"{space}{name}" for name in ("failures", "logs", "totalRecords", "type")
    ]
    (failure,) = root[0]
    assert failure.tag == f"{space}connectLog"
    names = [etree.QName(child).localname for child in failure]
    assert names == sorted(names, key=str.lower)
    assert set(names) == PAGE_FIELDS


async def test_pages_follow_the_link_header_and_filters_stay(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(listener.base)
    listener.status = 500
    events = [published(envelope_id=f"env-{n}") for n in range(5)]
    await api.call("POST", "events", events)
    whole = await records(api, "failures", 5, "?order=asc&status=sent")

    path, seen = f"{api.connect}/failures?order=asc&status=sent&count=2", []
    while path:
        page = await api.call("GET", path)
        seen += page.json["failures"]
        assert page.json["totalRecords"] == str(len(page.json["failures"]))
        path = page.headers.get("Link", "<>").split(">")[0].removeprefix("<")
    assert seen == whole


async def test_a_selection_streams_as_ndjson(
    api: Client, listener: LoopbackListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "_LINES_PAGE", 50)  # many pages of few
    for place in range(12):  # a listener that fails gets one message at a time
        await api.configure(f"{listener.base}/{place}")
    listener.status = 500
    events = [published(envelope_id=f"env-{n}") for n in range(10)]
    await api.call("POST", "events", events)
    await records(api, "failures", 120)

    whole = await api.call("GET", "failures?order=asc", Accept="application/x-ndjson")
    lines = [json.loads(line) for line in whole.body.splitlines()]
    ids = [int(line["failureId"]) for line in lines]
    assert ids == sorted(set(ids))
    assert [line["envelopeId"] for line in lines[::12]] == [f"env-{n}" for n in range(10)]
    some = await api.call("GET", "failures?order=asc&count=70", Accept="application/x-ndjson")
    first = [json.loads(line)["failureId"] for line in some.body.splitlines()]
    assert first == [line["failureId"] for line in lines[:70]]


async def test_failures_are_republished_and_deleted_in_bulk(
    api: Client, listener: LoopbackListener
) -> None:
    # By itself nothing is tried again meanwhile: what is being sent is not queued.
    await api.configure(listener.base + "/a", retrySchedule=["3600"])
    await api.configure(listener.base + "/b", retrySchedule=["3600"])
    listener.status = 500
    await api.call("POST", "events", [published(envelope_id=f"env-{n}") for n in range(10)])
    await records(api, "failures", 20)
    listener.status = 200

    changed = await api.call("PUT", "failures/retry_queue?connect_id=1")
    assert changed.json == {"changed": "10", "unchanged": "0"}
    await records(api, "failures", 10)
    deleted = await api.call("DELETE", "failures?connect_id=2")
    assert deleted.json == {"changed": "10"}
    await records(api, "failures", 0)


async def test_a_synchronous_retry_answers_with_the_outcome(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(listener.base)
    listener.status = 500
    await api.call("POST", "events", published())
    await records(api, "failures", 1)
    body = {"envelopeIds": ["env-1", "env-unknown"], "synchronous": "true"}

    failed = await api.call("PUT", "envelopes/retry_queue", body)
    known, unknown = failed.json["retryQueue"]
    assert (known["status"], unknown["status"]) == ("failed", "not_found")
    assert known["statusMessage"].startswith("status: 500")

    listener.status = 200
    delivered = await api.call("PUT", "envelopes/retry_queue", body)
    assert delivered.json["retryQueue"][0]["status"] == "success"


async def test_the_retry_filter_is_read_from_xml_too(
    api: Client, listener: LoopbackListener
) -> None:
    await api.configure(listener.base)
    listener.status = 500
    await api.call("POST", "events", published())
    await records(api, "failures", 1)
    body = (
        b'<connectFailureFilter xmlns="http://www.docusign.com/restapi"><envelopeIds>'
        b"<envelopeId>env-1</envelopeId></envelopeIds></connectFailureFilter>"
    )
    answer = await api.call(
        "PUT", "envelopes/retry_queue", data=body, Content_Type="application/xml"
    )
    assert answer.json["retryQueue"][0]["status"] == "queued"


async def test_logs_are_deleted_one_by_one_and_all(api: Client, listener: LoopbackListener) -> None:
    await api.configure(listener.base)
    await api.call("POST", "events", [published(envelope_id=f"env-{n}") for n in range(3)])
    first, *_ = await records(api, "logs", 3)
    answer = await api.call("DELETE", f"logs/{first['logId']}")
    assert (answer.status, answer.body) == (200, b"")
    assert (await api.call("DELETE", f"logs/{first['logId']}")).status == 404
    assert (await api.call("DELETE", "logs")).status == 200
    assert await records(api, "logs", 0) == []


async def test_s8_a_token_of_another_account_finds_nothing_here(api: Client) -> None:
    other = "00000000-0000-4000-8000-000000000000"
    for account in (other, "2", "no-such-account"):
        answer = await api.call("GET", f"/restapi/v2.1/accounts/{account}/connect/failures")
        assert (answer.status, answer.error) == (404, "RESOURCE_NOT_FOUND")
    assert (await api.call("GET", "/v2.1/accounts/1/connect/failures")).status == 200


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("", "PARTNER_AUTHENTICATION_FAILED"),
        ("Bearer wrong", "AUTHORIZATION_INVALID_TOKEN"),
        ("Bearer", "AUTHORIZATION_INVALID_TOKEN"),
        ("Basic dXNlcjpwYXNz", "AUTHORIZATION_INVALID_TOKEN"),
    ],
)
async def test_without_a_valid_token_nothing_is_told(
    api: Client, authorization: str, code: str
) -> None:
    for path in ("failures", "logs/1", "events", "envelopes/retry_queue"):
        answer = await api.call("GET", path, Authorization=authorization)
        if path == "envelopes/retry_queue":
            assert (answer.status, answer.error) == (405, "METHOD_NOT_ALLOWED")
            assert answer.headers["Allow"] == "PUT"
            continue
        assert (answer.status, answer.error) == (401, code)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


BAD_QUERIES = [
    "from_date=yesterday",
    "to_date=2026-13-01",
    "from_date=2026-02-30T00:00:00Z",
    "from_date=0000-01-01",
    "count=0",
    "count=-1",
    "count=10001",
    "count=many",
    "cursor=forged",
    "cursor=MTIz",
    "order=sideways",
    "status=Lost",
    "connect_id=one",
    "connect_id=99999999999999999999",
]


@pytest.mark.parametrize("query", BAD_QUERIES)
async def test_a_bad_query_names_its_parameter(api: Client, query: str) -> None:
    for kind in ("failures", "logs"):
        answer = await api.call("GET", f"{kind}?{query}")
        assert (answer.status, answer.error) == (400, "INVALID_REQUEST_PARAMETER")
        assert answer.json["message"].startswith(query.split("=", maxsplit=1)[0])


BAD_EVENTS = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"5",
    b'"text"',
    b'{"event": "envelope-sent"}',
    b'{"event": "envelope-sent", "data": []}',
    b'{"event": 5, "data": {"envelopeId": "e"}}',
    b'{"event": "envelope-sent", "data": {"envelopeId": 7}}',
    b'{"event": "envelope-sent", "data": {"envelopeId": ""}}',
    b'{"event": "envelope-sent", "data": {"envelopeId": "e", "envelopeSummary": "x"}}',
    b'{"event": "envelope-sent", "generatedDateTime": "no date", "data": {"envelopeId": "e"}}',
    b'{"event": "envelope-sent", "generatedDateTime": 5, "data": {"envelopeId": "e"}}',
    b'{"event": "envelope-sent", "data": {"envelopeId": "\\ud800"}}',
    b'{"event": "envelope-sent", "data": {"envelopeId": "e", "x": NaN}}',
    b'{"event": "envelope-sent", "data": {"envelopeId": "\xff"}}',
    b"[" * 100_000,
    b'[{"event": "envelope-sent", "data": {"envelopeId": "e"}}, {}]',
]


@pytest.mark.parametrize("body", BAD_EVENTS, ids=lambda body: repr(body[:40]))
async def test_a_bad_event_is_refused_and_nothing_of_its_call_is_kept(
    api: Client, body: bytes
) -> None:
    await api.configure("http://127.0.0.1:4999/")
    answer = await api.call("POST", "events", data=body)
    assert (answer.status, answer.error) == (400, "INVALID_REQUEST_BODY")
    assert (await api.server.store.claim(10, 10)).claims == ()


BAD_CONFIGURATIONS = [
    (b"{", "application/json"),
    (b"", "application/json"),
    (b"[]", "application/json"),
    (b'{"name": {}}', "application/json"),
    (b'{"urlToPublishTo": "https://a.example.com/", "allUsers": "maybe"}', "application/json"),
    (b'{"urlToPublishTo": "https://a.example.com/", "userIds": {"a": 1}}', "application/json"),
    (b'{"name": "no url"}', "application/json"),
    (b"<connectCustomConfiguration>", "application/xml"),
    (b"<other/>", "application/xml"),
    (b"<!DOCTYPE x><connectCustomConfiguration/>", "application/xml"),
    (b'<?xml version="1.0" encoding="utf-7"?><connectCustomConfiguration/>', "text/xml"),
]


@pytest.mark.parametrize(("body", "content_type"), BAD_CONFIGURATIONS, ids=repr)
async def test_a_bad_configuration_is_refused(api: Client, body: bytes, content_type: str) -> None:
    answer = await api.call("POST", api.connect, data=body, Content_Type=content_type)
    assert (answer.status, answer.error) == (400, "INVALID_REQUEST_BODY")
    assert (await api.call("GET", api.connect)).json["totalRecords"] == "0"


async def test_other_bad_calls_have_their_own_codes(api: Client) -> None:
    calls = [
        (await api.call("GET", "/nowhere"), 404, "RESOURCE_NOT_FOUND"),
        (await api.call("PATCH", "failures"), 405, "METHOD_NOT_ALLOWED"),
        (await api.call("GET", "failures/abc"), 400, "INVALID_REQUEST_PARAMETER"),
        (await api.call("GET", "failures/7"), 404, "RESOURCE_NOT_FOUND"),
        (await api.call("DELETE", "failures/7"), 404, "RESOURCE_NOT_FOUND"),
        (await api.call("GET", "logs/7"), 404, "RESOURCE_NOT_FOUND"),
        (await api.call("GET", "7"), 404, "RESOURCE_NOT_FOUND"),
        (await api.call("DELETE", "7"), 404, "RESOURCE_NOT_FOUND"),
        (await api.call("PUT", api.connect, {"connectId": "7"}), 404, "RESOURCE_NOT_FOUND"),
        (await api.call("PUT", api.connect, {"name": "x"}), 400, "INVALID_REQUEST_BODY"),
        (await api.call("PUT", "envelopes/no/retry_queue"), 404, "ENVELOPE_DOES_NOT_EXIST"),
        (await api.call("PUT", "envelopes/retry_queue", {}), 400, "INVALID_REQUEST_BODY"),
        (await api.call("DELETE", "secret/none"), 404, "RESOURCE_NOT_FOUND"),
        (
            await api.call("POST", "events", published(), Content_Type="text/plain"),
            415,
            "INVALID_CONTENT_TYPE",
        ),
        (await api.call("GET", "failures", Accept="image/png"), 406, "NOT_ACCEPTABLE"),
        (
            await api.call("POST", "events", published(), Idempotency_Key="x" * 201),
            400,
            "INVALID_REQUEST_PARAMETER",
        ),
    ]
    assert [(reply.status, reply.error) for reply, _, _ in calls] == [
        (status, code) for _, status, code in calls
    ]


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "br", "identity, gzip", "GZIP", "none"])
async def test_s13_a_body_in_a_content_encoding_is_refused(api: Client, coding: str) -> None:
    packed = gzip.compress(json.dumps(published()).encode())
    for path, kind in (
        ("events", "application/json"),
        (api.connect, "application/xml"),
        ("/oauth/token", "application/x-www-form-urlencoded"),
    ):
        told = await api.call("POST", path, data=packed, Content_Encoding=coding, Content_Type=kind)
        assert told.status == 415
        assert told.json.get("errorCode", told.json.get("error")) in (
            "INVALID_CONTENT_TYPE",
            "invalid_request",
        )
    assert (
        await api.call("POST", "events", published(), Content_Encoding="Identity")
    ).status == 202
    assert (await api.call("GET", "failures", Content_Encoding=coding)).status == 200


async def test_s13_an_oversized_body_is_refused_before_it_is_read(api: Client) -> None:
    huge = await api.call("POST", "events", data=b" " * (25 * 2**20 + 1))
    assert (huge.status, huge.error) == (413, "REQUEST_ENTITY_TOO_LARGE")
    large = await api.call("POST", api.connect, data=b" " * (2**20 + 1))
    assert (large.status, large.error) == (413, "REQUEST_ENTITY_TOO_LARGE")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 2**16

    url = api.server.base_uri + api.connect
    token = api.credentials.access_token.reveal()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with api.session.post(url, data=chunks(), headers=headers) as answer:
        assert answer.status == 413


async def test_errors_come_in_xml_where_that_is_accepted(api: Client) -> None:
    answer = await api.call("GET", "failures?count=x", Accept="application/xml")
    root = etree.fromstring(answer.body)
    assert [etree.QName(child).localname for child in root] == ["errorCode", "message"]


async def test_a_listener_that_never_answers_ends_as_a_failure_with_its_phase(
    tmp_path: Path,
) -> None:
    opened: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: opened.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with serving(tmp_path, attempt_timeout=0.3) as api:
        await api.configure(f"http://127.0.0.1:{port}/")
        await api.call("POST", "events", published())
        (failure,) = await records(api, "failures", 1)
    silent.close()
    for writer in opened:
        writer.close()
    assert failure["error"].startswith("headers: ")


async def test_s1_a_public_server_refuses_private_listeners_when_they_are_saved(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, egress="public") as api:
        for url in ("http://127.0.0.1:8080/", "https://localhost/", "http://10.0.0.1/", "ftp://x"):
            answer = await api.call("POST", api.connect, {"urlToPublishTo": url})
            assert (answer.status, answer.error) == (400, "INVALID_REQUEST_PARAMETER")
            assert answer.json["message"].startswith("urlToPublishTo is refused")


async def test_s1_a_listener_saved_under_another_profile_is_refused_at_connect(
    tmp_path: Path, listener: LoopbackListener
) -> None:
    async with serving(tmp_path) as api:
        await api.configure(listener.base)
    async with serving(tmp_path, egress="public") as api:
        await api.call("POST", "events", published())
        (failure,) = await records(api, "failures", 1)
    assert failure["error"].startswith("refused address: ")
    assert listener.received == []


async def test_health_needs_no_token(api: Client) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await api.call("GET", path, Authorization="")).status == 200


async def test_a_full_sim_message_arrives_whole_with_a_signature_that_holds(
    api: Client, listener: LoopbackListener
) -> None:
    # Every field of DocuSign's published sample, with values of ours.
    document = json.loads(Path(__file__).with_name("sim_message.json").read_bytes())
    secret = (await api.call("POST", "secret")).json["secret"]
    connect_id = await api.configure(listener.base)
    answer = await api.call("POST", "events", document)
    assert answer.json["events"][0]["deliveries"] == "1"
    await listener.until(lambda received: len(received) == 1)

    (received,) = listener.received
    assert received.message == {
        **document,
        "configurationId": int(connect_id),
        "retryCount": 0,
    }
    assert list(received.message) == list(document)
    mac = hmac.digest(secret.encode(), received.body, "sha256")
    assert received.header("X-DocuSign-Signature-1") == base64.b64encode(mac).decode()
    (log,) = await records(api, "logs", 1)
    assert (log["status"], log["envelopeId"]) == ("Completed", document["data"]["envelopeId"])


async def test_the_next_try_is_shown_wherever_a_failure_is(
    api: Client, listener: LoopbackListener
) -> None:
    connect_id = await api.configure(listener.base, retrySchedule="600")
    listener.status = 500
    await api.call("POST", "events", published())
    (failure,) = await records(api, "failures", 1)
    assert failure["deliveryState"] == "waiting"
    last, following = (datetime.fromisoformat(failure[at][:26]) for at in ("lastTry", "nextTry"))
    assert 600 <= (following - last).total_seconds() < 660
    (entry,) = await records(api, "logs", 1)
    one = (await api.call("GET", f"failures/{failure['failureId']}")).json
    assert entry["nextTry"] == one["nextTry"] == failure["nextTry"]

    as_xml = await api.call("GET", "failures", Accept="application/xml;extensions=true")
    assert f"<h:nextTry>{failure['nextTry']}</h:nextTry>" in as_xml.body.decode()
    lines = await api.call("GET", "failures", Accept="application/x-ndjson")
    assert json.loads(lines.body)["nextTry"] == failure["nextTry"]

    paused = {"connectId": connect_id, "pausePublish": "true"}
    await api.call("PUT", api.connect, paused)
    (held,) = await records(api, "failures", 1)
    assert (held["deliveryState"], "nextTry" in held) == ("held", False)
    assert held["heldReason"] == "paused"
    assert held["error"] == (
        f"{failure['error']} - This event was skipped due to the configuration being paused."
    )
    (entry,) = await records(api, "logs", 1)
    assert (entry["heldReason"], entry["error"]) == ("paused", failure["error"])

    off = {"connectId": connect_id, "pausePublish": "false", "allowEnvelopePublish": "false"}
    await api.call("PUT", api.connect, off)
    (held,) = await records(api, "failures", 1)
    assert held["heldReason"] == "disabled"

    await api.call("PUT", api.connect, off | {"allowEnvelopePublish": "true"})
    (again,) = await records(api, "failures", 1)
    assert again == failure
