"""An account's OAuth client (see store/oauth.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from heliograph.errors import ConfigurationsChanged
from heliograph.model.audit import MASKED, Action, Change, Detail, differing
from heliograph.model.configurations import ClientCredentials
from heliograph.store import sealing
from heliograph.store.keyring import KeyRing
from heliograph.store.verbs import Engine, Step, Verb, audit, verb_of
from heliograph.store.verbs.configurations import bump_version

_WHAT: Final = "OAuth client"


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
        written, made = self._written(account_id, client), differing({}, _shown(client))
        action = Action.CONNECT_OAUTH_CREATED
        return await self._change(account_id, Step("connect_oauth_add", written), action, made)

    async def update(self, account_id: str, client: ClientCredentials, version: int) -> bool:
        written = self._written(account_id, client)

        def verb() -> Verb[bool]:
            for account in (yield from bump_version(account_id)):
                if account.configurations_version != version + 1:
                    raise ConfigurationsChanged
            found = yield Step("connect_oauth", written)
            before = sealing.oauth_client(self._keyring, account_id, found)
            if before is None:
                return False
            yield Step("connect_oauth_change", written)
            changed = differing(_shown(before), _shown(client))
            if before.client_secret != client.client_secret:
                changed += (Detail("client secret", MASKED, MASKED),)
            if before.parameters != client.parameters:
                changed += (Detail("parameters", MASKED, MASKED),)
            action = Action.CONNECT_OAUTH_CHANGED
            yield from audit.note_changed(account_id, self._now(), action, Change(_WHAT, changed))
            return True

        return await self._engine.write(verb, patience=None)

    async def delete(self, account_id: str) -> bool:
        step = Step("connect_oauth_delete", {"account_id": account_id})
        return await self._change(account_id, step, Action.CONNECT_OAUTH_DELETED)

    def _written(self, account_id: str, client: ClientCredentials) -> Mapping[str, Any]:
        return {**sealing.writing_oauth(self._keyring, account_id, client), "now": self._now()}

    async def _change(
        self, account_id: str, step: Step, action: Action, details: tuple[Detail, ...] = ()
    ) -> bool:
        def verb() -> Verb[bool]:
            yield from bump_version(account_id)
            if not (yield step).changed:
                return False
            yield from audit.note(account_id, self._now(), action, Change(_WHAT, details))
            return True

        return await self._engine.write(verb, patience=None)


def _shown(client: ClientCredentials) -> Mapping[str, object]:
    """But for what is secret: the client's, and parameters, which may be."""
    return {"token URL": client.token_url, "client id": client.client_id, "scope": client.scope}
