"""An account's OAuth client (see store/oauth.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from heliograph.errors import ConfigurationsChanged
from heliograph.model.configurations import ClientCredentials
from heliograph.store import sealing
from heliograph.store.keyring import KeyRing
from heliograph.store.verbs import Engine, Step, Verb, verb_of
from heliograph.store.verbs.configurations import bump_version


class OAuthVerbs:
    """The OAuthClients port; `now` gives microseconds UTC."""

    def __init__(self, engine: Engine, keyring: KeyRing, now: Callable[[], int]) -> None:
        self._engine = engine
        self._keyring = keyring
        self._now = now

    async def get(self, account_id: str) -> ClientCredentials | None:
        values = {"account_id": account_id}
        found = await self._engine.read(lambda: verb_of(Step("connect_oauth", values)))
        return sealing.oauth_client(self._keyring, account_id, found)

    async def create(self, account_id: str, client: ClientCredentials) -> bool:
        written = self._written(account_id, client)
        return await self._change(account_id, "connect_oauth_add", written)

    async def update(self, account_id: str, client: ClientCredentials, version: int) -> bool:
        written = self._written(account_id, client)
        return await self._change(account_id, "connect_oauth_change", written, version)

    async def delete(self, account_id: str) -> bool:
        return await self._change(account_id, "connect_oauth_delete", {"account_id": account_id})

    def _written(self, account_id: str, client: ClientCredentials) -> Mapping[str, Any]:
        return {**sealing.writing_oauth(self._keyring, account_id, client), "now": self._now()}

    async def _change(
        self, account_id: str, query: str, values: Mapping[str, Any], version: int | None = None
    ) -> bool:
        def verb() -> Verb[bool]:
            for account in (yield from bump_version(account_id)):
                if version is not None and account.configurations_version != version + 1:
                    raise ConfigurationsChanged
            return (yield Step(query, values)).changed > 0

        return await self._engine.write(verb, patience=None)
