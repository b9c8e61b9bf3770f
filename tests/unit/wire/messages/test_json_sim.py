"""Published events in, JSON SIM messages out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.errors import InvalidBody
from heliograph.model.configurations import AS_PUBLISHED
from heliograph.model.events import Event, NewEvent
from heliograph.wire import dates
from heliograph.wire.messages.json_sim import (
    LONGEST_ID,
    STATUS_WORDS,
    parse_events,
    parts,
    render,
    render_envelope,
    status_word,
)
from tests.support import ACCOUNT, START, published

JSON = "application/json"
LINES = "application/x-ndjson"
MINIMAL = b'{"event":"envelope-sent","data":{"envelopeId":"e"}}'


def parse_one(body: bytes | dict[str, Any]) -> NewEvent:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    (event,) = parse_events(text, JSON)
    return event


def stored(event: NewEvent) -> Event:
    """The event as the store would hand it to an attempt."""
    return Event(
        account_id=ACCOUNT,
        event_id=event.event_id or "event-1",
        name=event.name,
        envelope_id=event.envelope.envelope_id,
        generated_at=event.generated_at or START,
        document=event.document,
    )


def refusal(body: bytes | dict[str, Any], content_type: str = JSON) -> str:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(InvalidBody) as caught:
        parse_events(text, content_type)
    return caught.value.message


def test_an_event_is_read_field_by_field() -> None:
    event = parse_one(published(eventId="my-id"))
    assert event.event_id == "my-id"
    assert event.name == "envelope-sent"
    assert event.user_id == "user-1"
    assert event.recipient_id is None
    assert event.envelope.envelope_id == "env-1"
    assert event.envelope.subject == "Lease of 12 Harbour Street"
    assert event.envelope.sender_name == "Ada Lovelace"
    assert event.envelope.sender_email == "ada@example.com"
    assert event.envelope.status == "Sent"
    assert event.generated_at == dates.parse("2026-11-23T08:59:00.1234567Z")


def test_the_least_that_is_an_event_is_a_name_and_an_envelope() -> None:
    event = parse_one(MINIMAL)
    assert (event.event_id, event.user_id, event.generated_at) == ("", None, None)
    assert event.envelope.subject is None


def test_the_sender_stands_in_for_a_user_that_is_not_named() -> None:
    summary = {"sender": {"userId": "sender-1"}}
    event = parse_one({"event": "x", "data": {"envelopeId": "e", "envelopeSummary": summary}})
    assert event.user_id == "sender-1"


@pytest.mark.parametrize("content_type", [JSON, LINES, "application/ndjson", "application/jsonl"])
def test_one_object_is_one_event_in_each_form(content_type: str) -> None:
    assert len(parse_events(MINIMAL, content_type)) == 1


def test_an_array_gives_its_events_in_order() -> None:
    body = json.dumps([published(envelope_id=f"env-{number}") for number in range(3)])
    events = parse_events(f"\n {body}\n".encode(), JSON)
    assert [event.envelope.envelope_id for event in events] == ["env-0", "env-1", "env-2"]


def test_lines_may_end_in_crlf_and_blank_lines_hold_nothing() -> None:
    body = b"\r\n" + MINIMAL + b"\r\n\r\n   \n" + MINIMAL
    assert len(parse_events(body, LINES)) == 2


def test_a_bad_line_is_named_by_its_number_in_the_file() -> None:
    # Blank lines count, as in an editor.
    body = MINIMAL + b"\n\n\r\n" + b'{"event":"x"}\n' + MINIMAL
    assert refusal(body, LINES) == "Line 4 has no object `data`."


def test_a_bad_event_of_an_array_is_named_by_its_position() -> None:
    assert refusal(b"[" + MINIMAL + b',{"data":{}}]').startswith("Event 2 has no `event`")


def test_lines_that_are_pretty_printed_are_refused_by_line() -> None:
    assert refusal(json.dumps(published(), indent=1).encode(), LINES).startswith("Line 1 ")


@pytest.mark.parametrize("content_type", [JSON, LINES])
@pytest.mark.parametrize("body", [b"", b"  \r\n "])
def test_a_body_without_an_event_is_refused(body: bytes, content_type: str) -> None:
    assert "no event" in refusal(body, content_type)
    assert "no event" in refusal(b"[ ]")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"event": None}, "`event`"),
        ({"event": ""}, "`event`"),
        ({"event": 5}, "`event`"),
        ({"event": "x" * (LONGEST_ID + 1)}, "`event`"),
        ({"event": "a\nb"}, "`event`"),
        ({"data": None}, "`data`"),
        ({"data": []}, "`data`"),
        ({"data": "text"}, "`data`"),
        ({"data": {}}, "`data.envelopeId`"),
        ({"data": {"envelopeId": 5}}, "`data.envelopeId`"),
        ({"data": {"envelopeId": ""}}, "`data.envelopeId`"),
        ({"data": {"envelopeId": "x" * (LONGEST_ID + 1)}}, "`data.envelopeId`"),
        ({"data": {"envelopeId": "a\u0000b"}}, "`data.envelopeId`"),
        ({"data": {"envelopeId": "a\u202eb"}}, "`data.envelopeId`"),
        ({"data": {"templateId": "t"}}, "`data.envelopeId`"),
        ({"event": "click-agreed", "data": {"envelopeId": 5}}, "`data.envelopeId`"),
        (
            {
                "event": "click-agreed",
                "data": {},
                "eventNotification": {"url": "https://x.org/", "events": ["x"]},
            },
            "notifications, and no `data.envelopeId`",
        ),
        ({"data": {"envelopeId": "e", "envelopeSummary": []}}, "`data.envelopeSummary`"),
        ({"data": {"envelopeId": "e", "userId": {}}}, "data: `userId`"),
        ({"data": {"envelopeId": "e", "userId": "x" * (LONGEST_ID + 1)}}, "data: `userId`"),
        ({"data": {"envelopeId": "e", "recipientId": 1}}, "data: `recipientId`"),
        ({"eventId": 1}, "`eventId`"),
        ({"eventId": "x" * (LONGEST_ID + 1)}, "`eventId`"),
        ({"eventId": "a\tb"}, "`eventId`"),
        ({"uri": 1}, "`uri`"),
        ({"apiVersion": []}, "`apiVersion`"),
        ({"generatedDateTime": "yesterday"}, "`generatedDateTime`"),
        ({"generatedDateTime": 1763888400}, "`generatedDateTime`"),
        ({"generatedDateTime": "2026-12-31T23:59:60Z"}, "`generatedDateTime`"),
    ],
)
def test_a_wrong_field_is_refused_by_name(change: dict[str, Any], told: str) -> None:
    assert told in refusal(published(**change))


def test_the_longest_ids_are_taken() -> None:
    longest = "x" * LONGEST_ID
    event = parse_one(published(longest, longest, eventId=longest))
    assert {event.name, event.envelope.envelope_id, event.event_id} == {longest}


def test_a_summary_of_odd_types_is_the_publishers_business() -> None:
    summary = {"status": 5, "emailSubject": ["x"], "sender": "nobody"}
    event = parse_one({"event": "x", "data": {"envelopeId": "e", "envelopeSummary": summary}})
    assert event.envelope.subject is None
    assert event.envelope.sender_name is None
    assert event.envelope.status == "Any"


@pytest.mark.parametrize(
    "value",
    [
        b"NaN",
        b"Infinity",
        b"1e400",
        b"01",
        b"'x'",
        b'"\\ud800"',
        b'"\\udc00x"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"a\nb"',
        b'"\\x41"',
        b"[1,]",
        b"9" * 5000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 1000 + b"]" * 1000,
        b'{"a\xff":1}',
    ],
)
def test_what_is_not_json_is_refused_however_deep_it_hides(value: bytes) -> None:
    body = b'{"event":"envelope-sent","data":{"envelopeId":"e","x":' + value + b"}}"
    assert "not a valid JSON object" in refusal(body)


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + MINIMAL,
        MINIMAL.decode().encode("utf-16"),
        MINIMAL + b" x",
        MINIMAL + MINIMAL,
        MINIMAL[:-1],
        b"null",
        b"5",
        b'"text"',
        b"[[]]",
        b"[5]",
        b"[" + MINIMAL,
        b"<event/>",
    ],
)
def test_a_body_that_is_not_events_is_refused(body: bytes) -> None:
    assert refusal(body)


def test_of_equal_keys_the_last_counts_in_what_is_read_and_in_what_is_sent() -> None:
    # One meaning for all readers: a listener's parser takes the last as well.
    event = parse_one(
        b'{"event":"a","event":"envelope-sent","data":{"envelopeId":"first"},'
        b'"data":{"envelopeId":"e1","envelopeId":"e2"}}'
    )
    message = render(stored(event), 1, 0)
    assert event.name == "envelope-sent"
    assert event.envelope.envelope_id == "e2"
    assert b"first" not in message
    assert json.loads(message)["data"]["envelopeId"] == "e2"


def test_a_proto_key_is_only_a_key() -> None:
    event = parse_one(published(__proto__={"admin": True}))
    assert json.loads(render(stored(event), 1, 0))["__proto__"] == {"admin": True}


def test_r2_the_digest_ignores_white_space_and_sees_every_change_of_name_and_data() -> None:
    plain = parse_one(published())
    pretty = parse_one(json.dumps(published(), indent=4).encode())
    assert pretty.digest == plain.digest
    assert parse_one(published(eventId="x", more=1)).digest == plain.digest
    assert parse_one(published("envelope-voided")).digest != plain.digest
    assert parse_one(published(envelope_id="env-2")).digest != plain.digest


def test_a_template_event_is_named_by_its_template() -> None:
    event = parse_one({"event": "template-created", "data": {"templateId": "t-1"}})
    assert event.envelope.envelope_id == "t-1"
    assert event.envelope.status == "Template"


@pytest.mark.parametrize("word", STATUS_WORDS.values())
def test_each_status_of_the_page_is_known_in_any_case(word: str) -> None:
    assert status_word(word, "x") == word
    assert status_word(word.lower(), "x") == word
    assert status_word(word.upper(), "x") == word


@pytest.mark.parametrize(
    ("status", "event_name", "word"),
    [
        (None, "envelope-completed", "Completed"),
        ("", "envelope-voided", "Voided"),
        ("unheard-of", "envelope-declined", "Declined"),
        (None, "envelope-resent", "Any"),
        # The recipient completed; the envelope goes on.
        (None, "recipient-completed", "Any"),
        ("sent", "recipient-completed", "Sent"),
        (None, "template-deleted", "Template"),
        (None, "envelope", "Any"),
        (None, "", "Any"),
    ],
)
def test_the_status_is_the_summarys_or_else_what_the_event_says(
    status: str | None, event_name: str, word: str
) -> None:
    assert status_word(status, event_name) == word


def test_a_message_has_the_fields_of_the_published_sample_in_its_order() -> None:
    message = json.loads(render(stored(parse_one(published(more={"x": 1}))), 12345, 3))
    assert list(message) == [
        "event",
        "uri",
        "retryCount",
        "configurationId",
        "apiVersion",
        "generatedDateTime",
        "data",
        "more",
    ]
    assert (message["retryCount"], message["configurationId"]) == (3, 12345)
    assert message["uri"] == f"/restapi/v2.1/accounts/{ACCOUNT}/envelopes/env-1"
    assert message["apiVersion"] == "v2.1"
    assert message["generatedDateTime"] == "2026-11-23T08:59:00.1234567Z"
    assert message["more"] == {"x": 1}


@pytest.mark.parametrize(
    "data", [{"templateId": "t-1"}, {"envelopeId": "t-1"}, {"envelopeId": "e", "templateId": "t-1"}]
)
@pytest.mark.parametrize("name", ["template-created", "Template-Deleted"])
def test_fidelity_uri_of_a_template_event(name: str, data: dict[str, str]) -> None:
    body = {"event": name, "data": {"envelopeId": "t-1"} | data}
    message = json.loads(render(stored(parse_one(body)), 1, 0))
    assert message["uri"] == f"/restapi/v2.1/accounts/{ACCOUNT}/templates/t-1"


def test_a_template_is_named_by_its_id_alone_and_not_by_what_is_no_id() -> None:
    body = {"event": "template-created", "data": {"envelopeId": "e-1", "templateId": [1]}}
    assert json.loads(render(stored(parse_one(body)), 1, 0))["uri"].endswith("/templates/e-1")


def test_what_the_publisher_says_of_uri_version_and_time_goes_out_as_it_was() -> None:
    given_fields = {"uri": "/own/uri", "apiVersion": "v2", "generatedDateTime": "2026-11-23"}
    message = json.loads(render(stored(parse_one(published(**given_fields))), 1, 0))
    assert {name: message[name] for name in given_fields} == given_fields


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_empty_text_say_nothing_of_uri_version_and_time(nothing: str | None) -> None:
    body = published(uri=nothing, apiVersion=nothing, generatedDateTime=nothing)
    message = json.loads(render(stored(parse_one(body)), 1, 0))
    assert message["uri"] == f"/restapi/v2.1/accounts/{ACCOUNT}/envelopes/env-1"
    assert message["apiVersion"] == "v2.1"
    assert message["generatedDateTime"] == dates.render(START)


def test_a_publisher_cannot_forge_what_heliograph_writes() -> None:
    event = parse_one(published(retryCount=99, configurationId=666, eventId="mine"))
    message = json.loads(render(stored(event), 1, 0))
    assert (message["retryCount"], message["configurationId"]) == (0, 1)
    assert "eventId" not in message


def test_r3_numbers_keep_their_text_and_objects_their_order() -> None:
    data = b'{"z":1.10,"a":[1E5,-0,0.30000000000000004,12345678901234567890],"envelopeId":"e"}'
    event = parse_one(b'{ "event" : "x" , "extra": 2.50, "data" : ' + data + b"}")
    message = render(stored(event), 1, 0)
    assert b'"data":' + data in message
    assert message.endswith(b'"extra":2.50}')


def test_r3_texts_keep_their_escapes() -> None:
    data = '{"envelopeId":"e","x":"\\u00e9é\\/\\ud83d\\ude00 \\u0000"}'.encode()
    assert data in render(stored(parse_one(b'{"event":"x","data":' + data + b"}")), 1, 0)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
documents = st.dictionaries(st.text(max_size=8), json_values, max_size=5)


@given(documents, documents, st.integers(0, 10**6), st.integers(0, 10**6))
def test_r3_attempts_differ_in_the_retry_count_and_in_no_other_byte(
    data: dict[str, Any], beside: dict[str, Any], first: int, later: int
) -> None:
    body = {**beside, "event": "envelope-sent", "data": {**data, "envelopeId": "e"}}
    for name in ("uri", "apiVersion", "generatedDateTime", "eventId"):
        body.pop(name, None)
    for name in ("envelopeSummary", "userId", "recipientId"):
        body["data"].pop(name, None)
    event = stored(parse_one(body))
    one, other = render(event, 7, first), render(event, 7, later)
    before, after = b'"retryCount":%d,' % first, b'"retryCount":%d,' % later
    head, _, tail = one.partition(before)
    assert head + after + tail == other
    sent = json.loads(one)
    assert sent["data"] == body["data"]
    ours = {"retryCount", "configurationId"}
    assert all(sent[name] == value for name, value in body.items() if name not in ours)


def _large_sample() -> dict[str, Any]:
    """As DocuSign's sample: every summary text, recipients with tabs, folders, documents."""
    tab = {"documentId": "1", "xPosition": "100", "required": "true", "value": "é ☂ 😀"}
    recipient = {
        "name": "Grace Hopper",
        "recipientIdGuid": "7b7a…",
        "routingOrder": "1",
        "tabs": {f"{kind}Tabs": [{**tab, "tabId": str(n)} for n in range(40)] for kind in "abcde"},
        "errorDetails": {"errorCode": "SUCCESS", "message": ""},
        "consentDetailsList": [],
        "emailNotification": {},
    }
    summary = {
        **{f"{word}DateTime": "2026-11-23T09:00:00.0000000Z" for word in ("created", "sent")},
        **{f"field{n}": f"sample string {n}" for n in range(60)},
        "status": "completed",
        "emailSubject": "Please sign",
        "sender": {"userName": "Ada", "userId": "u", "email": "ada@example.com"},
        "folders": [{"name": "Sent", "owner": {"userId": ""}}, {"name": ""}],
        "customFields": {"textCustomFields": [{"name": "crm"}], "listCustomFields": []},
        "recipients": {"signers": [recipient] * 20, "recipientCount": "20", "agents": None},
        "envelopeDocuments": [{"name": "a.pdf", "PDFBytes": "JVBERi0" * 10_000}],
        "is21CFRPart11": False,
        "attempts": 3,
        "ratio": 0.25,
    }
    return published("envelope-completed", envelopeSummary=None) | {
        "data": {
            "accountId": ACCOUNT,
            "userId": "u",
            "recipientId": "",
            "envelopeId": "e",
            "envelopeSummary": summary,
        }
    }


