"""Heads of answers, odd ones too: the status counts, the body is read as far as it can be told."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.outbound import heads
from heliograph.outbound.heads import CHUNKED as IN_CHUNKS
from heliograph.outbound.heads import TO_THE_END, UNFRAMED, Head

LINE = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def read(raw: bytes, most: int = 100) -> Head:
    head = heads.read(raw, most)
    assert head is not None
    return head


def test_r5_a_plain_head_is_left_to_the_parser() -> None:
    head = read(LINE + b"Content-Length: 2\r\nX-Folded: a\r\n b\r\n\r\n")
    assert (head.status, head.reason, head.plain) == (200, b"OK", True)
    assert head.fields == ((b"Content-Length", b"2"), (b"X-Folded", b"a b"))


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.0 204 \r\n", 204, b""),
        (b"HTTP/1.1 204\r\n", 204, b""),
        (b"HTTP/2 413 Too Large \n", 413, b"Too Large"),
        (b"HTTP/1.1   999 \xe9\r\n", 999, b"\xe9"),
    ],
)
def test_r5_a_status_line_is_legible_in_many_spellings(
    line: bytes, status: int, reason: bytes
) -> None:
    head = read(line + b"\r\n")
    assert (head.status, head.reason) == (status, reason)


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 OK\r\n",
        b"HTTP/1.1 20 OK\r\n",
        b"HTTP/1.1 0200 OK\r\n",
        b"HTTP/1.1 2000 OK\r\n",
        b"ICY 200 OK\r\n",
        b"http/1.1 200 OK\r\n",
        b" HTTP/1.1 200 OK\r\n",
        b"\r\n",
        b"",
    ],
)
def test_r5_what_has_no_status_is_no_answer(line: bytes) -> None:
    assert heads.read(line + b"\r\n", 100) is None
    assert not line or b"\n" not in line or not heads.may_begin(line)


@pytest.mark.parametrize(
    ("fields", "framing"),
    [
        (b"Content-Length: 2\r\nContent-Length: 2\r\n", 2),
        (b"Content-Length: 2, 2\r\n", 2),
        (b"Content-Length: 1\r\nContent-Length: 2\r\n", UNFRAMED),
        (b"Content-Length: +2\r\n", UNFRAMED),
        (b"Content-Length: " + b"9" * 19 + b"\r\n", UNFRAMED),
        (b"Content-Length: 2\r\n" + CHUNKED, IN_CHUNKS),
        (b"Transfer-Encoding: gzip, chunked\r\nContent-Length: 2\r\n", IN_CHUNKS),
        (b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n", 2),
        (b"Transfer-Encoding: identity\r\n", TO_THE_END),
    ],
)
def test_r5_an_odd_framing_is_told_in_one_way(fields: bytes, framing: int) -> None:
    head = read(LINE + fields + b"\r\n")
    assert (head.plain, head.framing) == (False, framing)
    assert not head.keeps


def test_r5_more_fields_than_are_kept_make_a_head_odd_and_no_longer() -> None:
    raw = LINE + b"".join(b"X-%d: y\r\n" % number for number in range(101)) + b"\r\n"
    assert read(raw, 101).plain
    head = read(raw, 100)
    assert (head.plain, len(head.fields), head.fields[-1]) == (False, 100, (b"X-99", b"y"))


@pytest.mark.parametrize(
    ("status", "interim"), [(100, True), (101, False), (103, True), (199, True), (200, False)]
)
def test_r5_another_head_follows_an_interim_one(status: int, interim: bool) -> None:
    assert read(b"HTTP/1.1 %d\r\n\r\n" % status).interim is interim


@given(st.binary(max_size=60), st.integers(0, 60))
def test_r5_a_head_that_comes_in_pieces_is_refused_no_sooner_than_it_must(
    rest: bytes, cut: int
) -> None:
    raw = LINE + rest
    assert heads.may_begin(raw[:cut])
    ends = re.search(rb"\n\r?\n", raw)
    assert heads.end(raw) == (ends.end() if ends else -1)


@given(st.binary(max_size=200))
def test_r5_no_bytes_at_all_raise(raw: bytes) -> None:
    for head in (heads.read(raw, 3), read(LINE + raw, 3)):
        assert head is None or len(head.fields) <= 3
