"""What the person on call asks first, against a real server process and a real listener."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from heliograph.cli import main
from tests.listener import LoopbackListener
from tests.service.cli.shell import COMMAND, Shell, write
from tests.support import published


async def failing(shell: Shell, listener: LoopbackListener, folder: Path, crm: str, n: int) -> None:
    listener.status = 500
    events = [published(envelope_id=f"night-{at}") for at in range(n)]
    await shell.run("publish", write(folder, *events))
    await shell.records("failures", crm, n)


async def test_the_status_says_what_fails_since_when_and_what_to_do(
    shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path
) -> None:
    well = await shell.run("status")
    assert (well.exit_code, well.stdout.startswith("Well: http://127.0.0.1:")) == (0, True)

    await failing(shell, listener, tmp_path, crm, 2)
    told = await shell.run("status")
    assert told.exit_code == 1
    said = " ".join(told.stdout.split())
    assert said.startswith("NOT WELL: 2 open failures since ")
    assert f"{crm} crm: status: HTTP 500, 2 failures since " in said
    assert "heliograph failures show " in said
    asked = await shell.run("status", "--json")
    assert asked.exit_code == 1
    document = json.loads(asked.stdout)
    (incident,) = document["incidents"]
    assert (document["well"], document["failures"]) == (False, 2)
    assert (incident["cause"], incident["failures"]) == ("status: HTTP 500", "2")
    assert incident["connectId"] == crm
    again = f"heliograph republish start --incident-id {incident['incidentId']}"
    assert again in said

    of_crm = await shell.run("configurations", "show", crm)
    assert "State publishing, 2 open failures" in " ".join(of_crm.stdout.split())
    warned = " ".join(of_crm.stderr.split())
    assert warned.startswith("Warning: 2 open failures since ")
    assert "status: HTTP 500, 2 failures since " in warned
    assert f"Then: `{again}`." in warned
    doctor = " ".join((await shell.run("doctor")).stdout.split())
    assert "failures ok WARNING 2 open failures since " in doctor
    assert f"{crm} (crm): status: HTTP 500, 2 failures since " in doctor

    await shell.run("incidents", "acknowledge", incident["incidentId"], "--note", "their deploy")
    said = " ".join((await shell.run("status")).stdout.split())
    assert "(seen by first-administrator: their deploy)" in said

    await shell.run("configurations", "update", crm, "--pause")
    paused = await shell.run("status")
    assert f"{crm} crm is paused: `heliograph configurations update {crm} --resume`." in (
        " ".join(paused.stdout.split())
    )
    await shell.run("failures", "delete", "--connect-id", crm, "--yes")
    # Somebody has meant it.
    assert (await shell.run("status")).exit_code == 0


async def test_without_a_server_the_status_is_not_that_all_is_well(
    shell: Shell, unused_tcp_port: int
) -> None:
    shell.env = {
        "HELIOGRAPH_BASE_URI": f"http://127.0.0.1:{unused_tcp_port}",
        "HELIOGRAPH_ACCOUNT_ID": "1",
        "HELIOGRAPH_ACCESS_TOKEN": "token",
    }
    assert (await shell.run("status")).exit_code == 3


async def test_nothing_to_do_says_so_and_what_stays_says_why(
    shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path
) -> None:
    for done, said in (
        (await shell.run("failures", "republish", "--connect-id", crm), "Nothing to send"),
        (await shell.run("failures", "delete", "--connect-id", crm), "Nothing to delete"),
        (await shell.run("logs", "resend", "--connect-id", crm), "Nothing to send"),
    ):
        assert (done.exit_code, done.stdout, said in done.stderr) == (0, "", True)
    await failing(shell, listener, tmp_path, crm, 2)
    await shell.run("configurations", "update", crm, "--pause")
    held = await shell.run("failures", "republish", "--connect-id", crm)
    said = " ".join(held.stdout.split())
    assert said.startswith("0 failures queued to be sent now. 2 cannot be sent now: ")
    assert "The configuration is paused" in said
    document = await shell.json("failures", "republish", "--connect-id", crm)
    (reason,) = document["unchangedReasons"]
    assert (document["changed"], reason["count"]) == ("0", "2")


async def test_what_is_to_be_deleted_is_known_before_it_is_asked_about(
    shell: Shell, crm: str
) -> None:
    unknown = await shell.run("configurations", "delete", "4711")
    assert (unknown.exit_code, "[y/N]" in unknown.output) == (4, False)
    asked = await shell.run("configurations", "delete", crm)
    assert f"Delete configuration {crm} (crm, http://127.0.0.1:" in asked.stderr
    assert (asked.exit_code, "Say --yes if it is meant." in asked.stderr) == (2, True)


NOBODY = str(uuid.UUID(int=0))


@pytest.mark.parametrize(
    "unknown",
    [
        ("tokens", "revoke", "4711"),
        ("users", "close", NOBODY),
        ("users", "close", "nobody@example.com"),
        ("groups", "delete", "nobody"),
        ("groups", "delete", "4711"),
        ("hmac-keys", "delete", "4711"),
        ("applications", "delete", NOBODY),
        ("applications", "remove-key", NOBODY, "4711"),
        ("applications", "remove-secret", NOBODY, "4711"),
        ("applications", "withdraw", NOBODY, NOBODY),
        ("historical", "cancel", NOBODY),
        ("republish", "cancel", "4711"),
        ("connect-oauth", "delete"),
        ("client-certificate", "delete"),
        ("incidents", "acknowledge", "4711"),
        ("failures", "delete", "4711"),
        ("logs", "delete", "4711"),
    ],
    ids=" ".join,
)
async def test_nobody_is_asked_about_what_there_is_not(
    shell: Shell, unknown: tuple[str, ...]
) -> None:
    told = await shell.run(*unknown)
    assert told.exit_code in (2, 4), told.output
    assert "[y/N]" not in told.output
    assert "--yes" not in told.output
    assert told.stderr.startswith(("Error: There is no ", "Error: The account has no ")), (
        told.stderr
    )


async def test_a_question_names_what_would_go(
    shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path
) -> None:
    await failing(shell, listener, tmp_path, crm, 1)
    token = await shell.json("tokens", "add", "night")
    await shell.json(*("users", "add", "--name", "Ada Lovelace", "--email", "ada@night.example"))
    group = (await shell.json("groups", "add", "night"))["groups"][0]
    key = await shell.json("hmac-keys", "create")
    application = await shell.json("applications", "add", "Night shift")
    secret = await shell.json("applications", "add-secret", application["integrationKey"])
    ours = application["integrationKey"]
    for command, said in (
        (("configurations", "delete", crm), f"Delete configuration {crm} (crm, http://127"),
        (("configurations", "delete", crm), "1 open failure)?"),
        (("tokens", "revoke", token["tokenId"]), "the viewer's token night will be refused"),
        (("users", "close", "ada@night.example"), "Close Ada Lovelace (ada@night.example)"),
        (("groups", "delete", "night"), f"Delete group {group['groupId']} (night)?"),
        (("groups", "delete", group["groupId"]), f"Delete group {group['groupId']} (night)?"),
        (("hmac-keys", "delete", key["keyId"]), "nothing is signed any more. Go on?"),
        (("applications", "delete", ours), "the application Night shift is refused"),
        (("applications", "remove-secret", ours, secret["secretId"]), "secret of Night shift"),
    ):
        asked = await shell.run(*command)
        text = " ".join(asked.stderr.split())
        assert said in text, asked.output
        assert (asked.exit_code, "Say --yes if it is meant." in text) == (2, True)
    for command in (
        ("tokens", "revoke", token["tokenId"]),
        ("users", "close", "ada@night.example"),
        ("groups", "delete", "night"),
        ("hmac-keys", "delete", key["keyId"]),
        ("applications", "delete", ours),
    ):
        done = await shell.run(*command, stdin="y\n")
        assert done.exit_code == 0, done.output


async def test_a_command_or_an_event_that_is_nearly_one_is_named(shell: Shell, crm: str) -> None:
    told = await shell.run("failure", "list")
    assert (told.exit_code, "Did you mean 'failures'?" in told.stderr) == (2, True)
    nothing = await shell.run("qqqqq")
    assert (nothing.exit_code, "Did you mean" in nothing.stderr) == (2, False)
    typo = await shell.run("configurations", "update", crm, "--event", "envelope-complete")
    assert "Did you mean envelope-completed?" in " ".join(typo.stderr.split())
    own = await shell.run("configurations", "update", crm, "--event", "order.shipped")
    assert "Did you mean" not in own.stderr


async def test_the_beginning_that_the_help_shows_works(shell: Shell) -> None:
    told = (await shell.run("--help")).stdout
    assert "heliograph serve --data-dir ./hg --egress emulator" in told
    for words in ("demo", "listen", "configurations test 1", "status"):
        assert f"heliograph {words}\n" in told


async def test_who_may_not_publish_is_not_told_to_go_on(
    shell: Shell, crm: str, tmp_path: Path
) -> None:
    viewer = await shell.json("tokens", "add", "night-viewer")
    shell.env = {"HELIOGRAPH_ACCESS_TOKEN": viewer["accessToken"]}
    refused = await shell.run("publish", write(tmp_path, published()))
    shell.env = {}  # what deletes the configuration is no viewer
    assert (refused.exit_code, "USER_LACKS_PERMISSIONS" in refused.stderr) == (4, True)
    assert "Nothing was published." in refused.stderr
    assert "--key" not in refused.stderr


async def test_what_a_program_reads_has_no_broken_line(
    data_dir: Path, shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path
) -> None:
    listener.status = 500
    envelope_id = "night " * 16 + "end"
    await shell.run("publish", write(tmp_path, published(envelope_id=envelope_id)))
    (failure,) = await shell.records("failures", crm, 1)
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    shown = await asyncio.create_subprocess_exec(
        *(*COMMAND, "failures", "show", failure["failureId"]),
        env={**env, "HELIOGRAPH_DATA_DIR": str(data_dir)},
        stdout=subprocess.PIPE,
    )
    whole, _ = await shown.communicate()
    assert f"Envelope       {envelope_id}\n" in whole.decode()
    narrow = (await shell.run("failures", "show", failure["failureId"])).stdout
    assert f'"envelopeId": "{envelope_id}"' in narrow, "it is copied from a terminal as well"


@pytest.mark.parametrize(
    ("shell_name", "place"),
    [
        ("bash", ".local/share/bash-completion/completions/heliograph"),
        ("zsh", ".zfunc/_heliograph"),
        ("fish", ".config/fish/completions/heliograph.fish"),
    ],
)
async def test_the_shell_completes_commands_once_it_is_installed(
    shell: Shell, tmp_path: Path, shell_name: str, place: str
) -> None:
    shell.env = {"HOME": str(tmp_path), "SHELL": f"/usr/bin/{shell_name}"}
    shell.env |= {"XDG_DATA_HOME": "", "XDG_CONFIG_HOME": ""}
    assert (await shell.run("completion", "install")).exit_code == 0
    script = (tmp_path / place).read_text()
    assert f"_HELIOGRAPH_COMPLETE={shell_name}_complete" in script
    assert (await shell.run("completion", "show")).stdout.strip() == script.strip()
    shell.env["SHELL"] = "/bin/sh"
    unknown = await shell.run("completion", "install")
    assert (unknown.exit_code, "--shell" in unknown.stderr) == (2, True)


@pytest.mark.parametrize(("typed", "meant"), [("fail", "failures"), ("stat", "status")])
def test_what_is_completed_is_what_there_is(typed: str, meant: str) -> None:
    asked = {"_HELIOGRAPH_COMPLETE": "bash_complete", "COMP_CWORD": "1"}
    done = subprocess.run(
        (sys.executable, "-c", "from heliograph.cli import main; main(prog_name='heliograph')"),
        env={**os.environ, **asked, "COMP_WORDS": f"heliograph {typed}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [f"plain,{meant}"], done.stderr


def test_behind_a_mistyped_command_the_shell_completes_without_an_error() -> None:
    completing = BashComplete(main, {}, "heliograph", "_HELIOGRAPH_COMPLETE")
    assert "failures" in {item.value for item in completing.get_completions(["fialures"], "")}


async def test_a_sample_is_published_by_the_name_of_its_event(
    shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path
) -> None:
    done = await shell.run("publish", "--sample", "envelope-sent")
    assert "Published 1 event: 1 new, 0 repeated; 1 delivery." in done.stdout
    await listener.until(lambda received: len(received) == 1)
    assert listener.received[0].message["event"] == "envelope-sent"
    for neither in ((), ("--sample", "envelope-sent", write(tmp_path, published()))):
        refused = await shell.run("publish", *neither)
        assert (refused.exit_code, "Give a FILE" in refused.stderr) == (2, True)
