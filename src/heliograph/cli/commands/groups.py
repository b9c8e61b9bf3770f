"""`heliograph groups`: users that configurations name together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from heliograph.access.credentials_file import Credentials
from heliograph.cli import asking
from heliograph.cli.account_calls import (
    all_done,
    call,
    every,
    group_ids,
    groups_by_name,
    known_among,
    run,
    user_ids,
    users_path,
)
from heliograph.cli.connection import Connection, json_option, server_options, yes_option
from heliograph.cli.grouping import Commands
from heliograph.cli.terminal import Column, Row, counted, notes, output, print_json, print_rows


@click.group(cls=Commands)
def groups() -> None:
    """Users that configurations name together. A group is given by its number or its name."""


@groups.command("list", epilog="Example: heliograph groups list")
@json_option
@server_options
def list_groups(credentials: Credentials, as_json: bool) -> None:
    """List groups by name."""
    listing = run(credentials, lambda connection: every(connection, "groups", "groups"))
    if as_json:
        print_json(listing)
        return
    print_rows(
        output(),
        [Column("ID", right=True), Column("NAME", gives_way=True), Column("USERS", right=True)],
        [
            Row([group["groupId"], group["groupName"], group["usersCount"]])
            for group in listing["groups"]
        ],
    )
    if not any(group["groupType"] == "customGroup" for group in listing["groups"]):
        notes().print("`heliograph groups add NAME` makes one.")


@groups.command(epilog="Example: heliograph groups add sales legal")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@json_option
@server_options
def add(credentials: Credentials, names: Sequence[str], as_json: bool) -> None:
    """Add groups."""
    body = {"groups": [{"groupName": name} for name in names]}
    added = run(credentials, lambda connection: call(connection, "POST", "groups", body))
    if as_json:
        print_json(added)
    else:
        for group in added["groups"]:
            if "errorDetails" not in group:
                words = f"Added group {group['groupId']}, {group['groupName']}."
                output().print(words, soft_wrap=True)
    all_done(added["groups"])


@groups.command(epilog="Example: heliograph groups delete sales")
@click.argument("named", metavar="GROUP...", nargs=-1, required=True)
@yes_option
@json_option
@server_options
def delete(credentials: Credentials, named: Sequence[str], yes: bool, as_json: bool) -> None:
    """Delete groups; their users stay. Configurations that name them match nobody by it."""
    if not yes:
        known = run(credentials, groups_by_name)
        asking.confirm(f"Delete {', '.join(_known(known, text) for text in named)}?")

    async def work(connection: Connection) -> Any:
        body = {
            "groups": [{"groupId": group_id} for group_id in await group_ids(connection, named)]
        }
        return await call(connection, "DELETE", "groups", body)

    deleted = run(credentials, work)
    if as_json:
        print_json(deleted)
    all_done(deleted["groups"])
    if not as_json:
        output().print(f"Deleted {counted(len(deleted['groups']), 'group')}.")


def _known(known: Mapping[str, str], named: str) -> str:
    """A group's name and number. Raises Stop where there is no such group."""
    listed = [{"name": name, "groupId": number} for name, number in known.items()]
    key = "name" if named in known else "groupId"
    group = known_among(listed, key, named, "group", "heliograph groups list")
    return f"group {group['groupId']} ({group['name']})"


@groups.command("add-user", epilog="Example: heliograph groups add-user sales ada@example.com")
@click.argument("group", metavar="GROUP")
@click.argument("named", metavar="USER...", nargs=-1, required=True)
@json_option
@server_options
def add_user(credentials: Credentials, group: str, named: Sequence[str], as_json: bool) -> None:
    """Put users, given by id or e-mail, into a group."""
    _change(credentials, "PUT", group, named, as_json=as_json)


@groups.command(
    "remove-user", epilog="Example: heliograph groups remove-user sales ada@example.com"
)
@click.argument("group", metavar="GROUP")
@click.argument("named", metavar="USER...", nargs=-1, required=True)
@json_option
@server_options
def remove_user(credentials: Credentials, group: str, named: Sequence[str], as_json: bool) -> None:
    """Take users, given by id or e-mail, out of a group; closed ones by their id."""
    _change(credentials, "DELETE", group, named, as_json=as_json)


def _change(
    credentials: Credentials, method: str, group: str, named: Sequence[str], *, as_json: bool
) -> None:
    async def work(connection: Connection) -> Any:
        (group_id,) = await group_ids(connection, [group])
        body = {"users": [{"userId": user_id} for user_id in await user_ids(connection, named)]}
        return await call(connection, method, users_path(group_id), body)

    changed = run(credentials, work)
    if as_json:
        print_json(changed)
    all_done(changed["users"])
    if as_json:
        return
    done = ("Added", "to") if method == "PUT" else ("Removed", "from")
    count = counted(len(changed["users"]), "user")
    output().print(f"{done[0]} {count} {done[1]} group {group}.", soft_wrap=True)
