"""What a message says: all events, data switched off and on, and every format. Pure."""

from __future__ import annotations

from typing import Final

from heliograph.verify.crafting import World, every_event
from heliograph.verify.plays import Check, Kind, Need, Play, in_turn, one

_UNHEARD_OF: Final = "envelope-unheard-of"
_AGAIN: Final = "refused, it comes again, and in the end the configuration is switched off"


def _every(world: World) -> Play:
    return Play(in_turn([world.told(world.message(event), about=event) for event in every_event()]))


def _unknown_event(world: World) -> Play:
    return Play(one(world.told({**world.message(), "event": _UNHEARD_OF})))


def _unknown_fields(world: World) -> Play:
    message = {**world.message(), "anotherField": {"of": ["a", "later", 1, None, True]}}
    message["data"]["envelopeSummary"]["anotherField"] = [{"deep": {"deeper": 0.5}}]
    return Play(one(world.told(message)))


def _data_empty(world: World) -> Play:
    return Play(one(world.signed(world.unsigned(world.message(), "json", include=()))))


def _data_full(world: World) -> Play:
    message = world.message(documents=50_000)
    return Play(one(world.signed(world.unsigned(message, "json", documents=True))))


def _format(world: World, form: str) -> Play:
    return Play(one(world.signed(world.unsigned(world.message(), form))))


CHECKS: Final = (
    Check(
        "usual-message",
        Kind.ACCEPT,
        "a message as it comes every day",
        "whatever is not answered with a 2xx did not arrive: it is sent again, and is in the "
        "failure log",
        lambda world: Play(one(world.post())),
    ),
    Check(
        "every-event",
        Kind.ACCEPT,
        "one message of each of DocuSign's events",
        "a configuration is soon given more events; some are about no envelope, and have no "
        "envelopeId and no envelopeSummary",
        _every,
        (Need.JSON,),
    ),
    Check(
        "unknown-event",
        Kind.ACCEPT,
        "an event that there is not",
        f"DocuSign adds events. Answer 200 to what you do not know, and leave it: {_AGAIN}",
        _unknown_event,
        (Need.JSON,),
    ),
    Check(
        "unknown-fields",
        Kind.ACCEPT,
        "a message with fields that there are not",
        f"DocuSign adds fields without a new version. Read what you know: {_AGAIN}",
        _unknown_fields,
        (Need.JSON,),
    ),
    Check(
        "data-empty",
        Kind.ACCEPT,
        "a message with an empty includeData: without envelopeSummary",
        "who edits a configuration may switch off all that it includes; ids and event are there, "
        "and the rest can be asked for",
        _data_empty,
        (Need.JSON,),
    ),
    Check(
        "data-full",
        Kind.ACCEPT,
        "a message with all that includeData can have, documents too",
        "who edits a configuration may switch on all that there is",
        _data_full,
        (Need.JSON,),
    ),
    Check(
        "aggregate",
        Kind.ACCEPT,
        "an aggregate JSON message: the envelope, without event and data around it",
        "it is what deliveryMode aggregate sends",
        lambda world: _format(world, "aggregate"),
        (Need.AGGREGATE,),
    ),
    Check(
        "xml",
        Kind.ACCEPT,
        "a legacy XML message: DocuSignEnvelopeInformation",
        "it is what configurations of before 2021 send",
        lambda world: _format(world, "xml"),
        (Need.PLAIN_XML,),
    ),
    Check(
        "soap",
        Kind.ACCEPT,
        "a legacy XML message in a SOAP envelope",
        "it is what useSoapInterface sends",
        lambda world: _format(world, "soap"),
        (Need.SOAP,),
    ),
)
