"""Configurations, logs and answers between the model and the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from heliograph.errors import InvalidBody
from heliograph.model.accounts import HmacKey, Secret
from heliograph.model.configurations import ConnectConfiguration, Format, ScheduleName
from heliograph.model.deliveries import Answer, AttemptOutcome, DeliveryState
from heliograph.model.events import Event, HeldReason
from heliograph.model.fidelity import Fidelity
from heliograph.model.logs import AttemptDetail, Cursor, LogEntry, Requeued
from heliograph.wire import configurations, listeners, logs, rest
from heliograph.wire.codec import decode_json, decode_xml, encode_json, encode_xml
from heliograph.wire.messages.message import render
from tests.support import ACCOUNT, START, WHY
from tests.unit.wire.messages.test_switches import EVENT

NAMES = [
    "allowEnvelopePublish",
    "allowSalesforcePublish",
    "allUsers",
    "allUsersExcept",
    "configurationType",
    "connectId",
    "deliveryMode",
    "disabledBy",
    "enableLog",
    "enableOAuthPerConfiguration",
    "envelopeEvents",
    "eventData",
    "events",
    "externalFolderId",
    "externalFolderLabel",
    "groupIds",
    "includeCertificateOfCompletion",
    "includeCertSoapHeader",
    "includeDocumentFields",
    "includeDocuments",
    "includeEnvelopeVoidReason",
    "includeHMAC",
    "includeOAuth",
    "includeSenderAccountasCustomField",
    "includeTimeZoneInformation",
    "integratorManaged",
    "name",
    "oAuthConfiguration",
    "password",
    "pausePublish",
    "recipientEvents",
    "requireMutualTls",
    "requiresAcknowledgement",
    "salesforceApiVersion",
    "salesforceAuthcode",
    "salesforceCallBackUrl",
    "salesforceDocumentsAsContentFiles",
    "senderOverride",
    "senderSelectableItems",
    "sfObjects",
    "signMessageWithX509Certificate",
    "soapNamespace",
    "urlToPublishTo",
    "userIds",
    "userName",
    "useSoapInterface",
]
"""connectCustomConfiguration's fields as the official SDK 6.1.0 spells them."""

ANSWERED = {"disabledBy", "warnings"}
"""Never a caller's to say."""

EXTENSIONS = [
    *("certificateAuthorities", "deliveryOrder", "maxPerSecond", "retrySchedule", "verbatim"),
]
"""Fields of ours."""

LISTS = {
    "envelopeEvents": ["Sent", "Completed"],
    "events": ["envelope-sent"],
    "groupIds": ["g1", "g2"],
    "recipientEvents": ["Completed"],
    "senderSelectableItems": ["a"],
    "userIds": ["u1", "u2"],
}
FLAGS = [
    *("allowEnvelopePublish", "allUsers", "allUsersExcept", "pausePublish", "enableLog"),
    *("includeHMAC", "requiresAcknowledgement"),
]
SALESFORCE = [
    {
        "active": "true",
        "description": "d",
        "id": "1",
        "insert": "true",
        "onCompleteOnly": "false",
        "selectFields": [{"dsAttribute": "a", "dsLink": "b", "dsNode": "c", "id": "2"}],
        "sfObject": "Lead",
        "sfObjectName": "Lead",
        "updateFields": [
            {"sfField": "f", "sfFieldName": "n", "sfFolder": "o", "sfLockedValue": "v"}
        ],
    }
]
OAUTH = {
    "authorizationServerUrl": "https://auth.example.com/token",
    "clientId": "client",
    "clientSecret": "canary-client",
    "customParameters": {"audience": "listener"},
    "scope": "events",
}


def every_field() -> dict[str, Any]:
    """A configuration that gives every field, the secrets as canaries."""
    fields: dict[str, Any] = {name: f"text of {name}" for name in NAMES}
    fields |= LISTS | dict.fromkeys(FLAGS, "true")
    fields |= {"password": "canary-password", "salesforceAuthcode": "canary-authcode"}
    fields |= {"sfObjects": SALESFORCE, "oAuthConfiguration": OAUTH, "connectId": "77"}
    fields |= {"deliveryMode": "SIM", "deliveryOrder": "none", "retrySchedule": ["docusign"]}
    fields |= {"maxPerSecond": "2.5", "certificateAuthorities": "PEM", "verbatim": "true"}
    del fields["disabledBy"]  # never a caller's to say
    fields["eventData"] = {"format": "json", "includeData": ["tabs"], "version": "restv2.1"}
    return fields


