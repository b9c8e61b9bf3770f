"""The messages about accounts, which are Heliograph's own: wire structs, and what they mean."""

from __future__ import annotations

from typing import Annotated, ClassVar

from heliograph.errors import InvalidBody
from heliograph.model.accounts import Account, Secret
from heliograph.wire.codec import Wire
from heliograph.wire.names import printable_name
from heliograph.wire.rest import own


class NewAccountDefinition(Wire):
    """An account to be added."""

    account_name: str | None = None


class NewAccountSummary(Wire):
    """An account. `accessToken`, an administrator's, is shown once, when it is made."""

    shown_once: ClassVar[bool] = True

    account_id: str
    account_name: str
    external_account_id: Annotated[str, own("Its number, which works in paths too.")]
    access_token: Annotated[str | None, own("An administrator's, shown once.")] = None


class AccountList(Wire):
    """Every account, the first one first."""

    ours: ClassVar[bool] = True

    accounts: list[NewAccountSummary]


def account_name(account: NewAccountDefinition) -> str:
    """What an account is to be called. Raises InvalidBody."""
    name = printable_name(account.account_name, "accountName")
    if not name:
        raise InvalidBody("accountName must not be empty.")
    return name


def account_to_wire(account: Account, token: Secret | None = None) -> NewAccountSummary:
    """An account, with its first token only where it was just made."""
    return NewAccountSummary(
        account_id=account.account_id,
        account_name=account.name,
        external_account_id=str(account.external_id),
        access_token=None if token is None else token.reveal(),
    )
