"""Rows to model values and back, secrets sealed: the same for each engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, assert_never

from heliograph.errors import EventConflict, TooManyKeys
from heliograph.model.accounts import HmacKey, Secret
from heliograph.model.configurations import ClientCredentials, ConnectConfiguration
from heliograph.model.deliveries import (
    AttemptOutcome,
    Claim,
    Delivered,
    DeliveryState,
    Gathered,
    GaveUp,
    Interrupted,
    RetryAt,
    Settlement,
)
from heliograph.model.events import Event, HeldReason
from heliograph.model.logs import Requeued
from heliograph.store import MOST_UNSETTLED_CLAIMS
from heliograph.store.keyring import KeyRing
from heliograph.store.times import from_microseconds, to_microseconds
from heliograph.wire import oauth_clients
from heliograph.wire.configurations import is_logged
from heliograph.wire.configurations import read as read_configuration
from heliograph.wire.messages import signing

DELETED: Final = "claim: the configuration was deleted"
"""The error of deliveries whose configuration was deleted before they ended."""

POISON: Final = f"claim: the process ended {MOST_UNSETTLED_CLAIMS} times while this was being sent"
"""The error of a delivery that is parked (R17)."""


def closing(settlement: Settlement) -> dict[str, Any]:
    """The values of the query `attempt_close`."""
    outcome, answer = settlement.outcome, settlement.answer
    why = None if isinstance(outcome, Delivered) else outcome.why
    if isinstance(outcome, Delivered):
        ended = AttemptOutcome.DELIVERED
    elif isinstance(outcome, Interrupted):
        ended = AttemptOutcome.UNKNOWN
    else:
        ended = AttemptOutcome.FAILED
    return {
        "attempt_id": settlement.claim.attempt_id,
        "outcome": ended,
        "logged": settlement.claim.configuration.enable_log,
        "started_us": to_microseconds(settlement.started_at),
        "milliseconds": round(settlement.seconds * 1000),
        "phase": why and why.phase,
        "error": why and str(why),
        "answer_status": answer and answer.status,
        "answer_reason": answer and answer.reason,
        "answer_headers": answer and json.dumps(answer.headers),
        "answer_body": answer and answer.body,
    }


def reason_held(text: str | None) -> HeldReason | None:
    """What a column of a reason says."""
    return None if text is None else HeldReason(text)


def health(settlements: Iterable[Settlement]) -> tuple[list[int], list[int]]:
    """The configurations that took something, and those that only failed, each by id."""
    took, failed = set(), set()
    for one in settlements:
        match one.outcome:
            case Delivered():
                took.add(one.claim.configuration.connect_id)
            case RetryAt(counts=True) | GaveUp():
                failed.add(one.claim.configuration.connect_id)
            case RetryAt() | Interrupted():
                pass
            case _:
                assert_never(one.outcome)
    return sorted(took), sorted(failed - took)


def newest(event: Event, event_row: int, found: tuple[Any, ...] | None) -> Gathered:
    """What a message about an event shows: the newest of its envelope (`newest_event`), if newer.

    An envelope that a node of the version before wrote last may name an older one.
    """
    if found is not None:
        event_id, name, generated, document, newest_row = found
        at = from_microseconds(generated)
        if (at, newest_row) > (event.generated_at, event_row):
            shown = Event(event.account_id, event_id, name, event.envelope_id, at, document)
            return Gathered(shown, max(newest_row, event_row))
    return Gathered(event, event_row)


def merging(claim: Claim, gathered: Gathered) -> dict[str, Any]:
    """Whose deliveries a message that was taken stood for, beside its own."""
    return {
        "connect_id": claim.configuration.connect_id,
        "lane": claim.event.envelope_id,
        "through": gathered.through,
        "merged_into": f"merged into the message of event {gathered.event.event_id}",
    }


def conflict(event_id: str) -> EventConflict:
    """The refusal of an event id that stands for something else already (R2)."""
    return EventConflict(
        f"Event id {event_id} was published before with another event or data: "
        "give each event an id of its own."
    )


def refuse_too_many_keys(active: int) -> None:
    """Raises TooManyKeys where an account has all the active keys that it may have."""
    if active >= signing.MOST_KEYS:
        raise TooManyKeys(
            f"The account has {signing.MOST_KEYS} active HMAC keys: retire one first."
        )


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


def logged(found: Iterable[tuple[int, bytes]]) -> list[int]:
    """Of configurations (id and document), those whose posts are logged."""
    return [connect_id for connect_id, document in found if is_logged(document)]


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


def secrets_place(connect_id: int) -> str:
    """Where a configuration's secrets are sealed to."""
    return f"connect_configuration:{connect_id}:sealed"


SEALED: Final[Mapping[str, Callable[[Any], str]]] = {
    "hmac_key": key_place,
    "connect_configuration": secrets_place,
    "client_certificate": certificate_place,
    "connect_oauth": oauth_place,
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


def storable(text: str | None) -> str | None:
    """Text of a listener as PostgreSQL can hold it: it has no NUL."""
    return text and text.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def requeued(row: Any, *, deleted: bool, reason: HeldReason | None) -> tuple[Requeued, str | None]:
    """What asking for another try does to an open failure, and the query that does it.

    Args:
        row: A row of `requeue_page`.
        deleted: Whether its configuration was deleted.
        reason: Why its configuration holds deliveries, if it does.
    """
    state, query = DeliveryState(row.state), None
    if deleted:
        note = "The configuration was deleted: this cannot be sent any more."
    elif state is DeliveryState.IN_FLIGHT:
        note = "It is being sent now."
    elif state is DeliveryState.HELD:
        note = f"The configuration is {row.held_reason}: it goes out when publishing resumes."
    elif state is DeliveryState.FAILED:
        state = DeliveryState.WAITING if reason is None else DeliveryState.HELD
        note, query = "Queued: retries had ended and begin anew.", "requeue_ended"
    else:
        note, query = "Queued: the next try is due now.", "requeue_waiting"
    requeued = Requeued(
        delivery_id=row.delivery_id,
        envelope_id=row.envelope_id,
        connect_id=row.connect_id,
        config_url=row.url,
        attempts=row.attempts,
        state=state,
        note=note,
    )
    return requeued, query
