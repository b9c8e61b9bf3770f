"""Telling an operator: one JSON object by POST, through the same guard as every message."""

from __future__ import annotations

from typing import Final

import structlog

from heliograph.model.alerts import Alert
from heliograph.model.deliveries import Answer
from heliograph.outbound import Transport
from heliograph.wire import alerts

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
        answer = await self._transport.post(self._url, _HEADERS, alerts.render(alert), fresh=True)
        if not (isinstance(answer, Answer) and 200 <= answer.status <= 299):
            reason = answer.status if isinstance(answer, Answer) else answer.what
            _log.error("alert_not_taken", alert=alert.kind, reason=reason)
