"""The forms of an answer, which of them a caller accepts, and an error in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import mimeparse

from heliograph.errors import ApiError
from heliograph.wire.codec import encode_json, encode_xml
from heliograph.wire.rest import ErrorDetails

JSON: Final = "application/json"
XML: Final = "application/xml"
TEXT_XML: Final = "text/xml"
XML_TYPES: Final = (XML, TEXT_XML)
EXTENDED_XML: Final = "application/xml;extensions=true"
"""XML with the fields that DocuSign does not have, for those who ask for them."""

_HTML: Final = "text/html"
"""What a browser likes best. There are no pages here: it is shown the JSON."""

# The last of several equally good ones wins: JSON, as for `*/*`.
FORMS: Final = (EXTENDED_XML, TEXT_XML, XML, JSON)

_ANYTHING: Final = ("", "*/*", JSON)
"""Headers that mean JSON whatever is offered, as most clients send them: to read one takes longer
than many a call."""


def choose(accept: str, offered: Sequence[str] = FORMS) -> str | None:
    """The best of what is offered by an Accept header with its q-values (RFC 9110, 12.5.1).

    JSON where the header is empty or no list of media types, and for browsers; None where it
    admits nothing.
    """
    if accept.strip() in _ANYTHING:
        return JSON
    try:
        best: str = mimeparse.best_match([_HTML, *offered], accept)
    except mimeparse.MimeTypeParseException:
        return JSON
    return JSON if best == _HTML else best or None


def is_xml(form: str) -> bool:
    """Whether a form is one of XML's."""
    return form in XML_TYPES or form == EXTENDED_XML


def error_body(error: ApiError, accept: str) -> tuple[str, bytes]:
    """The content type and body of an error, in XML where that is accepted before JSON."""
    form = choose(accept) or JSON
    details = ErrorDetails(error_code=error.code, message=error.message)
    return form, encode_xml(details) if is_xml(form) else encode_json(details)
