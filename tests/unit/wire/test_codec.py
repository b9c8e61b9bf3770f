"""JSON and XML bodies: one meaning, the page's form, and no harm from hostile ones."""

from __future__ import annotations

import importlib
import pkgutil
import types
import typing
from pathlib import Path
from time import thread_time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph import wire
from heliograph.errors import InvalidBody
from heliograph.wire.codec import (
    Wire,
    decode_json,
    decode_xml,
    encode_json,
    encode_xml,
)
from heliograph.wire.logs import ConnectDebugLog, ConnectLog, ConnectLogs
from heliograph.wire.rest import ConnectCustomConfiguration, ErrorDetails
from tests.hostile_xml import HARMLESS, REFUSED, wrapped

SLOWEST = 0.5
"""Seconds of CPU that a hostile body may take; wall time would also count the neighbours."""

MESSAGES = list(
    {
        shape: None
        for module in pkgutil.walk_packages(wire.__path__, f"{wire.__name__}.")
        for shape in vars(importlib.import_module(module.name)).values()
        if isinstance(shape, type) and issubclass(shape, Wire) and shape is not Wire
    }
)

# XML 1.0 can carry no control character but tab, LF and CR, and neither U+FFFE nor U+FFFF.
_CONTROLS = "".join(map(chr, range(32))).translate(dict.fromkeys(map(ord, "\t\n\r")))
xml_texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=_CONTROLS + "\ufffe\uffff"),
    max_size=12,
)
parameter_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,5}", fullmatch=True)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type; a list in its v2.1 form, which is the one that is written."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return values(inner[0])
    if origin in (typing.Union, types.UnionType):
        lists = [one for one in inner if typing.get_origin(one) is list]
        chosen = lists or [one for one in inner if one is not type(None)]
        found = values(chosen[0])
        return st.none() | found if type(None) in inner else found
    if origin is list:
        return st.lists(values(inner[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(parameter_names, xml_texts, max_size=3)
    return messages(kind) if issubclass(kind, msgspec.Struct) else xml_texts


def messages(shape: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    fields = {field.name: values(field.type) for field in msgspec.structs.fields(shape)}
    return st.builds(shape, **fields)


def shouted(value: Any) -> Any:
    """A message as JSON's values, the names of all fields in capitals."""
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        found = {field.encode_name.upper(): getattr(value, field.name) for field in fields}
        return {name: shouted(item) for name, item in found.items() if item is not None}
    return [shouted(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("shape", MESSAGES, ids=lambda shape: shape.__name__)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_fidelity_names_without_regard_to_case_in_every_message(
    shape: type[msgspec.Struct], data: st.DataObject
) -> None:
    message = data.draw(messages(shape))
    assert decode_json(msgspec.json.encode(shouted(message)), shape) == message


def test_fidelity_names_without_regard_to_case_in_xml_and_the_last_of_equal_ones_counts() -> None:
    body = b"""<connectCustomConfiguration><NAME>a</NAME><EventData><INCLUDEDATA>
        <includeData>tabs</includeData></INCLUDEDATA></EventData></connectCustomConfiguration>"""
    found = decode_xml(body, ConnectCustomConfiguration)
    assert found.name == "a"
    assert found.event_data is not None
    assert found.event_data.include_data == ["tabs"]
    twice = decode_json(b'{"Name": "a", "name": "b", "NAME": "c"}', ConnectCustomConfiguration)
    assert twice.name == "c"


def test_fidelity_names_of_an_event_notification_are_taken_in_a_configuration_too() -> None:
    """As DocuSign's own example of a historical publish writes them."""
    body = b"""{"SignMessageWithX509Cert": "true", "RequireAcknowledgment": "false",
        "includeTimeZone": "true", "loggingEnabled": "true",
        "IncludeCertificateWithSoap": "true"}"""
    found = decode_json(body, ConnectCustomConfiguration)
    assert found.sign_message_with_x509_certificate == found.enable_log == "true"
    assert found.include_time_zone_information == found.include_cert_soap_header == "true"
    assert found.requires_acknowledgement == "false"


@pytest.mark.parametrize("shape", MESSAGES, ids=lambda shape: shape.__name__)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_each_message_is_the_same_object_through_json_and_through_xml(
    shape: type[msgspec.Struct], data: st.DataObject
) -> None:
    message = data.draw(messages(shape))
    assert decode_json(encode_json(message), shape) == message
    assert decode_xml(encode_xml(message, extensions=True), shape) == message


def test_every_message_of_the_api_is_covered() -> None:
    assert len(MESSAGES) >= 20
    assert {ConnectLogs, ConnectCustomConfiguration} <= set(MESSAGES)


FULL_LOG = ConnectLog(
    account_id="sample string 1",
    envelope_id="sample string 2",
    subject="sample string 3",
    created="sample string 4",
    user_name="sample string 5",
    email="sample string 6",
    status="sample string 7",
    last_try="sample string 8",
    retry_count="sample string 9",
    error="sample string 10",
    connect_id="sample string 11",
    config_url="sample string 12",
    log_uri="sample string 13",
    log_id="sample string 14",
    failure_uri="sample string 15",
    failure_id="sample string 16",
    retry_uri="sample string 17",
    connect_debug_log=[
        ConnectDebugLog(
            event_date_time="sample string 1",
            config_name="sample string 2",
            event_description="sample string 3",
            payload="sample string 4",
            error_details=ErrorDetails(error_code="sample string 1", message="sample string 2"),
        )
    ],
)

PAGE = ConnectLogs(
    type="sample string 1",
    logs=[FULL_LOG],
    failures=[ConnectLog()],
    total_records="sample string 2",
)

PAGE_XML = """
<connectLogs xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns="http://www.docusign.com/restapi">
  <failures>
    <connectLog />
  </failures>
  <logs>
    <connectLog>
      <accountId>sample string 1</accountId>
      <configUrl>sample string 12</configUrl>
      <connectDebugLog>
        <connectDebugLog>
          <connectConfig>sample string 2</connectConfig>
          <errorDetails>
            <errorCode>sample string 1</errorCode>
            <message>sample string 2</message>
          </errorDetails>
          <eventDateTime>sample string 1</eventDateTime>
          <eventDescription>sample string 3</eventDescription>
          <payload>sample string 4</payload>
        </connectDebugLog>
      </connectDebugLog>
      <connectId>sample string 11</connectId>
      <created>sample string 4</created>
      <email>sample string 6</email>
      <envelopeId>sample string 2</envelopeId>
      <error>sample string 10</error>
      <failureId>sample string 16</failureId>
      <failureUri>sample string 15</failureUri>
      <lastTry>sample string 8</lastTry>
      <logId>sample string 14</logId>
      <logUri>sample string 13</logUri>
      <retryCount>sample string 9</retryCount>
      <retryUri>sample string 17</retryUri>
      <status>sample string 7</status>
      <subject>sample string 3</subject>
      <userName>sample string 5</userName>
    </connectLog>
  </logs>
  <totalRecords>sample string 2</totalRecords>
  <type>sample string 1</type>
</connectLogs>
"""


def test_xml_is_written_exactly_as_on_the_reference_page() -> None:
    declaration, _, written = encode_xml(PAGE).decode().partition("\n")
    assert declaration == "<?xml version='1.0' encoding='utf-8'?>"
    expected = "".join(line.strip() for line in PAGE_XML.splitlines())
    assert written == expected.replace(" />", "/>")


def test_the_pages_example_is_read_with_its_white_space() -> None:
    assert decode_xml(PAGE_XML.encode(), ConnectLogs) == PAGE


def test_nulls_are_left_out_in_json_and_in_xml() -> None:
    assert encode_json(ConnectLog(status="Sent")) == b'{"status":"Sent"}'
    assert encode_xml(ConnectLog(status="Sent")).endswith(b"><status>Sent</status></connectLog>")
    assert decode_json(b'{"name":null,"events":[null,"a"]}', ConnectCustomConfiguration) == (
        ConnectCustomConfiguration(events=["a"])
    )


def test_a_list_of_texts_is_a_wrapper_of_singular_elements() -> None:
    written = encode_xml(ConnectCustomConfiguration(events=["a", "b"], user_ids=[]))
    assert b"<events><event>a</event><event>b</event></events><userIds/>" in written


@pytest.mark.parametrize(
    "xml",
    [
        "<o:connectLog xmlns:o='urn:x'><o:status>Sent</o:status></o:connectLog>",
        "<ConnectLog><status>Sent</status><unknown><deep/></unknown></ConnectLog>",
    ],
)
def test_names_count_and_namespaces_and_unknown_elements_do_not(xml: str) -> None:
    assert decode_xml(xml.encode(), ConnectLog) == ConnectLog(status="Sent")


def name_of(value: bytes) -> str | None:
    return decode_json(b'{"name":' + value + b"}", ConnectCustomConfiguration).name


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"true", "true"),
        (b"false", "false"),
        (b"5", "5"),
        (b"1.5", "1.5"),
        (b"-0", "0"),
        (b"12345678901234567890123", "12345678901234567890123"),
        (b'"5"', "5"),
        (b'""', ""),
    ],
)
def test_a_scalar_that_is_no_text_is_read_as_its_text(value: bytes, text: str) -> None:
    assert name_of(value) == text


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"name":{}}', "$.name"),
        (b'{"name":["a"]}', "$.name"),
        (b'{"events":[["a"]]}', "$.events[0]"),
        (b'{"events":{"a":"b"}}', "$.events"),
        (b'{"eventData":"x"}', "$.eventData"),
        (b'{"sfObjects":[{"selectFields":["x"]}]}', "$.sfObjects[0].selectFields[0]"),
        (b'{"oAuthConfiguration":{"customParameters":["a"]}}', "customParameters"),
        (b"[]", "connectCustomConfiguration"),
        (b"5", "connectCustomConfiguration"),
    ],
)
def test_a_wrong_type_in_json_names_the_field(body: bytes, told: str) -> None:
    with pytest.raises(InvalidBody) as caught:
        decode_json(body, ConnectCustomConfiguration)
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        ("<name><b>x</b></name>", "$.name"),
        ("<name>x<b/></name>", "$.name"),
        ("<events><event><b/></event></events>", "$.events[0]"),
        ("<sfObjects>x</sfObjects>", "$.sfObjects[0]"),
    ],
)
def test_a_wrong_type_in_xml_names_the_field(inside: str, told: str) -> None:
    with pytest.raises(InvalidBody) as caught:
        decode_xml(wrapped(inside), ConnectCustomConfiguration)
    assert told in caught.value.message


