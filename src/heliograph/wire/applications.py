"""The messages about applications, consents and passwords. All of them are Heliograph's own:
DocuSign manages integration keys on its web pages only."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from ipaddress import IPv6Address
from typing import ClassVar, Final

from heliograph import egress
from heliograph.errors import InvalidBody
from heliograph.model import applications as model
from heliograph.model.accounts import Secret
from heliograph.wire import assertion, dates
from heliograph.wire.codec import Wire
from heliograph.wire.names import guid, printable_name
from heliograph.wire.paging import Paged

MOST_URIS: Final = 20
LONGEST_URI: Final = 2000

_URI: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):"
    r"(?://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(?::(?P<port>[0-9]{1,5}))?(?![^/?]))?"
    r"(?P<rest>(?!//).*)",
    re.DOTALL,
)
_MOST_PORT: Final = 65535
_LOOPBACK: Final = ("127.0.0.1", "[::1]", "localhost")
_MEANT_IN_A_POLICY: Final = re.compile(r"[*,;']")
"""What is a wildcard, or ends a source or a policy, in the page's Content-Security-Policy."""


class RsaKey(Wire):
    """An RSA public key; `keyId` is what an assertion's `kid` may name it by."""

    ours: ClassVar[bool] = True

    created: str | None = None
    key_id: str | None = None
    public_key: str | None = None


class ClientSecret(Wire):
    """A secret. `secret`, its text, is shown once, when it is made."""

    ours: ClassVar[bool] = True

    created: str | None = None
    secret: str | None = None
    secret_id: str | None = None


class Application(Wire):
    """An application, in calls and in answers. `role` is what it may do in its own name."""

    ours: ClassVar[bool] = True

    created: str | None = None
    integration_key: str | None = None
    keys: list[RsaKey] | None = None
    name: str | None = None
    redirect_uris: list[str] | None = None
    role: str | None = None
    secrets: list[ClientSecret] | None = None


class Applications(Paged):
    """Applications that the account manages."""

    ours: ClassVar[bool] = True

    applications: list[Application] | None = None


class Consent(Wire):
    """A user lets an application act."""

    ours: ClassVar[bool] = True

    application_name: str | None = None
    created: str | None = None
    granted_by: str | None = None
    integration_key: str | None = None
    scopes: str | None = None
    user_id: str | None = None


class Consents(Paged):
    """What the account's users have consented to."""

    ours: ClassVar[bool] = True

    consents: list[Consent] | None = None


class UserPassword(Wire):
    """A user's new password."""

    ours: ClassVar[bool] = True

    new_password: str | None = None


def new_application(application: Application) -> model.NewApplication:
    """An application to be added, with an integration key of its own.

    Raises:
        InvalidBody: naming the field.
    """
    name = printable_name(application.name, "name")
    if not name:
        raise InvalidBody("name must say what users are to call the application.")
    return model.NewApplication(
        str(uuid.uuid4()),
        name,
        _redirect_uris(application.redirect_uris or []),
        model.Rights.NONE if application.role is None else _rights(application.role),
    )


def application_change(integration_key: str, application: Application) -> model.ApplicationChange:
    """What changes of an application; fields that are not given stay. Raises InvalidBody."""
    if application.name is not None and not application.name.strip():
        raise InvalidBody("name must not be empty.")
    uris = application.redirect_uris
    return model.ApplicationChange(
        integration_key,
        None if application.name is None else printable_name(application.name, "name"),
        None if uris is None else _redirect_uris(uris),
        None if application.role is None else _rights(application.role),
    )


def public_key(key: RsaKey) -> str:
    """An RSA public key, as PEM. Raises InvalidBody."""
    try:
        return assertion.public_key(key.public_key or "")
    except ValueError as problem:
        raise InvalidBody(f"publicKey cannot be used. {problem}") from None


