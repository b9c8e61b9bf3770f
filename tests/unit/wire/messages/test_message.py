"""The format and the headers that a configuration gets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from heliograph.delivery.attempt import compose, message_id
from heliograph.model.accounts import HmacKey, Secret
from heliograph.model.deliveries import Proofs
from heliograph.model.events import Event
from heliograph.wire.messages import message, signing
from tests.support import ACCOUNT, START, published, wanted_configuration

KEYS = tuple(HmacKey(f"k{n}", signing.new_secret(), START) for n in range(5))


def stored(**over: Any) -> Event:
    document = json.dumps(published(**over)).encode()
    return Event(ACCOUNT, "event-1", "envelope-sent", "env-1", START, document)


def sent(**fields: Any) -> Any:
    made = message.render(stored(), wanted_configuration(connect_id=7, **fields), 2)
    assert dict(made.headers)["Content-Type"] == "application/json; charset=utf-8"
    return json.loads(made.body)


def test_sim_is_the_whole_message_with_the_event() -> None:
    body = sent()
    assert (body["event"], body["retryCount"], body["configurationId"]) == ("envelope-sent", 2, 7)
    assert body["data"]["envelopeSummary"]["status"] == "sent"


def test_aggregate_is_the_envelope_itself() -> None:
    body = sent(deliveryMode="aggregate")
    assert body == {"envelopeId": "env-1", **published()["data"]["envelopeSummary"]}


@pytest.mark.parametrize(
    "fields", [{}, {"deliveryMode": "aggregate"}, {"useSoapInterface": "true"}]
)
def test_a_message_is_rendered_without_reading_the_document_again(fields: dict[str, str]) -> None:
    configuration = wanted_configuration(connect_id=7, **fields)
    unread = replace(configuration, document=b"not even JSON")
    assert message.render(stored(), unread, 2) == message.render(stored(), configuration, 2)


def test_an_aggregate_of_an_event_without_an_envelope_still_names_it() -> None:
    event = stored(data={"envelopeId": "env-1"})
    aggregate = wanted_configuration(connect_id=7, deliveryMode="aggregate")
    body = json.loads(message.render(event, aggregate, 0).body)
    assert body == {"envelopeId": "env-1", "status": "sent"}


@pytest.mark.parametrize(
    ("fields", "there"),
    [
        ({}, True),
        ({"eventData": {"includeData": []}}, False),
        ({"eventData": {"includeData": ["recipients"]}}, True),
        ({"eventData": {"includeData": "Recipients, tabs"}}, True),
        ({"eventData": {"version": "restv2.1"}}, True),
    ],
)
def test_include_data_of_the_configuration_decides_about_the_envelope(
    fields: dict[str, Any], there: bool
) -> None:
    assert ("envelopeSummary" in sent(**fields)["data"]) == there


def test_s6_standard_webhooks_headers_are_what_that_standards_recipe_gives() -> None:
    at = datetime(2026, 11, 23, 9, 0, 0, tzinfo=UTC)
    configuration = wanted_configuration(connect_id=7)
    post = compose(stored(), configuration, Proofs(KEYS), number=1, attempt_id=3, at=at)
    headers = dict(post.headers)
    assert headers["webhook-id"] == message_id(stored(), 7)
    assert headers["webhook-timestamp"] == "1795424400"
    signatures = headers["webhook-signature"].split(" ")
    assert len(signatures) == len(KEYS)
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + post.body
    for key, given in zip(KEYS, signatures, strict=True):
        # A listener takes the secret as whsec_<the same base64>.
        version, _, value = given.partition(",")
        raw = base64.b64decode(key.secret.reveal())
        assert (version, value) == ("v1", _hmac(raw, content))


def _hmac(key: bytes, content: bytes) -> str:

    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def test_the_message_id_is_the_same_at_each_attempt_and_another_for_each_listener() -> None:
    configuration = wanted_configuration(connect_id=7)
    ids = set()
    for n in (1, 2):
        post = compose(stored(), configuration, Proofs(KEYS), number=n, attempt_id=n, at=START)
        ids.add(dict(post.headers)["webhook-id"])
    assert ids == {message_id(stored(), 7)}
    assert message_id(stored(), 8) not in ids
    assert "." not in message_id(stored(), 7)


def test_a_key_that_is_no_base64_signs_as_text() -> None:
    key = HmacKey("k", Secret("not base64!"), START)
    ((_, _), (_, _), (_, value)) = signing.standard_headers([key], "msg_1", START, b"x")
    content = b"msg_1." + str(int(START.timestamp())).encode() + b".x"
    assert value == "v1," + _hmac(b"not base64!", content)


@pytest.mark.parametrize(
    "asks",
    [
        {"events": [], "envelopeEvents": ["Sent"]},
        {"useSoapInterface": "true"},
        {"eventData": {"format": "xml"}},
    ],
)
def test_recipient_connect_is_always_json(asks: dict[str, Any]) -> None:
    assert sent(configurationType="customrecipient", **asks)["event"] == "envelope-sent"
