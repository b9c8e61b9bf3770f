"""Relays over the API and the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from heliograph.cli import main
from heliograph.wire.configurations import MASK
from tests.server import Client

KEY = "dRdk7eT3q5yYv0mVb1nXs2aWl4cKj6hGf8pZu9oIiE0="
SECOND = "xC4vB6nM8aS0dF2gH4jK6lQ8wE0rT2yU4iO6pZ8xC0="


async def test_the_five_calls_and_never_a_whole_secret(api: Client) -> None:
    url = f"{api.server.base_uri}/relay/{api.credentials.account_id}/docusign"
    assert (await api.call("GET", "relays")).json == {"relays": []}
    made = await api.call("POST", "relays", {"name": "docusign", "hmacSecrets": [KEY]})
    shown = {"name": "docusign", "url": url, "hmacSecrets": [f"dRdk{MASK}"]}
    assert made.status == 201
    assert made.json == shown | {"created": made.json["created"]}
    again = await api.call("POST", "relays", {"name": "docusign", "hmacSecrets": [KEY]})
    assert (again.status, again.error) == (409, "RELAY_ALREADY_EXISTS")
    assert (await api.call("GET", "relays")).json == {"relays": [made.json]}
    assert (await api.call("GET", "relays/docusign")).json == made.json

    # A secret as it was shown is the one that is there: a new key goes before the old one.
    both = [SECOND, f"dRdk{MASK}"]
    basic = {"userName": "d", "password": "a password"}
    changed = await api.call("PUT", "relays/docusign", {"hmacSecrets": both, **basic})
    assert changed.json["hmacSecrets"] == [f"xC4v{MASK}", f"dRdk{MASK}"]
    assert (changed.json["userName"], changed.json["password"]) == ("d", MASK)
    stored = await api.server.store.relays.get(api.credentials.account_id, "docusign")
    assert stored is not None
    assert [secret.reveal() for secret in stored.secrets] == [SECOND, KEY]
    kept = await api.call("PUT", "relays/docusign", changed.json)
    assert kept.json == changed.json
    bare = await api.call("PUT", "relays/docusign", {"userName": ""})
    assert "userName" not in bare.json
    deleted = await api.call("DELETE", "relays/docusign")
    assert (deleted.status, deleted.body) == (200, b"")
    for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
        assert (await api.call(method, "relays/docusign", body)).error == "RESOURCE_NOT_FOUND"


async def test_of_secrets_that_are_shown_alike_each_is_kept(api: Client) -> None:
    alike = ["heliograph-key-one", "heliograph-key-two"]
    await api.call("POST", "relays", {"name": "docusign", "hmacSecrets": alike})
    shown = (await api.call("GET", "relays/docusign")).json
    assert shown["hmacSecrets"] == [f"heli{MASK}"] * 2
    await api.call("PUT", "relays/docusign", {"hmacSecrets": [SECOND, *shown["hmacSecrets"]]})
    stored = await api.server.store.relays.get(api.credentials.account_id, "docusign")
    assert stored is not None
    assert [secret.reveal() for secret in stored.secrets] == [SECOND, *alike]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"hmacSecrets": [KEY]}, "name"),
        ({"name": "a/b", "hmacSecrets": [KEY]}, "name"),
        ({"name": "a"}, "A relay needs hmacSecrets, or userName and password"),
        ({"name": "a", "hmacSecrets": []}, "A relay needs"),
        ({"name": "a", "hmacSecrets": ["short"]}, "16 to 500 characters"),
        ({"name": "a", "hmacSecrets": [f"dRdk{MASK}"]}, "masked"),
        ({"name": "a", "hmacSecrets": [KEY] * 11}, "10 are the most"),
        ({"name": "a", "userName": "d"}, "password"),
        ({"name": "a", "password": "p"}, "userName"),
        ({"name": "a", "userName": "d:e", "password": "p"}, "colon"),
    ],
)
async def test_what_a_relay_cannot_be(api: Client, body: dict[str, Any], named: str) -> None:
    answer = await api.call("POST", "relays", body)
    assert (answer.status, answer.error) == (400, "INVALID_REQUEST_BODY")
    assert named in answer.json["message"]


async def test_the_command_makes_lists_changes_and_deletes_relays(
    api: Client, tmp_path: Path
) -> None:
    environment = {"HELIOGRAPH_DATA_DIR": str(tmp_path / "data"), "COLUMNS": "80"}

    async def run(*words: str, stdin: str | None = None) -> str:
        done = await asyncio.to_thread(
            CliRunner(env=environment).invoke, main, ["relays", *words], input=stdin
        )
        assert done.exit_code == 0, done.output
        assert KEY not in done.output
        return done.output

    (tmp_path / "keys").write_text(f"{KEY}\n\n{SECOND}\n")
    (tmp_path / "password").write_text("a password\n")
    assert "There are no relays" in await run("list")
    made = json.loads(await run("create", "docusign", "--secret-file", "-", "--json", stdin=KEY))
    assert made["url"].endswith("/docusign")
    asked = await run("create", "second", stdin=f"{KEY}\n")
    assert "Connect key" in asked
    changes = ["--secret-file", f"{tmp_path / 'keys'}", "--user-name", "d"]
    changed = await run(
        *("update", "docusign", *changes, "--password-file", f"{tmp_path / 'password'}")
    )
    assert f"Keys       dRdk{MASK}, xC4v{MASK}" in changed
    listing = (await run("list")).splitlines()
    assert listing[0].split() == ["NAME", "KEYS", "USER", "NAME"]
    assert listing[1].split() == ["docusign", "2", "d"]
    assert max(map(len, listing)) <= 80 or made["url"] in listing[2]
    assert await run("show", "docusign") == changed
    assert await run("delete", "docusign", "--yes") == "Deleted.\n"
