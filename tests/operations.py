"""The one list of operations, as the server makes it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from heliograph import service
from heliograph.api.contract import Operation


def every_operation() -> list[Operation]:
    """All of them; their handlers cannot be called."""
    nothing: Any = SimpleNamespace(clock=None, observer=None)
    return list(service._operations(nothing, nothing, nothing, nothing, nothing))
