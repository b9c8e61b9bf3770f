"""Republish: failures go back into the one queue, and so does what was delivered where it is asked
for. Whoever asks can wait for the outcome."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from heliograph.clock import Clock
from heliograph.delivery.signals import Signals
from heliograph.failpoints import failpoint
from heliograph.model.deliveries import DeliveryState
from heliograph.model.logs import Cursor, LogQuery, Requeued
from heliograph.store import BATCH, DeliveryProgress, RequeuePage, Store, batches

LONGEST_WAIT: Final = 110.0
"""Seconds: a synchronous retry waits a little longer than one attempt may take."""

_LOOK_ANYWAY: Final = 1.0
"""Seconds between two looks at what is waited for: who sends it may be another node, of whose
settlements nobody tells this one."""


class Republisher:
    """Makes open failures due now."""

    def __init__(self, store: Store, clock: Clock, signals: Signals) -> None:
        self._store = store
        self._clock = clock
        self._signals = signals

    async def envelopes(
        self, account_id: str, envelope_ids: Sequence[str], who: str, *, synchronous: bool
    ) -> Sequence[Requeued]:
        """Requeue every open failure of these envelopes; of one that has none, what was delivered.

        Args:
            account_id: Whose failures.
            envelope_ids: Of which envelopes.
            who: Asks for it.
            synchronous: Wait until each has been tried once, at most `LONGEST_WAIT` seconds.
        """
        requeued: list[Requeued] = []
        for some in batches(list(dict.fromkeys(envelope_ids)), BATCH):
            failed = await self._requeue(account_id, some)
            have = {delivery.envelope_id for delivery in failed}
            without = [envelope_id for envelope_id in some if envelope_id not in have]
            requeued += failed
            if without:
                requeued += await self._resend(account_id, without, who)
        if synchronous:
            return await self._outcomes(account_id, requeued)
        return requeued

    async def _requeue(self, account_id: str, envelope_ids: Sequence[str]) -> Sequence[Requeued]:
        """Requeue the failures of some envelopes, some at a time: others get their turn between."""
        done: list[Requeued] = []
        while True:
            failpoint("retry.api.before")
            after = done[-1].delivery_id if done else 0
            page = await self._store.requeue_envelopes(account_id, envelope_ids, after)
            failpoint("retry.api.after")
            done += page
            if len(page) < BATCH:
                return done

    async def _resend(
        self, account_id: str, envelope_ids: Sequence[str], who: str
    ) -> Sequence[Requeued]:
        """Send again what was delivered of some envelopes, some at a time."""
        done: list[Requeued] = []
        while True:
            failpoint("retry.api.before")
            after = done[-1].delivery_id if done else 0
            page = await self._store.resend_envelopes(account_id, envelope_ids, who, after)
            failpoint("retry.api.after")
            done += page
            if len(page) < BATCH:
                return done

    async def delivered(
        self, account_id: str, query: LogQuery, who: str, after: Cursor | None = None
    ) -> RequeuePage:
        """Send again a batch of what was delivered and a query selects."""
        failpoint("republish.page.before")
        page = await self._store.resend_delivered(account_id, query, who, after)
        failpoint("republish.page.after")
        return page

    async def failures(
        self, account_id: str, query: LogQuery, after: Cursor | None = None
    ) -> RequeuePage:
        """Requeue a batch of the failures that a query selects."""
        failpoint("republish.page.before")
        page = await self._store.requeue_failures(account_id, query, after)
        failpoint("republish.page.after")
        return page

    async def _outcomes(self, account_id: str, requeued: Sequence[Requeued]) -> Sequence[Requeued]:
        pending = {
            delivery.delivery_id: delivery
            for delivery in requeued
            if delivery.state in (DeliveryState.WAITING, DeliveryState.IN_FLIGHT)
        }
        outcomes = {delivery.delivery_id: delivery for delivery in requeued}
        deadline = self._clock.monotonic() + LONGEST_WAIT
        while pending:
            # Taken before the look, so that what is settled meanwhile is not missed.
            settled = self._signals.next_settled()
            # All must end: whichever are looked at first, the others are not needed before.
            some = list(itertools.islice(pending, BATCH))
            latest = await self._store.progress(account_id, some)
            for delivery_id, progress in latest.items():
                outcome = _outcome(pending[delivery_id], progress)
                if outcome is not None:
                    outcomes[delivery_id] = outcome
                    del pending[delivery_id]
            left = deadline - self._clock.monotonic()
            if not pending or left <= 0:
                break
            if not pending.keys() & set(some):
                continue  # the next ones may have ended already
            await self._clock.wait(settled, min(left, _LOOK_ANYWAY))
        return list(outcomes.values())


def _outcome(requeued: Requeued, progress: DeliveryProgress) -> Requeued | None:
    """What the next attempt came to, or None while it has not ended."""
    if progress.state is DeliveryState.IN_FLIGHT:
        return None
    if progress.state is DeliveryState.DELIVERED:
        return replace(requeued, state=progress.state, note="Delivered.")
    if progress.state in (DeliveryState.CANCELLED, DeliveryState.HELD):
        return replace(requeued, state=progress.state, note=f"It is {progress.state.value} now.")
    if progress.attempts <= requeued.attempts and requeued.state is DeliveryState.WAITING:
        return None
    return replace(requeued, state=DeliveryState.FAILED, note=progress.error or "It failed again.")
