"""S12: a message about bad input quotes no secret: status 2, one sentence, and no traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from heliograph.cli import main
from heliograph.cli.exits import Exit
from heliograph.settings import from_environment
from heliograph.store.keyring import new_key, write_keys

SECRET = "qzhuqvtr7x"

MALFORMED = (
    # In the password: what is no percent-encoding, and what ends it for libpq.
    *("postgresql://u:{}%@h/db", "postgresql://u:{}%zz@h/db", "postgresql://u:%4{}@h/db"),
    *("postgresql://u:{}%00@h/db", "postgresql://u:100%{}@h/db", "postgresql://u:a@{}@h/db"),
    *("postgresql://u:{}@{}@h:5432/db", "postgresql://u:a/{}@h/db", "postgresql://u:1/{}@h/db"),
    *("postgresql://u:{}\t@h/db", "postgresql://u:a {}@h/db", "postgresql://u:{}\n@h/db"),
    # Where the @ or the host is missing.
    *("postgresql://u:{}", "postgresql://u:{}/db", "postgresql://u:{}@h:{}/db"),
    # Hosts, ports and parameters.
    *("postgresql://u:{}@[::1/db", "postgresql://u:{}@::1/db", "postgresql://u:{}@h:99999/db"),
    *("postgresql://u:{}@h:0/db", "postgresql://u:{}@h:54 32/db", "postgresql://u:{}@h:a,i:b/db"),
    *("postgresql://u:{}@h/d%b", "postgresql://u:{}@h/db?sslmode", "postgresql://u:{}@h/db?{}=1"),
    *("postgresql://u:{}@h/db?port=x", "postgresql://u:{}@h/db?connect_timeout={}"),
    *("postgresql://u@h/db?password=%{}", "postgresql://u:{}@h/db?sslmode=a=b"),
    # Another form, or another database.
    *("mysql://u:{}@h/db", "postgresql+psycopg://u:{}@h/db", "jdbc:postgresql://u:{}@h/db"),
    *("POSTGRESQL://u:{}@h/db", " postgresql://u:{}@h/db", "postgresql:/u:{}@h/db"),
    *("postgresql//u:{}@h/db", "u:{}@h/db", "{}", "https://u:{}@h/db", "sqlite:{}"),
    *("host=h password='{}", "host=h password={} more", "host=h pasword={}"),
)

COMMANDS: Mapping[str, Sequence[str]] = {
    "serve": ["--port", "0"],
    "dispatch": ["--port", "0"],
    "doctor": [],
    "retention": [],
    "secrets rotate": [],
}


def run(command: str, url: str, folder: Path, *, option: bool) -> Result:
    """Run a command with a URL as its option or in its environment."""
    words = [*command.split(), "--data-dir", str(folder), *COMMANDS[command]]
    env = {} if option else {"HELIOGRAPH_DATABASE_URL": url}
    return CliRunner(env=env).invoke(main, [*words, *(["--database-url", url] * option)])


def check(status: int, said: str) -> None:
    """Status 2 and one sentence, without any part of the secret."""
    assert (status, said.count("\n")) == (2, 1), said
    assert said.startswith("Error: ")
    assert said.rstrip().endswith(".")
    assert not any(SECRET[at : at + 4] in said for at in range(len(SECRET) - 3)), said


@pytest.mark.parametrize("command", COMMANDS)
def test_s12_a_malformed_database_url_is_refused_without_a_word_of_it(
    command: str, tmp_path: Path
) -> None:
    write_keys(tmp_path / "master.key", [new_key()])
    before = (tmp_path / "master.key").read_bytes()
    assert len(MALFORMED) >= 40
    for number, template in enumerate(MALFORMED):
        done = run(command, template.replace("{}", SECRET), tmp_path, option=number % 2 == 0)
        check(done.exit_code, done.output)
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]
    assert (tmp_path / "master.key").read_bytes() == before


def test_s12_copy_quotes_neither_of_its_databases(tmp_path: Path) -> None:
    file = tmp_path / "heliograph.db"
    file.touch()
    for template in MALFORMED:
        url = template.replace("{}", SECRET)
        for words, env in (
            (["--from", f"sqlite:{file}", "--to", url], {}),
            (["--from", f"sqlite:{file}"], {"HELIOGRAPH_COPY_TO": url}),
            (["--from", url, "--to", "postgresql:///x"], {}),
        ):
            if url.startswith("sqlite:") and words[1] == url:
                continue  # a path, and no secret
            done = CliRunner(env=env).invoke(main, ["copy", *words])
            check(done.exit_code, done.output)


@pytest.mark.parametrize("command", ["serve", "dispatch", "doctor"])
def test_s12_a_process_that_was_given_one_prints_no_traceback(command: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "heliograph.cli", command, "--data-dir", str(tmp_path)]
    env = {"HELIOGRAPH_DATABASE_URL": f"postgresql://u:50%{SECRET}@h/db"}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    check(done.returncode, done.stderr)


@pytest.mark.parametrize(
    "query", ["sslmode=bogus", "keepalives=often", "channel_binding=x", "port=1,2,3", "service=no"]
)
def test_s12_a_parameter_that_means_nothing_is_named_without_its_value(
    query: str, tmp_path: Path
) -> None:
    for command in ("doctor", "retention"):
        url = f"postgresql://u:{SECRET}@127.0.0.1:1/db?{query}"
        done = run(command, url, tmp_path, option=False)
        check(done.exit_code, done.output)
        assert query.partition("=")[0] in done.output


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p%40ss%2Fw%25@127.0.0.1:1/db",
        "postgresql://u:#[p?\"'$&+,;=!*()é@127.0.0.1:1/db",
        "postgresql://u:pass:word@127.0.0.1:1,127.0.0.1:1/db?sslmode=disable",
        "postgres:///db?host=/var/nowhere&user=u",
        "postgresql://%2Fvar%2Fnowhere/db",
        "postgresql://[::1]:1/db",
        "host=127.0.0.1 port=1 user=u password='p@ss /w%'",
    ],
)
def test_a_url_that_can_be_read_in_one_way_is_tried(url: str, tmp_path: Path) -> None:
    done = run("retention", url, tmp_path, option=False)
    assert done.exit_code == Exit.STORAGE, done.output
    assert "The database cannot be used now" in done.output


@pytest.mark.parametrize("name", ["public_url", "otlp_endpoint", "alert_url", "database_url"])
def test_s12_settings_that_may_hold_a_password_are_not_shown(name: str) -> None:
    value = f"https://u:{SECRET}@h.example.com"
    if name == "public_url":
        with pytest.raises(ValueError, match="PUBLIC_URL") as refused:
            from_environment({}, public_url=value)
        assert SECRET not in str(refused.value)
        return
    assert SECRET not in repr(from_environment({}, **{name: value}))


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("HELIOGRAPH_BASE_URI", f"https://u:{SECRET}@127.0.0.1:1"),
        ("HELIOGRAPH_BASE_URI", f"ftp://{SECRET}"),
        ("HELIOGRAPH_BASE_URI", f"https://u:{SECRET}@127.0.0.1:x"),
        ("HELIOGRAPH_ACCESS_TOKEN", f"{SECRET}\n"),
        ("HELIOGRAPH_ACCESS_TOKEN", f"{SECRET}é"),
    ],
)
def test_s12_where_a_server_is_and_a_token_are_refused_unquoted(given: str, value: str) -> None:
    env = {
        "HELIOGRAPH_BASE_URI": "http://127.0.0.1:1",
        "HELIOGRAPH_ACCOUNT_ID": "1",
        "HELIOGRAPH_ACCESS_TOKEN": "token",
        given: value,
    }
    done = CliRunner(env=env).invoke(main, ["failures", "list"])
    check(done.exit_code, done.output)


def test_s12_a_parameter_of_an_oauth_client_is_refused_unquoted() -> None:
    env = {"HELIOGRAPH_BASE_URI": "http://127.0.0.1:1", "HELIOGRAPH_ACCOUNT_ID": "1"}
    env["HELIOGRAPH_ACCESS_TOKEN"] = "token"
    words = ["connect-oauth", "create", "--url", "https://a.example/t", "--client-id", "c"]
    done = CliRunner(env=env).invoke(main, [*words, "--parameter", SECRET])
    check(done.exit_code, done.output)
