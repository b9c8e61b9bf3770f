"""Historical publishing on PostgreSQL (see store/historical.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from heliograph.model.deliveries import DeliveryState
from heliograph.store import historical, sql
from heliograph.store.historical import PublishTransaction, Wish
from heliograph.store.keyring import KeyRing
from heliograph.store.postgres import configurations
from heliograph.store.postgres.connection import Connection, Database, one, rows, run
from heliograph.store.postgres.hints import Hints

_Q: Final = sql.named_queries("postgres/historical.sql")


class PostgresHistorical:
    """The port on the store's connections; `now` gives microseconds UTC."""

    def __init__(
        self, database: Database, keyring: KeyRing, now: Callable[[], int], hints: Hints
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._now = now
        self._hints = hints

    async def submit(self, wish: Wish) -> PublishTransaction:
        await self._database.transact(lambda db: self._submit(db, wish))
        self._hints.give()
        found = await self.transaction(wish.configuration.account_id, wish.transaction_id)
        assert found is not None  # noqa: S101 (committed above, and retention keeps what is new)
        return found

    async def _submit(self, db: Connection, wish: Wish) -> None:
        now, account_id = self._now(), wish.configuration.account_id
        values: dict[str, Any] = {"account_id": account_id, "now": now}
        await rows(db, _Q["account_locked"], values)
        since = now - int(historical.HOUR.total_seconds()) * 1_000_000
        (before,) = await one(db, _Q["within_hour"], {**values, "since": since})
        historical.refuse_too_much(before, len(wish.distinct))
        key = wish.transaction_id.encode()
        made = await configurations.create(db, self._keyring, wish.configuration, now, key)
        reason = made.held
        state = DeliveryState.WAITING if reason is None else DeliveryState.HELD
        values |= {
            "connect_id": made.connect_id,
            "envelope_ids": list(wish.distinct),
            "state": state.value,
            "held_reason": reason and reason.value,
        }
        (submitted,) = await one(db, _Q["deliver"], values)
        counts = {
            "envelopes": len(wish.distinct),
            "repeated": len(wish.envelope_ids) - len(wish.distinct),
            "unknown": len(wish.distinct) - submitted,
            "submitted": submitted,
        }
        named = {"transaction_id": wish.transaction_id, "submitted_by": wish.submitted_by}
        await run(db, _Q["add"], {**values, **counts, **named})

    async def transaction(self, account_id: str, transaction_id: str) -> PublishTransaction | None:
        found = await self._found(account_id, transaction_id, 1)
        return found[0] if found else None

    async def transactions(self, account_id: str, most: int) -> Sequence[PublishTransaction]:
        return await self._found(account_id, None, most)

    async def _found(
        self, account_id: str, transaction_id: str | None, most: int
    ) -> Sequence[PublishTransaction]:
        values = {"account_id": account_id, "transaction_id": transaction_id, "most": most}
        listed = await self._database.read(lambda db: rows(db, _Q["transactions"], values))
        return [historical.read(row) for row in listed]

    async def cancel(self, account_id: str, transaction_id: str, who: str) -> bool:
        async def work(db: Connection) -> bool:
            values = {"account_id": account_id, "transaction_id": transaction_id}
            ended = {"who": who, "now": self._now()}
            marked = await rows(db, _Q["mark_cancelled"], {**values, **ended})
            for (connect_id,) in marked:
                await run(db, _Q["cancel_unsent"], {**ended, "connect_id": connect_id})
                # What was put back meanwhile, or is under way and fails, is a visible failure.
                await configurations.delete(db, account_id, connect_id, self._now())
            return bool(marked)

        return await self._database.transact(work)


async def retire(db: Connection, before_us: int) -> None:
    """Forget transactions of which nothing is left; their configurations go as others do."""
    await run(db, _Q["retire"], {"before": before_us})
