"""Calls below an account's path, and what people write for a user or a group."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from heliograph.access.credentials_file import Credentials
from heliograph.cli.connection import Connection, segment
from heliograph.cli.exits import Exit, Stop, wrong

_PAGE: Final = "1000"


def run(credentials: Credentials, work: Callable[[Connection], Awaitable[Any]]) -> Any:
    """Do some calls over one connection."""

    async def connected() -> Any:
        async with Connection(credentials) as connection:
            return await work(connection)

    return asyncio.run(connected())


async def call(
    connection: Connection,
    method: str,
    path: str,
    document: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
) -> Any:
    """One call; `path` is below the account's, or begins with a slash."""
    body = None if document is None else msgspec.json.encode(document)
    whole = path if path.startswith("/") else f"{connection.account}/{path}"
    return (await connection.call(method, whole, query=query, body=body)).json


def all_done(items: Sequence[Mapping[str, Any]]) -> None:
    """See that a change was made of each item of an answer.

    Raises:
        Stop: of some it was not; it says why of the first.
    """
    refused = [one["errorDetails"] for one in items if "errorDetails" in one]
    if refused:
        first = refused[0]
        steps = [f"{len(items) - len(refused)} of {len(items)} were done."] if items[1:] else []
        raise Stop(Exit.REFUSED, f"{first['message']} ({first['errorCode']})", *steps)


async def every(
    connection: Connection, path: str, key: str, query: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A whole listing as one document: its pages are followed."""
    first: dict[str, Any] = await call(
        connection, "GET", path, query={**(query or {}), "count": _PAGE}
    )
    following = first.get("nextUri")
    while following:
        page = await call(connection, "GET", following)
        first[key] += page[key]
        following = page.get("nextUri")
    first.pop("nextUri", None)
    first["resultSetSize"] = str(len(first[key]))
    first["endPosition"] = str(max(len(first[key]) - 1, 0))
    return first


def known_among(
    listed: Sequence[Mapping[str, Any]], key: str, wanted: str, noun: str, look: str
) -> Mapping[str, Any]:
    """The record whose `key` is the one that is wanted, however its letters are written.

    Raises:
        Stop: there is none; the command `look` shows which there are.
    """
    for record in listed:
        if str(record[key]).lower() == wanted.lower():
            return record
    raise Stop(Exit.REFUSED, f"There is no {noun} {wanted}.", f"`{look}` shows which there are.")


async def user_ids(connection: Connection, named: Sequence[str]) -> Sequence[str]:
    """The ids of users, each given by the id or by the e-mail of an active one.

    Raises:
        Stop: nobody has that e-mail.
    """
    ids = []
    for text in named:
        if "@" not in text:
            ids.append(text)
            continue
        query = {"email": text, "status": "Active"}
        users = (await call(connection, "GET", "users", query=query))["users"]
        if not users:
            raise wrong(
                f"There is no active user {text}.", "`heliograph users list` shows who there is."
            )
        ids.append(users[0]["userId"])
    return ids


async def group_ids(connection: Connection, named: Sequence[str]) -> Sequence[str]:
    """The ids of groups, each given by its number or its name.

    Raises:
        Stop: there is no group of that name.
    """
    if all(map(_is_number, named)):
        return list(named)
    known = await groups_by_name(connection)
    missing = [text for text in named if not _is_number(text) and text not in known]
    if missing:
        raise wrong(
            f"There is no group {missing[0]!r}.",
            "`heliograph groups list` shows them, `heliograph groups add` makes one.",
        )
    return [text if _is_number(text) else known[text] for text in named]


async def groups_by_name(connection: Connection) -> dict[str, str]:
    """The number of each group."""
    listing = await every(connection, "groups", "groups")
    return {group["groupName"]: group["groupId"] for group in listing["groups"]}


def users_path(group_id: str) -> str:
    """Where a group's users are."""
    return f"groups/{segment(group_id)}/users"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
