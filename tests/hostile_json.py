"""JSON bodies that no caller should send, and what must become of each (S11, S13)."""

from __future__ import annotations

import json
from typing import Any

from tests.support import published

CONFIGURATION = {"name": "ab", "urlToPublishTo": "http://127.0.0.1:4999/"}
OK = json.dumps(CONFIGURATION).encode()


def _configuration(inside: bytes) -> bytes:
    return OK[:-1] + b"," + inside + b"}"


def _event(inside: bytes = b"") -> bytes:
    whole = json.dumps(published(envelope_id="hostile")).encode()
    return whole[:-1] + inside + b"}"


def _nested(depth: int, left: bytes = b"[", right: bytes = b"]") -> bytes:
    return left * depth + b"1" + right * depth


def _many(one: bytes, count: int) -> bytes:
    return b"[" + b",".join([one] * count) + b"]"


_KEYS = b",".join(b'"k%d":1' % number for number in range(1_000_000))

CONFIGURATIONS: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "white space": (b" \r\n\t ", 400),
    "text": (b'"ab"', 400),
    "a number": (b"1", 400),
    "null": (b"null", 400),
    "an array": (b"[]", 400),
    "a truncated object": (OK[:-1], 400),
    "a truncated text": (OK[:-4], 400),
    "trailing comma": (OK[:-1] + b",}", 400),
    "trailing data": (OK + b"{}", 400),
    "trailing nul": (OK + b"\0", 400),
    "a comment": (b"/* */" + OK, 400),
    "single quotes": (b"{'name':'ab'}", 400),
    "a name without quotes": (b'{name:"ab"}', 400),
    "a byte order mark": (b"\xef\xbb\xbf" + OK, 400),
    "UTF-16": (OK.decode().encode("utf-16"), 400),
    "UTF-16 without a mark": (OK.decode().encode("utf-16-le"), 400),
    "UTF-32": (OK.decode().encode("utf-32"), 400),
    "ISO-8859-1": (_configuration(b'"userName":"\xe9"'), 400),
    "an overlong form": (_configuration(b'"userName":"\xc0\xaf"'), 400),
    "a raw control character": (_configuration(b'"userName":"a\x01b"'), 400),
    "a raw line end": (_configuration(b'"userName":"a\nb"'), 400),
    "a bad escape": (_configuration(b'"userName":"\\x41"'), 400),
    "a lone surrogate": (_configuration(b'"userName":"\\ud800"'), 400),
    "surrogates the wrong way round": (_configuration(b'"userName":"\\udc00\\ud800"'), 400),
    "half an escaped surrogate": (_configuration(b'"userName":"\\ud83d\\u"'), 400),
    "a raw surrogate": (_configuration(b'"userName":"\xed\xa0\x80"'), 400),
    "an escaped nul": (_configuration(b'"userName":"a\\u0000b"'), 400),
    "text that looks like an escape": (_configuration(b'"userName":"\\\\u0000"'), 201),
    "NaN": (_configuration(b'"x":NaN'), 400),
    "Infinity": (_configuration(b'"x":-Infinity'), 400),
    "1e400": (_configuration(b'"x":1e400'), 400),
    "a leading zero": (_configuration(b'"x":01'), 400),
    "a plus sign": (_configuration(b'"x":+1'), 400),
    "a hexadecimal number": (_configuration(b'"x":0x1'), 400),
    "a bare point": (_configuration(b'"x":.5'), 400),
    "100,000 arrays deep": (_configuration(b'"x":' + _nested(100_000)), 400),
    "100,000 objects deep": (_configuration(b'"x":' + _nested(100_000, b'{"a":', b"}")), 400),
    "never closed": (b"[" * 500_000, 400),
    "65 deep": (_configuration(b'"x":' + _nested(64)), 400),
    "64 deep": (_configuration(b'"x":' + _nested(63)), 201),
    "too many values": (_configuration(b'"x":' + _many(b"1", 50_000)), 400),
    "many values": (_configuration(b'"x":' + _many(b"1", 49_000)), 201),
    "as many empty lists as fit": (_configuration(b'"x":' + _many(b"[]", 340_000)), 400),
    "100,000 keys": (b"{" + _KEYS[:990_000].rpartition(b",")[0] + b"}", 400),
    "1,000,000 keys": (b"{" + _KEYS + b"}", 413),
    "a text of 10 MB": (_configuration(b'"userName":"' + b"x" * 10_000_000 + b'"'), 413),
    "a name of 900 kB": (_configuration(b'"' + b"x" * 900_000 + b'":1'), 201),
    "a number of 900,000 digits": (_configuration(b'"x":' + b"9" * 900_000), 400),
    "another type where text belongs": (b'{"name":{"a":"b"},"urlToPublishTo":"http://a/"}', 400),
    "text where a list belongs": (_configuration(b'"events":{"a":"b"}'), 400),
    "a number as a switch": (_configuration(b'"allUsers":1'), 400),
    "an int as text": (_configuration(b'"userName":5'), 201),
    "a boolean as text": (_configuration(b'"allUsers":true'), 201),
    "a key twice": (_configuration(b'"name":"b"'), 201),
    "__proto__": (_configuration(b'"__proto__":{"admin":true},"constructor":1'), 201),
    "an empty key": (_configuration(b'"":1'), 201),
    "escaped keys": (_configuration(b'"\\u006eame":"b"'), 201),
    "null everywhere": (_configuration(b'"userName":null,"events":[null]'), 201),
}
"""Bodies of create_configuration; 400 is INVALID_REQUEST_BODY or, for a value,
INVALID_REQUEST_PARAMETER."""