def given(fields: Mapping[str, Any]) -> rest.ConnectCustomConfiguration:
    return decode_json(json.dumps(fields).encode(), rest.ConnectCustomConfiguration)


def saved(fields: Mapping[str, Any], before: ConnectConfiguration | None = None) -> Any:
    """A configuration after a create, or after an update of `before`."""
    document, secrets = configurations.merge(given(fields), before, Fidelity.RELAXED)
    return configurations.read(ACCOUNT, 77, document, secrets)


def shown(configuration: ConnectConfiguration) -> dict[str, Any]:
    """What a caller is answered, as JSON."""
    text = encode_json(configurations.to_wire(configuration))
    fields: dict[str, Any] = json.loads(text)
    return fields


def test_the_struct_has_exactly_the_wire_names_of_the_sdk() -> None:
    fields = msgspec.structs.fields(rest.ConnectCustomConfiguration)
    assert sorted(field.encode_name for field in fields) == sorted(
        [*NAMES, *EXTENSIONS, "warnings"]
    )
    assert len(NAMES) == 46


def test_s7_every_field_comes_back_as_it_was_given_and_secrets_as_the_mask() -> None:
    expected = every_field() | {
        "password": configurations.MASK,
        "salesforceAuthcode": configurations.MASK,
    }
    expected["oAuthConfiguration"] = OAUTH | {"clientSecret": configurations.MASK}
    assert shown(saved(every_field())) == expected


@pytest.mark.parametrize("name", sorted({*NAMES, *EXTENSIONS} - {"connectId", *ANSWERED}))
def test_each_field_alone_comes_back_as_json_and_as_xml(name: str) -> None:
    wire = configurations.to_wire(saved({name: every_field()[name]}))
    assert json.loads(encode_json(wire))[name] == shown(saved(every_field()))[name]
    written = encode_xml(wire, extensions=True)
    assert decode_xml(written, rest.ConnectCustomConfiguration) == wire


def test_s7_no_secret_is_in_the_document_or_in_any_answer() -> None:
    configuration = saved(every_field())
    wire = configurations.to_wire(configuration)
    for place in (
        configuration.document,
        encode_json(wire),
        encode_xml(wire, extensions=True),
        repr(configuration).encode(),
    ):
        assert b"canary" not in place
    assert {name: secret.reveal() for name, secret in configuration.secrets.items()} == {
        "password": "canary-password",
        "salesforceAuthcode": "canary-authcode",
        "clientSecret": "canary-client",
    }


def test_s7_the_mask_sent_back_keeps_each_secret() -> None:
    before = saved(every_field())
    again = saved(shown(before), before)
    assert again == before


def test_s7_empty_text_removes_a_secret_and_another_text_replaces_it() -> None:
    before = saved(every_field())
    without = saved({"password": "", "oAuthConfiguration": OAUTH | {"clientSecret": ""}}, before)
    assert set(without.secrets) == {"salesforceAuthcode"}
    assert "password" not in shown(without)
    assert "clientSecret" not in shown(without)["oAuthConfiguration"]
    changed = saved({"password": "new"}, without)
    assert changed.secrets["password"].reveal() == "new"


def test_s7_the_mask_is_not_taken_for_a_secret_where_none_was_set() -> None:
    assert saved({"password": configurations.MASK}).secrets == {}


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"connectId", "disabledBy"}))
def test_a_partial_update_keeps_all_other_fields(name: str) -> None:
    before = saved(every_field())
    after = saved({name: every_field()[name]}, before)
    assert shown(after) == shown(before)
    assert after.secrets == before.secrets


def test_an_update_of_one_part_keeps_the_fields_that_it_does_not_name() -> None:
    before = saved(every_field())
    after = saved({"oAuthConfiguration": {"scope": "new"}, "eventData": {"format": "json"}}, before)
    old = shown(before)
    assert shown(after)["oAuthConfiguration"] == old["oAuthConfiguration"] | {"scope": "new"}
    assert shown(after)["eventData"] == old["eventData"] | {"format": "json"}