def consent(body: Consent) -> tuple[str, str, frozenset[str]]:
    """Of which application and user a consent is, and its scopes; without any, those that
    assertions need. Raises InvalidBody."""
    text = body.scopes or f"{model.SIGNATURE} {model.IMPERSONATION}"
    scopes = frozenset(text.split())
    if scopes - model.SCOPES:
        raise InvalidBody(f"scopes must be some of {', '.join(sorted(model.SCOPES))}.")
    if not body.integration_key or not body.user_id:
        raise InvalidBody("A consent needs integrationKey and userId.")
    return body.integration_key.strip().lower(), guid(body.user_id), scopes


def password(body: UserPassword) -> Secret:
    """A new password. Raises InvalidBody."""
    text = body.new_password or ""
    least, most = model.SHORTEST_PASSWORD, model.LONGEST_PASSWORD
    if not least <= len(text) <= most:
        raise InvalidBody(f"newPassword must have {least} to {most} characters.")
    return Secret(text)


def _rights(text: str) -> model.Rights:
    try:
        return model.Rights(text.strip().lower())
    except ValueError:
        raise InvalidBody(f"role must be one of {', '.join(model.Rights)}.") from None


def _redirect_uris(texts: Sequence[str]) -> tuple[str, ...]:
    if len(texts) > MOST_URIS:
        raise InvalidBody(f"redirectUris must be at most {MOST_URIS}.")
    return tuple(dict.fromkeys(_redirect_uri(number, text) for number, text in enumerate(texts, 1)))


def _redirect_uri(number: int, text: str) -> str:
    """RFC 9700, 2.1: whole URIs. http is for this machine only; an app's own scheme has a dot
    (RFC 8252, 7.1). It may have a password in it, and is not repeated."""
    parts = _URI.fullmatch(text)
    if (
        parts is None
        or len(text) > LONGEST_URI
        or _MEANT_IN_A_POLICY.search(text)
        or egress.wrong_in(parts["rest"]) is not None
        or int(parts["port"] or 0) > _MOST_PORT
    ):
        raise InvalidBody(f"Number {number} of redirectUris is no plain URI.")
    scheme, host = parts["scheme"].lower(), (parts["host"] or "").lower()
    fine = (
        (scheme == "https" and _is_host(host))
        or (scheme == "http" and host in _LOOPBACK)
        or ("." in scheme and not host and not parts["port"])
    )
    if not fine:
        raise InvalidBody(
            f"Number {number} of redirectUris must be https, or http on 127.0.0.1, [::1] or "
            "localhost, or an app's own scheme such as com.example.app:/back."
        )
    return text


def _is_host(host: str) -> bool:
    if host[:1] != "[":
        return egress.is_name(host) and egress.broken_label(host) is None
    try:
        return bool(IPv6Address(host[1:-1]))
    except ValueError:
        return False


def application_to_wire(application: model.Application) -> Application:
    """An application in full, without what is secret."""
    return Application(
        created=dates.render(application.created_at),
        integration_key=application.integration_key,
        keys=[key_to_wire(key) for key in application.keys],
        name=application.name,
        redirect_uris=list(application.redirect_uris),
        role=application.rights.value,
        secrets=[secret_to_wire(secret) for secret in application.secrets],
    )


def key_to_wire(key: model.ApplicationKey) -> RsaKey:
    """A public key."""
    return RsaKey(
        created=dates.render(key.created_at), key_id=key.key_id, public_key=key.public_key
    )


def secret_to_wire(secret: model.ApplicationSecret, text: Secret | None = None) -> ClientSecret:
    """A secret, with its text only where it was just made."""
    return ClientSecret(
        created=dates.render(secret.created_at),
        secret=None if text is None else text.reveal(),
        secret_id=secret.secret_id,
    )


def consent_to_wire(consent: model.Consent) -> Consent:
    """A consent."""
    return Consent(
        application_name=consent.application_name,
        created=dates.render(consent.created_at),
        granted_by=consent.granted_by,
        integration_key=consent.integration_key,
        scopes=" ".join(sorted(consent.scopes)),
        user_id=consent.user_id,
    )
