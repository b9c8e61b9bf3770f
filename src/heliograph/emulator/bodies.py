"""Bodies of calls: JSON, or multipart/form-data with JSON first and documents after it.

A part of a document names it in its Content-Disposition: `documentid=1` (DocuSign: the published
examples of multipart requests). The parts are read with Python's e-mail parser, which reads MIME.
"""

from __future__ import annotations

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any, Final

import msgspec

from heliograph.errors import InvalidBody
from heliograph.wire.codec import MOST_NODES, check_json, texts
from heliograph.wire.media_types import JSON

MULTIPART: Final = "multipart/form-data"
BODY_LIMIT: Final = 40 * 2**20
"""Bytes of one call (DocuSign takes 25 MB of a document)."""

_MOST_PARTS: Final = 100


def json_object(raw: bytes) -> dict[str, Any]:
    """A JSON object, every scalar a text. Raises InvalidBody."""
    if not raw.strip():
        return {}
    try:
        value = msgspec.json.decode(raw)
        check_json(value, MOST_NODES)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBody(f"The body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidBody("The body must be a JSON object.")
    found: dict[str, Any] = texts(value)
    return found


def definition(raw: bytes, content_type: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A definition, and contents of documents by their ids. Raises InvalidBody."""
    if content_type.partition(";")[0].strip().lower() == JSON:
        return json_object(raw), {}
    head = f"Content-Type: {content_type}\r\nMIME-Version: 1.0\r\n\r\n".encode("latin-1")
    message = BytesParser(EmailMessage, policy=policy.HTTP).parsebytes(head + raw)
    parts = list(message.iter_parts()) if message.is_multipart() else []
    if not parts or len(parts) > _MOST_PARTS:
        raise InvalidBody(f"A multipart body has 1 to {_MOST_PARTS} parts.")
    first, *files = parts
    contents: dict[str, bytes] = {}
    for part in files:
        disposition = part["content-disposition"]
        given = {} if disposition is None else disposition.params
        document_id = str(given.get("documentid", "")).strip()
        if not document_id:
            raise InvalidBody("A part has no documentid in its Content-Disposition.")
        contents[document_id] = _content(part)
    return json_object(_content(first)), contents


def _content(part: Any) -> bytes:
    body = part.get_payload(decode=True)
    return body if isinstance(body, bytes) else b""
