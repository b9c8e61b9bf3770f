"""Relays on the wire: merged, checked, masked."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import ClassVar, Final

from heliograph.errors import InvalidBody
from heliograph.model.accounts import Secret
from heliograph.model.relays import Refusal
from heliograph.model.relays import Relay as Stored
from heliograph.wire import dates
from heliograph.wire.codec import Wire
from heliograph.wire.configurations import MASK

MOST_SECRETS: Final = 10
"""Of one relay: each is computed over every message that comes, whoever sent it."""

_SHORTEST, _LONGEST = 16, 500
"""Characters of an HMAC secret; DocuSign's have 44."""

_MOST_CREDENTIAL: Final = 200
"""Characters of a user name, or of a password."""

_SHOWN: Final = 4
"""Characters of a secret that tell it from another."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class Relay(Wire):
    """Where one DocuSign Connect configuration posts to: `url`, which ends in the `name`.

    Of the `hmacSecrets`, the keys of DocuSign's Connect settings, one must have signed each
    message; `userName` and `password` must come with it, where they are set.
    """

    ours: ClassVar[bool] = True

    name: str | None = None
    url: str | None = None
    hmac_secrets: list[str] | None = None
    user_name: str | None = None
    password: str | None = None
    created: str | None = None


class RelayRefusal(Wire):
    """A message that a relay did not take, and its beginning."""

    ours: ClassVar[bool] = True

    created: str
    reason: str
    address: str
    size: str
    headers: list[str]
    content: str


class RelayRefusals(Wire):
    """What a relay did not take last, the newest first."""

    ours: ClassVar[bool] = True

    refusals: list[RelayRefusal]


class Relays(Wire):
    """The relays of an account."""

    ours: ClassVar[bool] = True

    relays: list[Relay]


def checked_name(text: str | None) -> str:
    """The name of a new relay. Raises InvalidBody where it cannot be one."""
    if not _NAME.fullmatch(text or ""):
        raise InvalidBody("name must be 1 to 64 letters, digits, hyphens or underscores.")
    return text or ""


def merge(changes: Relay, before: Stored) -> Stored:
    """The relay after `changes` were laid over `before`.

    What is not given stays as it is. The list of secrets is replaced whole: one as it is shown, or
    the mask in the password's place, keeps the secret that is meant. An empty user name takes user
    name and password away.

    Raises:
        InvalidBody: a value cannot be used, or nothing is left to know messages by.
    """
    secrets, basic = before.secrets, before.basic
    if changes.hmac_secrets is not None:
        known: dict[str, list[Secret]] = {}
        for secret in secrets:
            known.setdefault(_masked(secret), []).append(secret)
        secrets = tuple(_secret(text, known) for text in changes.hmac_secrets)
        if len(secrets) > MOST_SECRETS:
            raise InvalidBody(f"hmacSecrets has {len(secrets)}; {MOST_SECRETS} are the most.")
    if changes.user_name is not None or changes.password is not None:
        basic = _basic(changes, basic)
    if not secrets and basic is None:
        raise InvalidBody(
            "A relay needs hmacSecrets, or userName and password: without either, whoever knows "
            "its URL could publish."
        )
    return replace(before, secrets=secrets, basic=basic)


def to_wire(relay: Stored, base_uri: str) -> Relay:
    """A relay as a caller sees it: of each secret its beginning, the password masked."""
    return Relay(
        name=relay.name,
        url=f"{base_uri}/relay/{relay.account_id}/{relay.name}",
        hmac_secrets=[_masked(secret) for secret in relay.secrets],
        user_name=relay.basic and relay.basic[0],
        password=relay.basic and MASK,
        created=dates.render(relay.created_at),
    )


def refusal_to_wire(refusal: Refusal) -> RelayRefusal:
    """A refusal as a caller sees it: remote text, whatever bytes it was."""
    return RelayRefusal(
        created=dates.render(refusal.created_at),
        reason=refusal.reason,
        address=refusal.address,
        size=str(refusal.size),
        headers=[f"{name}: {value}" for name, value in refusal.headers],
        content=refusal.content.decode("utf-8", "replace").replace("\0", "\ufffd"),
    )


def _masked(secret: Secret) -> str:
    return secret.reveal()[:_SHOWN] + MASK


def _secret(text: str, known: dict[str, list[Secret]]) -> Secret:
    """The secret of a text; those that are shown alike are meant in their order."""
    if known.get(text):
        return known[text].pop(0)
    if text.endswith(MASK):
        raise InvalidBody("hmacSecrets has a masked secret that the relay does not have.")
    if not (_SHORTEST <= len(text) <= _LONGEST and text.isprintable()):
        raise InvalidBody(f"Each of hmacSecrets must have {_SHORTEST} to {_LONGEST} characters.")
    return Secret(text)


def _basic(changes: Relay, before: tuple[str, Secret] | None) -> tuple[str, Secret] | None:
    user_name = changes.user_name
    if user_name is None:
        user_name = "" if before is None else before[0]
    if user_name == "":
        if changes.user_name is None:
            raise InvalidBody("password needs a userName.")
        return None
    password = changes.password
    if password is None or password == MASK:
        if before is None:
            raise InvalidBody("userName needs a password.")
        return user_name, before[1]
    for name, text in (("userName", user_name), ("password", password)):
        if not (0 < len(text) <= _MOST_CREDENTIAL and text.isprintable()):
            raise InvalidBody(f"{name} must have 1 to {_MOST_CREDENTIAL} characters.")
    if ":" in user_name:
        raise InvalidBody("userName must have no colon: HTTP Basic could not tell its end.")
    return user_name, Secret(password)
