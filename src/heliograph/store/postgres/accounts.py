"""What claims need of accounts on PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from heliograph.model.accounts import Account, HmacKey, Secret
from heliograph.model.configurations import ClientCredentials, ConnectConfiguration, Proof
from heliograph.model.deliveries import Proofs


@dataclass(slots=True)
class KnownAccount:
    """What claims need of an account, as it was at a version.

    `reading` stands for what was read of its configurations, and not forgotten, since the account
    is known; `live` are those of one claim.
    """

    version: int
    reading: object
    keys: tuple[HmacKey, ...]
    client: tuple[str, Secret] | None
    oauth: ClientCredentials | None
    account: Account
    live: Mapping[int, ConnectConfiguration] = field(default_factory=dict)

    def is_aggregate(self, connect_id: int) -> bool:
        """Whether its messages stand for several events."""
        configuration = self.live.get(connect_id)
        return configuration is not None and configuration.pace.aggregate

    def proof(self, proof: Proof) -> Any:
        """What there is of one."""
        has: Mapping[Proof, Any] = {
            Proof.KEYS: self.keys,
            Proof.CLIENT: self.client,
            Proof.OAUTH: self.oauth,
            Proof.ACCOUNT: self.account,
        }
        return has[proof]

    def integrator(self, connect_id: int) -> str | None:
        """The account whose proofs one of its configurations takes in place of its own."""
        configuration = self.live.get(connect_id)
        return None if configuration is None else configuration.integrator


def proofs_of(configuration: ConnectConfiguration, accounts: Mapping[str, KnownAccount]) -> Proofs:
    """What a post of a configuration proves itself with, of accounts that are known by id."""
    found = {}
    for proof in configuration.asks_for:
        owner = accounts.get(configuration.owner_of(proof))
        if owner is not None:  # an integrator's account that is gone proves nothing
            found[proof] = owner.proof(proof)
    return Proofs(**found)
