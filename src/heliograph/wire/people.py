"""The messages about users, groups, tokens and accounts: wire structs, and what they mean.

Names and texts are those of docusign-esign 6.1.0 (Users, Groups, Connect) where it has them;
fields that Heliograph has nothing for are left out, but for the two answers of Connect.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, ClassVar, Final

import msgspec

from heliograph.errors import InvalidBody
from heliograph.model import people
from heliograph.model.accounts import Account, Role, Secret
from heliograph.model.people import UserStatus
from heliograph.wire import dates
from heliograph.wire.codec import Wire
from heliograph.wire.rest import DateTime, Guid, Number, UserInfo, own

LONGEST_NAME: Final = 100
LONGEST_EMAIL: Final = 254

STATUSES: Final = ("ActivationRequired", "ActivationSent", "Active", "Closed", "Disabled")
"""What `status` may ask for; Heliograph's users are Active or Closed."""

_STATUS_WORDS: Final = {UserStatus.ACTIVE: "Active", UserStatus.CLOSED: "Closed"}
_EMAIL: Final = re.compile(r"[^\s@,;<>\"]+@[^\s@,;<>\"]+")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")  # RFC 6749, 3.3
_MOST_SCOPES: Final = 50
_LONGEST_NUMBER: Final = 18


class Paged(Wire):
    """What every page of these listings says of itself; places count from 0."""

    end_position: str | None = None
    next_uri: str | None = None
    previous_uri: str | None = None
    result_set_size: str | None = None
    start_position: str | None = None
    total_set_size: str | None = None


class UserInfoList(Wire):
    """Users that a call is about."""

    users: list[UserInfo] | None = None


class UsersResponse(Paged):
    """Users of a group, and users that were closed."""

    users: list[UserInfo] | None = None


class IntegratedUserInfoList(Paged):
    """The answer of list_users."""

    all_users_selected: str | None = None
    users: list[UserInfo] | None = None


class ConnectUserInfo(Wire):
    """A user, and whether a configuration gets its events."""

    email: str | None = None
    is_included: str | None = None
    user_id: str | None = None
    user_name: str | None = None


class IntegratedConnectUserInfoList(Paged):
    """The answer of get_connect_all_users."""

    users: list[ConnectUserInfo] | None = None


class Group(Wire):
    """A group; in a call `groupId` or `groupName` say which, or what it is to be called."""

    group_id: Number | None = None
    group_name: str | None = None
    group_type: str | None = None
    users_count: str | None = None


class GroupInformation(Paged):
    """Groups: what a call is about, and the answer."""

    groups: list[Group] | None = None


class UserInformation(Wire):
    """A user, in calls and in answers. Extension: `userId` may be given for a new one."""

    created_date_time: str | None = None
    email: str | None = None
    first_name: str | None = None
    group_list: list[Group] | None = None
    is_admin: Annotated[
        str | None, msgspec.Meta(extra_json_schema={"enum": ["true", "false", "True", "False"]})
    ] = None
    last_name: str | None = None
    uri: str | None = None
    user_id: Guid | None = None
    user_name: str | None = None
    user_status: str | None = None
    user_type: str | None = None


class UserInformationList(Paged):
    """Users: what a change is about, and the answer of the listing."""

    users: list[UserInformation] | None = None


class NewUsersDefinition(Wire):
    """Users to be added."""

    new_users: list[UserInformation] | None = None


class NewUser(Wire):
    """A user that was added."""

    created_date_time: str
    email: str
    uri: str
    user_id: str
    user_name: str
    user_status: str


class NewUsersSummary(Wire):
    """Users that were added, in the order given."""

    new_users: list[NewUser]


# ---------------------------------------------------------------- Heliograph's own messages


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


class NewAccountDefinition(Wire):
    """An account to be added."""

    account_name: str | None = None


class NewAccountSummary(Wire):
    """An account. `accessToken`, an administrator's, is shown once, when it is made."""

    account_id: str
    account_name: str
    external_account_id: Annotated[str, own("Its number, which works in paths too.")]
    access_token: Annotated[str | None, own("An administrator's, shown once.")] = None


class AccountList(Wire):
    """Every account, the first one first."""

    ours: ClassVar[bool] = True

    accounts: list[NewAccountSummary]


# --------------------------------------------------------------------- what callers give


def new_user(given: UserInformation) -> people.NewUser:
    """A user to be added; without a `userId` it gets a new GUID.

    Raises:
        InvalidBody: naming the field.
    """
    first, last = _name(given.first_name, "firstName"), _name(given.last_name, "lastName")
    name = _name(given.user_name, "userName") or f"{first} {last}".strip()
    if not name:
        raise InvalidBody("userName must not be empty.")
    return people.NewUser(
        user_id=guid(given.user_id) if given.user_id else str(uuid.uuid4()),
        email=_email(given.email or ""),
        name=name,
        given_name=first,
        family_name=last,
        role=_role_of_flag(given.is_admin) or Role.VIEWER,
        group_ids=frozenset(group_number(one) for one in given.group_list or ()),
    )


def user_change(given: UserInformation) -> people.UserChange:
    """What changes of a user; fields that are not given stay.

    Raises:
        InvalidBody: naming the field.
    """
    if given.user_name is not None and not given.user_name.strip():
        raise InvalidBody("userName must not be empty.")
    return people.UserChange(
        user_id=_named_user(given.user_id),
        email=None if given.email is None else _email(given.email),
        name=None if given.user_name is None else _name(given.user_name, "userName"),
        given_name=None if given.first_name is None else _name(given.first_name, "firstName"),
        family_name=None if given.last_name is None else _name(given.last_name, "lastName"),
        role=_role_of_flag(given.is_admin),
    )


