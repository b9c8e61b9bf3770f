"""What the writer of an SQLite database has read of configurations, keys, owners and events.

Everything here runs on the writer thread. Nobody else writes this database (R20), so what the
writer has read stays true until the writer changes it: it is kept in memory, and forgotten when a
transaction, or a part of one, is rolled back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from weakref import WeakValueDictionary

import apsw

from heliograph.bounded import Bounded
from heliograph.model.accounts import Account, HmacKey, Secret
from heliograph.model.configurations import ClientCredentials, ConnectConfiguration, Proof
from heliograph.model.deliveries import Proofs
from heliograph.model.events import Event
from heliograph.store import sealing
from heliograph.store.keyring import KeyRing
from heliograph.store.sqlite.connection import fetch
from heliograph.store.sqlite.queries import QUERIES
from heliograph.store.times import from_microseconds
from heliograph.store.turns import Owners
from heliograph.store.verbs import Step

_Q: Final = QUERIES

MOST: Final = 20_000
"""Entries of each memory (an account's version, its keys, a configuration): those used last."""

_MOST_BYTES: Final = 32 * 2**20
"""Bytes of each of these memories."""


class Known:
    """What was read, and reads what was not."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring
        self.owners = Owners()
        # With whether the account has ad hoc configurations.
        self._versions = Bounded[str, tuple[int, bool]](MOST, _MOST_BYTES)
        self._configurations = Bounded[int, ConnectConfiguration](MOST, _MOST_BYTES)
        self._events: WeakValueDictionary[int, Event] = WeakValueDictionary()
        self._keys = Bounded[str, tuple[HmacKey, ...]](MOST, _MOST_BYTES)
        self._clients = Bounded[str, tuple[str, Secret] | None](MOST, _MOST_BYTES)
        self._oauth = Bounded[str, ClientCredentials | None](MOST, _MOST_BYTES)

    def forget(self) -> None:
        """Drop what was read: what was rolled back may have been its source."""
        self._versions.clear()
        self.owners.forget()
        self._events.clear()  # what was rolled back gives its place to another
        self._configurations.clear()
        self._keys.clear()
        self._clients.clear()
        self._oauth.clear()

    def changed_by(self, step: Step) -> None:
        """Read again, before the next claim or accept, what a step of a verb has changed."""
        match step.query:
            case "bump_version":
                account_id = step.values["account_id"]
                self._versions.pop(account_id)
                self._keys.pop(account_id)
                self._clients.pop(account_id)
                self._oauth.pop(account_id)
            case "ad_hoc_add":
                self._versions.pop(step.values["account_id"])
            case "configuration_write" | "configuration_delete":
                self._configurations.pop(step.values["connect_id"])

    def version_of(self, db: apsw.Connection, account_id: str) -> tuple[int, bool]:
        """Of an account's configurations: their version, and whether some are ad hoc."""
        known = self._versions.get(account_id)
        if known is None:
            row = db.execute(_Q["matched_version"], {"account_id": account_id}).fetchone()
            known = (0, False) if row is None else (int(row[0]), bool(row[1]))
            self._versions[account_id] = known
        return known

    def active_keys(self, db: apsw.Connection, account_id: str) -> tuple[HmacKey, ...]:
        """The account's active HMAC keys, oldest first."""
        keys = self._keys.get(account_id)
        if keys is None:
            keys = sealing.keys(
                self._keyring, fetch(db, _Q["hmac_keys"], {"account_id": account_id})
            )
            self._keys[account_id] = keys
        return keys

    def proofs(self, db: apsw.Connection, configuration: ConnectConfiguration) -> Proofs:
        """What the configuration shows its listener."""
        read: Mapping[Proof, Callable[[apsw.Connection, str], Any]] = {
            Proof.KEYS: self.active_keys,
            Proof.CLIENT: self.client,
            Proof.OAUTH: self.oauth_client,
            Proof.ACCOUNT: self._account,
        }
        owner_of = configuration.owner_of
        return Proofs(
            **{proof: read[proof](db, owner_of(proof)) for proof in configuration.asks_for}
        )

    def client(self, db: apsw.Connection, account_id: str) -> tuple[str, Secret] | None:
        """The account's client certificate and its key."""
        if account_id in self._clients:
            return self._clients.get(account_id)
        found = fetch(db, _Q["client_certificate"], {"account_id": account_id})
        client = sealing.client_certificate(self._keyring, account_id, found)
        self._clients[account_id] = client
        return client

    def oauth_client(self, db: apsw.Connection, account_id: str) -> ClientCredentials | None:
        """What the account's posts get tokens with."""
        if account_id in self._oauth:
            return self._oauth.get(account_id)
        found = fetch(db, _Q["connect_oauth"], {"account_id": account_id})
        client = sealing.oauth_client(self._keyring, account_id, found)
        self._oauth[account_id] = client
        return client

    def _account(self, db: apsw.Connection, account_id: str) -> Account:
        (row,) = fetch(db, _Q["account"], {"account_id": account_id})
        return Account(row.account_id, row.external_id, row.name)

    def note_owner(self, connect_id: int, account_id: str) -> None:
        """Remember whose a configuration is: who is alone has nobody to leave room for (R7)."""
        if not self.owners.known([connect_id]):
            self.owners.note({connect_id: account_id})

    def live(
        self, db: apsw.Connection, account_id: str, connect_id: int
    ) -> ConnectConfiguration | None:
        """A configuration that was not deleted."""
        configuration = self._configurations.get(connect_id)
        if configuration is None:
            values = {"account_id": account_id, "connect_id": connect_id}
            found = fetch(db, _Q["configuration"], values)
            for configuration in sealing.configurations(self._keyring, account_id, found):
                self._configurations[connect_id] = configuration
        return configuration

    def accounts_of(self, db: apsw.Connection, connect_ids: set[int]) -> Mapping[int, str]:
        """Whose configurations are."""
        accounts = self.owners.known(connect_ids)
        unknown = connect_ids - accounts.keys()
        if unknown:
            values = {"connect_ids": json.dumps(sorted(unknown))}
            found = dict(fetch(db, _Q["configuration_accounts"], values))
            self.owners.note(found)
            accounts |= found
        return accounts

    def event(self, db: apsw.Connection, account_id: str, row: Any) -> Event:
        """The event of a row, which claims that are in flight share with its document."""
        event = self._events.get(row.event_row)
        if event is None:
            document = row.document
            if document is None:
                document = db.execute(_Q["event_document"], (row.event_row,)).get
            at = from_microseconds(row.generated_us)
            event = Event(account_id, row.event_id, row.name, row.envelope_id, at, document)
            self._events[row.event_row] = event
        return event

    def new_event(self, values: Mapping[str, Any]) -> Event:
        """The event of values of `event_add`, which claims that are in flight share."""
        event = self._events.get(values["event_row"])
        if event is None:
            event = self._events[values["event_row"]] = Event(
                values["account_id"],
                values["event_id"],
                values["name"],
                values["envelope_id"],
                from_microseconds(values["generated_us"]),
                values["document"],
            )
        return event
