"""An account's OAuth client on SQLite (see store/oauth.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import apsw

from heliograph.model.configurations import ClientCredentials
from heliograph.store import rows
from heliograph.store.keyring import KeyRing
from heliograph.store.sqlite.connection import Readers, Writer, fetch
from heliograph.store.sqlite.queue import QUERIES, Queue

_Q: Final = QUERIES


class SqliteOAuthClients:
    """The port on the store's writer and readers; `now` gives microseconds UTC."""

    def __init__(
        self,
        writer: Writer,
        readers: Readers,
        queue: Queue,
        keyring: KeyRing,
        now: Callable[[], int],
    ) -> None:
        self._writer = writer
        self._readers = readers
        self._queue = queue
        self._keyring = keyring
        self._now = now

    async def get(self, account_id: str) -> ClientCredentials | None:
        values = {"account_id": account_id}
        found = await self._readers.read(lambda db: fetch(db, _Q["connect_oauth"], values))
        return rows.oauth_client(self._keyring, account_id, found)

    async def create(self, account_id: str, client: ClientCredentials) -> bool:
        written = self._written(account_id, client)
        return await self._change(account_id, "connect_oauth_add", written)

    async def update(self, account_id: str, client: ClientCredentials, version: int) -> bool:
        written = self._written(account_id, client)
        return await self._change(account_id, "connect_oauth_change", written, version)

    async def delete(self, account_id: str) -> bool:
        return await self._change(account_id, "connect_oauth_delete", {"account_id": account_id})

    def _written(self, account_id: str, client: ClientCredentials) -> Mapping[str, Any]:
        return {**rows.writing_oauth(self._keyring, account_id, client), "now": self._now()}

    async def _change(
        self, account_id: str, query: str, values: Mapping[str, Any], version: int | None = None
    ) -> bool:
        def run(db: apsw.Connection) -> bool:
            if version is not None:
                self._queue.check_version(db, account_id, version)
            db.execute(_Q[query], values)
            changed = db.changes() > 0
            self._queue.keys_changed(account_id)
            self._queue.configurations_changed(db, account_id)
            return changed

        return await self._writer.write(run)
