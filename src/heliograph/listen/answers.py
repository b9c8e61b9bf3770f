"""Behaviours that are correct HTTP: redirects, refusals, cookies, answers that come late."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, Final

import msgspec

from heliograph.listen.behaviour import Behaviour, Context, answer
from heliograph.listen.requests import Request

_METADATA: Final = "http://169.254.169.254/latest/meta-data/"
"""Where machines in a cloud find their own credentials."""

_LATE: Final = 99.0
"""Seconds: 99 % of the 100 s that DocuSign gives a listener."""

_PAUSE: Final = 0.2
"""Seconds between an answer and one that nobody asked for."""


async def _pipelined_answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    while await context.take(reader, writer) is not None:
        first, second = answer(500, body=b"first"), answer(200, body=b"second")
        if context.variant == "together":
            writer.write(first + second)
            await writer.drain()
            continue
        writer.write(first)
        await writer.drain()
        await asyncio.sleep(context.pause(_PAUSE))
        writer.write(second)
        await writer.drain()
        await context.mark("second answer")


async def _late_answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    while await context.take(reader, writer) is not None:
        await asyncio.sleep(context.pause(_LATE))
        writer.write(answer(200))
        await writer.drain()


async def _redirect(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    while (request := await context.take(reader, writer)) is not None:
        base = context.shared.base_url
        target = {
            "self": base + (request.target if request.target.startswith("/") else "/"),
            "loop": f"{base}/{'b' if request.target == '/a' else 'a'}",
            "metadata": _METADATA,
        }[context.variant]
        writer.write(answer(307, ("Location", target)))
        await writer.drain()


_CHALLENGES: Final = {
    401: ("WWW-Authenticate", 'Basic realm="listener"'),
    407: ("Proxy-Authenticate", 'Basic realm="listener"'),
}


async def _status(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    status = int(context.variant)
    headers = [_CHALLENGES[status]] if status in _CHALLENGES else []
    if context.parameters.retry_after is not None:
        headers.append(("Retry-After", context.parameters.retry_after))
    while await context.take(reader, writer) is not None:
        writer.write(answer(status, *headers))
        await writer.drain()


async def _set_cookie(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    cookies = (("Set-Cookie", "session=secret; Path=/"), ("Set-Cookie", "b=2; Max-Age=9999999"))
    while await context.take(reader, writer) is not None:
        writer.write(answer(200, *cookies))
        await writer.drain()


async def _flapping(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    seen = context.shared.seen
    while await context.take(reader, writer) is not None:
        times = seen[b""] = (seen.get(b"") or 0) + 1
        writer.write(answer(200 if times % 2 else 500))
        await writer.drain()


async def _nth_try(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    seen = context.shared.seen
    while (request := await context.take(reader, writer)) is not None:
        message = _identity(request)
        times = seen[message] = (seen.get(message) or 0) + 1
        writer.write(answer(200 if times >= context.parameters.tries else 500))
        await writer.drain()


def _identity(request: Request) -> bytes:
    """What stays the same between the tries of a message: all but its retry count."""
    body = request.body
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
        document.pop("retryCount", None)
        body = msgspec.json.encode(document)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    return hashlib.sha256(request.target.encode() + b"\0" + body).digest()


async def _publish_back(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context
) -> None:
    publish = context.parameters.publish
    while (request := await context.take(reader, writer)) is not None:
        try:
            status = 0 if publish is None else await publish(request)
        except OSError:
            status = 0
        fine = 200 <= status <= 299
        text = f"published: {status}" if status else "the publish got no answer"
        writer.write(answer(200 if fine else 502, body=text.encode()))
        await writer.drain()


BEHAVIOURS: Final = (
    Behaviour(
        "pipelined-answer",
        "Sends a second answer, 200, after its first, 500, with one request.",
        _pipelined_answer,
        {"together": "in the same packet", "later": "when the first was read (--seconds)"},
    ),
    Behaviour(
        "late-answer",
        "Answers 200 after 99 % of DocuSign's 100 seconds (--seconds).",
        _late_answer,
    ),
    Behaviour(
        "redirect",
        "Answers 307.",
        _redirect,
        {
            "self": "to the URL that was asked for",
            "loop": "to /a, from there to /b, and back",
            "metadata": "to where a cloud machine finds its credentials",
        },
    ),
    Behaviour(
        "status",
        "Answers with the status of its variant, and a Retry-After (--retry-after).",
        _status,
        {
            "429": "too many requests",
            "401": "it wants credentials",
            "407": "a proxy wants credentials",
            "410": "it is gone for good",
            "413": "the message is too large",
            "421": "it is not for this host",
        },
    ),
    Behaviour("set-cookie", "Answers 200 with two cookies.", _set_cookie),
    Behaviour("flapping", "Answers 200 and 500 in turns.", _flapping),
    Behaviour(
        "nth-try",
        "Answers 200 to the third try of a message (--tries), and 500 before it.",
        _nth_try,
    ),
    Behaviour(
        "publish-back",
        "Publishes each message as a new event (--publish-to), and answers 200.",
        _publish_back,
    ),
)
