"""`heliograph users`: who belongs to the account."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import click

from heliograph.access.credentials_file import Credentials
from heliograph.cli import asking, users_file
from heliograph.cli.account_calls import call, every, group_ids, groups_by_name, run, user_ids
from heliograph.cli.connection import Connection, json_option, segment, server_options, yes_option
from heliograph.cli.exits import wrong
from heliograph.cli.grouping import Commands
from heliograph.cli.terminal import Column, Row, counted, notes, output, print_json, print_rows


@click.group(cls=Commands)
def users() -> None:
    """Who belongs to the account. Configurations name users by their ids or their groups."""


@users.command("list", epilog="Example: heliograph users list --status all")
@click.option("--name", help="Only those whose name contains this text.")
@click.option("--email", help="Only those whose e-mail contains this text.")
@click.option(
    "--status",
    type=click.Choice(["active", "closed", "all"]),
    default="active",
    show_default=True,
    help="Closed users do nothing any more.",
)
@json_option
@server_options
def list_users(
    credentials: Credentials, as_json: bool, name: str | None, email: str | None, status: str
) -> None:
    """List users by name, with their ids and groups."""
    query = {"additional_info": "true"}
    query |= {} if status == "all" else {"status": status}
    query |= {"user_name_substring": name} if name else {}
    query |= {"email_substring": email} if email else {}

    async def work(connection: Connection) -> Any:
        return await every(connection, "users", "users", query)

    listing = run(credentials, work)
    if as_json:
        print_json(listing)
        return
    if not listing["users"]:
        notes().print("No users. `heliograph users add` makes one, `users import` many.")
        return
    columns = [Column("NAME", gives_way=True), Column("E-MAIL", gives_way=True), Column("ROLE")]
    closed = any(user["userStatus"] == "Closed" for user in listing["users"])
    if closed:
        columns.append(Column("STATUS"))
    print_rows(output(), columns, [_row(user, closed=closed) for user in listing["users"]])
    output().print(counted(len(listing["users"]), "user") + ".", style="dim")


@users.command(
    epilog="\b\nExample:\n  heliograph users add --name 'Ada Lovelace' \\\n"
    "      --email ada@example.com --group sales"
)
@click.option("--name", required=True, help="The user's whole name.")
@click.option("--email", required=True, help="No other active user may have it.")
@click.option(
    "--role",
    type=click.Choice(users_file.ROLES),
    default="viewer",
    show_default=True,
    help="What the user's tokens may do.",
)
@click.option("--group", "groups", multiple=True, help="A group to join; may be repeated.")
@click.option("--user-id", help="The GUID that events name the user by; else one is made.")
@json_option
@server_options
def add(credentials: Credentials, as_json: bool, groups: Sequence[str], **options: Any) -> None:
    """Add a user."""

    async def work(connection: Connection) -> Any:
        new = users_file.document(
            options["name"], options["email"], options["role"], options["user_id"]
        )
        new["groupList"] = [
            {"groupId": group_id} for group_id in await group_ids(connection, groups)
        ]
        return await call(connection, "POST", "users", {"newUsers": [new]})

    answer = run(credentials, work)
    if as_json:
        print_json(answer)
    else:
        (user,) = answer["newUsers"]
        output().print(f"Added {user['userName']}, user {user['userId']}.", soft_wrap=True)


@users.command(
    epilog="\b\nExamples:\n  heliograph users password ada@example.com\n"
    "  heliograph users password ada@example.com --stdin < password.txt"
)
@click.argument("user", metavar="USER")
@click.option("--stdin", is_flag=True, help="Read it from standard input, to the end of a line.")
@click.option("--remove", is_flag=True, help="Take it away: the user cannot sign in any more.")
@server_options
def password(credentials: Credentials, user: str, stdin: bool, remove: bool) -> None:
    """Set the password that a user signs in with, to consent to an application.

    It is asked for twice. The user's sign-ins end; access tokens go on.
    """
    if stdin and remove:
        raise wrong("Give --stdin or --remove, not both.")
    new = "" if remove else _new_password(stdin=stdin)

    async def work(connection: Connection) -> Any:
        (user_id,) = await user_ids(connection, [user])
        path = f"users/{segment(user_id)}/password"
        if remove:
            return await call(connection, "DELETE", path)
        return await call(connection, "PUT", path, {"newPassword": new})

    run(credentials, work)
    output().print("The password is removed." if remove else "The password is set.")


def _new_password(*, stdin: bool) -> str:
    """Never from the command line: other users of the machine can read that."""
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True))


@users.command(epilog="Example: heliograph users close ada@example.com")
@click.argument("named", metavar="USER...", nargs=-1, required=True)
@yes_option
@json_option
@server_options
def close(credentials: Credentials, named: Sequence[str], yes: bool, as_json: bool) -> None:
    """Close users, given by id or e-mail: their tokens stop working, for good."""
    if not yes:
        users = run(credentials, lambda link: _known(link, named))
        who = ", ".join(f"{one['userName']} ({one['email']})" for one in users)
        asking.confirm(f"Close {who} for good?")

    async def work(connection: Connection) -> Any:
        ids = await user_ids(connection, named)
        body = {"users": [{"userId": user_id} for user_id in ids]}
        return await call(connection, "DELETE", "users", body)

    closed = run(credentials, work)
    if as_json:
        print_json(closed)
    else:
        output().print(f"Closed {counted(len(closed['users']), 'user')}.")


@users.command(
    "import",
    epilog="\b\nExample:\n  heliograph users import staff.csv --dry-run\n\n"
    "\b\nThe first line names the columns, in any order:\n"
    "  email,name,role,groups,userId\n"
    "  ada@example.com,Ada Lovelace,administrator,sales;legal,\n\n"
    "Only email and name must be there. Groups are names with `;` between them.",
)
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Check the file and the server, add nothing.")
@json_option
@server_options
def import_users(credentials: Credentials, file: BinaryIO, dry_run: bool, as_json: bool) -> None:
    """Add the users of a CSV file (- standard input), all or none.

    A line that cannot be added refuses the whole file; each such line is told of.
    """
    lines = users_file.read(file.read())

    async def work(connection: Connection) -> Any:
        known = (await every(connection, "users", "users"))["users"]
        new = users_file.checked(lines, known, await groups_by_name(connection))
        if dry_run:
            return None
        return await call(connection, "POST", "users", {"newUsers": new})

    added = run(credentials, work)
    administrators = sum(line.role == "administrator" for line in lines)
    if as_json:
        print_json({"dryRun": dry_run, "users": len(lines), "administrators": administrators})
        return
    which = f"{counted(len(lines), 'user')}, {counted(administrators, 'administrator')} among them"
    output().print(f"{'Would add' if added is None else 'Added'} {which}.")


async def _known(connection: Connection, named: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """Raises Stop where there is no such user."""
    ids = await user_ids(connection, named)
    return [await call(connection, "GET", f"users/{segment(user_id)}") for user_id in ids]


def _row(user: Mapping[str, Any], *, closed: bool) -> Row:
    role = "administrator" if user["isAdmin"] == "True" else "viewer"
    # That a user is in Everyone, and an administrator in Administrators, is no news.
    made = [one for one in user.get("groupList") or () if one["groupType"] == "customGroup"]
    groups = ", ".join(group["groupName"] for group in made)
    cells = [
        user["userName"],
        user["email"],
        role,
        *([user["userStatus"].lower()] if closed else []),
    ]
    return Row(cells, user["userId"] + (f"  in {groups}" if groups else ""), "dim")
