"""Every byte that leaves: posts to listeners, requests for tokens, alerts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from heliograph.model.configurations import TlsIdentity
from heliograph.model.deliveries import Answer, Fault


class Transport(Protocol):
    """Posts a message; what the network or the listener does wrong is a value."""

    async def post(
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        body: Any,
        identity: TlsIdentity | None = None,
        *,
        fresh: bool = False,
    ) -> Answer | Fault:
        """One POST of a `model.deliveries.Body` within the transport's budget of time and bytes.

        A `fresh` one uses no connection that was used before, and leaves none.
        """
        ...
