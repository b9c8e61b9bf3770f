"""Every operation of the API, as the server makes the list, without a server behind it."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Final

from heliograph.api.contract.operation import Operation
from heliograph.api.contract.selection import LISTING
from heliograph.api.web import operations_of
from heliograph.model.fidelity import Fidelity
from heliograph.watch import UNWATCHED

BASE_URI: Final = "https://connect.example.com"
"""Where the documents of tests say that the server is."""

NAMES: Final = tuple(parameter.name for parameter in LISTING)
"""What the listings of failures and logs are asked with."""


def all_operations() -> Sequence[Operation]:
    """The list; nothing of it can be called."""
    nothing: Any = SimpleNamespace(clock=None, observer=UNWATCHED)
    return operations_of(
        nothing, nothing, nothing, nothing, nothing, nothing, Fidelity.RELAXED, BASE_URI
    )
