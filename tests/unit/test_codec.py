"""JSON and XML bodies: one meaning, the page's form, and no harm from hostile ones."""

from __future__ import annotations

import types
import typing
from pathlib import Path
from time import thread_time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.errors import InvalidBody
from heliograph.wire import rest
from heliograph.wire.codec import (
    MOST_ATTRIBUTES,
    MOST_DEPTH,
    MOST_NODES,
    Wire,
    decode_json,
    decode_xml,
    encode_json,
    encode_xml,
)
from heliograph.wire.rest import (
    ConnectCustomConfiguration,
    ConnectDebugLog,
    ConnectLog,
    ConnectLogs,
    ErrorDetails,
)

SLOWEST = 0.5
"""Seconds of CPU that a hostile body may take; wall time would also count the neighbours."""

MESSAGES = [
    found
    for found in vars(rest).values()
    if isinstance(found, type) and issubclass(found, Wire) and found is not Wire
]

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


@pytest.mark.parametrize("shape", MESSAGES, ids=lambda shape: shape.__name__)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_each_message_is_the_same_object_through_json_and_through_xml(
    shape: type[msgspec.Struct], data: st.DataObject
) -> None:
    message = data.draw(messages(shape))
    assert decode_json(encode_json(message), shape) == message
    assert decode_xml(encode_xml(message), shape) == message


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
        (b'"\\u0000"', "\0"),
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
    with pytest.raises(InvalidBody, match="must be `connectLog`, not `connectLogs`"):
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


def wrapped(inside: str | bytes, before: str | bytes = b"") -> bytes:
    """A configuration around `inside`; it takes the place of a listener's own XML."""
    start, end = b"<connectCustomConfiguration>", b"</connectCustomConfiguration>"
    text = [part.encode() if isinstance(part, str) else part for part in (before, inside)]
    return text[0] + start + text[1] + end


def laughs() -> bytes:
    entities = '<!ENTITY a0 "ha">'
    entities += "".join(f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 10))
    return wrapped("<name>&a9;</name>", f"<!DOCTYPE x [{entities}]>")


def attributes(count: int) -> str:
    return " ".join(f"a{number}='x'" for number in range(count))


UTF7 = '<?xml version="1.0" encoding="UTF-7"?>'
XI = 'xmlns:xi="http://www.w3.org/2001/XInclude"'

