"""The commands users, groups, tokens and accounts against a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.server import Client, serving
from tests.service.cli.shell import ESCAPE, Shell

ADA = "1aaaaaaa-0000-4000-8000-000000000000"


@dataclass
class Served(Shell):
    """A shell, and the server that it calls."""

    api: Client | None = None

    def with_token(self, text: str) -> Shell:
        """One that uses another token of the account."""
        assert self.api is not None
        env = {
            "HELIOGRAPH_BASE_URI": self.api.server.base_uri,
            "HELIOGRAPH_ACCOUNT_ID": self.api.credentials.account_id,
            "HELIOGRAPH_ACCESS_TOKEN": text,
        }
        return Shell(self.data_dir, env)


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as api:
        yield Served(tmp_path / "data", api=api)


async def add(shell: Shell, name: str, *more: str) -> str:
    made = await shell.json("users", "add", "--name", name, "--email", f"{name}@example.com", *more)
    user_id: str = made["newUsers"][0]["userId"]
    return user_id


async def names(shell: Shell, *filters: str) -> list[str]:
    return [one["userName"] for one in (await shell.json("users", "list", *filters))["users"]]


def write(folder: Path, text: str | bytes) -> str:
    file = folder / "users.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(file)


async def test_users_and_groups_are_kept_by_name(shell: Shell) -> None:
    assert "No users." in (await shell.run("users", "list")).stderr
    assert "groups add NAME" in (await shell.run("groups", "list")).stderr
    assert "group 1, sales" in (await shell.run("groups", "add", "sales", "legal")).stdout
    added = await shell.run(
        *("users", "add", "--name", "ada", "--email", "ada@example.com"),
        *("--role", "administrator", "--group", "sales", "--group", "2", "--user-id", ADA.upper()),
    )
    assert added.stdout == f"Added ada, user {ADA}.\n"
    bob = await add(shell, "bob")
    joined = await shell.run("groups", "add-user", "sales", "bob@example.com", ADA)
    assert joined.stdout == "Added 2 users to group sales.\n"
    left = await shell.run("groups", "remove-user", "legal", "ada@example.com")
    assert left.stdout == "Removed 1 user from group legal.\n"

    told = await shell.run("users", "list")
    assert max(map(len, told.stdout.splitlines())) <= 80
    assert told.stdout.splitlines()[:3] == [
        "NAME  E-MAIL           ROLE",
        "ada   ada@example.com  administrator",
        f"    {ADA}  in sales",
    ]
    assert told.stdout.splitlines()[-1] == "2 users."
    assert (await shell.run("groups", "list")).stdout.splitlines() == [
        "           ID  NAME            USERS",
        "1000000000000  Administrators      1",
        "1000000000001  Everyone            2",
        "            2  legal               0",
        "            1  sales               2",
    ]
    again = await shell.run("groups", "add", "sales", "tax")
    assert again.stdout == "Added group 3, tax.\n"
    assert "There is a group 'sales' already. (INVALID_GROUP_NAME)" in again.stderr
    assert "1 of 2 were done." in again.stderr
    assert again.exit_code == 4
    kept = await shell.run("groups", "delete", "Everyone", "--yes")
    assert (kept.exit_code, kept.stdout) == (4, "")
    assert "Nobody changes the group Everyone. (INVALID_GROUP_ID)" in kept.stderr
    nobody = await shell.run("groups", "add-user", "tax", "9" + ADA[1:])
    assert (nobody.exit_code, nobody.stdout) == (4, "")
    assert "(INVALID_USERID)" in nobody.stderr

    closed = await shell.run("users", "close", "bob@example.com", "--yes")
    assert closed.stdout == "Closed 1 user.\n"
    assert await names(shell) == ["ada"]
    assert await names(shell, "--status", "all") == ["ada", "bob"]
    assert "closed" in (await shell.run("users", "list", "--status", "closed")).stdout
    assert (await shell.run("groups", "remove-user", "sales", bob)).exit_code == 0
    assert (await shell.run("groups", "delete", "sales", "--yes")).stdout == "Deleted 1 group.\n"


async def test_users_are_found_by_parts_and_pages_are_followed(
    shell: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph.cli.account_calls._PAGE", "2")
    for name in ("ada", "bob", "cyd", "dan", "eve"):
        await add(shell, name)
    document = await shell.json("users", "list")
    assert [one["userName"] for one in document["users"]] == ["ada", "bob", "cyd", "dan", "eve"]
    assert (document["resultSetSize"], document["endPosition"]) == ("5", "4")
    assert "nextUri" not in document
    assert await names(shell, "--name", "A", "--email", "AN@") == ["dan"]


async def test_what_is_not_there_is_named_with_what_to_do(shell: Shell) -> None:
    for arguments, said, step in (
        (("users", "close", "x@y.example", "--yes"), "no active user x@y.example", "users list"),
        (("groups", "add-user", "sales", ADA), "no group 'sales'", "groups add"),
        (("groups", "delete", "sales", "--yes"), "no group 'sales'", "groups list"),
    ):
        told = await shell.run(*arguments)
        assert told.exit_code == 2
        assert said in told.stderr
        assert step in told.stderr
    refused = await shell.run("users", "add", "--name", "x", "--email", "nonsense")
    assert refused.exit_code == 4
    assert "email must be an address" in refused.stderr


async def test_a_terminal_gets_no_escape_of_a_name(shell: Shell) -> None:
    made = await shell.run("groups", "add", ESCAPE)
    assert made.exit_code == 4
    assert "\x1b" not in made.output


# ------------------------------------------------------------------------------------ import


async def test_a_file_of_users_is_added_as_a_whole(shell: Shell, tmp_path: Path) -> None:
    await shell.run("groups", "add", "sales", "legal; too")
    file = write(
        tmp_path,
        "\ufeffName, EMAIL,groups,role,userid\r\n"
        "Ada Lovelace,ada@example.com,sales; sales,Administrator,"
        f"{ADA.upper()}\r\n"
        "\r\n"
        '"Bob, of ""Legal""",bob@example.com,,,\r\n',
    )
    dry = await shell.run("users", "import", file, "--dry-run")
    assert dry.stdout == "Would add 2 users, 1 administrator among them.\n"
    assert await names(shell) == []
    assert await shell.json("users", "import", file) == {
        "dryRun": False,
        "users": 2,
        "administrators": 1,
    }
    assert await names(shell) == ["Ada Lovelace", 'Bob, of "Legal"']
    (ada, bob) = (await shell.json("users", "list"))["users"]
    assert (ada["userId"], ada["isAdmin"]) == (ADA, "True")
    assert [group["groupName"] for group in ada["groupList"]] == [
        *("Administrators", "Everyone", "sales")
    ]
    assert bob["isAdmin"] == "False"
    assert [group["groupName"] for group in bob["groupList"]] == ["Everyone"]


