"""Historical publishing (see store/historical.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from heliograph.model.audit import Action, Change, given
from heliograph.model.deliveries import DeliveryState
from heliograph.store import historical
from heliograph.store.historical import PublishTransaction, Wish
from heliograph.store.keyring import KeyRing
from heliograph.store.times import from_microseconds
from heliograph.store.verbs import Engine, Step, Verb, audit, configurations, verb_of


class HistoricalVerbs:
    """The HistoricalPublishing port; `now` gives microseconds UTC."""

    def __init__(self, engine: Engine, keyring: KeyRing, now: Callable[[], int]) -> None:
        self._engine = engine
        self._keyring = keyring
        self._now = now

    async def submit(self, wish: Wish) -> PublishTransaction:
        await self._engine.write(lambda: self._submit(wish), patience=None)
        found = await self.transaction(wish.configuration.account_id, wish.transaction_id)
        assert found is not None  # noqa: S101 (committed above, and retention keeps what is new)
        return found

    def _submit(self, wish: Wish) -> Verb[None]:
        now, account_id = self._now(), wish.configuration.account_id
        values: dict[str, Any] = {"account_id": account_id, "now": now}
        yield Step("account_locked", values)
        since = now - int(historical.HOUR.total_seconds()) * 1_000_000
        (before,) = yield Step("published_since", {**values, "since": since})
        historical.refuse_too_much(before.envelopes, len(wish.distinct))
        key = wish.transaction_id.encode()
        wanted = {key: wish.configuration}
        made = (yield from configurations.add_ad_hoc(self._keyring, account_id, wanted, now))[key]
        reason = made.held
        state = DeliveryState.WAITING if reason is None else DeliveryState.HELD
        values |= {
            "connect_id": made.connect_id,
            "envelope_ids": list(wish.distinct),
            "state": state.value,
            "held_reason": reason and reason.value,
        }
        submitted = len((yield Step("publish_deliver", values)))
        counts = {
            "envelopes": len(wish.distinct),
            "repeated": len(wish.envelope_ids) - len(wish.distinct),
            "unknown": len(wish.distinct) - submitted,
            "submitted": submitted,
        }
        named = {"transaction_id": wish.transaction_id, "submitted_by": wish.submitted_by}
        yield Step("publish_add", {**values, **counts, **named})
        published = Change(f"transaction {wish.transaction_id}", given(**counts))
        yield from audit.note(account_id, now, Action.HISTORY_PUBLISHED, published)

    async def transaction(self, account_id: str, transaction_id: str) -> PublishTransaction | None:
        found = await self._found(account_id, transaction_id, 1)
        return found[0] if found else None

    async def transactions(self, account_id: str, most: int) -> Sequence[PublishTransaction]:
        return await self._found(account_id, None, most)

    async def _found(
        self, account_id: str, transaction_id: str | None, most: int
    ) -> Sequence[PublishTransaction]:
        values = {"account_id": account_id, "transaction_id": transaction_id, "most": most}
        return [
            _read(row)
            for row in await self._engine.read(lambda: verb_of(Step("publishes", values)))
        ]

    async def cancel(self, account_id: str, transaction_id: str, who: str) -> bool:
        def verb() -> Verb[bool]:
            values = {"account_id": account_id, "transaction_id": transaction_id}
            ended = {"who": who, "now": self._now()}
            marked = yield Step("publish_cancel", {**values, **ended})
            for row in marked:
                yield Step("publish_cancel_unsent", {**ended, "connect_id": row.connect_id})
                # What was put back meanwhile, or is under way and fails, is a visible failure.
                yield from configurations.delete(account_id, row.connect_id, self._now())
                cancelled = Change(f"transaction {transaction_id}")
                yield from audit.note(account_id, self._now(), Action.HISTORY_CANCELLED, cancelled)
            return bool(marked)

        return await self._engine.write(verb, patience=None)


def _read(row: Any) -> PublishTransaction:
    """A row of `publishes`."""
    cancelled_us = row.cancelled_us
    return PublishTransaction(
        transaction_id=row.transaction_id,
        connect_id=row.connect_id,
        submitted_by=row.submitted_by,
        envelopes=row.envelopes,
        repeated=row.repeated,
        unknown=row.unknown,
        submitted=row.submitted,
        unfinished=row.unfinished,
        failed=row.failed,
        created_at=from_microseconds(row.created_us),
        cancelled_at=None if cancelled_us is None else from_microseconds(cancelled_us),
    )