def test_an_update_changes_what_it_names() -> None:
    before = saved(every_field())
    after = saved({"name": "new", "userIds": [], "pausePublish": "false"}, before)
    expected = shown(before) | {"name": "new", "userIds": [], "pausePublish": "false"}
    assert shown(after) == expected
    assert (after.name, after.interest.user_ids, after.paused) == ("new", frozenset(), False)


def test_a_callers_connect_id_is_never_stored() -> None:
    document, _ = configurations.merge(given({"connectId": "666", "name": "x"}), None)
    assert b"connectId" not in document


@pytest.mark.parametrize("text", ["true", "TRUE", " True "])
@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_is_read_in_any_case(name: str, text: str) -> None:
    assert shown(saved({name: text}))[name] == "true"


def test_a_flag_may_be_a_json_boolean() -> None:
    assert saved({"allUsers": True, "includeHMAC": False}).interest.all_users is True
    assert saved({"includeHMAC": False}).authentication.include_hmac is False


@pytest.mark.parametrize("text", ["yes", "1", "on", "truee", "null"])
@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_that_is_neither_true_nor_false_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(InvalidBody, match=name):
        saved({name: text})


PARTS = [
    *("includeCertificateOfCompletion", "includeDocumentFields", "includeDocuments"),
    "includeEnvelopeVoidReason",
]
SWITCHES = [
    *("includeCertSoapHeader", "includeOAuth", "includeSenderAccountasCustomField"),
    *("includeTimeZoneInformation", "integratorManaged", "requireMutualTls"),
    *("signMessageWithX509Certificate", "useSoapInterface"),
]


def test_fidelity_every_switch_is_shown_with_its_default() -> None:
    fields = shown(saved({}))
    expected = dict.fromkeys([*FLAGS, *SWITCHES], "false") | dict.fromkeys(PARTS, "true")
    expected |= {"includeHMAC": "true", "requiresAcknowledgement": "true", "connectId": "77"}
    expected |= {"configurationType": "custom", "deliveryMode": "", "soapNamespace": ""}
    assert fields == expected | {"eventData": {"version": ""}}
    assert shown(saved(dict.fromkeys([*FLAGS, *SWITCHES, *PARTS], ""))) == fields


def test_fidelity_every_switch_is_shown_as_docusign_does_it_in_its_profile() -> None:
    document, _ = configurations.merge(given(JSON_SIM), None, Fidelity.DOCUSIGN)
    fields = shown(configurations.read(ACCOUNT, 77, document, {}))
    assert fields["includeHMAC"] == "false"
    assert {fields[name] for name in (*SWITCHES, *PARTS)} == {"false"}
    assert fields["eventData"] == {"version": "restv2.1", "format": "json", "includeData": []}


JSON_SIM = {
    "deliveryMode": "SIM",
    "events": ["envelope-sent"],
    "eventData": {"version": "restv2.1"},
}
SAID = [
    {},
    JSON_SIM,
    {"envelopeEvents": ["Sent"]},
    {"envelopeEvents": ["Sent"], "eventData": {"includeData": ["documents"]}},
    {"eventData": {"includeData": []}},
    {"eventData": {"includeData": ["documents", "recipients"]}},
    {"events": ["envelope-sent"], "deliveryMode": "aggregate"},
    {"useSoapInterface": "true", "eventData": {"version": "restv2.1"}},
]


