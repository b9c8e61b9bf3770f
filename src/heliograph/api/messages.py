"""The messages of attempts, to be shown."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from zoneinfo import ZoneInfo

from heliograph.aside import aside
from heliograph.model.accounts import Account
from heliograph.model.logs import AttemptDetail
from heliograph.store import Store
from heliograph.wire.messages import json_sim, message


async def messages_of(
    store: Store, zone: ZoneInfo, account: Account, attempts: Sequence[AttemptDetail]
) -> Sequence[bytes]:
    """What was sent, rendered again as the configuration, if it is still there, now asks.

    `zone` is what messages tell times in. All attempts are of one delivery, or there is but one.
    """
    if not attempts:
        return ()
    connect_id = attempts[0].entry.connect_id
    configuration = await store.configuration(account.account_id, connect_id)
    counted = [
        (attempt.event, attempt.entry.retry_count, attempt.recipient) for attempt in attempts
    ]

    def rendered() -> Sequence[bytes]:
        if configuration is None:
            return [json_sim.render(event, connect_id, count) for event, count, _ in counted]
        render = partial(message.render, account=account, zone=zone)
        return [
            render(event, configuration, count, recipient=recipient).body
            for event, count, recipient in counted
        ]

    return await aside(sum(len(event.document) for event, *_ in counted), rendered)
