"""What publisher and listener saw, in files that survive any crash of the server.

Both write a line and flush it before they go on: the publisher its intent before a call and
the answer after it, the listener each request before it answers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Ledger:
    """An append-only file of JSON lines, flushed to disk line by line."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def write(self, **entry: Any) -> None:
        os.write(self._descriptor, json.dumps(entry).encode() + b"\n")
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a ledger."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)
