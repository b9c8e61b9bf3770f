"""Relays: where one DocuSign Connect configuration posts to, and by what it is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from heliograph.model.accounts import Secret


@dataclass(frozen=True, slots=True)
class Relay:
    """A relay of an account; `name` is the last part of its URL.

    A message is taken if one of `secrets` has signed it (where there are any) and it brings the
    user name and password of `basic` (where that is set). There is always one of the two.
    """

    relay_id: str
    account_id: str
    name: str
    secrets: tuple[Secret, ...]
    basic: tuple[str, Secret] | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that a relay did not take: why, and its beginning, for a person to look at.

    `reason` is an error code; `size` is how many bytes came, of which `content` is the first.
    """

    created_at: datetime
    reason: str
    address: str
    size: int
    headers: tuple[tuple[str, str], ...]
    content: bytes
