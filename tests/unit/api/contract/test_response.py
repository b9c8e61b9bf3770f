"""A request as it is read, and an answer as it is written."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from heliograph.api.contract.request import ClientGone, Request
from heliograph.api.contract.response import Response, in_json
from heliograph.incoming.exchange import Message, Scope


def asked(*messages: Message, **scope: Any) -> Request:
    """A request whose body comes as these messages."""
    rest = iter(messages)

    async def receive() -> Message:
        return next(rest)

    whole: Scope = {"method": "GET", "query_string": b"", "headers": [], "client": None, **scope}
    return Request(whole, receive)


async def written(response: Response) -> list[Message]:
    said: list[Message] = []

    async def send(message: Message) -> None:
        said.append(message)

    await response.write(send)
    return said


def test_a_header_that_comes_twice_is_there_twice() -> None:
    request = asked(headers=[(b"accept", b"a"), (b"x", b"\xe9"), (b"accept", b"b")])
    assert request.every("accept") == ["a", "b"]
    assert (request.header("accept"), request.header("x")) == ("a", "é")
    assert (request.every("cookie"), request.header("cookie")) == ([], None)


def test_a_request_tells_what_it_is() -> None:
    assert asked(method="HEAD").method == "GET"
    assert asked(method="PATCH").method == "PATCH"
    assert (asked().address, asked(client=("::1", 5)).address) == ("", "::1")


async def test_a_client_that_leaves_before_its_body_is_whole_is_gone() -> None:
    request = asked(
        {"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}
    )
    assert await request.read() == (b"a", True)
    with pytest.raises(ClientGone):
        await request.read()


async def test_an_answer_has_its_length_and_its_type() -> None:
    start, body = await written(Response("é".encode(), 202, {"Link": "</a>"}, "text/xml"))
    assert (start["status"], body) == (202, {"type": "http.response.body", "body": b"\xc3\xa9"})
    assert dict(start["headers"]) == {
        b"link": b"</a>",
        b"content-type": b"text/xml; charset=utf-8",
        b"content-length": b"2",
    }
    start, body = await written(in_json({"a": "é"}))
    assert (start["headers"][0], body["body"]) == (
        (b"content-type", b"application/json"),
        '{"a":"é"}'.encode(),
    )


async def test_no_content_has_neither() -> None:
    start, _ = await written(Response(b"", 204))
    assert start["headers"] == []


async def test_parts_are_written_as_they_come_and_end_with_the_client() -> None:
    ended = []

    async def parts() -> AsyncGenerator[bytes, None]:
        try:
            yield b"one"
            yield b"two"
        finally:
            ended.append(True)

    said = await written(Response(parts(), media_type="application/x-ndjson"))
    assert [(one.get("body"), one.get("more_body", False)) for one in said[1:]] == [
        (b"one", True),
        (b"two", True),
        (b"", False),
    ]
    assert said[0]["headers"] == [(b"content-type", b"application/x-ndjson")]

    async def gone(message: Message) -> None:
        if "body" in message:
            raise ConnectionResetError

    ended.clear()
    with pytest.raises(ConnectionResetError):
        await Response(parts()).write(gone)
    assert ended == [True]
