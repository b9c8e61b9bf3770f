"""Bodies and queries of /oauth: form fields, each given once, within limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from heliograph.api.contract.operation import read_body
from heliograph.api.contract.request import Request
from heliograph.errors import BodyTooLarge, CodedBody, OAuthRefused

FORM: Final = "application/x-www-form-urlencoded"

BODY_LIMIT: Final = 64 * 1024
"""Bytes of a form."""

_MOST_FIELDS: Final = 50


async def read_form(request: Request) -> Mapping[str, str]:
    """The fields of a form that was posted; empty ones count as not given (RFC 6749, 3.2).

    Raises:
        OAuthRefused: invalid_request, it is no form, too large, coded, or gives a field twice.
    """
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if kind != FORM:
        raise OAuthRefused("invalid_request", f"Content-Type must be {FORM}.")
    try:
        body = await read_body(request, BODY_LIMIT)
    except (BodyTooLarge, CodedBody) as error:
        raise OAuthRefused("invalid_request", error.message, error.status) from None
    return read_fields(body)


def read_fields(text: bytes) -> Mapping[str, str]:
    """The fields of a form or of a query.

    Raises:
        OAuthRefused: invalid_request, it cannot be read or gives a field twice.
    """
    try:
        pairs = parse_qsl(
            text.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise OAuthRefused("invalid_request", "The form cannot be read.") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise OAuthRefused("invalid_request", "The form gives a field twice.")
    if any("\0" in value for value in fields.values()):
        raise OAuthRefused("invalid_request", "The form has a NUL character.")
    return {name: value for name, value in fields.items() if value}
