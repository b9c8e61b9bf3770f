"""The messages about groups: wire structs, and what they mean.

Names and texts are those of docusign-esign 6.1.0 (Groups) where it has them; fields
that Heliograph has nothing for are left out.
"""

from __future__ import annotations

from typing import Final

from heliograph.errors import InvalidBody
from heliograph.model import people as model
from heliograph.wire.codec import Wire
from heliograph.wire.names import printable_name
from heliograph.wire.paging import Paged
from heliograph.wire.rest import Number

_LONGEST_NUMBER: Final = 18


class Group(Wire):
    """A group; in a call `groupId` or `groupName` say which, or what it is to be called."""

    group_id: Number | None = None
    group_name: str | None = None
    group_type: str | None = None
    users_count: str | None = None


class GroupInformation(Paged):
    """Groups: what a call is about, and the answer."""

    groups: list[Group] | None = None


def group_name(group: Group) -> str:
    """What a group is to be called.

    Raises:
        InvalidBody: empty, too long, or not printable.
    """
    name = printable_name(group.group_name, "groupName")
    if not name:
        raise InvalidBody("groupName must not be empty.")
    return name


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
    """A group; all of ours are custom groups."""
    return Group(
        group_id=str(group.group_id),
        group_name=group.name,
        group_type="customGroup",
        users_count=str(group.users),
    )
