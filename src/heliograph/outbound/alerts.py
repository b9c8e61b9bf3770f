"""Telling an operator: one JSON object by POST, through the same guard as every message."""

from __future__ import annotations

from typing import Final

import msgspec
import structlog

from heliograph.delivery.attempt import Transport
from heliograph.delivery.disabling import Alert
from heliograph.model.deliveries import Answer

_HEADERS: Final = (("Content-Type", "application/json"),)

_log = structlog.get_logger()


class AlertHook:
    """Posts alerts to one URL. The log has each alert too, whatever becomes of the post."""

    def __init__(self, url: str, transport: Transport) -> None:
        """An empty `url` posts nothing."""
        self._url = url
        self._transport = transport

    async def tell(self, alert: Alert) -> None:
        """Post an alert once; a refusal is logged."""
        if not self._url:
            return
        body = msgspec.json.encode(alert.to_wire())
        came_back = await self._transport.post(self._url, _HEADERS, body)
        if not (isinstance(came_back, Answer) and 200 <= came_back.status <= 299):
            said = came_back.status if isinstance(came_back, Answer) else came_back.what
            _log.error("alert_not_taken", alert=alert.kind, reason=said)
