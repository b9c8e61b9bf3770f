"""The commands of applications, and users password, against a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.browser import Visitor
from tests.integration import ADA, PASSWORD, Assertion, Integration, private_key, public_pem
from tests.server import Client, serving
from tests.service.cli.shell import Shell


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Client]:
    async with serving(tmp_path) as made:
        yield made


@pytest.fixture
def shell(api: Client, tmp_path: Path) -> Shell:
    return Shell(tmp_path / "data")


async def add(shell: Shell, *more: str) -> str:
    await shell.run(
        *("users", "add", "--name", "Ada", "--email", "ada@example.com", "--user-id", ADA)
    )
    made = await shell.json("applications", "add", "CRM", *more)
    key: str = made["integrationKey"]
    return key


async def test_an_integration_is_set_up_by_commands_and_signs_in(
    shell: Shell, api: Client, tmp_path: Path
) -> None:
    assert "No applications." in (await shell.run("applications", "list")).stderr
    key = await add(shell)
    pem = tmp_path / "private.pem"
    made = await shell.json("applications", "add-key", key, "--make", str(pem))
    assert pem.stat().st_mode & 0o777 == 0o600
    private = load_pem_private_key(pem.read_bytes(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    integration = Integration(api, key, made["keyId"])
    asked = Assertion(integration.assertion().claims, key=private)
    assert (await integration.ask(asked.text)).json["error"] == "consent_required"

    told = await shell.run("applications", "consent", key, "ada@example.com")
    assert told.stdout == "Consented for 1 user.\n"
    assert (await integration.ask(asked.text)).status == 200
    (agreed,) = (await shell.json("applications", "consents", "--user", ADA))["consents"]
    assert (agreed["scopes"], agreed["applicationName"]) == ("impersonation signature", "CRM")
    assert "impersonation" in (await shell.run("applications", "consents")).stdout

    done = await shell.run("applications", "withdraw", key, "ada@example.com", "--yes")
    assert done.stdout == "Withdrawn.\n"
    assert "No consents." in (await shell.run("applications", "consents")).stderr
    assert (await integration.ask(asked.text)).json["error"] == "consent_required"
    await shell.run("applications", "remove-key", key, made["keyId"], "--yes")
    assert (await integration.ask(asked.text)).json["error"] == "invalid_grant"


async def test_applications_are_listed_shown_changed_and_deleted(
    shell: Shell, tmp_path: Path
) -> None:
    key = await add(shell, "--redirect-uri", "https://a.example/b", "--role", "viewer")
    listed = (await shell.run("applications", "list")).stdout
    assert "CRM" in listed
    assert key in listed
    public = tmp_path / "public.pem"
    public.write_text(public_pem(private_key()))
    await shell.run("applications", "add-key", key, "--public-key", str(public))
    secret = await shell.run("applications", "add-secret", key)
    text = secret.stdout.partition("Secret  ")[2].strip()
    assert len(text) == 43
    shown = await shell.run("applications", "show", key)
    assert f"Integration key  {key}" in shown.stdout  # no id is broken at 80 columns
    assert "https://a.example/b" in shown.stdout
    assert "viewer" in shown.stdout
    assert text not in shown.stdout
    found = await shell.json("applications", "show", key)
    assert (len(found["keys"]), len(found["secrets"])) == (1, 1)
    assert "secret" not in found["secrets"][0]
    words = ("--name", "CRM 2", "--redirect-uri", "https://c.example/", "--role", "none")
    changed = await shell.json("applications", "change", key, *words)
    assert (changed["name"], changed["redirectUris"], changed["role"]) == (
        *("CRM 2", ["https://c.example/"]),
        "none",
    )
    removed = await shell.run(
        *("applications", "remove-secret", key, found["secrets"][0]["secretId"], "--yes")
    )
    assert removed.stdout == "Removed.\n"
    assert (await shell.run("applications", "delete", key, "--yes")).stdout == "Deleted.\n"
    assert (await shell.run("applications", "show", key)).exit_code == 4


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("change", "KEY"), 2, "Nothing to change"),
        (("add-key", "KEY"), 2, "--public-key or --make"),
        (("add", "x", "--redirect-uri", "http://evil.example/"), 4, "must be https"),
        (("add", "x", "--redirect-uri", "https://a.example/#f"), 4, "no plain URI"),
        (("add", "x", "--redirect-uri", "https://u:p@a.example/"), 4, "no plain URI"),
        (("add", "x", "--redirect-uri", "javascript:alert(1)"), 4, "must be https"),
        (("consent", "KEY", "nobody@example.com"), 2, "no active user"),
        (("consent", "unknown", ADA), 4, "no application"),
        (("show", "../users"), 4, "no such resource"),
    ],
    ids=str,
)
async def test_what_cannot_be_done_is_said(
    shell: Shell, words: tuple[str, ...], status: int, said: str
) -> None:
    key = await add(shell)
    done = await shell.run("applications", *(key if word == "KEY" else word for word in words))
    assert done.exit_code == status, done.output
    assert said in " ".join(done.output.split())


async def test_a_private_key_is_not_written_over_and_not_left_behind(
    shell: Shell, tmp_path: Path
) -> None:
    key, file = await add(shell), tmp_path / "private.pem"
    refused = await shell.run("applications", "add-key", "unknown", "--make", str(file))
    assert (refused.exit_code, file.exists()) == (4, False)
    file.write_text("mine")
    refused = await shell.run("applications", "add-key", key, "--make", str(file))
    assert (refused.exit_code, file.read_text()) == (2, "mine")
    missing = str(tmp_path / "no" / "folder")
    assert (await shell.run("applications", "add-key", key, "--make", missing)).exit_code == 2


async def test_a_password_is_asked_for_or_read_and_lets_the_user_sign_in(
    shell: Shell, api: Client
) -> None:
    key = await add(shell, "--redirect-uri", "https://app.example/back")
    await shell.run("applications", "add-secret", key)
    twice = f"{PASSWORD}\n{PASSWORD}\n"
    done = await shell.run("users", "password", "ada@example.com", stdin=twice)
    assert done.exit_code == 0, done.output
    assert done.stdout == "The password is set.\n"
    assert PASSWORD not in done.output
    url = (
        f"/oauth/auth?response_type=code&scope=signature&client_id={key}"
        "&redirect_uri=https://app.example/back"
    )

    async def signs_in(password: str) -> bool:
        async with Visitor(api) as visitor:
            await visitor.open(url)
            await visitor.sign_in("ada@example.com", password)
            return visitor.status == 200

    assert await signs_in(PASSWORD)
    other = await shell.run("users", "password", ADA, "--stdin", stdin="another good one\n")
    assert other.exit_code == 0, other.output
    assert [await signs_in("another good one"), await signs_in(PASSWORD)] == [True, False]
    short = await shell.run("users", "password", ADA, "--stdin", stdin="short\n")
    assert (short.exit_code, "12 to 256" in " ".join(short.output.split())) == (4, True)
    both = await shell.run("users", "password", ADA, "--stdin", "--remove")
    assert both.exit_code == 2
    gone = await shell.run("users", "password", ADA, "--remove")
    assert gone.stdout == "The password is removed.\n"
    assert not await signs_in("another good one")


async def test_s7_no_secret_of_a_sign_in_is_in_the_database_in_an_answer_or_in_the_log(
    shell: Shell, api: Client, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    key = await add(shell, "--redirect-uri", "https://app.example/back")
    secret = (await shell.json("applications", "add-secret", key))["secret"]
    await shell.run("users", "password", ADA, "--stdin", stdin=PASSWORD + "\n")
    canaries = [secret, PASSWORD]
    async with Visitor(api) as visitor:
        await visitor.open(
            f"/oauth/auth?response_type=code&scope=signature&client_id={key}"
            "&redirect_uri=https://app.example/back"
        )
        await visitor.sign_in("ada@example.com", "a wrong password")
        await visitor.sign_in("ada@example.com")
        canaries += [one.partition("=")[2] for one in visitor.cookies]
        code = (await visitor.allow()).partition("code=")[2]
    granted: dict[str, Any] = (
        await Integration(api, key, "").token(
            grant_type="authorization_code", code=code, client_id=key, client_secret=secret
        )
    ).json
    canaries += [code, granted["access_token"], granted["refresh_token"]]
    for path in ("applications", "consents", "tokens", "users", f"applications/{key}"):
        body = (await api.call("GET", f"{api.account}/{path}")).body.decode()
        assert [one for one in canaries if one in body] == []
    for file in (tmp_path / "data").iterdir():
        held = file.read_bytes() if file.is_file() else b""
        assert [one for one in canaries if one.encode() in held] == [], file
    printed = "".join(capfd.readouterr())
    assert [one for one in canaries if one in printed] == []
