"""Users out of a CSV file: every line is looked at before anything is sent."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from heliograph.cli.exits import Stop, wrong
from heliograph.errors import InvalidBody
from heliograph.wire import users as wire

COLUMNS: Final = ("email", "name", "role", "groups", "userId")
ROLES: Final = ("viewer", "administrator")

MOST_USERS: Final = 10_000
"""The server takes so many in one call, and they are all or none."""

_NEEDED: Final = ("email", "name")
_SHOWN_MOST: Final = 20


@dataclass(frozen=True, slots=True)
class Line:
    """A line that can be a user; `number` counts the file's lines from 1."""

    number: int
    email: str
    name: str
    role: str
    groups: tuple[str, ...]
    user_id: str


def read(content: bytes) -> Sequence[Line]:
    """Read a file.

    Raises:
        Stop: it is no such CSV, or lines of it cannot be users; all of them are named.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise wrong(f"line {line}: this is not UTF-8.", "Save the file as CSV UTF-8.") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[Line] = []
    problems: list[tuple[int, str]] = []
    number = 1
    try:
        places = _places(next(rows, []))
        number = rows.line_num + 1
        for cells in rows:
            if any(cell.strip() for cell in cells):
                try:
                    lines.append(_line(number, cells, places))
                except (InvalidBody, ValueError) as problem:
                    problems.append((number, str(problem)))
            number = rows.line_num + 1
    except csv.Error as error:
        problems.append((number, f"this is no CSV: {error}."))
    _refuse(problems)
    if not 0 < len(lines) <= MOST_USERS:
        raise wrong(f"The file must have 1 to {MOST_USERS:,} users, not {len(lines):,}.")
    return lines


def checked(
    lines: Sequence[Line], known: Sequence[Mapping[str, Any]], groups: Mapping[str, str]
) -> Sequence[Mapping[str, Any]]:
    """The users in the API's form.

    Args:
        lines: Of the file.
        known: The account's users, in the API's form.
        groups: The number of each of its groups, by name.

    Raises:
        Stop: lines that are there twice, are users already, or name unknown groups.
    """
    active = {user["email"].lower() for user in known if user["userStatus"] == "Active"}
    ids = {user["userId"].lower() for user in known}
    first: dict[str, int] = {}
    problems = []
    for line in lines:
        if line.email.lower() in active:
            problems.append((line.number, f"{line.email} is a user already."))
        if line.user_id in ids:
            problems.append((line.number, f"userId {line.user_id} is a user's already."))
        for text in filter(None, (line.email.lower(), line.user_id)):
            if text in first:
                problems.append((line.number, f"{text} is on line {first[text]} too."))
            first.setdefault(text, line.number)
        problems += [
            (line.number, f"there is no group {name!r}: `heliograph groups add` makes it.")
            for name in line.groups
            if name not in groups
        ]
    _refuse(problems)
    return [
        {
            **document(line.name, line.email, line.role, line.user_id),
            "groupList": [{"groupId": groups[name]} for name in line.groups],
        }
        for line in lines
    ]


def document(name: str, email: str, role: str, user_id: str | None) -> dict[str, Any]:
    """A new user in the API's form."""
    admin = "true" if role == "administrator" else "false"
    user = {"userName": name, "email": email, "isAdmin": admin}
    return {**user, "userId": user_id} if user_id else user


def _places(header: Sequence[str]) -> dict[str, int]:
    spelt = {column.lower(): column for column in COLUMNS}
    names = [spelt.get(cell.strip().lower(), cell.strip()) for cell in header]
    missing = [name for name in _NEEDED if name not in names]
    odd = [name for name in names if name not in COLUMNS or names.count(name) > 1]
    if missing or odd:
        what = f"{odd[0]!r} is no column, or is there twice" if odd else f"{missing[0]} is missing"
        raise wrong(f"line 1: {what}.", f"The first line names the columns: {','.join(COLUMNS)}.")
    return {name: at for at, name in enumerate(names)}


def _line(number: int, cells: Sequence[str], places: Mapping[str, int]) -> Line:
    """Raises InvalidBody or ValueError: it cannot be a user; the text says why."""
    if len(cells) != len(places):
        raise ValueError(f"it has {len(cells)} cells where the first line has {len(places)}.")
    cell = {name: cells[at].strip() for name, at in places.items()}
    role = cell.get("role", "").lower() or ROLES[0]
    if role not in ROLES:
        raise ValueError(f"role must be {' or '.join(ROLES)}, not {role[:40]!r}.")
    groups = [name.strip() for name in cell.get("groups", "").split(";")]
    # The server's own rules, so that a dry run says what it would say.
    user = wire.new_user(
        wire.UserInformation(
            user_name=cell["name"], email=cell["email"], user_id=cell.get("userId") or None
        )
    )
    user_id = user.user_id if cell.get("userId") else ""
    return Line(
        number, user.email, user.name, role, tuple(dict.fromkeys(filter(None, groups))), user_id
    )


def _refuse(problems: Sequence[tuple[int, str]]) -> None:
    if not problems:
        return
    texts = [f"line {number}: {what}" for number, what in sorted(problems)[:_SHOWN_MOST]]
    if len(problems) > _SHOWN_MOST:
        texts.append(f"and {len(problems) - _SHOWN_MOST:,} more")
    raise _bad_lines(len({number for number, _ in problems}), texts)


def _bad_lines(count: int, texts: Sequence[str]) -> Stop:
    lines = "A line" if count == 1 else f"{count:,} lines"
    return wrong(
        f"{lines} cannot be added, so nothing was added:",
        *texts,
        "Mend the file and run it again.",
    )
