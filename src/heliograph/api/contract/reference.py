"""The OpenAPI documents and a page to read, for whoever writes a client: no token is needed.

The page is plain HTML with a stylesheet and a script of its own, which only filters; nothing comes
from elsewhere (S10).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final

import jinja2
import msgspec

from heliograph import errors
from heliograph.api.contract.curl import curl
from heliograph.api.contract.openapi import document
from heliograph.api.contract.operation import Operation, page
from heliograph.api.contract.parameters import LARGEST_ID
from heliograph.api.contract.request import Request
from heliograph.api.contract.response import Response
from heliograph.api.contract.routing import Route
from heliograph.wire.media_types import JSON

_HTML: Final = "text/html; charset=utf-8"
_CSS: Final = "text/css; charset=utf-8"
_SCRIPT: Final = "text/javascript; charset=utf-8"

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


def routes(operations: Sequence[Operation], base_uri: str) -> Sequence[Route]:
    """The routes of the documents and the page; each is made when it is first asked for.

    `base_uri` is where clients find the server.
    """

    @cache
    def in_json(*, v2: bool) -> bytes:
        return msgspec.json.format(
            msgspec.json.encode(document(operations, base_uri, v2=v2)), indent=2
        )

    @cache
    def in_html() -> bytes:
        return render(document(operations, base_uri), base_uri).encode()

    return [
        page("/openapi.json", _shows(lambda: in_json(v2=False), JSON)),
        page("/openapi-v2.json", _shows(lambda: in_json(v2=True), JSON)),
        page("/docs", _shows(in_html, _HTML)),
        page("/docs.css", _shows(lambda: _file("reference.css").encode(), _CSS)),
        page("/docs.js", _shows(lambda: _file("reference.js").encode(), _SCRIPT)),
    ]


def render(shown: Mapping[str, Any], base_uri: str) -> str:
    """The page of a document; `base_uri` is the server's."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["kind"] = kind
    calls = [
        {
            "method": method.upper(),
            "path": path,
            "curl": curl(method.upper(), path, call, base_uri),
            **call,
        }
        for path, here in shown["paths"].items()
        for method, call in here.items()
    ]
    return environment.from_string(_file("reference.html")).render(
        document=shown,
        groups={
            tag["name"]: [call for call in calls if call["tags"] == [tag["name"]]]
            for tag in shown["tags"]
        },
        schemas=shown["components"]["schemas"],
        errors=sorted({(error.status, error.code, error.advice) for error in errors.answers()}),
    )


def kind(schema: Mapping[str, Any]) -> tuple[str, str]:
    """What a schema is in words, and the name of the schema that it leads to or nothing."""
    if "$ref" in schema:
        return "", schema["$ref"].rpartition("/")[2]
    if schema["type"] == "array":
        words, name = kind(schema["items"])
        return f"list of {words}".strip(), name
    if "additionalProperties" in schema:
        return "texts by name", ""
    if "enum" in schema:
        return ", ".join(schema["enum"]), ""
    word = {"string": "text", "integer": "number", "boolean": "true or false"}[schema["type"]]
    if "maximum" in schema and schema["maximum"] < LARGEST_ID:
        word = f"{word} from {schema['minimum']} to {schema['maximum']}"
    return schema.get("format", word).replace("uri", "URL").replace("uuid", "GUID"), ""


def _shows(make: Callable[[], bytes], media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def show(_: Request) -> Response:
        return Response(make(), headers=_HEADERS, media_type=media_type)

    return show


def _file(name: str) -> str:
    return (resources.files("heliograph.api") / "pages" / name).read_text(encoding="utf-8")
