"""The messages about accounts: wire structs, and what they mean.

What is asked of the token's own account is DocuSign's (loginInformation of the OpenAPI document of
v2, accountInformation of docusign-esign), without what Heliograph has nothing for; the list of
accounts and their making are Heliograph's.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from heliograph.errors import InvalidBody
from heliograph.model.accounts import Account, Principal, Secret
from heliograph.model.people import User
from heliograph.wire.codec import Wire
from heliograph.wire.names import printable_name
from heliograph.wire.rest import own


class LoginAccount(Wire):
    """The account of a token. DocuSign's `accountId` is the account's number here."""

    account_id: str
    base_url: str
    email: str
    is_default: str
    name: str
    site_description: str
    user_id: str
    user_name: str
    account_id_guid: str | None = None


class LoginInformation(Wire):
    """The accounts that a token is good for: one."""

    login_accounts: list[LoginAccount]


class AccountInformation(Wire):
    """An account."""

    account_id_guid: str
    account_name: str
    external_account_id: str


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


def login_information(
    principal: Principal, user: User | None, base: str, *, with_guid: bool
) -> LoginInformation:
    """Whom a token stands for, and where the account is.

    A token of no user has neither user nor e-mail, and the token's name in the user's place.
    """
    account = principal.account
    found = LoginAccount(
        account_id=str(account.external_id),
        base_url=f"{base}/accounts/{account.external_id}",
        email="" if user is None else user.email,
        is_default="true",
        name=account.name,
        site_description="",
        user_id="" if user is None else user.user_id,
        user_name=principal.name if user is None else user.name,
        account_id_guid=account.account_id if with_guid else None,
    )
    return LoginInformation(login_accounts=[found])


def account_information(account: Account) -> AccountInformation:
    """An account."""
    return AccountInformation(
        account_id_guid=account.account_id,
        account_name=account.name,
        external_account_id=str(account.external_id),
    )


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