def test_another_root_is_refused_by_name() -> None:
    with pytest.raises(InvalidBody, match="must be `connectLog`"):
        decode_xml(b"<connectLogs/>", ConnectLog)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{} x",
        b'{"name":"a"',
        b'{"a":1,}',
        b'{"name":NaN}',
        b'{"name":1e400}',
        b'{"name":' + b"9" * 5000 + b"}",
        b'{"name":"\\ud800"}',
        b'{"name":"\xff"}',
        b'{"\xff":1}',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"<connectCustomConfiguration/>",
    ],
)
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidBody):
        decode_json(body, ConnectCustomConfiguration)


@pytest.mark.parametrize("depth", [100, 400, 500, 700, 900, 990, 1100, 100_000])
@pytest.mark.parametrize(("left", "right"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_json_of_any_depth_is_refused_or_harmless(depth: int, left: bytes, right: bytes) -> None:
    # From 500 on this was once a RecursionError, and the caller's answer a 500.
    for name in (b'{"name":', b'{"unknown":'):
        try:
            decode_json(
                name + left * depth + b"1" + right * depth + b"}", ConnectCustomConfiguration
            )
        except InvalidBody:
            continue


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\0b", "a\ufffdb"),
        ("\x1b[31m", "\ufffd[31m"),
        ("\ufffe", "\ufffd"),
        ("\ud800", "\ufffd"),
        # Only what XML cannot carry is replaced, not all that is not printable.
        ("\0\u00a0\u2028\t\U0001f600\ue000", "\ufffd\u00a0\u2028\t\U0001f600\ue000"),
    ],
)
def test_what_xml_cannot_carry_is_shown_as_a_replacement(text: str, shown: str) -> None:
    written = encode_xml(ConnectLog(subject=text))
    assert decode_xml(written, ConnectLog).subject == shown


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_s11_hostile_xml_is_refused_at_once(body: bytes) -> None:
    costs = []
    for _ in range(3):  # what the machine adds to one of them is not the reader's cost
        began = thread_time()
        with pytest.raises(InvalidBody):
            decode_xml(body, ConnectCustomConfiguration)
        costs.append(thread_time() - began)
    assert min(costs) < SLOWEST


