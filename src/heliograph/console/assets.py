"""What pages load: each file under a path that names its bytes, so that it is fetched once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from heliograph.api.contract.request import Request
from heliograph.api.contract.response import Response
from heliograph.errors import NotFound

_FILES: Final = {
    "console.css": "console.css",
    "console.js": "console.js",
    "icon.svg": "icon.svg",
    "htmx.js": "vendor/htmx-2.0.11/htmx.min.js",
    "uplot.js": "vendor/uplot-1.6.32/uPlot.iife.min.js",
    "uplot.css": "vendor/uplot-1.6.32/uPlot.min.css",
}
"""By the names that pages know them by: where they lie below static/."""

_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

_HEADERS: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    # Of a picture that somebody opens by itself: it may do nothing.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
}


class Assets:
    """The files, read once."""

    def __init__(self) -> None:
        folder = files("heliograph.console") / "static"
        self._bytes = {name: (folder / place).read_bytes() for name, place in _FILES.items()}
        self.paths: Mapping[str, str] = {
            name: f"static/{hashlib.sha256(content).hexdigest()[:16]}/{name}"
            for name, content in self._bytes.items()
        }
        """Below the console's root, by name."""

    async def show(self, request: Request) -> Response:
        """A file. Raises NotFound for any other path, one of an older version, too."""
        name = request.parameters["name"]
        if self.paths.get(name) != f"static/{request.parameters['digest']}/{name}":
            raise NotFound("There is no such file: load the page again.")
        kind = _TYPES[name.rpartition(".")[2]]
        return Response(self._bytes[name], headers=_HEADERS, media_type=kind)