def named_users(given: UserInfoList) -> Sequence[str]:
    """The ids of the users that a call is about, each once.

    Raises:
        InvalidBody: there are none, or one is not named.
    """
    ids = [_named_user(one.user_id) for one in given.users or ()]
    if not ids:
        raise InvalidBody("users must name at least one user by its userId.")
    return list(dict.fromkeys(ids))


def guid(text: str) -> str:
    """A user's id, in small letters.

    Raises:
        InvalidBody: it is no GUID.
    """
    try:
        return str(uuid.UUID(text.strip()))
    except ValueError:
        raise InvalidBody("userId must be a GUID.") from None


def group_name(given: Group) -> str:
    """What a group is to be called.

    Raises:
        InvalidBody: empty, too long, or not printable.
    """
    name = _name(given.group_name, "groupName")
    if not name:
        raise InvalidBody("groupName must not be empty.")
    return name


def group_number(given: Group) -> int:
    """Which group is meant.

    Raises:
        InvalidBody: `groupId` is no number.
    """
    text = (given.group_id or "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise InvalidBody("groupId must be a number.")
    return int(text)


def new_token(given: ApiToken, now: datetime) -> people.NewToken:
    """A token to be added; without a role it is a viewer's.

    Raises:
        InvalidBody: naming the field.
    """
    name = _name(given.name, "name")
    if not name:
        raise InvalidBody("name must say what the token is for.")
    try:
        role = Role((given.role or Role.VIEWER).strip().lower())
    except ValueError:
        raise InvalidBody(f"role must be one of {', '.join(Role)}.") from None
    return people.NewToken(
        name=name,
        role=role,
        user_id=guid(given.user_id) if given.user_id else None,
        scopes=_scopes(given.scopes),
        expires_at=_expiry(given.expires, now),
    )


def account_name(given: NewAccountDefinition) -> str:
    """What an account is to be called. Raises InvalidBody."""
    name = _name(given.account_name, "accountName")
    if not name:
        raise InvalidBody("accountName must not be empty.")
    return name


def _named_user(text: str | None) -> str:
    if not text or not text.strip():
        raise InvalidBody("userId must say which user is meant.")
    return guid(text)


def _name(text: str | None, field: str) -> str:
    name = (text or "").strip()
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidBody(f"{field} must have at most {LONGEST_NAME} printable characters.")
    return name


def _email(text: str) -> str:
    address = text.strip()
    usable = len(address) <= LONGEST_EMAIL and address.isprintable()
    if not usable or _EMAIL.fullmatch(address) is None:
        raise InvalidBody(f"email must be an address such as ada@example.com, not {text[:40]!r}.")
    return address


def _role_of_flag(text: str | None) -> Role | None:
    word = (text or "").strip().lower()
    if word not in ("", "true", "false"):
        raise InvalidBody('isAdmin must be "true" or "false".')
    return {"true": Role.ADMINISTRATOR, "false": Role.VIEWER}.get(word)


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


# ------------------------------------------------------------------------------ answers


def user_to_wire(
    user: people.User, groups: Iterable[people.Group] | None = None
) -> UserInformation:
    """A user in full, with its groups where they are known."""
    return UserInformation(
        created_date_time=dates.render(user.created_at),
        email=user.email,
        first_name=user.given_name,
        group_list=None if groups is None else [group_to_wire(one) for one in groups],
        is_admin="True" if user.role is Role.ADMINISTRATOR else "False",
        last_name=user.family_name,
        uri=_uri(user),
        user_id=user.user_id,
        user_name=user.name,
        user_status=_STATUS_WORDS[user.status],
        user_type="CompanyUser",
    )


def added_to_wire(user: people.User) -> NewUser:
    """A user that was added."""
    return NewUser(
        created_date_time=dates.render(user.created_at),
        email=user.email,
        uri=_uri(user),
        user_id=user.user_id,
        user_name=user.name,
        user_status=_STATUS_WORDS[user.status],
    )


def short_to_wire(user: people.User, account: Account) -> UserInfo:
    """A user in short."""
    return UserInfo(
        account_id=account.account_id,
        account_name=account.name,
        email=user.email,
        uri=_uri(user),
        user_id=user.user_id,
        user_name=user.name,
        user_status=_STATUS_WORDS[user.status],
        user_type="CompanyUser",
    )


def included_to_wire(user: people.User, *, included: bool) -> ConnectUserInfo:
    """A user, and whether a configuration gets its events."""
    return ConnectUserInfo(
        email=user.email,
        is_included="true" if included else "false",
        user_id=user.user_id,
        user_name=user.name,
    )


def group_to_wire(group: people.Group) -> Group:
    """A group; all of ours are custom groups."""
    return Group(
        group_id=str(group.group_id),
        group_name=group.name,
        group_type="customGroup",
        users_count=str(group.users),
    )


def token_to_wire(token: people.Token, text: Secret | None = None) -> ApiToken:
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


def account_to_wire(account: Account, token: Secret | None = None) -> NewAccountSummary:
    """An account, with its first token only where it was just made."""
    return NewAccountSummary(
        account_id=account.account_id,
        account_name=account.name,
        external_account_id=str(account.external_id),
        access_token=None if token is None else token.reveal(),
    )


def _uri(user: people.User) -> str:
    return f"/v2.1/accounts/{user.account_id}/users/{user.user_id}"
