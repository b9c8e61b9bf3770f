"""`heliograph verify`: what it says, what it writes, and how it ends."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from lxml import etree

from heliograph.verify.checks import CHECKS
from tests.busy import hang_times
from tests.pki import Authority, serving
from tests.service.cli.shell import Shell
from tests.service.verify.listener import KEYS, listening

FEW = "right-signature,wrong-signature,duplicate-once"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Without a server: nothing needs one."""
    return Shell(tmp_path / "nowhere")


@pytest.fixture
def keys(tmp_path: Path) -> str:
    file = tmp_path / "keys.txt"
    file.write_text("\n".join(KEYS))
    return str(file)


@pytest.mark.timeout(300)
async def test_all_checks_at_their_full_size_pass_within_a_minute(shell: Shell, keys: str) -> None:
    with listening() as base:
        options = ("--key-file", keys, "--formats", "json,aggregate,xml,soap")
        told = await shell.json("verify", f"{base}/hook", "--probe", f"{base}/count", *options)
    failed = [one for one in told["checks"] if one["outcome"] != "passed"]
    assert failed == []
    assert told["passed"] == len(CHECKS)
    assert told["seconds"] < 60 * hang_times()


async def test_each_check_is_a_line_and_what_fails_says_why(shell: Shell, keys: str) -> None:
    with listening("takes-any-signature") as base:
        done = await shell.run("verify", base, "--key-file", keys, "--only", FEW)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("passed  right-signature")
    assert lines[1].startswith("failed  wrong-signature")
    said = " ".join(done.stdout.split())
    assert "answered 200; 401, or another 4xx, was expected" in said
    assert "Why: anybody who knows the URL can make the listener act." in said
    assert "docs/reference/verify.md#wrong-signature" in said
    assert "skipped duplicate-once must not act twice no --probe" in said
    assert lines[-1].startswith("It does not pass: 1 of 2 checks, 1 skipped, in ")
    assert done.stderr == ""


async def test_reports_are_written_whatever_came_of_it(
    shell: Shell, keys: str, tmp_path: Path
) -> None:
    files = {name: tmp_path / f"report.{name}" for name in ("junit", "html", "badge")}
    options = [text for name, file in files.items() for text in (f"--{name}", str(file))]
    with listening("takes-any-signature") as base:
        done = await shell.run("verify", base, "--key-file", keys, "--only", FEW, *options)
    assert done.exit_code == 1
    suite = etree.parse(files["junit"]).getroot()
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["3", "1", "1"]
    assert "wrong-signature" in files["html"].read_text()
    assert "1 of 2" in files["badge"].read_text()


async def test_a_listener_that_is_not_there_is_told_apart_from_one_that_fails(
    shell: Shell, keys: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    done = await shell.run("verify", url, "--key-file", keys)
    assert (done.exit_code, done.stdout) == (3, "")
    assert "refused the connection" in done.stderr


async def test_the_first_format_is_sent_where_none_is_meant(shell: Shell, keys: str) -> None:
    with listening() as base:
        told = await shell.json(
            *("verify", base, "--key-file", keys, "--formats", "xml,json"),
            *("--only", "right-signature,exact-bytes,soap,duplicate-accepted"),
        )
    outcomes = {one["name"]: one["outcome"] for one in told["checks"]}
    assert outcomes.pop("soap") == "skipped"
    assert set(outcomes.values()) == {"passed"}


async def test_without_signatures_theirs_are_left_out(shell: Shell) -> None:
    with listening("takes-unsigned") as base:
        told = await shell.json(
            *("verify", base, "--unsigned"),
            *("--only", "usual-message", "--only", "wrong-signature"),
        )
    assert [(one["name"], one["outcome"]) for one in told["checks"]] == [
        ("usual-message", "passed"),
        ("wrong-signature", "skipped"),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Give the listener's key"),
        (("--key", "a", "--unsigned"), "--unsigned stands without"),
        (("--key", ""), "must not be empty"),
        (("--unsigned", "--formats", "json,yaml"), "there is no format 'yaml'"),
        (("--unsigned", "--formats", ","), "--formats names none"),
        (("--unsigned", "--only", "wrong-signatur"), "Did you mean wrong-signature?"),
        (("--unsigned", "--only", "xml", "--skip", "xml"), "leave no check"),
        (("--unsigned", "--only", ""), "leave no check"),
        (("--unsigned", "--probe", "http://10.0.0.1/"), "--probe: "),
        (("--unsigned", "--junit", "/nowhere/at/all.xml"), "/nowhere/at"),
    ],
    ids=str,
)
async def test_what_cannot_be_meant_is_refused_before_anything_is_sent(
    shell: Shell, words: tuple[str, ...], said: str
) -> None:
    done = await shell.run("verify", "http://127.0.0.1:9009/", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())


async def test_s1_the_kit_goes_where_the_guard_lets_it(shell: Shell) -> None:
    for url in ("http://10.0.0.1/", "http://169.254.169.254/", "ftp://127.0.0.1/"):
        done = await shell.run("verify", url, "--unsigned")
        assert (done.exit_code, done.stdout) == (2, "")


async def test_a_probe_must_tell_a_number(shell: Shell, keys: str) -> None:
    with listening() as base:
        good = await shell.run(
            *("verify", base, "--key-file", keys, "--probe", f"{base}/count", "--only", "xml")
        )
        assert good.exit_code == 1  # nothing was played: xml is not among the formats
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with listening() as base:
        done = await shell.run(
            *("verify", base, "--key-file", keys, "--probe", f"http://127.0.0.1:{port}/")
        )
    assert done.exit_code == 2
    assert "answers no number" in done.stderr


async def test_the_checks_are_listed(shell: Shell) -> None:
    listed = await shell.run("verify", "--list")
    names = [line.split()[0] for line in listed.stdout.splitlines() if line.startswith("  ")]
    assert (listed.exit_code, names) == (0, list(CHECKS))


async def test_all_manners_of_sending_go_over_tls_too(
    shell: Shell, keys: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority()
    (tmp_path / "ca.pem").write_text(authority.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    names = (
        *("usual-message", "wrong-signature", "race-once", "cut-once", "half-then-whole"),
        *("documents", "slow-writing"),
    )
    with listening(tls=serving(authority.pair("localhost"), tmp_path)) as base:
        told = await shell.json(
            *("verify", f"{base}/hook", "--key-file", keys, "--probe", f"{base}/count"),
            *("--within", "2", "--only", ",".join(names)),
        )
    assert [(one["name"], one["said"]) for one in told["checks"] if one["said"]] == []
    assert told["passed"] == len(names)
    monkeypatch.delenv("SSL_CERT_FILE")
    with listening(tls=serving(authority.pair("localhost"), tmp_path)) as base:
        done = await shell.run("verify", base, "--key-file", keys)
    assert done.exit_code == 3
    assert "unknown CA" in done.stderr or "not trusted" in done.stderr
