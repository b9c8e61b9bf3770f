"""Who signed it: right, wrong, missing, rotated and second-key signatures. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from heliograph.verify.crafting import STRANGER, World, lowercase, with_body, with_signatures
from heliograph.verify.plays import Check, Kind, Need, Play, Post, one, unjudged
from heliograph.wire.messages import signing

_FORGED: Final = "anybody who knows the URL can make the listener act"
_KEYS_CHANGE: Final = "keys are changed by adding the new one first; for that time there are two"


def _stranger(world: World) -> Post:
    return world.signed(world.unsigned(world.message()), STRANGER)


def _changed_byte(world: World) -> Play:
    post = world.post()
    return Play(one(with_body(post, _with_another_digit(post.body))))


def _with_another_digit(body: bytes) -> bytes:
    """The body with one digit in its middle changed, so that its form stays right."""
    middle = len(body) // 2
    at = next(place for place in range(middle, len(body)) if body[place : place + 1].isdigit())
    return body[:at] + b"%d" % ((int(body[at : at + 1]) + 1) % 10) + body[at + 1 :]


def _whitespace(world: World) -> Play:
    post = world.told(world.message())
    return Play(one(with_body(post, msgspec.json.format(post.body, indent=2))))


def _exact(world: World) -> Play:
    message = world.message()
    message["data"]["envelopeSummary"]["emailSubject"] = "Miete für Ångström & Co / Größe 12 m²"
    post = world.unsigned(message, "json")
    spaced = msgspec.json.format(post.body, indent=1)
    escaped = spaced.replace("Ångström".encode(), rb"\u00c5ngstr\u00f6m")
    return Play(one(world.signed(with_body(post, escaped))))


def _truncated(world: World) -> Play:
    post = world.unsigned(world.message())
    return Play(one(with_signatures(post, world.right(post)[:8])))


def _other_message(world: World) -> Play:
    first, other = world.unsigned(world.message("envelope-sent")), world.unsigned(world.message())
    value = world.right(first)
    return Play([*unjudged(with_signatures(first, value)), *one(with_signatures(other, value))])


def _empty_body(world: World) -> Play:
    post = world.unsigned(world.message())
    return Play(one(with_signatures(post, world.right(with_body(post, b"")))))


def _rotated(world: World) -> Play:
    return Play(one(world.signed(world.unsigned(world.message()), STRANGER, world.key)))


def _tenth(world: World) -> Play:
    post = world.unsigned(world.message())
    return Play(one(world.signed(post, *[STRANGER] * 9, world.key)))


def _second(world: World) -> Play:
    return Play(one(world.signed(world.unsigned(world.message()), world.second_key)))


def _both(world: World) -> Play:
    return Play(one(world.signed(world.unsigned(world.message()), world.key, world.second_key)))


def _refused_then_right(world: World) -> Play:
    post = world.unsigned(world.message())
    forged, right = world.signed(post, STRANGER), world.signed(post)
    return Play([*unjudged(forged), *one(right)])


def _unsigned(world: World) -> Post:
    post = world.unsigned(world.message())
    return Post((*post.headers, signing.DIGEST_HEADER), post.body)


CHECKS: Final = (
    Check(
        "right-signature",
        Kind.ACCEPT,
        "a message with one signature, made with the listener's key",
        "a listener that refuses what DocuSign signed gets nothing at all",
        lambda world: Play(one(world.post())),
        (Need.KEY,),
    ),
    Check(
        "wrong-signature",
        Kind.REFUSE,
        "a message signed with a key that the listener does not have",
        _FORGED,
        lambda world: Play(one(_stranger(world))),
        (Need.KEY,),
    ),
    Check(
        "missing-signature",
        Kind.REFUSE,
        "a message without any X-DocuSign-Signature header",
        f"where nothing is signed nothing is checked, and {_FORGED}",
        lambda world: Play(one(_unsigned(world))),
        (Need.KEY,),
    ),
    Check(
        "empty-signature",
        Kind.REFUSE,
        "a message whose signature header is empty",
        f"where an empty header counts as none to check, {_FORGED}",
        lambda world: Play(one(with_signatures(world.unsigned(world.message()), ""))),
        (Need.KEY,),
    ),
    Check(
        "truncated-signature",
        Kind.REFUSE,
        "a message with the first eight characters of its right signature",
        "who compares only as far as the header goes can be tried out character by character; "
        "compare all of it, in constant time",
        _truncated,
        (Need.KEY,),
    ),
    Check(
        "changed-byte",
        Kind.REFUSE,
        "a signed message of which one digit was changed afterwards",
        "a signature is worth something only if it covers every byte",
        _changed_byte,
        (Need.KEY,),
    ),
    Check(
        "whitespace-changed",
        Kind.REFUSE,
        "a signed message that was indented anew: the same JSON, other bytes",
        "a listener that parses the body and signs what it writes again checks something else than "
        "what came; sign the raw body, before any parser",
        _whitespace,
        (Need.KEY, Need.JSON),
    ),
    Check(
        "exact-bytes",
        Kind.ACCEPT,
        "a signed message with white space, umlauts and escapes that no serialiser would write so",
        "a listener that signs what it writes again refuses the first message that its serialiser "
        "would have written otherwise; sign the raw body, before any parser",
        _exact,
        (Need.KEY, Need.JSON),
    ),
    Check(
        "other-message-signature",
        Kind.REFUSE,
        "a message with the signature of another one, which was right and came just before",
        "who has seen one message could sign any other with it",
        _other_message,
        (Need.KEY,),
    ),
    Check(
        "empty-body-signature",
        Kind.REFUSE,
        "a message with the listener's signature of nothing",
        "where a framework has read the body before, the signature is that of an empty one, and "
        "does not change from message to message",
        _empty_body,
        (Need.KEY,),
    ),
    Check(
        "rotated-key",
        Kind.ACCEPT,
        "a message with two signatures: the first of a new key, the second of the listener's",
        f"{_KEYS_CHANGE} signatures, and the listener's own may be in any of the headers -1 to -n",
        _rotated,
        (Need.KEY,),
    ),
    Check(
        "tenth-signature",
        Kind.ACCEPT,
        "a message with ten signatures, of which the last is right",
        "an account may have up to 100 keys, and X-DocuSign-Signature-10 has two digits",
        _tenth,
        (Need.KEY,),
    ),
    Check(
        "second-key",
        Kind.ACCEPT,
        "a message signed with the listener's second key alone",
        f"{_KEYS_CHANGE}, and the listener must know both before the old one goes",
        _second,
        (Need.KEY, Need.SECOND_KEY),
    ),
    Check(
        "both-keys",
        Kind.ACCEPT,
        "a message signed with both keys of the listener",
        f"{_KEYS_CHANGE} right signatures",
        _both,
        (Need.KEY, Need.SECOND_KEY),
    ),
    Check(
        "lowercase-headers",
        Kind.ACCEPT,
        "a message whose headers are named in small letters",
        "names of headers have no case (RFC 9110, 5.1), and proxies write them small",
        lambda world: Play(one(lowercase(world.post()))),
        (Need.KEY,),
    ),
    Check(
        "refused-does-nothing",
        Kind.ONCE,
        "a message signed with a key that the listener does not have",
        "a refusal that comes after the deed is none",
        lambda world: Play(one(_stranger(world)), effects=(0, 0)),
        (Need.KEY, Need.PROBE),
    ),
    Check(
        "refused-then-right",
        Kind.ONCE,
        "a message with a wrong signature, and then the same with the right one",
        "a listener that notes ids before it checks signatures lets a stranger have messages "
        "dropped",
        _refused_then_right,
        (Need.KEY, Need.PROBE),
    ),
)