@pytest.mark.parametrize("fidelity", Fidelity)
@pytest.mark.parametrize("said", SAID)
def test_fidelity_every_switch_is_shown_so_that_an_answer_sent_back_changes_nothing(
    said: dict[str, Any], fidelity: Fidelity
) -> None:
    document, _ = configurations.merge(given(said), None, fidelity)
    before = configurations.read(ACCOUNT, 77, document, {})
    document, _ = configurations.merge(given(shown(before)), before, fidelity)
    after = configurations.read(ACCOUNT, 77, document, {})
    assert shown(after) == shown(before)
    assert after.interest == before.interest
    assert after.pace == before.pace
    texts = [render(EVENT, configuration, 0).body for configuration in (before, after)]
    if texts[0].startswith(b"{"):  # what is taken apart on the way may lose its white space
        assert json.loads(texts[0]) == json.loads(texts[1])
    else:
        assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("said", "format_"),
    [
        ({"envelopeEvents": ["Sent"]}, Format.XML),
        ({"envelopeEvents": ["Sent"], "eventData": {"version": ""}}, Format.XML),
        ({"envelopeEvents": ["Sent"], "eventData": {"version": "restv2.1"}}, Format.JSON_SIM),
        (
            {"envelopeEvents": ["Sent"], "eventData": {"version": "restv2.1", "format": "xml"}},
            Format.XML,
        ),
        (
            {
                "envelopeEvents": ["Sent"],
                "eventData": {"version": "restv2.1"},
                "deliveryMode": "aggregate",
            },
            Format.JSON_AGGREGATE,
        ),
        ({"useSoapInterface": "true", "eventData": {"version": "restv2.1"}}, Format.XML),
    ],
)
def test_fidelity_a_version_means_json(said: dict[str, Any], format_: Format) -> None:
    assert saved(said).rendering.format is format_


def test_fidelity_a_version_means_json_but_what_was_stored_keeps_what_it_sends() -> None:
    stored = b'{"envelopeEvents":["Sent"],"eventData":{"version":"restv2.1"}}'
    before = configurations.read(ACCOUNT, 77, stored, {})
    assert before.rendering.format is Format.XML
    for change in ({"pausePublish": "true"}, {"eventData": {"version": "restv2.1"}}, shown(before)):
        assert saved(change, before).rendering.format is Format.XML
    unsaid = saved({"eventData": {"version": ""}}, before)
    assert saved({"eventData": {"version": "restv2.1"}}, unsaid).rendering.format is Format.JSON_SIM


def test_the_model_reads_what_the_flags_and_lists_say() -> None:
    configuration = saved(every_field())
    assert configuration.publishing
    assert configuration.paused
    assert configuration.interest.all_users
    assert configuration.interest.all_users_except
    assert configuration.enable_log
    assert configuration.authentication.include_hmac
    assert configuration.interest.user_ids == {"u1", "u2"}
    assert configuration.url == "text of urlToPublishTo"


@pytest.mark.parametrize("name", sorted(LISTS))
def test_a_list_may_come_as_comma_separated_text_and_is_written_as_a_list(name: str) -> None:
    assert shown(saved({name: " a, b ,,"}))[name] == ["a", "b"]
    xml = f"<connectCustomConfiguration><{name}> a, b ,,</{name}></connectCustomConfiguration>"
    wire = decode_xml(xml.encode(), rest.ConnectCustomConfiguration)
    assert json.loads(configurations.merge(wire, None)[0])[name] == ["a", "b"]


def test_include_data_may_come_as_comma_separated_text_too() -> None:
    fields = shown(saved({"eventData": {"includeData": "tabs, folders"}}))
    assert fields["eventData"] == {"includeData": ["tabs", "folders"], "version": ""}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"envelopeEvents": ["Sent", "completed"]}, {"envelope-sent", "envelope-completed"}),
        ({"envelopeEvents": ["Draft", "Created"]}, {"envelope-created"}),
        ({"envelopeEvents": "Sent,Voided"}, {"envelope-sent", "envelope-voided"}),
        ({"recipientEvents": ["AuthenticationFailed"]}, {"recipient-authenticationfailed"}),
        ({"recipientEvents": ["recipient-sent"]}, {"recipient-sent"}),
        ({"events": [" Envelope-Sent "]}, {"envelope-sent"}),
        (
            {"events": ["template-created"], "envelopeEvents": ["Sent"]},
            {"template-created", "envelope-sent"},
        ),
        ({"events": [""], "envelopeEvents": [" "], "recipientEvents": []}, set()),
    ],
)
def test_legacy_event_names_mean_the_events_of_today(
    fields: dict[str, Any], expected: set[str]
) -> None:
    assert saved(fields).interest.events == expected


@pytest.mark.parametrize("name", ["", "a b", "1a", "a:b", "a}b", "é", "<x>", "a\x00"])
def test_a_custom_parameter_is_named_as_oauth_names_parameters(name: str) -> None:
    # In an answer in XML the name is an element; what cannot be one once broke the listing.
    with pytest.raises(InvalidBody, match="customParameters"):
        saved({"oAuthConfiguration": {"customParameters": {name: "x"}}})


