"""The OpenAPI document and its page say what the operations are, and nothing else."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
import schemathesis
from docusign_esign import EnvelopeEvent, EventNotification, RecipientEvent

from heliograph import errors
from heliograph.api.contract import rate_limits
from heliograph.api.contract.openapi import PATH_PARAMETERS, document, errors_of, plain_path
from heliograph.api.contract.operation import Operation
from heliograph.api.contract.reference import render
from heliograph.api.contract.selection import CURSOR
from heliograph.wire import logs
from heliograph.wire.codec import OURS
from heliograph.wire.rest import ConnectCustomConfiguration
from heliograph.wire.schemas import components
from tests.operations import BASE_URI, all_operations

OPERATIONS = all_operations()
DOCUMENT = document(OPERATIONS, BASE_URI)
NAMES = [one.operation_id for one in OPERATIONS]
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)


def calls(shown: Mapping[str, Any]) -> dict[str, Any]:
    return {
        call["operationId"]: {"path": path, "method": method, **call}
        for path, here in shown["paths"].items()
        for method, call in here.items()
    }


def test_it_is_openapi_3_1_of_every_operation_once() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert sorted(calls(DOCUMENT)) == sorted(set(NAMES))
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("v2", [False, True])
def test_it_is_valid_by_openapis_own_schema(v2: bool) -> None:
    shown = msgspec.json.decode(msgspec.json.encode(document(OPERATIONS, BASE_URI, v2=v2)))
    schemathesis.openapi.from_dict(shown).validate()
    with pytest.raises(Exception, match="paths"):
        schemathesis.openapi.from_dict({**shown, "paths": 5}).validate()


@each_operation
def test_each_operation_says_in_a_sentence_what_it_does(operation: Operation) -> None:
    assert re.fullmatch(r"[A-Z][^.]*\.", operation.summary)
    assert calls(DOCUMENT)[operation.operation_id]["summary"] == operation.summary


@each_operation
def test_the_answer_is_what_the_code_gives(operation: Operation) -> None:
    given = typing.get_type_hints(operation.handler)["return"]
    if isinstance(given, type) and issubclass(given, msgspec.Struct | type(None)):
        assert operation.answer is (None if given is type(None) else given)
    elif given == logs.BulkResults | None:
        assert operation.answer is None  # but for a dry run, which DocuSign does not have
    else:
        # A page with its Link header, or a stream of lines.
        assert operation.lines or CURSOR in operation.query
        assert operation.answer is not None


@each_operation
def test_each_parameter_of_a_path_is_described(operation: Operation) -> None:
    names = re.findall(r"\{(\w+)\}", plain_path(operation))
    shown = calls(DOCUMENT)[operation.operation_id]["parameters"]
    assert [one["name"] for one in shown if one["in"] == "path"] == names
    assert all(one["required"] for one in shown if one["in"] == "path")
    assert set(names) <= PATH_PARAMETERS.keys()


def test_no_parameter_is_described_that_no_path_has() -> None:
    used = {name for one in OPERATIONS for name in re.findall(r"\{(\w+)", one.path)}
    assert used == PATH_PARAMETERS.keys()


@each_operation
def test_every_error_has_the_shape_of_all_errors_in_json_and_in_xml(operation: Operation) -> None:
    responses = calls(DOCUMENT)[operation.operation_id]["responses"]
    statuses = {str(status) for status in errors_of(operation)}
    assert responses.keys() == {str(operation.status), *statuses}
    for status in statuses:
        assert responses[status]["content"].keys() == {
            *("application/json", "application/xml", "text/xml")
        }
        for form in responses[status]["content"].values():
            assert form["schema"] == {"$ref": "#/components/schemas/ErrorDetails"}


@each_operation
def test_calls_that_count_say_where_the_account_stands_and_may_be_refused_s13(
    operation: Operation,
) -> None:
    responses = calls(DOCUMENT)[operation.operation_id]["responses"]
    told = {status for status, one in responses.items() if "X-RateLimit-Limit" in headers_of(one)}
    if not operation.metered:
        assert operation.operation_id.startswith("publish_")
        assert not told
        return
    limits = {"HOURLY_APIINVOCATION_LIMIT_EXCEEDED", "BURST_APIINVOCATION_LIMIT_EXCEEDED"}
    assert limits <= {one.code for one in errors_of(operation)[429]}
    # Who calls is not known yet where these are answered, or the connection is given up.
    assert {*responses} - told <= {"401", "406", "408", "414", "431", "505"}
    for status in told:
        assert set(rate_limits.ABOUT) <= headers_of(responses[status])


@each_operation
def test_each_401_says_how_to_sign_in(operation: Operation) -> None:
    responses = calls(DOCUMENT)[operation.operation_id]["responses"]
    told = {status for status, one in responses.items() if "WWW-Authenticate" in headers_of(one)}
    assert told == {"401"}


def headers_of(response: Mapping[str, Any]) -> set[str]:
    return set(response.get("headers", {}))


def test_every_header_is_described_and_none_is_that_no_answer_has() -> None:
    text = msgspec.json.encode(DOCUMENT).decode()
    used = set(re.findall(r'"#/components/headers/([\w-]+)"', text))
    assert used == DOCUMENT["components"]["headers"].keys()


def test_every_code_is_an_operations_but_where_no_operation_is_meant() -> None:
    documented = {
        one.code for each in OPERATIONS for here in errors_of(each).values() for one in here
    }
    # The emulator's operations are in no document of the API (docs/decisions/0049).
    known = [one for one in errors.answers() if not (one.__doc__ or "").startswith("The emulator:")]
    others = {one.code for one in known} - documented
    # A method that a path has not, and what comes to a relay, which is no operation of a program's.
    assert others == {"METHOD_NOT_ALLOWED", "RELAY_MESSAGE_REFUSED"}


def test_the_xml_form_is_that_of_the_reference_page() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    logs = schemas["ConnectLogs"]
    namespace = "http://www.docusign.com/restapi"
    assert logs["xml"] == {"name": "connectLogs", "namespace": namespace}
    assert logs["properties"]["logs"] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/ConnectLog"},
        "xml": {"wrapped": True},
    }
    events = schemas["ConnectCustomConfiguration"]["properties"]["envelopeEvents"]
    assert events["items"]["xml"] == {"name": "envelopeEvent"}


def test_version_2_has_what_docusign_had_there_and_its_lists_as_text() -> None:
    old = document(OPERATIONS, BASE_URI, v2=True)
    beside = {"/v2/login_information", "/v2/accounts/{accountId}"}
    assert all(
        path.startswith("/v2/accounts/{accountId}/") for path in old["paths"].keys() - beside
    )
    assert calls(old).keys() == {one.operation_id for one in OPERATIONS if one.v2}
    # v2's document lists 16 of Connect, its SDKs the three of phones; failureUri leads to one more.
    connect = [one for one in calls(old).values() if "/connect" in one["path"]]
    assert len(connect) == 20
    fields = old["components"]["schemas"]["ConnectCustomConfiguration"]["properties"]
    for name in ("envelopeEvents", "recipientEvents", "userIds"):
        assert fields[name]["type"] == "string"
    assert fields["events"]["type"] == "array"


def test_a_notification_has_every_field_of_docusigns_and_what_else_a_configuration_has() -> None:
    (event, _) = calls(DOCUMENT)["publish_events"]["requestBody"]["content"]["application/json"][
        "schema"
    ]["anyOf"]
    shown = event["properties"]["eventNotification"]["properties"]
    docusigns = set(EventNotification.attribute_map.values())
    marked = {name for name, one in shown.items() if OURS in one}
    assert shown.keys() == docusigns | marked
    assert marked == {
        *("certificateAuthorities", "deliveryOrder", "maxPerSecond"),
        *("requireMutualTls", "retrySchedule"),
    }
    for name, one in (("envelopeEvents", EnvelopeEvent), ("recipientEvents", RecipientEvent)):
        assert shown[name]["items"]["properties"].keys() == {*one.attribute_map.values()}


def test_two_messages_of_one_name_are_refused() -> None:
    other = msgspec.defstruct("ConnectCustomConfiguration", [("name", str)])
    with pytest.raises(ValueError, match="Two messages"):
        components([ConnectCustomConfiguration, other])


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    text = msgspec.json.encode(DOCUMENT).decode()
    used = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert used == DOCUMENT["components"]["schemas"].keys()


def test_the_page_shows_every_call_field_and_code_and_has_no_script_but_its_own() -> None:
    page = render(DOCUMENT, BASE_URI)
    for name in NAMES:
        assert f'id="{name}"' in page
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert f'id="schema-{name}"' in page
        for field in schema["properties"]:
            assert f"<code>{field}</code>" in page
    for one in errors.answers():
        assert one.code in page
        assert one.advice.replace("'", "&#39;") in page
    assert re.findall("<script.*", page) == ['<script src="/docs.js" defer></script>']
    assert "style=" not in page
    assert not re.search(r"\son\w+=", page)
    assert not re.search(r"(?:href|src)=\"(?:https?:)?//", page)
    assert page.count('class="mark"') > len([one for one in OPERATIONS if one.extension])
    for target in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{target}"' in page, target


def test_texts_of_a_document_are_only_ever_text_in_the_page_s10() -> None:
    evil = "<script>alert(1)</script>"
    shown = {**DOCUMENT, "info": {**DOCUMENT["info"], "title": evil}}
    assert evil not in render(shown, BASE_URI)
    assert "&lt;script&gt;" in render(shown, BASE_URI)


def test_extensions_are_marked_wherever_they_are() -> None:
    shown = calls(DOCUMENT)
    assert shown["publish_events"][OURS] is True
    assert OURS not in shown["list_event_failure_logs"]
    marks = {
        one["name"]: one.get(OURS, False) for one in shown["list_event_failure_logs"]["parameters"]
    }
    assert (marks["from_date"], marks["to_date"], marks["cursor"]) == (False, False, True)
