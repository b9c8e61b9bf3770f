"""`heliograph audit` against a real server."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server import serving
from tests.service.cli.shell import ESCAPE, Shell


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    async with serving(tmp_path):
        yield Shell(tmp_path / "data")


async def test_what_was_done_is_listed_with_the_values_that_were_changed(shell: Shell) -> None:
    await shell.run("groups", "add", "sales")
    url = ("--url", "http://127.0.0.1:9000/hook", "--event", "envelope-sent", "--all-users")
    made = await shell.run("configurations", "create", "--name", f"crm{ESCAPE}", *url)
    assert made.exit_code == 0, made.stderr
    listed = (await shell.run("audit", "list")).stdout
    assert "first-administrator" in listed
    assert "127.0.0.1" in listed
    assert "group 1; name: sales" in listed
    assert "name: crm\\x1b" in listed
    assert ESCAPE not in listed
    assert "3 entries." in listed
    few = (await shell.run("audit", "list", "--count", "1")).stdout
    assert "1 entry shown, there are more" in few
    document = await shell.json("audit", "list", "--what", "group 1")
    assert [entry["action"] for entry in document["audit"]] == ["group.added"]
    assert "Nothing was done." in (await shell.run("audit", "list", "--actor", "bob")).stderr


async def test_the_audit_is_exported_as_csv(shell: Shell, tmp_path: Path) -> None:
    await shell.run("groups", "add", "sales")
    file = tmp_path / "audit.csv"
    assert "2 entries written" in (await shell.run("audit", "export", str(file))).stderr
    added, _ = csv.DictReader(file.read_text().splitlines())
    assert (added["action"], added["what"]) == ("group.added", "group 1")
    assert added["details"] == '[{"name":"name","after":"sales"}]'
