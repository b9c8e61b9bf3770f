"""What operations of the emulator have in common: their paths, bodies and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from heliograph.api.contract.operation import Call, Handler, Operation
from heliograph.api.contract.parameters import Parameter, unused
from heliograph.api.contract.response import Response, in_json
from heliograph.emulator.bodies import BODY_LIMIT, MULTIPART, json_object
from heliograph.model.accounts import Role
from heliograph.wire.media_types import JSON

ACCOUNT: Final = "/accounts/{accountId}"
ENVELOPES: Final = f"{ACCOUNT}/envelopes"
ENVELOPE: Final = f"{ENVELOPES}/{{envelopeId}}"
PDF: Final = "application/pdf"


def reads(
    name: str, path: str, handler: Handler, summary: str, query: Sequence[Parameter[Any]] = ()
) -> Operation:
    """A call that only reads; parameters that it does not name are ignored."""
    return Operation(
        name, "GET", path, handler, role=Role.VIEWER, summary=summary, query=query, media=(PDF,)
    )


def changes(
    name: str,
    method: str,
    path: str,
    handler: Handler,
    summary: str,
    *names: str,
    status: int = 200,
    query: Sequence[Parameter[Any]] = (),
) -> Operation:
    """A call that changes something, with a JSON body or, where it makes envelopes, parts; `names`
    are parameters that are taken without effect."""
    return Operation(
        name,
        method,
        path,
        handler,
        status=status,
        raw_types=(JSON, MULTIPART),
        body_limit=BODY_LIMIT,
        summary=summary,
        query=[*query, *(unused(one) for one in names)],
    )


def body(call: Call) -> dict[str, Any]:
    """The JSON object of a call. Raises InvalidBody."""
    return json_object(call.raw)


def answer(value: Mapping[str, Any], status: int = 200) -> Response:
    """An object as JSON: what the emulator adds answers in no other form."""
    return in_json(value, status)


def chosen(call: Call) -> str:
    """The envelope that a path names."""
    return call.path["envelopeId"].lower()


def listing(name: str, items: Sequence[Mapping[str, Any]], call: Call) -> dict[str, Any]:
    """A list as DocuSign pages it, whole: `start_position` and `count` are honoured."""
    start, count = START.read(call.query), COUNT.read(call.query)
    part = list(items[start : start + count])
    return {
        name: part,
        "resultSetSize": str(len(part)),
        "startPosition": str(start),
        "endPosition": str(max(start + len(part) - 1, 0)),
        "totalSetSize": str(len(items)),
    }


def _number(name: str, absent: int) -> Parameter[int]:
    def parse(text: str) -> int:
        return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else absent

    return Parameter(name, "Which part of the list.", {"type": "integer"}, parse, absent)


START: Final = _number("start_position", 0)
COUNT: Final = _number("count", 1000)