REFUSED: dict[str, bytes] = {
    "an empty DOCTYPE": wrapped("", "<!DOCTYPE connectCustomConfiguration>"),
    "an internal DTD": wrapped("<name>a</name>", '<!DOCTYPE x [<!ENTITY a "b">]>'),
    "an external DTD": wrapped("", '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">'),
    "a public DTD": wrapped("", '<!DOCTYPE x PUBLIC "-//x" "ftp://127.0.0.1:9/x.dtd">'),
    "billion laughs": laughs(),
    "billion laughs in an attribute": wrapped(
        '<name a="&a9;">x</name>', laughs().partition(b"<connect")[0]
    ),
    "quadratic blow-up": wrapped(
        b"<name>" + b"&a;" * 50_000 + b"</name>",
        b'<!DOCTYPE x [<!ENTITY a "' + b"a" * 100_000 + b'">]>',
    ),
    "an external entity": wrapped(
        "<name>&x;</name>", '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    ),
    "an external entity of the network": wrapped(
        "<name>&x;</name>", '<!DOCTYPE x [<!ENTITY x SYSTEM "http://127.0.0.1:9/">]>'
    ),
    "a parameter entity": wrapped("", """<!DOCTYPE x [<!ENTITY % p "<!ENTITY a 'b'>"> %p;]>"""),
    "an external parameter entity": wrapped(
        "", '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/"> %p;]>'
    ),
    "default attributes from a DTD": wrapped("", "<!DOCTYPE x [<!ATTLIST name a CDATA 'x'>]>"),
    "an unknown entity": wrapped("<name>&x;</name>"),
    "UTF-7": wrapped("<name>+ADw-</name>", UTF7),
    "UTF-7 throughout": b"+ADw-?xml version='1.0' encoding='UTF-7'?+AD4-+ADw-a/+AD4-",
    "ISO-8859-1": wrapped(b"<name>\xe9</name>", '<?xml version="1.0" encoding="ISO-8859-1"?>'),
    "UTF-32": wrapped("").decode().encode("utf-32"),
    "EBCDIC": wrapped("", '<?xml version="1.0" encoding="cp037"?>').decode().encode("cp037"),
    "UTF-8 that says UTF-16": wrapped("", '<?xml version="1.0" encoding="UTF-16"?>'),
    "UTF-16 without a mark": wrapped("").decode().encode("utf-16-le"),
    "bytes that are not UTF-8": wrapped(b"<name>\xff\xfe</name>"),
    "an overlong form": wrapped(b"<name>\xc0\xbc</name>"),
    "one element too deep": wrapped("<a>" * MOST_DEPTH + "</a>" * MOST_DEPTH),
    "300 elements deep": wrapped("<a>" * 300 + "</a>" * 300),
    "100,000 elements deep": wrapped("<a>" * 100_000 + "</a>" * 100_000),
    "never closed": b"<a>" * 100_000,
    "one element too many": wrapped("<a/>" * MOST_NODES),
    "as many elements as fit the body limit": wrapped("<a/>" * 250_000),
    "one attribute too many": wrapped(f"<a {attributes(MOST_ATTRIBUTES + 1)}/>"),
    "60,000 attributes": wrapped(f"<a {attributes(60_000)}/>"),
    "an attribute twice": wrapped('<name a="1" a="2">x</name>'),
    "a huge attribute": wrapped(b'<a a="' + b"x" * (10 << 20) + b'"/>'),
    "a huge name": wrapped(b"<" + b"a" * (1 << 20) + b"/>"),
    "a NUL": wrapped(b"<name>a\0b</name>"),
    "a NUL by reference": wrapped("<name>&#0;</name>"),
    "a control character": wrapped("<name>&#x1b;</name>"),
    "a control character in XML 1.1": wrapped("<name>&#1;</name>", '<?xml version="1.1"?>'),
    "a surrogate by reference": wrapped("<name>&#xD800;</name>"),
    "no character": wrapped("<name>&#xFFFE;</name>"),
    "nothing": b"",
    "white space": b" \n",
    "JSON": b'{"name":"a"}',
    "text after the root": wrapped("") + b"x",
    "two roots": wrapped("") * 2,
    "a prefix that is not bound": wrapped("<x:name>a</x:name>"),
    "CDATA in CDATA": wrapped("<name><![CDATA[a<![CDATA[b]]>]]></name>"),
    "XInclude": (
        f"<connectCustomConfiguration {XI}><name><xi:include href='file:///etc/hostname' "
        "parse='text'/></name></connectCustomConfiguration>"
    ).encode(),
}

UTF16 = '<?xml version="1.0" encoding="UTF-16"?>'
XSI = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
NAMED = ConnectCustomConfiguration(name="ab")

HARMLESS: dict[str, tuple[bytes, ConnectCustomConfiguration]] = {
    "a comment that splits a value": (wrapped("<name>a<!-- x -->b</name>"), NAMED),
    "an instruction that splits a value": (wrapped("<name>a<?php x?>b</name>"), NAMED),
    "CDATA that splits a value": (wrapped("<name>a<![CDATA[b]]></name>"), NAMED),
    "CDATA that looks like an element": (
        wrapped("<name><![CDATA[<b>&lt;</b>]]></name>"),
        ConnectCustomConfiguration(name="<b>&lt;</b>"),
    ),
    "a stylesheet": (wrapped("<name>ab</name>", '<?xml-stylesheet href="file:///x"?>'), NAMED),
    "100,000 instructions": (wrapped("<?a b?>" * 100_000 + "<name>ab</name>"), NAMED),
    "100,000 comments in a value": (
        wrapped("<name>" + "a<!---->" * 100_000 + "</name>"),
        ConnectCustomConfiguration(name="a" * 100_000),
    ),
    "a byte order mark": (b"\xef\xbb\xbf" + wrapped("<name>ab</name>"), NAMED),
    "UTF-16": (wrapped("<name>ab</name>", UTF16).decode().encode("utf-16"), NAMED),
    "UTF-16 that says UTF-8": (wrapped("<name>ab</name>").decode().encode("utf-16"), NAMED),
    "the deepest that is taken": (
        wrapped("<a>" * (MOST_DEPTH - 1) + "</a>" * (MOST_DEPTH - 1) + "<name>ab</name>"),
        NAMED,
    ),
    "the most elements": (wrapped("<name>ab</name>" + "<a/>" * (MOST_NODES - 2)), NAMED),
    "the most attributes": (
        wrapped(f"<name {attributes(MOST_ATTRIBUTES)}>ab</name>"),
        NAMED,
    ),
    "40,000 namespaces": (
        wrapped(
            "<a "
            + " ".join(f"xmlns:a{number}='u{number}'" for number in range(40_000))
            + "/><name>ab</name>"
        ),
        NAMED,
    ),
    "xsi:nil": (
        f'<connectCustomConfiguration {XSI}><name i:nil="true"/><events i:nil="1"/>'
        '<userName i:nil="false">u</userName></connectCustomConfiguration>'.encode(),
        ConnectCustomConfiguration(user_name="u"),
    ),
    "xsi:type": (
        f'<connectCustomConfiguration {XSI} i:type="evil"><name i:type="int">ab</name>'
        "</connectCustomConfiguration>".encode(),
        NAMED,
    ),
    "an element twice": (wrapped("<name>a</name><name>ab</name>"), NAMED),
    "XInclude beside the fields": (
        f"<connectCustomConfiguration {XI}><xi:include href='file:///etc/hostname'/>"
        "<name>ab</name></connectCustomConfiguration>".encode(),
        NAMED,
    ),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_s11_hostile_xml_is_refused_at_once(body: bytes) -> None:
    began = thread_time()
    with pytest.raises(InvalidBody):
        decode_xml(body, ConnectCustomConfiguration)
    assert thread_time() - began < SLOWEST


@pytest.mark.parametrize(("body", "expected"), HARMLESS.values(), ids=HARMLESS.keys())
def test_s11_odd_xml_is_read_without_harm(
    body: bytes, expected: ConnectCustomConfiguration
) -> None:
    began = thread_time()
    assert decode_xml(body, ConnectCustomConfiguration) == expected
    assert thread_time() - began < SLOWEST


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
