"""Samples of every event in every format, stories in their order, and PDFs that readers read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from heliograph.cli.exits import Stop
from heliograph.cli.posting import Listener, composed
from heliograph.model.accounts import Secret
from heliograph.wire import dates, docusign
from heliograph.wire.samples.changes import BadValue, NoSuchPath, change, near, paths
from heliograph.wire.samples.envelope import Scene
from heliograph.wire.samples.messages import TELLS_NO_ENVELOPE, sample, story
from heliograph.wire.samples.pdf import Unfit, pdf
from heliograph.wire.samples.posts import ACCOUNT, FORMATS, NUMBERS
from heliograph.wire.samples.stories import EXPIRED, STORIES

TESTS = Path(__file__).parents[3]
SCHEMA = etree.XMLSchema(etree.parse(TESTS / "golden" / "envelope-information.xsd"))
PUBLISHED = json.loads((TESTS / "service" / "api" / "sim_message.json").read_bytes())
"""The names of all fields of DocuSign's published sample, with values of their kind."""

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
SCENE = Scene("3f0b8c52-6a0e-4b5a-9d9c-7f1f0f1f2e3d", ACCOUNT, documents=4000)
KEYS = ("first key", "zweiter Schlüssel")
ABOUT_NONE = tuple(kind for kind in TELLS_NO_ENVELOPE if kind != "template-")


def listener(form: str) -> Listener:
    keys = [Secret(key) for key in KEYS]
    return Listener("https://listener.example.com/", form, documents=True, keys=keys)


def differences(value: Any, known: Any, path: str = "") -> list[str]:
    """Where a message has what DocuSign's sample has not, or has it of another kind."""
    match value, known:
        case dict(), dict():
            unknown = [f"{path}.{name}" for name in value.keys() - known.keys()]
            shared = value.keys() & known.keys()
            below = [differences(value[name], known[name], f"{path}.{name}") for name in shared]
            return [*unknown, *(found for some in below for found in some)]
        case list(), list():
            return [found for item in value for found in differences(item, known[0], f"{path}[]")]
        case _:
            return [] if type(value) is type(known) else [f"{path}: {value!r}"]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", sorted(docusign.EVENTS))
def test_each_event_is_a_valid_message_in_each_format_with_signatures_that_verify(
    name: str, form: str
) -> None:
    message = {**sample(name, SCENE, NOW), **NUMBERS}
    if form in ("xml", "soap") and name.startswith(ABOUT_NONE):
        with pytest.raises(Stop, match="tells of envelopes alone"):
            composed(message, listener(form))
        return
    post = composed(message, listener(form))
    is_template = name.startswith("template-")
    match form:
        case "json":
            told = json.loads(post.body)
            assert differences(told, PUBLISHED) == ([".data.templateId"] if is_template else [])
            assert (told["event"], told["retryCount"]) == (name, 0)
            place = "templates" if is_template else "envelopes"
            if not name.startswith(ABOUT_NONE):
                assert told["uri"].endswith(f"/{ACCOUNT}/{place}/{SCENE.envelope_id}")
        case "aggregate" if not name.startswith(TELLS_NO_ENVELOPE):
            summary = json.loads(post.body)
            assert differences(summary, PUBLISHED["data"]["envelopeSummary"]) == []
            assert summary["envelopeId"] == SCENE.envelope_id
        case "xml" | "soap":
            root = etree.fromstring(post.body)
            inner = root if form == "xml" else root[0][0][0]
            SCHEMA.assertValid(inner)
            assert inner.findtext(".//{*}EnvelopeID") == SCENE.envelope_id
    headers = dict(post.headers)
    for number, key in enumerate(KEYS, start=1):  # as DocuSign's page on HMAC has it
        digest = hmac.new(key.encode("utf-8"), post.body, hashlib.sha256).digest()
        assert headers[f"X-DocuSign-Signature-{number}"] == base64.b64encode(digest).decode()


def test_what_has_no_envelope_in_it_shows_none() -> None:
    for name in docusign.EVENTS:
        data = sample(name, SCENE, NOW)["data"]
        assert ("envelopeSummary" in data) is not name.startswith(TELLS_NO_ENVELOPE), name


def events_of(name: str) -> list[tuple[str, str | None]]:
    return [(told["event"], told["data"].get("recipientId")) for told in story(name, SCENE, NOW)]


BOTH_VIEW = [
    ("envelope-created", None),
    ("envelope-sent", None),
    ("recipient-sent", "1"),
    ("recipient-delivered", "1"),
    ("recipient-completed", "1"),
    ("recipient-sent", "2"),
    ("recipient-delivered", "2"),
    ("envelope-delivered", None),
]


def test_stories_are_in_docusigns_order() -> None:
    assert events_of("signing-of-two") == [
        *BOTH_VIEW,
        ("recipient-completed", "2"),
        ("envelope-completed", None),
    ]
    assert events_of("decline") == [
        *BOTH_VIEW,
        ("recipient-declined", "2"),
        ("envelope-declined", None),
    ]
    assert events_of("void") == [*BOTH_VIEW[:4], ("envelope-voided", None)]
    assert events_of("expiry") == [
        *BOTH_VIEW[:3],
        ("envelope-reminder-sent", None),
        ("envelope-voided", None),
    ]
    assert set(STORIES) == {"signing-of-two", "decline", "void", "expiry"}


