"""Secrets in rows: each is sealed to the place where it lies, and opened nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from heliograph.model.accounts import HmacKey, Secret
from heliograph.model.configurations import ClientCredentials, ConnectConfiguration
from heliograph.model.relays import Relay
from heliograph.store.keyring import KeyRing
from heliograph.store.times import from_microseconds
from heliograph.wire import oauth_clients
from heliograph.wire.configurations import read as read_configuration


def keys(keyring: KeyRing, found: Iterable[tuple[Any, ...]]) -> tuple[HmacKey, ...]:
    """Rows of the query `hmac_keys`, opened."""
    return tuple(
        HmacKey(
            key_id,
            Secret(keyring.open(sealed, key_place(key_id)).decode()),
            from_microseconds(created),
        )
        for key_id, sealed, created in found
    )


def client_certificate(
    keyring: KeyRing, account_id: str, found: Sequence[tuple[Any, ...]]
) -> tuple[str, Secret] | None:
    """The row of the query `client_certificate`, if there is one, opened."""
    for certificate, sealed in found:
        return certificate, Secret(keyring.open(sealed, certificate_place(account_id)).decode())
    return None


def oauth_client(
    keyring: KeyRing, account_id: str, found: Sequence[tuple[Any, ...]]
) -> ClientCredentials | None:
    """The row of the query `connect_oauth`, if there is one, opened."""
    for document, sealed in found:
        secret = Secret(keyring.open(sealed, oauth_place(account_id)).decode())
        return oauth_clients.read(bytes(document), secret)
    return None


def writing_oauth(keyring: KeyRing, account_id: str, client: ClientCredentials) -> dict[str, Any]:
    """The values of the queries that write an OAuth client, but for the time."""
    secret = client.client_secret.reveal().encode()
    return {
        "account_id": account_id,
        "document": oauth_clients.document(client),
        "sealed": keyring.seal(secret, oauth_place(account_id)),
    }


def relay(keyring: KeyRing, row: Any) -> Relay:
    """A row of the query `relays`, its secrets opened."""
    opened = json.loads(keyring.open(row.sealed, relay_place(row.relay_id)))
    password = opened.get("password")
    return Relay(
        relay_id=row.relay_id,
        account_id=row.account_id,
        name=row.name,
        secrets=tuple(map(Secret, opened["secrets"])),
        basic=None if row.user_name is None else (row.user_name, Secret(password)),
        created_at=from_microseconds(row.created_us),
    )


def writing_relay(keyring: KeyRing, relay: Relay) -> dict[str, Any]:
    """The values of the queries that write a relay, but for the time."""
    secrets: dict[str, Any] = {"secrets": [secret.reveal() for secret in relay.secrets]}
    if relay.basic is not None:
        secrets["password"] = relay.basic[1].reveal()
    return {
        "relay_id": relay.relay_id,
        "account_id": relay.account_id,
        "name": relay.name,
        "user_name": relay.basic and relay.basic[0],
        "sealed": keyring.seal(json.dumps(secrets).encode(), relay_place(relay.relay_id)),
    }


def configurations(
    keyring: KeyRing, account_id: str, found: Iterable[tuple[Any, ...]]
) -> tuple[ConnectConfiguration, ...]:
    """Rows of the query `configurations`, secrets opened."""
    return tuple(
        read_configuration(
            account_id, connect_id, document, _open_secrets(keyring, connect_id, sealed)
        )
        for connect_id, document, sealed in found
    )


def notified(
    keyring: KeyRing, account_id: str, found: Iterable[Any]
) -> dict[str, tuple[ConnectConfiguration, ...]]:
    """Rows of the query `notified`, by envelope."""
    by_envelope: dict[str, tuple[ConnectConfiguration, ...]] = {}
    for row in found:
        read = configurations(keyring, account_id, [(row.connect_id, row.document, row.sealed)])
        by_envelope[row.envelope_id] = by_envelope.get(row.envelope_id, ()) + read
    return by_envelope


def _open_secrets(keyring: KeyRing, connect_id: int, sealed: bytes | None) -> dict[str, Secret]:
    if sealed is None:
        return {}
    plain = json.loads(keyring.open(sealed, secrets_place(connect_id)))
    return {name: Secret(value) for name, value in plain.items()}


def writing(keyring: KeyRing, wanted: ConnectConfiguration) -> dict[str, Any]:
    """The values of the query `configuration_write`, but for the time."""
    secrets = {name: secret.reveal() for name, secret in wanted.secrets.items()}
    place = secrets_place(wanted.connect_id)
    return {
        "account_id": wanted.account_id,
        "connect_id": wanted.connect_id,
        "name": wanted.name,
        "url": wanted.url,
        "publishing": wanted.publishing,
        "paused": wanted.paused,
        "document": wanted.document,
        "sealed": keyring.seal(json.dumps(secrets).encode(), place) if secrets else None,
    }


def key_place(key_id: str) -> str:
    """Where an HMAC key is sealed to."""
    return f"hmac_key:{key_id}:sealed"


def certificate_place(account_id: str) -> str:
    """Where the key of an account's client certificate is sealed to."""
    return f"client_certificate:{account_id}:sealed"


def oauth_place(account_id: str) -> str:
    """Where the secret of an account's OAuth client is sealed to."""
    return f"connect_oauth:{account_id}:sealed"


def relay_place(relay_id: str) -> str:
    """Where a relay's secrets are sealed to."""
    return f"relay:{relay_id}:sealed"


def secrets_place(connect_id: int) -> str:
    """Where a configuration's secrets are sealed to."""
    return f"connect_configuration:{connect_id}:sealed"


SEALED: Final[Mapping[str, Callable[[Any], str]]] = {
    "hmac_key": key_place,
    "connect_configuration": secrets_place,
    "client_certificate": certificate_place,
    "connect_oauth": oauth_place,
    "relay": relay_place,
}
"""The tables with a column `sealed`, and where each row's value is sealed to."""


def resealed(
    keyring: KeyRing, table: str, found: Iterable[tuple[Any, ...]]
) -> list[dict[str, Any]]:
    """The values of the query `reseal_<table>` for rows of `sealed_<table>`."""
    place = SEALED[table]
    return [
        {"id": row_id, "sealed": keyring.seal(keyring.open(sealed, place(row_id)), place(row_id))}
        for row_id, sealed in found
    ]
