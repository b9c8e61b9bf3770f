"""The port of an account's OAuth client, with which its posts get tokens for listeners."""

from __future__ import annotations

from typing import Protocol

from heliograph.model.configurations import ClientCredentials


class OAuthClients(Protocol):
    """An account has one client at most. A change holds for every attempt that is claimed after
    it, on every node."""

    async def get(self, account_id: str) -> ClientCredentials | None:
        """The account's client, or None."""
        ...

    async def create(self, account_id: str, client: ClientCredentials) -> bool:
        """Give the account a client; False when it has one."""
        ...

    async def update(self, account_id: str, client: ClientCredentials, version: int) -> bool:
        """Replace the account's client; False when it has none.

        Raises ConfigurationsChanged when `version` is no longer that of the account's
        configurations, so that two updates cannot undo each other.
        """
        ...

    async def delete(self, account_id: str) -> bool:
        """Take the account's client away; False when it has none."""
        ...
