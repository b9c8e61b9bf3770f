"""The messages about tokens, which are Heliograph's own."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, ClassVar, Final

import msgspec

from heliograph.errors import InvalidBody
from heliograph.model import people as model
from heliograph.model.accounts import Role, Secret
from heliograph.wire import dates
from heliograph.wire.codec import Wire
from heliograph.wire.names import guid, printable_name
from heliograph.wire.paging import Paged
from heliograph.wire.rest import DateTime, Guid

_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")  # RFC 6749, 3.3  # RFC 6749, 3.3
_MOST_SCOPES: Final = 50


class ApiToken(Wire):
    """A token. `accessToken`, its text, is shown once, when it is made."""

    ours: ClassVar[bool] = True

    access_token: str | None = None
    created: str | None = None
    expires: DateTime | None = None
    integration_key: str | None = None
    name: str | None = None
    role: Annotated[str | None, msgspec.Meta(extra_json_schema={"enum": [*Role]})] = None
    scopes: str | None = None
    token_id: str | None = None
    user_id: Guid | None = None


class ApiTokens(Paged):
    """Tokens that work, newest first."""

    ours: ClassVar[bool] = True

    tokens: list[ApiToken] | None = None


def new_token(token: ApiToken, now: datetime) -> model.NewToken:
    """A token to be added; without a role it is a viewer's.

    Raises:
        InvalidBody: naming the field.
    """
    name = printable_name(token.name, "name")
    if not name:
        raise InvalidBody("name must say what the token is for.")
    try:
        role = Role((token.role or Role.VIEWER).strip().lower())
    except ValueError:
        raise InvalidBody(f"role must be one of {', '.join(Role)}.") from None
    return model.NewToken(
        name=name,
        role=role,
        user_id=guid(token.user_id) if token.user_id else None,
        scopes=_scopes(token.scopes),
        expires_at=_expiry(token.expires, now),
    )


def token_to_wire(token: model.Token, text: Secret | None = None) -> ApiToken:
    """A token, with its text only where it was just made."""
    return ApiToken(
        access_token=None if text is None else text.reveal(),
        created=dates.render(token.created_at),
        expires=None if token.expires_at is None else dates.render(token.expires_at),
        integration_key=token.integration_key,
        name=token.name,
        role=token.role.value,
        scopes=None if token.scopes is None else " ".join(sorted(token.scopes)),
        token_id=token.token_id,
        user_id=token.user_id,
    )


def _scopes(text: str | None) -> frozenset[str] | None:
    if text is None or not text.strip():
        return None
    words = text.split()
    if len(words) > _MOST_SCOPES or not all(_SCOPE.fullmatch(word) for word in words):
        raise InvalidBody(f"scopes must be up to {_MOST_SCOPES} words with a blank between them.")
    return frozenset(words)


def _expiry(text: str | None, now: datetime) -> datetime | None:
    if text is None or not text.strip():
        return None
    try:
        when = dates.parse(text)
    except ValueError:
        when = now
    if when <= now:
        raise InvalidBody(
            f"expires must be a UTC date-time to come such as 2030-11-23T09:00:00Z, "
            f"not {text[:40]!r}."
        )
    return when
