"""Rows of applications, consents and grants to values, and back: the same for each engine."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from heliograph.errors import InvalidParameter, NotFound
from heliograph.model.accounts import Account, Role, Secret
from heliograph.model.applications import (
    EXTENDED,
    MOST_KEYS,
    Application,
    ApplicationChange,
    ApplicationKey,
    ApplicationSecret,
    CodeProof,
    Consent,
    Login,
    NewApplication,
    NewCode,
    Pair,
    Person,
    Rights,
    fits,
)
from heliograph.model.people import NewToken, UserStatus
from heliograph.store import people_rows, rows
from heliograph.store.times import from_microseconds, to_microseconds

SWEPT: Final = (
    *("token", "used_assertion", "authorization_code", "refresh_token"),
    "sign_in_session",
)
"""Tables whose rows expire; the queries `sweep_...` delete them."""


def new_application(account_id: str, new: NewApplication, now: int) -> dict[str, Any]:
    """The values of `application_add`."""
    return {
        "integration_key": new.integration_key,
        "account_id": account_id,
        "name": new.name,
        "redirect_uris": json.dumps(new.redirect_uris),
        "rights": new.rights.value,
        "now": now,
    }


def application_change(account_id: str, change: ApplicationChange) -> dict[str, Any]:
    """The values of `application_change`."""
    uris = change.redirect_uris
    return {
        "integration_key": change.integration_key,
        "account_id": account_id,
        "name": change.name,
        "redirect_uris": None if uris is None else json.dumps(uris),
        "rights": change.rights and change.rights.value,
    }


def applications(
    found: Iterable[Sequence[Any]], keys: Iterable[Sequence[Any]], secrets: Iterable[Sequence[Any]]
) -> tuple[Application, ...]:
    """The columns of `application_columns`, and those of `keys` and `secrets` of them all."""
    keys, secrets = list(keys), list(secrets)
    return tuple(
        Application(
            *(integration_key, account_id, name, tuple(json.loads(uris)), Rights(rights)),
            from_microseconds(created),
            tuple(_key(row) for row in keys if row[0] == integration_key),
            tuple(_secret(row) for row in secrets if row[0] == integration_key),
        )
        for integration_key, account_id, name, uris, rights, created in found
    )


def _key(row: Sequence[Any]) -> ApplicationKey:
    _, key_id, public_key, created = row
    return ApplicationKey(key_id, public_key, from_microseconds(created))


def _secret(row: Sequence[Any]) -> ApplicationSecret:
    _, secret_id, digest, created = row
    return ApplicationSecret(secret_id, bytes(digest), from_microseconds(created))


def check_room(count: int, what: str) -> None:
    """Raises InvalidParameter where an application has as many as it may have."""
    if count >= MOST_KEYS:
        raise InvalidParameter(f"An application has at most {MOST_KEYS} {what}: delete one first.")


def check_rights(rights: Sequence[str], wanted: NewToken) -> None:
    """Raises NotFound unless the application is there, and may have a token in its own name.

    `rights` are those of the application that was found, if one was.
    """
    if not rights or (wanted.user_id is None and rights[0] != wanted.role):
        raise no_consent()


def consent(row: Sequence[Any]) -> Consent:
    """The columns of `consent_columns`."""
    integration_key, name, user_id, scopes, granted_by, created = row
    made = frozenset(scopes.split())
    return Consent(integration_key, name, user_id, made, granted_by, from_microseconds(created))


def scopes_text(scopes: Iterable[str]) -> str:
    """Scopes as they are stored."""
    return " ".join(sorted(scopes))


def person(row: Sequence[Any] | None) -> Person | None:
    """The columns of `person_columns`."""
    if row is None:
        return None
    user = people_rows.user(row[:9])
    return Person(user, Account(user.account_id, row[9], row[10]))


def login(row: Sequence[Any] | None) -> Login | None:
    """The row of `login`."""
    found = None if row is None else person(row[1:])
    return None if row is None or found is None else Login(found, row[0])


def new_code(code: Secret, wanted: NewCode) -> dict[str, Any]:
    """The values of `code_add`."""
    return {
        "code_hash": rows.token_hash(code.reveal()),
        "integration_key": wanted.integration_key,
        "user_id": wanted.user_id,
        "scopes": scopes_text(wanted.scopes),
        "redirect_uri": wanted.redirect_uri,
        "challenge": wanted.challenge,
        "grant_id": str(uuid.uuid4()),
        "expires": to_microseconds(wanted.expires_at),
    }


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a code or a refresh token is worth: the grant that goes on, or one that was stolen."""

    user_id: str
    account_id: str
    scopes: frozenset[str]
    grant_id: str
    refresh_until: int
    stolen: bool = False
    worthless: bool = False


def code_exchange(row: Sequence[Any], proof: CodeProof, pair: Pair, now: int) -> Exchange:
    """What the row of `code` is worth at `now` (microseconds UTC)."""
    user_id, account_id, scopes, redirect_uri, challenge, grant_id, expires, used, status = row
    return Exchange(
        *(user_id, account_id, frozenset(scopes.split()), grant_id),
        refresh_until=to_microseconds(pair.refresh_until),
        stolen=used is not None,
        worthless=expires <= now
        or status != UserStatus.ACTIVE
        or not fits(proof, redirect_uri, challenge),
    )


def refresh_exchange(
    row: Sequence[Any], asked: frozenset[str] | None, pair: Pair, now: int
) -> Exchange:
    """What the row of `refresh` is worth at `now` (microseconds UTC)."""
    user_id, account_id, scopes, grant_id, expires, used, status = row
    had = frozenset(scopes.split())
    until = to_microseconds(pair.refresh_until) if EXTENDED in had else expires
    return Exchange(
        *(user_id, account_id, had if asked is None else asked, grant_id),
        refresh_until=until,
        stolen=used is not None,
        worthless=expires <= now or status != UserStatus.ACTIVE or not (asked or had) <= had,
    )


def access_token(application: str, exchange: Exchange, pair: Pair) -> NewToken:
    """The access token of an exchange. It may do what its user may do, now and later."""
    return NewToken(
        name=f"application {application}",
        role=Role.ADMINISTRATOR,
        user_id=exchange.user_id,
        scopes=exchange.scopes,
        expires_at=pair.access_until,
        integration_key=application,
    )


def refresh_values(
    application: str, exchange: Exchange, scopes: frozenset[str], refresh: Secret, now: int
) -> dict[str, Any]:
    """The values of `refresh_add`; `scopes` are all of the grant."""
    return {
        "refresh_hash": rows.token_hash(refresh.reveal()),
        "integration_key": application,
        "user_id": exchange.user_id,
        "scopes": scopes_text(scopes),
        "grant_id": exchange.grant_id,
        "now": now,
        "expires": exchange.refresh_until,
    }


def remembered(assertion: tuple[bytes, datetime]) -> dict[str, Any]:
    """The values of `assertion_use`."""
    digest, until = assertion
    return {"assertion_hash": digest, "remember": to_microseconds(until)}


def no_consent() -> NotFound:
    """What a grant stood on is gone."""
    return NotFound("The application or the user's consent is gone.")