async def test_each_bad_line_is_named_and_nothing_is_added(shell: Shell, tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "email,name,role,userId\n"
        "a@example.com,a,,\n"
        "nonsense,b,,\n"
        "c@example.com,,,\n"
        '"d@example.com","d\n'
        'e",,\n'
        "f@example.com,f,root,\n"
        "g@example.com,g,,x\n"
        "h@example.com,h\n",
    )
    told = await shell.run("users", "import", file)
    assert told.exit_code == 2
    assert told.stderr.splitlines() == [
        "Error: 6 lines cannot be added, so nothing was added:",
        "  line 3: email must be an address such as ada@example.com, not 'nonsense'.",
        "  line 4: userName must not be empty.",
        "  line 5: userName must have at most 100 printable characters.",
        "  line 7: role must be viewer or administrator, not 'root'.",
        "  line 8: userId must be a GUID.",
        "  line 9: it has 2 cells where the first line has 4.",
        "  Mend the file and run it again.",
    ]
    assert await names(shell) == []


@pytest.mark.parametrize("dry", [("--dry-run",), ()])
async def test_lines_that_the_server_would_refuse_are_named_before(
    shell: Shell, tmp_path: Path, dry: tuple[str, ...]
) -> None:
    await add(shell, "ada", "--user-id", ADA)
    other = "2" + ADA[1:]
    file = write(
        tmp_path,
        "name,email,groups,userId\n"
        "ada,ADA@example.com,,\n"
        f"b,b@example.com,,{ADA}\n"
        "c,c@example.com,sales;legal,\n"
        f"d,d@example.com,,{other}\n"
        f"e,D@example.com,,{other.upper()}\n",
    )
    told = await shell.run("users", "import", file, *dry)
    assert told.exit_code == 2
    assert told.stderr.splitlines()[1:-1] == [
        "  line 2: ADA@example.com is a user already.",
        f"  line 3: userId {ADA} is a user's already.",
        "  line 4: there is no group 'legal': `heliograph groups add` makes it.",
        "  line 4: there is no group 'sales': `heliograph groups add` makes it.",
        f"  line 6: {other} is on line 5 too.",
        "  line 6: d@example.com is on line 5 too.",
    ]
    assert await names(shell) == ["ada"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "line 1: email is missing"),
        (b"email,role\n", "line 1: name is missing"),
        (b"email,name,phone\n", "line 1: 'phone' is no column"),
        (b"email,name,Email\n", "line 1: 'email' is no column, or is there twice"),
        (b"email,name\n", "must have 1 to 10,000 users, not 0"),
        (b"email,name\na@b.example,\xff\n", "line 2: this is not UTF-8"),
        (b'email,name\na@b.example,"x\n', "line 2: this is no CSV"),
        (b"email,name\n" + b"a@b.example,x\n" * 10_001, "10,001"),
        (b"email,name\n" + b"x,x\n" * 30, "and 10 more"),
    ],
)
async def test_a_file_that_is_no_list_of_users_is_refused(
    shell: Shell, tmp_path: Path, content: bytes, said: str
) -> None:
    told = await shell.run("users", "import", write(tmp_path, content))
    assert told.exit_code == 2
    assert said in told.stderr


