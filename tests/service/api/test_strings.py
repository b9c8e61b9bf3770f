"""S12: awkward text in every field that a caller sets is kept as it is, or refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from lxml import etree

from heliograph.wire.codec import encode_xml
from heliograph.wire.rest import ConnectCustomConfiguration
from tests.listener import LoopbackListener, listening
from tests.naughty import ESC, STRINGS, SURROGATES
from tests.operations import NAMES
from tests.process import Server, started

NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

FREE = (
    *("name", "userName", "externalFolderId", "externalFolderLabel", "salesforceApiVersion"),
    *("salesforceCallBackUrl", "senderOverride", "soapNamespace", "configurationType"),
)
"""Fields of a configuration that hold any text, and show it again."""

CHECKED = (
    *("allUsers", "deliveryMode", "deliveryOrder", "maxPerSecond", "retrySchedule", "pausePublish"),
    *("urlToPublishTo", "certificateAuthorities", "connectId", "userIds", "events", "groupIds"),
    *("senderSelectableItems", "envelopeEvents", "password", "includeDocuments"),
)
"""Fields that have a meaning, a list's or a secret's."""


@pytest.fixture(params=["sqlite", "postgres"], scope="module")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    options: tuple[str, ...] = ()
    if request.param == "postgres":
        from tests.conftest import new_database  # noqa: PLC0415

        database = new_database(request.getfixturevalue("postgres"), "template0")
        options = ("--database-url", database)
    with started(tmp_path_factory.mktemp("strings"), *options) as running:
        yield running


@pytest.fixture
async def listener() -> AsyncIterator[LoopbackListener]:
    async with listening() as opened:
        yield opened


def configuration(**fields: Any) -> dict[str, Any]:
    return {"urlToPublishTo": "http://127.0.0.1:4999/", "name": "a", **fields}


def stored(server: Server, connect_id: str) -> dict[str, Any]:
    (found,) = server.call("GET", connect_id).json["configurations"]
    assert isinstance(found, dict)
    return found


PARTS = 4
"""Of the tests that make several calls for each string."""


@pytest.mark.parametrize("part", range(PARTS))
def test_s12_free_text_of_a_configuration_is_kept_as_it_is(server: Server, part: int) -> None:
    for text in STRINGS[part::PARTS]:
        fields = dict.fromkeys(FREE, text)
        made = server.call("POST", "", configuration(**fields))
        if made.status == 400:
            # One of the fields refuses it: the others do not.
            _one_by_one(server, text)
            continue
        assert made.status == 201, (text[:80], made.body[:300])
        shown = stored(server, made.json["connectId"])
        assert {name: shown.get(name) for name in FREE} == fields, text[:80]
        assert server.call("DELETE", made.json["connectId"]).status == 200
    for text in (*SURROGATES, "a\0b"):
        assert server.call("POST", "", configuration(name=text)).status == 400


def _one_by_one(server: Server, text: str) -> None:
    for name in FREE:
        made = server.call("POST", "", configuration(**{name: text}))
        assert made.status in (201, 400), (name, text[:80])
        if made.status == 201:
            assert stored(server, made.json["connectId"])[name] == text
        else:
            assert "\0" in text, (name, text[:80])


@pytest.mark.parametrize("part", range(PARTS))
def test_s12_text_where_something_else_belongs_is_kept_or_refused(
    server: Server, part: int
) -> None:
    for text in (*STRINGS[::5], *SURROGATES)[part::PARTS]:
        for name in CHECKED:
            made = server.call("POST", "", configuration(**{name: text}))
            assert made.status in (201, 400), (name, text[:80], made.body[:300])
            assert server.call(
                "PUT", "", configuration(**{name: text, "connectId": text})
            ).status in (
                400,
                404,
            )


def test_s12_the_same_text_comes_in_by_xml(server: Server) -> None:
    for text in STRINGS[::4]:
        if NOT_IN_XML.search(text):
            continue
        body = encode_xml(
            ConnectCustomConfiguration(
                name=text, user_name=text, url_to_publish_to="http://127.0.0.1:4999/"
            )
        )
        made = server.call("POST", "", body, Content_Type="application/xml")
        assert made.status == 201, (text[:80], made.body[:300])
        shown = stored(server, made.json["connectId"])
        assert (shown["name"], shown["userName"]) == (text, text)
        server.call("DELETE", made.json["connectId"])


def test_s12_listings_stay_well_formed_in_json_and_xml(server: Server) -> None:
    texts = [*STRINGS[1:130], *STRINGS[-90:-20]]
    ids = {}
    for text in texts:
        ids[server.call("POST", "", configuration(name=text)).json["connectId"]] = text
    listed = server.call("GET", "").json["configurations"]
    found = {one["connectId"]: one.get("name", "") for one in listed}
    assert {key: found[key] for key in ids} == ids
    document = etree.fromstring(server.call("GET", "", Accept="application/xml").body)
    space = "{http://www.docusign.com/restapi}"
    shown = {
        one.findtext(f"{space}connectId"): one.findtext(f"{space}name")
        for one in document.iter(f"{space}connectCustomConfiguration")
    }
    for key, text in ids.items():
        assert shown[key] == NOT_IN_XML.sub("\ufffd", text), text[:80]
        server.call("DELETE", key)


def event(number: int, text: str) -> dict[str, Any]:
    return {
        "event": "envelope-sent",
        "data": {
            "envelopeId": f"strings-{number}",
            "envelopeSummary": {
                "status": text,
                "emailSubject": text,
                "voidedReason": text,
                "sender": {"userName": text, "email": text, "userId": text},
            },
            text: text,
        },
    }


async def test_s12_text_of_an_event_arrives_as_it_was_and_shows_safely(
    server: Server, listener: LoopbackListener
) -> None:
    common = {"allowEnvelopePublish": "true", "allUsers": "true", "enableLog": "true"}
    common |= {"events": ["envelope-sent"]}  # type: ignore[dict-item]
    made = server.call("POST", "", configuration(**common | {"urlToPublishTo": listener.base}))
    broken = server.call("POST", "", configuration(**common))
    assert (made.status, broken.status) == (201, 201)
    sent: dict[str, str] = {}
    for start in range(0, len(STRINGS), 100):
        texts = dict(enumerate(STRINGS[start : start + 100], start))
        reply = server.call("POST", "events", [event(at, text) for at, text in texts.items()])
        assert reply.status == 202, (start, reply.body[:300])
        sent |= {f"strings-{at}": text for at, text in texts.items()}
    for text in SURROGATES:
        assert server.call("POST", "events", event(0, text)).status == 400
    # How long 1,100 deliveries take is not what is asked: pytest ends a wait without end.
    await listener.until(lambda received: len(received) >= len(STRINGS), None)
    for one in listener.received:
        data = one.message["data"]
        text = sent[data["envelopeId"]]
        assert data["envelopeSummary"]["emailSubject"] == text
        assert data["envelopeSummary"]["sender"]["email"] == text
        assert data[text] == text
    _look_at_logs(server, sent)
    _look_at_commands(server)
    for line in server.log.read_bytes().split(b"\n"):
        if line:
            assert isinstance(json.loads(line), dict)
            assert not ACTIVE.search(line.decode()), line[:300]
    for key in (made, broken):
        server.call("DELETE", key.json["connectId"])


def _look_at_logs(server: Server, sent: dict[str, str]) -> None:
    listed: list[dict[str, str]] = []
    while {one["envelopeId"] for one in listed} != set(sent):
        listed = server.call("GET", "logs?count=2000").json["logs"]
    for one in listed:
        text = sent[one["envelopeId"]]
        # Text that PostgreSQL cannot hold is shown as XML shows it; messages carry it.
        shown = text.replace("\0", "\ufffd")[:500]
        assert (one.get("subject"), one.get("email")) == (shown, shown), text[:80]
    etree.fromstring(server.call("GET", "logs?count=2000", Accept="application/xml").body)
    lines = server.call("GET", "logs?count=2000", Accept="application/x-ndjson").body
    found = {json.loads(line)["logId"] for line in lines.split(b"\n")[:-1]}
    assert found >= {one["logId"] for one in listed}  # more comes in meanwhile


def _look_at_commands(server: Server) -> None:
    data = server.log.parent / "data"
    for words in (
        ("logs", "list", "--count", "600"),
        ("logs", "list", "--count", "600", "--json"),
        ("failures", "list"),
        ("failures", "list", "--json"),
        ("failures", "export", "-"),
        ("configurations", "list"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "heliograph.cli", *words, "--data-dir", data],
            capture_output=True,
            check=False,
            env={**os.environ, "COLUMNS": "200"},
        )
        shown = (done.stdout + done.stderr).decode()
        assert done.returncode == 0, (words, shown[:300])
        assert ESC not in shown
        found = ACTIVE.search(shown)
        assert found is None, (words, found)


@pytest.mark.parametrize("part", range(PARTS))
def test_s12_ids_in_bodies_paths_and_headers_are_kept_or_refused(server: Server, part: int) -> None:
    for text in STRINGS[part::PARTS]:
        body = {"event": "envelope-sent", "data": {"envelopeId": text}, "eventId": text}
        reply = server.call("POST", "events", body)
        assert reply.status in (202, 400, 409), (text[:80], reply.body[:300])
        if reply.status == 202:
            (made,) = reply.json["events"]
            assert (made["envelopeId"], made["eventId"]) == (text, text)
        path = quote(text[:500], safe="")
        found = server.call("PUT", f"envelopes/{path}/retry_queue")
        assert found.status in ((200,) if reply.status == 202 else (200, 400, 404)), text[:80]


@pytest.mark.parametrize("name", NAMES)
def test_s12_filters_take_any_text_or_refuse_it(server: Server, name: str) -> None:
    for text in (*STRINGS[::3], *SURROGATES):
        value = quote(text[:400].encode("utf-8", "surrogatepass"), safe="")
        for listing in ("logs", "failures"):
            reply = server.call("GET", f"{listing}?{name}={value}&count=1")
            if name == "count":
                reply = server.call("GET", f"{listing}?{name}={value}")
            assert reply.status in (200, 400), (name, text[:80], reply.body[:300])


@pytest.mark.parametrize("part", range(PARTS))
def test_s12_parts_of_a_path_that_name_nothing_are_not_found(server: Server, part: int) -> None:
    for text in (*STRINGS[::2], *SURROGATES)[part::PARTS]:
        value = quote(text[:400].encode("utf-8", "surrogatepass"), safe="")
        for path in (f"{value}", f"logs/{value}", f"failures/{value}", f"secret/{value}"):
            reply = server.call("DELETE" if "secret" in path else "GET", path)
            assert reply.status in (400, 404, 405) or not text.strip(), (path[:80], reply.status)
            assert reply.error


def test_s12_idempotency_keys_are_kept_or_refused(server: Server) -> None:
    for number, text in enumerate(STRINGS):
        try:
            text.encode("latin-1")
        except UnicodeEncodeError:
            continue
        if re.search(r"[\x00-\x1f\x7f]", text) or len(text) > 10_000:
            continue  # no client can send it: test_raw_http.py does
        body = {"event": "envelope-sent", "data": {"envelopeId": f"key-{number}"}}
        reply = server.call("POST", "events", body, Idempotency_Key=text)
        assert reply.status in (202, 400), (text[:80], reply.body[:300])


def test_there_are_about_500_strings() -> None:
    assert 480 <= len(STRINGS) <= 700
