"""What an answer becomes on a connection, and what the application gets of a body."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from heliograph.incoming.exchange import Common, Exchange, Headers

DATE = b"date: today\r\n"
JSON = (b"content-type", b"application/json")


class Writes(asyncio.Transport):
    """A connection that keeps what is given to it at once as one entry."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.all.append(bytes(data))

    def writelines(self, parts: Iterable[bytes | bytearray | memoryview]) -> None:
        self.all.append(b"".join(parts))

    def is_closing(self) -> bool:
        return False

    def resume_reading(self) -> None:
        pass


class Played:
    """An exchange, what it wrote, and how often it was said to be complete."""

    def __init__(self, method: str = "GET", **how: Any) -> None:
        self.transport = Writes()
        self.completed = 0
        self.exchange = Exchange(
            {"type": "http", "method": method},
            self.transport,
            FlowControl(self.transport),
            DATE,
            keep_alive=how.get("keep_alive", True),
            expects=how.get("expects", False),
            complete=self._complete,
        )

    def _complete(self) -> None:
        self.completed += 1

    async def answer(self, status: int, headers: Headers, *parts: bytes) -> list[bytes]:
        """What is written for a body of these parts."""

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": status, "headers": headers})
            for number, part in enumerate(parts):
                more = number + 1 < len(parts)
                await send({"type": "http.response.body", "body": part, "more_body": more})

        await self.exchange.run(app)
        return self.transport.all


@pytest.mark.parametrize("length", [0, 2, 70_000])
async def test_an_answer_is_one_write(length: int) -> None:
    played = Played()
    head = [(b"content-length", b"%d" % length), JSON]
    (written,) = await played.answer(200, head, bytes(length))
    assert written == (
        b"HTTP/1.1 200 OK\r\n" + DATE + b"content-length: %d\r\n" % length
    ) + b"content-type: application/json\r\n\r\n" + bytes(length)
    assert (played.completed, played.exchange.response_complete) == (1, True)


async def test_an_answer_of_unknown_length_goes_out_in_chunks_as_they_come() -> None:
    written = await Played().answer(200, [JSON], b"one", b"", b"seventeen letters", b"")
    assert written[0].endswith(b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n")
    assert written[1:] == [b"11\r\nseventeen letters\r\n", b"0\r\n\r\n"]


async def test_an_answer_to_head_has_no_body() -> None:
    (written,) = await Played("HEAD").answer(200, [(b"content-length", b"2")], b"ok")
    assert written.endswith(b"content-length: 2\r\n\r\n")
    (written,) = await Played("HEAD").answer(200, [JSON], b"one", b"")
    assert written.endswith(b"content-type: application/json\r\n\r\n")


async def test_an_answer_without_a_body_tells_no_length() -> None:
    (written,) = await Played().answer(204, [], b"")
    assert written == b"HTTP/1.1 204 No Content\r\n" + DATE + b"\r\n"


@pytest.mark.parametrize("headers", [[], [(b"connection", b"close")]])
async def test_the_last_answer_of_a_connection_says_so_once(headers: Headers) -> None:
    played = Played(keep_alive=bool(headers))
    (written,) = await played.answer(200, [*headers, (b"content-length", b"0")], b"")
    assert written.count(b"connection: close\r\n") == 1
    assert not played.exchange.keep_alive


@pytest.mark.parametrize(
    ("headers", "parts"),
    [
        ([(b"content-length", b"1")], [b"ok"]),
        ([(b"content-length", b"3")], [b"ok"]),
        ([(b"link", b"</a>\r\nset-cookie: forged")], [b""]),
        ([(b"link", b"\x00")], [b""]),
        ([(b"content-length", b"0")], []),
    ],
    ids=["longer than it says", "shorter", "a header in a header", "a control", "no body"],
)
async def test_an_answer_that_is_none_is_not_written(
    headers: Headers, parts: Sequence[bytes]
) -> None:
    played = Played()
    with pytest.raises(RuntimeError):
        await played.answer(200, headers, *parts)
    assert played.transport.all == []
    assert not played.exchange.response_started


async def test_nothing_is_written_for_a_client_that_is_gone() -> None:
    played = Played()
    played.exchange.disconnected = True
    with pytest.raises(ConnectionResetError):
        await played.answer(200, [(b"content-length", b"0")], b"")
    assert played.transport.all == []
    assert await played.exchange.receive() == {"type": "http.disconnect"}


async def test_a_body_is_given_as_it_came_and_asked_for_where_the_client_waits() -> None:
    played = Played("POST", expects=True)
    exchange = played.exchange
    exchange.body += b"one"
    exchange.message_event.set()
    assert (await exchange.receive())["body"] == b"one"
    waiting = asyncio.ensure_future(exchange.receive())
    exchange.body += b"two"
    exchange.more_body = False
    exchange.message_event.set()
    assert await waiting == {"type": "http.request", "body": b"two", "more_body": False}
    assert played.transport.all == [b"HTTP/1.1 100 Continue\r\n\r\n"]


def test_common_headers_are_written_anew_when_there_are_others() -> None:
    common, first = Common(), [(b"date", b"today")]
    assert common.lines(first) == DATE
    first.append((b"x", b"y"))  # uvicorn makes a new list
    assert common.lines(first) == DATE
    assert common.lines([*first]) == DATE + b"x: y\r\n"