@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_of_one_envelope_whose_past_does_not_change(name: str) -> None:
    told = story(name, SCENE, NOW)
    times = [message["generatedDateTime"] for message in told]
    assert times == sorted(times)
    assert len(set(times)) == len(times)
    assert times[-1] == dates.render(NOW)
    seen: dict[str, str] = {}
    for message in told:
        summary = message["data"]["envelopeSummary"]
        assert summary["envelopeId"] == message["data"]["envelopeId"] == SCENE.envelope_id
        assert summary["lastModifiedDateTime"] == message["generatedDateTime"]
        happened = dated(summary)
        assert seen.items() <= happened.items()
        assert max(happened.values()) <= message["generatedDateTime"]
        seen = happened


def dated(summary: dict[str, Any]) -> dict[str, str]:
    """When what happened, by its path; not those times that each further event moves."""
    found = {}
    for path in paths(summary):
        if path.endswith("DateTime") and not path.startswith(("lastModified", "statusChanged")):
            value: Any = summary
            for key in path.split("."):
                value = value[int(key)] if isinstance(value, list) else value[key]
            found[path] = str(value)
    return found


def test_the_end_of_a_story_says_how_it_ended() -> None:
    ends = {name: story(name, SCENE, NOW)[-1]["data"]["envelopeSummary"] for name in STORIES}
    of_signers = {
        name: [signer["status"] for signer in end["recipients"]["signers"]]
        for name, end in ends.items()
    }
    assert {name: end["status"] for name, end in ends.items()} == {
        "signing-of-two": "completed",
        "decline": "declined",
        "void": "voided",
        "expiry": "voided",
    }
    assert of_signers == {
        "signing-of-two": ["completed", "completed"],
        "decline": ["completed", "declined"],
        "void": ["delivered", "created"],
        "expiry": ["sent", "created"],
    }
    assert ends["decline"]["recipients"]["signers"][1]["declinedReason"]
    assert ends["expiry"]["voidedReason"] == EXPIRED != ends["void"]["voidedReason"]


def test_documents_come_with_their_bytes_only_where_they_are_asked_for() -> None:
    completed = sample("envelope-completed", SCENE, NOW)["data"]["envelopeSummary"]
    document, certificate = completed["envelopeDocuments"]
    content = base64.b64decode(document["PDFBytes"])
    assert len(content) == 4000
    assert SCENE.envelope_id.encode() in content
    assert b"This is a sample" in content
    assert certificate["documentId"] == "certificate"
    assert b"completed 2026-11-23T09:00:00" in base64.b64decode(certificate["PDFBytes"])
    bare = sample("envelope-completed", Scene("e-1", ACCOUNT), NOW)["data"]["envelopeSummary"]
    assert [one.keys() & {"PDFBytes"} for one in bare["envelopeDocuments"]] == [set()]


@pytest.mark.parametrize("size", [None, 1200, 1201, 99_999, 3_000_000])
def test_a_pdf_has_its_size_and_its_table_says_where_its_objects_are(size: int | None) -> None:
    made = pdf(["A title (with brackets)", "Überseekiste \\ 7"], size)
    assert size is None or len(made) == size
    assert made.startswith(b"%PDF-1.4\n")
    found = re.search(rb"startxref\n(\d+)\n%%EOF\n\Z", made)
    assert found is not None
    table = made[int(found[1]) :]
    assert table.startswith(b"xref\n0 7\n")
    rows = re.findall(rb"^(\d{10}) 00000 n $", table, re.MULTILINE)
    for number, offset in enumerate(rows, start=1):
        assert made[int(offset) :].startswith(b"%d 0 obj\n" % number)
    for length, content in re.findall(rb"/Length (\d+) >>\nstream\n(.*?)\nendstream", made, re.S):
        assert int(length) == len(content)
    assert rb"(A title \(with brackets\)) Tj" in made


def test_a_pdf_that_cannot_be_so_small_is_refused() -> None:
    with pytest.raises(Unfit, match="bytes"):
        pdf(["A title"], 100)


def test_a_value_is_changed_where_there_is_one_and_keeps_its_kind() -> None:
    message = {"retryCount": 0, "data": {"list": [{"name": "a"}, {"name": "b"}], "part": {"x": ""}}}
    change(message, "data.list.1.name", "")
    change(message, "retryCount", "3")
    change(message, "data.part", '{"y": 1}')
    assert message == {
        "retryCount": 3,
        "data": {"list": [{"name": "a"}, {"name": ""}], "part": {"y": 1}},
    }
    for path, value in (("retryCount", "many"), ("retryCount", "1.5"), ("data.list", "{}")):
        with pytest.raises(BadValue, match=path):
            change(message, path, value)
    for path in ("", "data.", "data.list.2.name", "data.list.-1.name", "data.list.name", "a.b"):
        with pytest.raises(NoSuchPath):
            change(message, path, "x")


def test_paths_that_may_be_meant_end_so_or_look_like_it() -> None:
    message = sample("envelope-sent", SCENE, NOW)
    assert near(message, "emailsubject") == ["data.envelopeSummary.emailSubject"]
    assert "data.envelopeSummary.status" in near(message, "data.envelopSummary.statuss")
    assert near(message, "") == []
