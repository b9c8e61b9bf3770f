"""An account's OAuth client on PostgreSQL (see store/oauth.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from heliograph.errors import ConfigurationsChanged
from heliograph.model.configurations import ClientCredentials
from heliograph.store import rows as shared
from heliograph.store.keyring import KeyRing
from heliograph.store.postgres.connection import Connection, Database, row, rows, run
from heliograph.store.postgres.queue import QUERIES

_Q: Final = QUERIES


class PostgresOAuthClients:
    """The port on the store's connections; `now` gives microseconds UTC."""

    def __init__(self, database: Database, keyring: KeyRing, now: Callable[[], int]) -> None:
        self._database = database
        self._keyring = keyring
        self._now = now

    async def get(self, account_id: str) -> ClientCredentials | None:
        values = {"account_id": account_id}
        found = await self._database.read(lambda db: rows(db, _Q["connect_oauth"], values))
        return shared.oauth_client(self._keyring, account_id, found)

    async def create(self, account_id: str, client: ClientCredentials) -> bool:
        written = self._written(account_id, client)
        return await self._change(account_id, "connect_oauth_add", written)

    async def update(self, account_id: str, client: ClientCredentials, version: int) -> bool:
        written = self._written(account_id, client)
        return await self._change(account_id, "connect_oauth_change", written, version)

    async def delete(self, account_id: str) -> bool:
        return await self._change(account_id, "connect_oauth_delete", {"account_id": account_id})

    def _written(self, account_id: str, client: ClientCredentials) -> Mapping[str, Any]:
        return {**shared.writing_oauth(self._keyring, account_id, client), "now": self._now()}

    async def _change(
        self, account_id: str, query: str, values: Mapping[str, Any], version: int | None = None
    ) -> bool:
        async def work(db: Connection) -> bool:
            changed = await row(db, _Q["configurations_changed"], (account_id,))
            if changed is not None and version is not None and changed[0] != version + 1:
                raise ConfigurationsChanged
            return await run(db, _Q[query], values) > 0

        return await self._database.transact(work)
