"""An answer is judged by its status, whatever else is odd about its head."""

from __future__ import annotations

import pytest

from heliograph.delivery.retry import judge
from heliograph.model.deliveries import Answer, Delivered, RetryAt
from heliograph.outbound.transport import Budget, Transport
from tests.scripted import BODY, EMULATOR, HEADERS, hang, listening, post, says
from tests.service.listen.test_zoo import NOW

LINE = b"HTTP/1.1 200 OK\r\n"
MANY = b"".join(b"X-%d: y\r\n" % number for number in range(500))
CHUNKS = b"2\r\nok\r\n0\r\n\r\n"
LENGTH = b"Content-Length: 2\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

FRAMED = {
    "two equal lengths": LINE + LENGTH * 2 + b"\r\nok",
    "three equal lengths": LINE + LENGTH * 3 + b"\r\nok",
    "a list of equal lengths": LINE + b"Content-Length: 2, 2\r\n\r\nok",
    "length beside chunked": LINE + LENGTH + CHUNKED + b"\r\n" + CHUNKS,
    "chunked beside length": LINE + CHUNKED + LENGTH + b"\r\n" + CHUNKS,
    "wrong length beside chunked": LINE + b"Content-Length: x\r\n" + CHUNKED + b"\r\n" + CHUNKS,
    "identity beside length": LINE + b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\nok",
    "500 fields": LINE + MANY + LENGTH + b"\r\nok",
    "500 fields before two lengths": LINE + MANY + LENGTH * 2 + b"\r\nok",
    "a line without a colon": LINE + b"nonsense\r\n" + LENGTH + b"\r\nok",
    "a name with a space": LINE + b"X Y: z\r\n" + LENGTH + b"\r\nok",
    "a space before the colon": LINE + b"X : y\r\nContent-Length : 2\r\n\r\nok",
    "no name": LINE + b": x\r\n" + LENGTH + b"\r\nok",
    "a name that is not ASCII": LINE + b"X-\xe9: \xff\r\n" + LENGTH + b"\r\nok",
    "a NUL": LINE + b"X: a\0b\r\n" + LENGTH + b"\r\nok",
    "bare line feeds": b"HTTP/1.1 200 OK\nno colon\nContent-Length: 2\n\nok",
    "HTTP/2": b"HTTP/2 200\r\n" + LENGTH + b"\r\nok",
    "spaces in the status line": b"HTTP/1.1  200 OK\r\n" + LENGTH + b"\r\nok",
    "empty lines first": b"\r\n\r\n" + LINE + LENGTH * 2 + b"\r\nok",
    "an interim answer first": b"HTTP/1.1 100 Continue\r\n\r\n" + LINE + LENGTH * 2 + b"\r\nok",
    "an odd interim answer first": b"HTTP/1.1 103 E\r\n: x\r\n\r\n" + LINE + LENGTH + b"\r\nok",
}
UNFRAMED = {
    "two lengths": LINE + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nok",
    "a negative length": LINE + b"Content-Length: -1\r\n\r\nok",
    "a length with a sign": LINE + b"Content-Length: +2\r\n\r\nok",
    "no length": LINE + b"Content-Length:\r\n\r\nok",
    "a length beyond all bounds": LINE + b"Content-Length: " + b"9" * 40 + b"\r\n\r\nok",
}
BROKEN = {
    "chunked that is not": LINE + LENGTH + CHUNKED + b"\r\nok",
    "a body cut short": LINE + b"Content-Length: 9\r\n" * 2 + b"\r\nok",
    "500 fields and no end": LINE + MANY + CHUNKED + b"\r\n2\r\nok\r\n",
}


@pytest.mark.parametrize("how", FRAMED)
async def test_r5_an_odd_head_is_judged_by_its_status_and_its_body_is_read(how: str) -> None:
    async with listening(says(FRAMED[how], then=hang)) as listener:
        came_back = await post(listener.url)
        await listener.ended.wait()  # closed, although the listener did not ask for that
    assert isinstance(came_back, Answer), came_back
    assert (came_back.status, came_back.body) == (200, b"ok")
    assert judge(came_back, number=1, started_at=NOW, seed=1, now=NOW) == Delivered()


@pytest.mark.parametrize("how", UNFRAMED)
async def test_r5_where_the_body_has_no_end_the_status_counts_alone(how: str) -> None:
    async with listening(says(UNFRAMED[how], then=hang)) as listener:
        came_back = await post(listener.url)
        await listener.ended.wait()
    assert isinstance(came_back, Answer), came_back
    assert (came_back.status, came_back.reason, came_back.body) == (200, "OK", b"")


@pytest.mark.parametrize("how", BROKEN)
async def test_r5_a_body_that_breaks_after_an_odd_head_changes_nothing(how: str) -> None:
    async with listening(says(BROKEN[how])) as listener:
        came_back = await post(listener.url)
    assert isinstance(came_back, Answer), came_back
    assert came_back.status == 200


async def test_s3_a_body_that_does_not_end_after_an_odd_head_takes_no_slot_for_long() -> None:
    head = LINE + b"Transfer-Encoding: identity\r\n\r\nok"
    async with listening(says(head, then=hang)) as listener:
        came_back = await post(listener.url, budget=Budget(total=0.5))
    assert isinstance(came_back, Answer), came_back
    assert (came_back.status, came_back.body) == (200, b"ok")


async def test_r5_the_fields_of_an_odd_head_are_kept_as_they_were_sent() -> None:
    head = LINE + b"X-One: a\r\n b\r\nno colon\r\n: c\r\n" + LENGTH * 2
    async with listening(says(head + b"\r\nok")) as listener:
        came_back = await post(listener.url)
    assert isinstance(came_back, Answer), came_back
    length = ("Content-Length", "2")
    assert came_back.headers == (("X-One", "a b"), ("", "c"), length, length)


async def test_r5_no_field_is_refused_by_its_name() -> None:
    head = LINE + b"Sec-WebSocket-Key1: x\r\n" + LENGTH
    async with listening(says(head + b"\r\nok")) as listener:
        came_back = await post(listener.url)
    assert isinstance(came_back, Answer), came_back
    assert (came_back.status, came_back.body) == (200, b"ok")


async def test_an_odd_head_of_a_failure_is_that_failure() -> None:
    head = b"HTTP/1.1 503 Later\r\nRetry-After: 60\r\n" + LENGTH * 2 + b"\r\nno"
    async with listening(says(head)) as listener:
        came_back = await post(listener.url)
    assert isinstance(came_back, Answer), came_back
    assert (came_back.status, came_back.reason, came_back.body) == (503, "Later", b"no")
    assert isinstance(judge(came_back, number=1, started_at=NOW, seed=1, now=NOW), RetryAt)


async def test_r5_an_odd_answer_is_the_last_of_its_connection() -> None:
    odd = FRAMED["two equal lengths"]
    async with listening(says(odd, then=hang)) as listener, Transport(EMULATOR, Budget()) as ours:
        for _ in range(2):
            assert isinstance(await ours.post(listener.url, HEADERS, BODY), Answer)
    assert listener.connections == 2
