"""The messages about users: wire structs, and what they mean.

Names and texts are those of docusign-esign 6.1.0 (Users, Groups, Connect) where it has them;
fields that Heliograph has nothing for are left out, but for the two answers of Connect.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from typing import Annotated, Final

import msgspec

from heliograph.errors import ApiError, InvalidBody, InvalidUserId
from heliograph.model import people as model
from heliograph.model.accounts import Account, Role
from heliograph.model.people import UserStatus
from heliograph.wire import dates
from heliograph.wire.codec import Wire
from heliograph.wire.groups import Group, group_number, group_to_wire
from heliograph.wire.names import LONGEST_EMAIL, guid, printable_name
from heliograph.wire.paging import Paged
from heliograph.wire.rest import ErrorDetails, Guid, UserInfo

STATUSES: Final = ("ActivationRequired", "ActivationSent", "Active", "Closed", "Disabled")
"""What `status` may ask for; Heliograph's users are Active or Closed."""

_STATUS_WORDS: Final = {UserStatus.ACTIVE: "Active", UserStatus.CLOSED: "Closed"}
_EMAIL: Final = re.compile(r"[^\s@,;<>\"]+@[^\s@,;<>\"]+")


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


def new_user(user: UserInformation) -> model.NewUser:
    """A user to be added; without a `userId` it gets a new GUID.

    Raises:
        InvalidBody: naming the field.
    """
    first, last = (
        printable_name(user.first_name, "firstName"),
        printable_name(user.last_name, "lastName"),
    )
    name = printable_name(user.user_name, "userName") or f"{first} {last}".strip()
    if not name:
        raise InvalidBody("userName must not be empty.")
    return model.NewUser(
        user_id=guid(user.user_id) if user.user_id else str(uuid.uuid4()),
        email=_email(user.email or ""),
        name=name,
        given_name=first,
        family_name=last,
        role=_role_of_flag(user.is_admin) or Role.VIEWER,
        group_ids=_joined(user),
    )


def _joined(user: UserInformation) -> frozenset[int]:
    """The groups that a new user joins; of the two that follow from the users, one by itself."""
    groups = frozenset(group_number(group) for group in user.group_list or ())
    if model.ADMINISTRATORS_ID in groups and _role_of_flag(user.is_admin) is not Role.ADMINISTRATOR:
        raise InvalidBody('groupList names Administrators, and isAdmin is not "true".')
    return groups - model.BUILT_IN.keys()


def user_change(user: UserInformation) -> model.UserChange:
    """What changes of a user; fields that are not given stay.

    Raises:
        InvalidBody: naming the field.
    """
    if user.user_name is not None and not user.user_name.strip():
        raise InvalidBody("userName must not be empty.")
    return model.UserChange(
        user_id=_named_user(user.user_id),
        email=None if user.email is None else _email(user.email),
        name=None if user.user_name is None else printable_name(user.user_name, "userName"),
        given_name=None
        if user.first_name is None
        else printable_name(user.first_name, "firstName"),
        family_name=None if user.last_name is None else printable_name(user.last_name, "lastName"),
        role=_role_of_flag(user.is_admin),
    )


def named_users(body: UserInfoList) -> Sequence[str]:
    """The ids of the users that a call is about, each once.

    Raises:
        InvalidBody: there are none, or one is not named.
    """
    return list(dict.fromkeys(_named_user(user.user_id) for user in users_of(body)))


def users_of(body: UserInfoList) -> Sequence[UserInfo]:
    """The users that a call is about. Raises InvalidBody where there are none."""
    if not body.users:
        raise InvalidBody("users must name at least one user by its userId.")
    return body.users


def changed_user(user: UserInfo) -> str:
    """The id of a user who is to be put into a group or taken out of it. Raises InvalidUserId."""
    try:
        return _named_user(user.user_id)
    except InvalidBody as problem:
        raise InvalidUserId(problem.message) from None


def change_to_wire(asked: UserInfo, changed: model.User | ApiError, account: Account) -> UserInfo:
    """A user in the answer of a change, or who was named and why nothing was done."""
    if isinstance(changed, ApiError):
        error = ErrorDetails(error_code=changed.code, message=changed.message)
        return UserInfo(user_id=asked.user_id, error_details=error)
    return short_to_wire(changed, account)


def user_to_wire(user: model.User, groups: Iterable[model.Group] | None = None) -> UserInformation:
    """A user in full, with its groups where they are known."""
    return UserInformation(
        created_date_time=dates.render(user.created_at),
        email=user.email,
        first_name=user.given_name,
        group_list=None if groups is None else [group_to_wire(group) for group in groups],
        is_admin="True" if user.role is Role.ADMINISTRATOR else "False",
        last_name=user.family_name,
        uri=_uri(user),
        user_id=user.user_id,
        user_name=user.name,
        user_status=_STATUS_WORDS[user.status],
        user_type="CompanyUser",
    )


def added_to_wire(user: model.User) -> NewUser:
    """A user that was added."""
    return NewUser(
        created_date_time=dates.render(user.created_at),
        email=user.email,
        uri=_uri(user),
        user_id=user.user_id,
        user_name=user.name,
        user_status=_STATUS_WORDS[user.status],
    )


def short_to_wire(user: model.User, account: Account) -> UserInfo:
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


def included_to_wire(user: model.User, *, included: bool) -> ConnectUserInfo:
    """A user, and whether a configuration gets its events."""
    return ConnectUserInfo(
        email=user.email,
        is_included="true" if included else "false",
        user_id=user.user_id,
        user_name=user.name,
    )


def _named_user(text: str | None) -> str:
    if not text or not text.strip():
        raise InvalidBody("userId must say which user is meant.")
    return guid(text)


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


def _uri(user: model.User) -> str:
    """Below the account's path, as DocuSign's recorded answers have it."""
    return f"/users/{user.user_id}"
