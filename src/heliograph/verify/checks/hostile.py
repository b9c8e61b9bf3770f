"""What is no message: rightly signed, so that the parser has its turn. Pure."""

from __future__ import annotations

from typing import Final

from heliograph.verify.crafting import World, with_body
from heliograph.verify.plays import Check, Kind, Need, Play, one

_LEVELS: Final = 64
_JSON_LEVELS: Final = 20_000
_DTD: Final = "DocuSign's XML never has a DOCTYPE: a parser that refuses it needs to fear nothing"
_LOST: Final = "who answers 200 to what it cannot read has lost it, and a 5xx says that it broke"


def _xml(world: World, before: bytes = b"", inside: bytes = b"") -> Play:
    """A message in XML, with something before its root, and something put first into it."""
    post = world.unsigned(world.message(), world.xml)
    start = post.body.index(b"?>") + 2 if post.body.startswith(b"<?xml") else 0
    head, body = post.body[:start], post.body[start:]
    at = body.index(b"<EnvelopeStatus>")
    return Play(one(world.signed(with_body(post, head + before + body[:at] + inside + body[at:]))))


def _laughs(world: World) -> Play:
    entities = b'<!ENTITY a0 "ha">' + b"".join(
        b'<!ENTITY a%d "%b">' % (level, b"&a%d;" % (level - 1) * 10) for level in range(1, 10)
    )
    return _xml(world, b"<!DOCTYPE x [%b]>" % entities, b"<Laughs>&a9;</Laughs>")


def _external(world: World) -> Play:
    doctype = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    return _xml(world, doctype, b"<Host>&e;</Host>")


def _deep(world: World) -> Play:
    return _xml(world, inside=b"<a>" * _LEVELS + b"</a>" * _LEVELS)


def _broken_xml(world: World) -> Play:
    post = world.unsigned(world.message(), world.xml)
    return Play(one(world.signed(with_body(post, post.body[: len(post.body) // 2]))))


def _broken_json(world: World) -> Play:
    post = world.unsigned(world.message(), "json")
    return Play(one(world.signed(with_body(post, post.body[: len(post.body) // 2]))))


def _deep_json(world: World) -> Play:
    post = world.unsigned(world.message(), "json")
    deep = b"[" * _JSON_LEVELS + b"]" * _JSON_LEVELS
    return Play(one(world.signed(with_body(post, post.body[:-1] + b',"deep":' + deep + b"}"))))


def _empty(world: World) -> Play:
    return Play(one(world.signed(with_body(world.unsigned(world.message()), b""))))


CHECKS: Final = (
    Check(
        "empty-body",
        Kind.REFUSE,
        "no body at all, rightly signed",
        _LOST,
        _empty,
    ),
    Check(
        "broken-json",
        Kind.REFUSE,
        "the first half of a JSON message, rightly signed",
        _LOST,
        _broken_json,
        (Need.JSON,),
    ),
    Check(
        "deep-json",
        Kind.SURVIVE,
        "a message in which 20,000 lists stand in one another",
        "recursive parsers break over it, and some take the process with them",
        _deep_json,
        (Need.JSON,),
    ),
    Check(
        "xml-broken",
        Kind.REFUSE,
        "the first half of a legacy XML message, rightly signed",
        _LOST,
        _broken_xml,
        (Need.XML,),
    ),
    Check(
        "xml-entities",
        Kind.REFUSE,
        "legacy XML with entities that unfold to a gigabyte",
        f"a parser that unfolds them takes the memory of the machine. {_DTD}",
        _laughs,
        (Need.XML,),
    ),
    Check(
        "xml-external-entity",
        Kind.REFUSE,
        "legacy XML with an entity that stands for a file of the listener's machine",
        f"a parser that reads it hands out files, or calls addresses of the inner network. {_DTD}",
        _external,
        (Need.XML,),
    ),
    Check(
        "xml-deep",
        Kind.SURVIVE,
        "legacy XML with 64 elements in one another that there are not",
        "code that walks a document recursively must have an end of its own",
        _deep,
        (Need.XML,),
    ),
)