async def test_ten_thousand_users_fit_in_one_call(shell: Shell, tmp_path: Path) -> None:
    lines = "".join(f"user-{n:05}@example.com,User Number {n:05}\n" for n in range(10_000))
    done = await shell.run("users", "import", write(tmp_path, "email,name\n" + lines))
    assert done.stdout == "Added 10,000 users, 0 administrators among them.\n", done.output
    assert len(await names(shell)) == 10_000


# --------------------------------------------------------------------------- tokens, accounts


async def test_s7_a_token_is_shown_once_works_and_is_withdrawn(shell: Served) -> None:
    await add(shell, "ada", "--role", "administrator")
    made = await shell.run(
        *("tokens", "add", "ci", "--role", "administrator", "--user", "ada@example.com"),
        *("--scope", "signature", "--days", "90"),
    )
    (text,) = [line.split()[1] for line in made.stdout.splitlines() if line.startswith("Token")]
    (token_id,) = [line.split()[1] for line in made.stdout.splitlines() if line.startswith("ID")]
    listed = await shell.run("tokens", "list")
    assert max(map(len, listed.stdout.splitlines())) <= 80
    assert token_id in listed.stdout
    assert text not in listed.output
    of_ada = await shell.json("tokens", "list", "--user", "ada@example.com")
    assert [one["name"] for one in of_ada["tokens"]] == ["ci"]

    other = shell.with_token(text)
    assert (await other.json("users", "list"))["totalSetSize"] == "1"
    own = await other.run("tokens", "revoke", token_id, "--yes")
    assert (own.exit_code, "cannot revoke itself" in own.stderr) == (4, True)
    assert (await shell.run("tokens", "revoke", token_id, "--yes")).stdout == "Revoked.\n"
    assert (await other.run("users", "list")).exit_code == 4


async def test_a_viewer_is_told_to_bring_an_administrators_token(shell: Served) -> None:
    text = (await shell.json("tokens", "add", "reader"))["accessToken"]
    refused = await shell.with_token(text).run("groups", "add", "x")
    assert refused.exit_code == 4
    assert "USER_LACKS_PERMISSIONS" in refused.stderr
    assert "administrator's token with --token or HELIOGRAPH_ACCESS_TOKEN" in refused.stderr


async def test_an_account_is_made_on_the_running_server_and_used(shell: Shell) -> None:
    made = await shell.run("accounts", "create", "Northwind Ltd")
    assert made.exit_code == 0, made.output
    exports = dict(
        line.removeprefix("  export ").split("=", 1)
        for line in made.stdout.splitlines()
        if "export" in line
    )
    await add(shell, "ada")
    theirs = await Shell(shell.data_dir, exports).json("users", "list")
    assert theirs["totalSetSize"] == "0"
    listed = await shell.run("accounts", "list")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["NO", "1", "2"]
    assert exports["HELIOGRAPH_ACCOUNT_ID"] in listed.stdout
    refused = await Shell(shell.data_dir, exports).run("accounts", "list")
    assert (refused.exit_code, "first account" in refused.stderr) == (4, True)
    again = await shell.json("accounts", "create", "Third")
    assert again["externalAccountId"] == "3"


async def test_a_configuration_names_a_group(shell: Shell) -> None:
    await shell.run("groups", "add", "sales")
    made = await shell.run(
        *("configurations", "create", "--name", "crm", "--url", "http://127.0.0.1:9000/hook"),
        *("--event", "envelope-sent", "--group-id", "1"),
    )
    assert "group 1" in made.stdout
    document: dict[str, Any] = await shell.json("configurations", "show", "1")
    assert document["configurations"][0]["groupIds"] == ["1"]
    missing = await shell.run("configurations", "create", "--url", "http://127.0.0.1:9000/")
    assert "--group-id" in missing.stderr