ENTRY = LogEntry(
    account_id=ACCOUNT,
    envelope_id="env/1 ü",
    event_id="ev-1",
    event_name="envelope-sent",
    subject="Lease",
    sender_name="Ada",
    sender_email="ada@example.com",
    status="Sent",
    connect_id=5,
    config_name="crm",
    config_url="https://listener.example.com/",
    created_at=START,
    last_try=START + timedelta(seconds=1),
    retry_count=2,
    error="status: 500",
    log_id=8,
    failure_id=9,
    state=DeliveryState.WAITING,
    next_try=None,
    cursor=Cursor(1, 2),
)


LOG_EXTENSIONS = {"cause", "deliveryState", "event", "heldReason", "nextTry", "resentBy"}


def test_a_log_entry_has_the_eighteen_fields_of_the_page() -> None:
    base = f"/v2.1/accounts/{ACCOUNT}/connect"
    log = logs.log_to_wire(ENTRY)
    log.connect_debug_log = []
    assert json.loads(encode_json(log)) == {
        "accountId": ACCOUNT,
        "configUrl": "https://listener.example.com/",
        "connectDebugLog": [],
        "connectId": "5",
        "created": "2026-11-23T09:00:00.0000000Z",
        "deliveryState": ENTRY.state.value,
        "email": "ada@example.com",
        "envelopeId": "env/1 ü",
        "error": "status: 500",
        "failureId": "9",
        "failureUri": f"{base}/failures/9",
        "lastTry": "2026-11-23T09:00:01.0000000Z",
        "logId": "8",
        "logUri": f"{base}/logs/8",
        "retryCount": "2",
        "retryUri": f"{base}/envelopes/env%2F1%20%C3%BC/retry_queue",
        "status": "Sent",
        "subject": "Lease",
        "userName": "Ada",
    }
    assert len(msgspec.structs.fields(logs.ConnectLog)) == 18 + len(LOG_EXTENSIONS)


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (HeldReason.PAUSED, "This event was skipped due to the configuration being paused."),
        (HeldReason.DISABLED, "the next try is skipped while allowEnvelopePublish is false"),
    ],
)
def test_a_failure_that_is_held_says_why_its_next_try_is_skipped(
    held: HeldReason, said: str
) -> None:
    held_one = replace(ENTRY, state=DeliveryState.HELD, held=held, next_try=START)
    failure = replace(held_one, of_failure=True)
    shown = logs.log_to_wire(failure)
    assert (shown.held_reason, shown.next_try) == (held.value, None)
    assert shown.error == f"status: 500 - {said}"
    # What came in a pause says it already.
    assert logs.log_to_wire(replace(failure, error=said)).error == said
    # An entry of the log says what its attempt came to, and no more.
    assert logs.log_to_wire(held_one).error == "status: 500"
    taken = logs.log_to_wire(replace(held_one, failure_id=None, error=None))
    assert (taken.held_reason, taken.error) == (None, None)


def test_ids_and_uris_that_an_entry_has_not_are_left_out() -> None:
    log = logs.log_to_wire(replace(ENTRY, log_id=None, failure_id=None, error=None, subject=None))
    assert {
        "failureId",
        "failureUri",
        "logId",
        "logUri",
        "retryUri",
        "error",
        "subject",
    }.isdisjoint(json.loads(encode_json(log)))


def test_a_listing_has_both_lists_and_counts_its_own_records() -> None:
    log = logs.log_to_wire(ENTRY)
    failures = json.loads(encode_json(logs.listing([log, log], failures=True)))
    assert (len(failures["failures"]), failures["logs"]) == (2, [])
    assert (failures["totalRecords"], failures["type"]) == ("2", "failures")
    logged = json.loads(encode_json(logs.listing([log], failures=False)))
    assert (logged["failures"], len(logged["logs"]), logged["type"]) == ([], 1, "logs")


def detail(outcome: AttemptOutcome, answer: Answer | None) -> AttemptDetail:
    event = Event(ACCOUNT, "ev-1", "envelope-sent", "env-1", START, b"{}")
    why = WHY if outcome is AttemptOutcome.FAILED else None
    return AttemptDetail(ENTRY, event, answer, why, outcome, 0.25)


