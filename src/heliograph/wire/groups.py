"""The messages about groups: wire structs, and what they mean.

Names and texts are those of docusign-esign 6.1.0 (Groups) where it has them; fields
that Heliograph has nothing for are left out.
"""

from __future__ import annotations

from typing import Final

from heliograph.errors import ApiError, InvalidBody, InvalidGroupId, InvalidGroupName
from heliograph.model import people as model
from heliograph.model.people import GroupKind
from heliograph.wire.codec import Wire
from heliograph.wire.names import printable_name
from heliograph.wire.paging import Paged
from heliograph.wire.rest import ErrorDetails

_LONGEST_NUMBER: Final = 18
_TYPES: Final = {
    GroupKind.ADMINISTRATORS: "adminGroup",
    GroupKind.CUSTOM: "customGroup",
    GroupKind.EVERYONE: "everyoneGroup",
}


class Group(Wire):
    """A group; in a call `groupId` or `groupName` say which, or what it is to be called.

    In the answer of a change `error_details` say why it was not made.
    """

    error_details: ErrorDetails | None = None
    # As it was given, also where it cannot be one: an answer says so at the item.
    group_id: str | None = None
    group_name: str | None = None
    group_type: str | None = None
    users_count: str | None = None


class GroupInformation(Paged):
    """Groups: what a call is about, and the answer."""

    groups: list[Group] | None = None


def group_name(group: Group) -> str:
    """What a group is to be called.

    Raises:
        InvalidGroupName: empty, too long, or not printable.
    """
    try:
        name = printable_name(group.group_name, "groupName")
    except InvalidBody as problem:
        raise InvalidGroupName(problem.message) from None
    if not name:
        raise InvalidGroupName("groupName must not be empty.")
    return name


def changed_group(group: Group) -> int:
    """Which group is to be changed. Raises InvalidGroupId: `groupId` is no number."""
    try:
        return group_number(group)
    except InvalidBody as problem:
        raise InvalidGroupId(problem.message) from None


def group_number(group: Group) -> int:
    """Which group is meant.

    Raises:
        InvalidBody: `groupId` is no number.
    """
    text = (group.group_id or "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise InvalidBody("groupId must be a number.")
    return int(text)


def group_to_wire(group: model.Group) -> Group:
    """A group in a listing."""
    return Group(
        group_id=str(group.group_id),
        group_name=group.name,
        group_type=_TYPES[group.kind],
        users_count=str(group.users),
    )


def change_to_wire(asked: Group, changed: model.Group | ApiError) -> Group:
    """A group in the answer of a change, or what was asked of it and why that was not done.

    There types are in small letters, as DocuSign's recorded answers have them.
    """
    if isinstance(changed, ApiError):
        error = ErrorDetails(error_code=changed.code, message=changed.message)
        return Group(group_id=asked.group_id, group_name=asked.group_name, error_details=error)
    group = group_to_wire(changed)
    group.group_type = _TYPES[changed.kind].lower()
    return group
