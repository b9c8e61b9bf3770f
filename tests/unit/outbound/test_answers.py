"""An answer is read the same however it is cut, and never beyond its bounds (S3)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.outbound.answers import Answering, Bounds, Malformed

BOUNDS = Bounds(head_bytes=1000, fields=5, body_bytes=100, stored_bytes=20)
LINE = b"HTTP/1.1 200 OK\r\n"
CHUNKED = LINE + b"Transfer-Encoding: chunked\r\n\r\n"


def read(raw: bytes, cuts: list[int] | None = None) -> Answering:
    answer = Answering(BOUNDS)
    for start, end in pairwise(
        sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts or [])})
    ):
        answer.feed(raw[start:end])
    return answer


def chunk(body: bytes, extension: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(body), extension, body)


END = b"0\r\n\r\n"
WHOLE = {
    "a length": LINE + b"Content-Length: 5\r\n\r\nhello",
    "no body": b"HTTP/1.1 204 No\r\n\r\n",
    "a length of nothing": LINE + b"Content-Length: 0\r\n\r\n",
    "chunks": CHUNKED + chunk(b"he") + chunk(b"llo") + END,
    "extensions": CHUNKED + chunk(b"he", b";a=b") + chunk(b"llo", b' ; c="d"') + b"0;e\r\n\r\n",
    "a long extension": CHUNKED + chunk(b"hello", b";" + b"x" * 150) + END,
    "trailers": CHUNKED + chunk(b"hello") + b"0\r\nX: y\r\nZ: a\r\n\r\n",
    "bare line feeds": CHUNKED + b"5\nhello\n0\n\n",
    "interim ones": b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103 Hi\r\nA: b\r\n\r\n"
    + LINE
    + b"Content-Length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("how", WHOLE)
@given(cuts=st.lists(st.integers(0, 300), max_size=8))
def test_r5_an_answer_is_the_same_however_it_is_cut(how: str, cuts: list[int]) -> None:
    answer = read(WHOLE[how], cuts)
    assert answer.head is not None
    assert (answer.whole, answer.keeps, answer.odd) == (True, True, False)
    assert answer.body == (b"" if how in ("no body", "a length of nothing") else b"hello")


@pytest.mark.parametrize("how", WHOLE)
def test_r5_until_its_last_byte_an_answer_is_not_whole(how: str) -> None:
    raw = WHOLE[how]
    assert not any(read(raw[:length]).whole for length in range(len(raw)))
    assert read(raw[:-1]).end() is None


@pytest.mark.parametrize("how", WHOLE)
def test_r5_what_comes_after_an_answer_is_nobodys_and_ends_its_connection(how: str) -> None:
    for later in (False, True):
        answer = read(WHOLE[how] + b"H", [len(WHOLE[how])] if later else None)
        assert (answer.whole, answer.keeps) == (True, False)


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (LINE, True),
        (LINE + b"Connection: close\r\n", False),
        (LINE + b"Connection: x, Close\r\n", False),
        (LINE + b"Connection: keep-alive\r\n", True),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", True),
        (b"HTTP/1.1 101 Switch\r\n", False),
        (LINE + b"no colon\r\n", False),
    ],
)
def test_a_connection_is_kept_where_the_answer_says_so(head: bytes, keeps: bool) -> None:
    answer = read(head + b"Content-Length: 0\r\n\r\n")
    assert (answer.whole, answer.keeps) == (True, keeps)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    answer = read(LINE + b"\r\nhel" + b"lo")
    assert not answer.whole
    assert answer.end() is answer.head is not None
    assert (answer.body, answer.keeps) == (b"hello", False)


def test_s3_a_body_is_kept_and_read_to_its_bounds_and_no_further() -> None:
    at_the_bound = read(LINE + b"Content-Length: 100\r\n\r\n" + b"x" * 100)
    assert (at_the_bound.whole, at_the_bound.keeps, at_the_bound.body) == (True, True, b"x" * 20)
    head = LINE + b"Content-Length: 102\r\n\r\n"
    assert not read(head + b"x" * 100).whole
    beyond = read(head + b"x" * 101)
    assert (beyond.whole, beyond.keeps) == (True, False)


@pytest.mark.parametrize("framing", [b"1;" + b"e" * 300, (b"1\r\nz\r\n" * 40)])
def test_s3_the_framing_of_chunks_has_bounds_too(framing: bytes) -> None:
    answer = read(CHUNKED + framing)
    assert (answer.whole, answer.keeps) == (True, False)


@pytest.mark.parametrize(
    ("chunks", "what"),
    [
        (b"zz", "Invalid character in chunk size: b'zz'"),
        (b"\r\n", "Invalid character in chunk size: b''"),
        (b"5x\r\n", "Invalid character in chunk size: b'5x'"),
        (b"-1\r\n", "Invalid character in chunk size: b'-1'"),
        (b"f" * 17, f"Chunk size overflow: b'{'f' * 17}'"),
        (b"1\r\nzz", "Invalid end of a chunk: b'z'"),
        (b"0\r\n" + b"X: y\r\n" * 6, "too many fields"),
    ],
)
def test_what_are_no_chunks_is_told_as_soon_as_it_has_come(chunks: bytes, what: str) -> None:
    with pytest.raises(Malformed) as caught:
        read(CHUNKED + chunks)
    assert str(caught.value) == what


def test_r5_after_an_odd_head_what_are_no_chunks_changes_nothing() -> None:
    answer = read(CHUNKED[:-2] + b"no colon\r\n\r\n2\r\nokzz")
    assert (answer.whole, answer.odd, answer.keeps, answer.body) == (True, True, False, b"ok")


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_s3_no_bytes_at_all_make_it_read_beyond_its_bounds(raw: bytes, cuts: list[int]) -> None:
    for begin in (b"", LINE, CHUNKED):
        try:
            answer = read(begin + raw, cuts)
        except Malformed:
            continue
        assert len(answer.body) <= BOUNDS.stored_bytes
        assert answer.head is None or len(answer.head.fields) <= BOUNDS.fields