EVENTS: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "no event": (b"[]", 400),
    "null": (b"null", 400),
    "a number": (b"1", 400),
    "an array in an array": (b"[[" + _event() + b"]]", 400),
    "trailing data": (_event() + b"]", 400),
    "a byte order mark": (b"\xef\xbb\xbf" + _event(), 400),
    "UTF-16": (_event().decode().encode("utf-16"), 400),
    "NaN": (_event(b',"x":NaN'), 400),
    "a lone surrogate": (_event(b',"x":"\\ud800"'), 400),
    "a raw surrogate": (_event(b',"x":"\xed\xa0\x80"'), 400),
    "a raw control character": (_event(b',"x":"\x01"'), 400),
    "bytes that are not UTF-8": (_event(b',"x":"\xff"'), 400),
    "100,000 deep": (_event(b',"x":' + _nested(100_000)), 400),
    "300 deep": (_event(b',"x":' + _nested(300)), 400),
    "63 deep": (_event(b',"x":' + _nested(63)), 202),
    "5 million deep": (b"[" * 5_000_000, 400),
    "8 million empty objects": (_many(b"{}", 8_000_000), 400),
    "12 million numbers": (_event(b',"x":' + _many(b"1", 12_000_000)), 400),
    "25 million lines": (b"\n" * 25_000_000, 400),
    "1,000,000 keys": (_event(b"," + _KEYS), 400),
    "400,000 values": (_event(b',"x":' + _many(b"[]", 400_000)), 202),
    "10,001 events": (_many(b'{"event":"envelope-sent","data":{"envelopeId":"e"}}', 10_001), 400),
    "a text of 10 MB": (_event(b',"x":"' + b"x" * 10_000_000 + b'"'), 202),
    "a subject of 10 MB": (
        b'{"event":"envelope-sent","data":{"envelopeId":"hostile","envelopeSummary":'
        b'{"emailSubject":"' + b"x" * 10_000_000 + b'"}}}',
        202,
    ),
    "above 25 MiB": (_event(b',"x":"' + b"x" * (25 << 20) + b'"'), 413),
    "1e400": (_event(b',"x":1e400'), 400),
    "a long number": (_event(b',"x":' + b"9" * 1000), 202),
    "a key twice": (_event(b',"event":"envelope-completed"'), 202),
    "__proto__": (_event(b',"__proto__":{"admin":true}'), 202),
    "an id that is a number": (b'{"event":"envelope-sent","data":{"envelopeId":1}}', 400),
    "an id of 201 characters": (
        b'{"event":"envelope-sent","data":{"envelopeId":"' + b"e" * 201 + b'"}}',
        400,
    ),
    "a true event": (b'{"event":true,"data":{"envelopeId":"e"}}', 400),
    "data that is a list": (b'{"event":"envelope-sent","data":[]}', 400),
}
"""Bodies of publish_events."""


def filter_bodies() -> dict[str, tuple[bytes, int]]:
    """Bodies of retry_event_for_envelopes."""

    def ids(value: Any) -> bytes:
        return json.dumps({"envelopeIds": value}).encode()

    return {
        "nothing": (b"", 400),
        "an array": (b"[]", 400),
        "no ids": (ids([]), 400),
        "null ids": (ids(None), 400),
        "ids in ids": (ids([["a"]]), 400),
        "an object as an id": (ids([{"a": "b"}]), 400),
        "a number as an id": (ids([1]), 200),
        "text as ids": (ids("a, b"), 200),
        "synchronous as a word": (b'{"envelopeIds":["a"],"synchronous":"maybe"}', 400),
        "20,000 ids": (ids([f"e{number}" for number in range(20_000)]), 200),
        "60,000 ids": (ids([f"e{number}" for number in range(60_000)]), 400),
        "100,000 deep": (b'{"envelopeIds":' + _nested(100_000) + b"}", 400),
        "lone surrogate": (b'{"envelopeIds":["\\ud800"]}', 400),
    }
