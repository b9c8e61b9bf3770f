"""What version 2 of the API says otherwise than version 2.1.

Source: DocuSign's published v2 OpenAPI document, where `envelopeEvents`, `recipientEvents` and
`userIds` of a configuration are comma-separated text. Both forms are read in both versions.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from heliograph.wire.rest import ConnectCustomConfiguration

S = TypeVar("S", bound=msgspec.Struct)

TEXTS: Final = frozenset({"envelope_events", "recipient_events", "user_ids"})
"""Fields of a configuration that are text in version 2."""


def as_v2(answer: S) -> S:
    """The answer as version 2 has it: lists as text, and URIs that stay in that version."""
    for name in answer.__struct_fields__:
        value = getattr(answer, name)
        if isinstance(value, msgspec.Struct):
            as_v2(value)
        elif isinstance(value, list):
            _list_as_v2(answer, name, value)
        elif isinstance(value, str) and name.endswith("uri") and value.startswith("/v2.1/"):
            setattr(answer, name, "/v2/" + value.removeprefix("/v2.1/"))
    return answer


def _list_as_v2(answer: msgspec.Struct, name: str, value: list[str | msgspec.Struct]) -> None:
    if isinstance(answer, ConnectCustomConfiguration) and name in TEXTS:
        setattr(answer, name, ",".join(str(text) for text in value))
        return
    for item in value:
        if isinstance(item, msgspec.Struct):
            as_v2(item)
