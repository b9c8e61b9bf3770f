"""Historical publishing on SQLite (see store/historical.py)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import apsw

from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import DeliveryState
from heliograph.store import historical, sql
from heliograph.store.historical import PublishTransaction, Wish
from heliograph.store.sqlite.connection import Readers, Writer, fetch
from heliograph.store.sqlite.queue import QUERIES

_Q: Final = sql.named_queries("sqlite/historical.sql")

Create = Callable[[apsw.Connection, ConnectConfiguration, bytes], ConnectConfiguration]
Delete = Callable[[apsw.Connection, str, int], bool]


class SqliteHistorical:
    """The port on the store's writer and readers; `now` gives microseconds UTC."""

    def __init__(
        self,
        writer: Writer,
        readers: Readers,
        now: Callable[[], int],
        create: Create,
        delete: Delete,
    ) -> None:
        self._writer = writer
        self._readers = readers
        self._now = now
        self._create = create
        self._delete = delete

    async def submit(self, wish: Wish) -> PublishTransaction:
        def run(db: apsw.Connection) -> None:
            now, account_id = self._now(), wish.configuration.account_id
            since = now - int(historical.HOUR.total_seconds()) * 1_000_000
            before = db.execute(_Q["within_hour"], {"account_id": account_id, "since": since}).get
            historical.refuse_too_much(int(before or 0), len(wish.distinct))
            made = self._create(db, wish.configuration, wish.transaction_id.encode())
            reason = made.held
            values: dict[str, Any] = {
                "account_id": account_id,
                "connect_id": made.connect_id,
                "envelope_ids": json.dumps(wish.distinct),
                "state": DeliveryState.WAITING if reason is None else DeliveryState.HELD,
                "held_reason": reason,
                "now": now,
            }
            db.execute(_Q["deliver"], values)
            submitted = db.changes()
            db.execute(_Q["count_deliveries"], values)
            counts = {
                "envelopes": len(wish.distinct),
                "repeated": len(wish.envelope_ids) - len(wish.distinct),
                "unknown": len(wish.distinct) - submitted,
                "submitted": submitted,
            }
            named = {"transaction_id": wish.transaction_id, "submitted_by": wish.submitted_by}
            db.execute(_Q["add"], {**values, **counts, **named})

        await self._writer.write(run)
        found = await self.transaction(wish.configuration.account_id, wish.transaction_id)
        assert found is not None  # noqa: S101 (committed above, and retention keeps what is new)
        return found

    async def transaction(self, account_id: str, transaction_id: str) -> PublishTransaction | None:
        found = await self._found(account_id, transaction_id, 1)
        return found[0] if found else None

    async def transactions(self, account_id: str, most: int) -> Sequence[PublishTransaction]:
        return await self._found(account_id, None, most)

    async def _found(
        self, account_id: str, transaction_id: str | None, most: int
    ) -> Sequence[PublishTransaction]:
        values = {"account_id": account_id, "transaction_id": transaction_id, "most": most}
        listed = await self._readers.read(lambda db: fetch(db, _Q["transactions"], values))
        return [historical.read(row) for row in listed]

    async def cancel(self, account_id: str, transaction_id: str, who: str) -> bool:
        def run(db: apsw.Connection) -> bool:
            values = {"account_id": account_id, "transaction_id": transaction_id}
            marked = fetch(db, _Q["mark_cancelled"], {**values, "now": self._now()})
            for (connect_id,) in marked:
                db.execute(_Q["cancel_unsent"], {"connect_id": connect_id, "who": who})
                self._delete(db, account_id, connect_id)
            return bool(marked)

        return await self._writer.write(run)


def retire(db: apsw.Connection, before_us: int) -> None:
    """Forget transactions of which nothing is left, and their configurations."""
    gone = fetch(db, _Q["retire"], {"before": before_us})
    if gone:
        connect_ids = json.dumps([connect_id for (connect_id,) in gone])
        db.execute(QUERIES["retire_ad_hoc"], {"connect_ids": connect_ids, "now": before_us})
