"""Rows of applications, consents and grants to values, and back."""

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
    ConsoleSession,
    Login,
    NewApplication,
    NewCode,
    Pair,
    Person,
    Rights,
    fits,
)
from heliograph.model.people import NewToken, UserStatus
from heliograph.model.tokens import token_hash
from heliograph.store.times import from_microseconds, to_microseconds
from heliograph.store.verbs import people_rows

SWEPT: Final = (
    "token",
    "used_assertion",
    "authorization_code",
    "refresh_token",
    "sign_in_session",
    "console_session",
)
"""Tables whose rows expire; the queries `sweep_...` delete them."""


def console_session(row: Any) -> ConsoleSession | None:
    """The row of `console_session`."""
    principal = people_rows.principal(row)
    if principal is None:
        return None
    return ConsoleSession(principal, from_microseconds(row.created_us))


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
    found: Iterable[Any], keys: Iterable[Any], secrets: Iterable[Any]
) -> tuple[Application, ...]:
    """The columns of `application_columns`, and the rows of `keys` and `secrets` of them all."""
    keys, secrets = list(keys), list(secrets)
    return tuple(
        Application(
            integration_key=row.integration_key,
            account_id=row.account_id,
            name=row.name,
            redirect_uris=tuple(json.loads(row.redirect_uris)),
            rights=Rights(row.rights),
            created_at=from_microseconds(row.created_us),
            keys=tuple(_key(key) for key in keys if key.integration_key == row.integration_key),
            secrets=tuple(
                _secret(secret)
                for secret in secrets
                if secret.integration_key == row.integration_key
            ),
        )
        for row in found
    )


def _key(row: Any) -> ApplicationKey:
    return ApplicationKey(row.key_id, row.public_key, from_microseconds(row.created_us))


def _secret(row: Any) -> ApplicationSecret:
    digest = bytes(row.secret_hash)
    return ApplicationSecret(row.secret_id, digest, from_microseconds(row.created_us))


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


def consent(row: Any) -> Consent:
    """The columns of `consent_columns`."""
    return Consent(
        integration_key=row.integration_key,
        application_name=row.application_name,
        user_id=row.user_id,
        scopes=frozenset(row.scopes.split()),
        granted_by=row.granted_by,
        created_at=from_microseconds(row.created_us),
    )


def scopes_text(scopes: Iterable[str]) -> str:
    """Scopes as they are stored."""
    return " ".join(sorted(scopes))


def person(row: Any) -> Person | None:
    """The columns of `person_columns`."""
    if row is None:
        return None
    account = Account(row.account_id, row.external_id, row.account_name)
    return Person(people_rows.user(row), account)


def login(row: Any) -> Login | None:
    """The row of `login`."""
    found = person(row)
    return None if found is None else Login(found, row.password_hash)


def new_code(code: Secret, wanted: NewCode) -> dict[str, Any]:
    """The values of `code_add`."""
    return {
        "code_hash": token_hash(code.reveal()),
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


def code_exchange(row: Any, proof: CodeProof, pair: Pair, now: int) -> Exchange:
    """What the row of `code` is worth at `now` (microseconds UTC)."""
    return Exchange(
        user_id=row.user_id,
        account_id=row.account_id,
        scopes=frozenset(row.scopes.split()),
        grant_id=row.grant_id,
        refresh_until=to_microseconds(pair.refresh_until),
        stolen=row.used_us is not None,
        worthless=row.expires_us <= now
        or row.status != UserStatus.ACTIVE
        or not fits(proof, row.redirect_uri, row.challenge),
    )


def refresh_exchange(row: Any, asked: frozenset[str] | None, pair: Pair, now: int) -> Exchange:
    """What the row of `refresh` is worth at `now` (microseconds UTC)."""
    had = frozenset(row.scopes.split())
    return Exchange(
        user_id=row.user_id,
        account_id=row.account_id,
        scopes=had if asked is None else asked,
        grant_id=row.grant_id,
        refresh_until=to_microseconds(pair.refresh_until) if EXTENDED in had else row.expires_us,
        stolen=row.used_us is not None,
        worthless=row.expires_us <= now
        or row.status != UserStatus.ACTIVE
        or not (asked or had) <= had,
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
        "refresh_hash": token_hash(refresh.reveal()),
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