@pytest.mark.parametrize(("body", "expected"), HARMLESS.values(), ids=HARMLESS.keys())
def test_s11_odd_xml_is_read_without_harm(
    body: bytes, expected: ConnectCustomConfiguration
) -> None:
    costs = []
    for _ in range(3):  # what the machine adds to one of them is not the reader's cost
        began = thread_time()
        assert decode_xml(body, ConnectCustomConfiguration) == expected
        costs.append(thread_time() - began)
    assert min(costs) < SLOWEST


@pytest.mark.parametrize("cut", range(0, len(PAGE_XML.strip()) - 1, 37))
def test_s11_truncated_xml_is_refused_wherever_it_is_cut(cut: int) -> None:
    with pytest.raises(InvalidBody):
        decode_xml(PAGE_XML.strip()[:cut].encode(), ConnectLogs)


def test_s11_no_file_is_read_for_an_xml_body(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("canary")
    (tmp_path / "evil.dtd").write_text('<!ENTITY x "canary">')
    uri = (tmp_path / "secret").as_uri()
    for before in (
        f'<!DOCTYPE x [<!ENTITY x SYSTEM "{uri}">]>',
        f'<!DOCTYPE x SYSTEM "{(tmp_path / "evil.dtd").as_uri()}">',
        f'<!DOCTYPE x [<!ENTITY % p SYSTEM "{(tmp_path / "evil.dtd").as_uri()}"> %p;]>',
    ):
        with pytest.raises(InvalidBody) as caught:
            decode_xml(wrapped("<name>&x;</name>", before), ConnectCustomConfiguration)
        assert "canary" not in caught.value.message


@settings(deadline=None)
@given(
    st.binary(max_size=200)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=100).map(str.encode)
)
def test_s11_no_bytes_whatever_raise_anything_but_invalid_body(body: bytes) -> None:
    for decode in (decode_json, decode_xml):
        try:
            decode(body, ConnectCustomConfiguration)
        except InvalidBody:
            continue