def test_a_message_of_the_size_and_shape_of_the_sample_arrives_whole() -> None:
    sample = _large_sample()
    text = json.dumps(sample, indent=4, ensure_ascii=False).encode()
    assert len(text) > 500_000
    event = parse_one(text)
    assert event.recipient_id is None
    sent = json.loads(render(stored(event), 1, 0))
    assert sent["data"] == sample["data"]
    assert list(sent["data"]["envelopeSummary"]) == list(sample["data"]["envelopeSummary"])


def test_r17_a_stored_event_that_is_corrupt_does_not_render() -> None:
    # The attempt turns this into a failure with a reason instead of trying for ever.
    event = stored(parse_one(MINIMAL))
    with pytest.raises(KeyError):
        render(replace(event, document=b"{}"), 1, 0)


def test_the_account_is_named_where_the_publisher_did_not() -> None:
    bare = b'{"event": "envelope-sent", "data": {"envelopeId": "e", "x": 1.10}}'
    (named,) = parse_events(bare, JSON, "account-1")
    assert b'"data":{"accountId":"account-1","envelopeId":"e","x":1.10}' in named.document
    (unnamed,) = parse_events(bare, JSON)
    assert named.digest == unnamed.digest  # a repeat is told by what the publisher gave
    given = b'{"event": "envelope-sent", "data": {"envelopeId": "e", "accountId": "mine"}}'
    (kept,) = parse_events(given, JSON, "account-1")
    assert b'"accountId":"mine"' in kept.document
    assert b"account-1" not in kept.document


@pytest.mark.parametrize("name", ["click-agreed", "sms-opt-in", "order.shipped"])
@pytest.mark.parametrize("data", [{"order": 7}, {"envelopeId": None}, {"envelopeId": ""}])
def test_fidelity_events_without_an_envelope_are_messages_about_the_account(
    name: str, data: dict[str, Any]
) -> None:
    event = parse_one({"event": name, "data": data})
    assert (event.envelope.envelope_id, event.envelope.status) == ("", "Any")
    stored_event = stored(event)
    message = json.loads(render(stored_event, 3, 0))
    assert message["uri"] == f"/restapi/v2.1/accounts/{stored_event.account_id}"
    assert message["data"] == data
    assert json.loads(render_envelope(stored_event, AS_PUBLISHED)) == data


def test_fidelity_user_of_a_recipients_message() -> None:
    event = stored(parse_one(published()))
    _, _, rest = parts(event, recipient="user-9")
    data = json.loads(b"{" + rest)["data"]
    plain = json.loads(b"{" + parts(event)[2])["data"]
    assert data == plain | {"userId": "user-9"}
    assert list(data) == list(plain)