def test_the_debug_log_shows_both_halves_of_the_exchange() -> None:
    answer = Answer(500, "Oops", (("Content-Type", "text/plain"),), b"br\xffken")
    log = logs.detail_to_wire(detail(AttemptOutcome.FAILED, answer), b'{"event":"x"}')
    assert log.connect_debug_log is not None
    sent, came_back = log.connect_debug_log
    assert sent.payload == '{"event":"x"}'
    assert sent.event_description == "Posted envelope-sent to https://listener.example.com/"
    assert came_back.payload == "HTTP/1.1 500 Oops\nContent-Type: text/plain\n\nbr\ufffdken"
    assert came_back.event_description == "Failed after 0.250 s"
    assert came_back.error_details == rest.ErrorDetails(error_code="STATUS", message=str(WHY))


@pytest.mark.parametrize("outcome", list(AttemptOutcome))
def test_each_outcome_of_an_attempt_has_its_words(outcome: AttemptOutcome) -> None:
    log = logs.failure_to_wire(ENTRY, [(detail(outcome, None), b"{}")] * 2)
    assert log.connect_debug_log is not None
    assert len(log.connect_debug_log) == 4
    assert log.connect_debug_log[1].event_description


def test_a_listeners_hostile_bytes_are_shown_in_json_and_in_xml() -> None:
    answer = Answer(500, "\x1b[31m", (("X", "</script>"),), bytes(range(256)))
    log = logs.detail_to_wire(detail(AttemptOutcome.FAILED, answer), b"{}")
    assert msgspec.json.decode(encode_json(log), type=logs.ConnectLog) == log
    assert decode_xml(encode_xml(log), logs.ConnectLog).connect_debug_log is not None


@pytest.mark.parametrize("state", list(DeliveryState))
def test_each_state_of_a_requeued_delivery_has_a_status(state: DeliveryState) -> None:
    result = logs.requeued_to_wire(Requeued(1, "env-1", 5, "https://x/", 3, state, "a note"))
    assert result.status
    assert (result.config_id, result.envelope_id, result.status_message) == ("5", "env-1", "a note")


def test_s7_an_hmac_key_shows_its_secret_only_when_asked_to() -> None:
    key = HmacKey("k1", Secret("canary"), START)
    assert listeners.secret_to_wire(key, shown=True).secret == "canary"
    assert b"canary" not in encode_json(listeners.secret_to_wire(key, shown=False))


def test_r4_who_disabled_a_configuration_is_ours_to_say_and_ends_with_the_next_switch() -> None:
    assert saved({"disabledBy": "somebody"}).disabled_by is None
    before = saved({"allowEnvelopePublish": "true"})
    document, secrets = configurations.disabled(before, "Heliograph: it answered 410")
    off = configurations.read(ACCOUNT, 77, document, secrets)
    assert (off.publishing, off.disabled_by) == (False, "Heliograph: it answered 410")
    assert shown(off)["disabledBy"] == "Heliograph: it answered 410"
    assert saved({"name": "other"}, off).disabled_by == off.disabled_by
    for switch in ("true", "false"):
        assert saved({"allowEnvelopePublish": switch}, off).disabled_by is None


@pytest.mark.parametrize(
    ("given_text", "schedule"),
    [
        (["docusign"], ScheduleName.DOCUSIGN),
        ("Standard", ScheduleName.STANDARD),
        ("1, 60,3600.5", (1.0, 60.0, 3600.5)),
        ([], None),
        ("", None),
    ],
)
def test_r9_a_schedule_is_a_name_or_delays_in_seconds(given_text: Any, schedule: Any) -> None:
    assert saved({"retrySchedule": given_text}).pace.schedule == schedule


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("retrySchedule", text) for text in ("soon", "0", "-1", "5,soon", "nan", "inf", "1e7")),
        ("retrySchedule", ["60"] * 101),
        ("retrySchedule", ["docusign", "60"]),
        ("deliveryOrder", "sideways"),
        ("verbatim", "maybe"),
        ("deliveryMode", "SIMilar"),
        *(("maxPerSecond", text) for text in ("fast", "0", "-1", "nan", "inf", "0.0001")),
    ],
)
def test_a_choice_that_does_not_exist_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidBody, match=name):
        saved({name: value})
