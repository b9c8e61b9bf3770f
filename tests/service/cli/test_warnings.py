"""What will not arrive is said by the commands and by the doctor."""

from __future__ import annotations

import json
from pathlib import Path

from tests.server import serving
from tests.service.cli.shell import Shell
from tests.support import published


async def test_fidelity_no_configuration_is_silent_the_commands_and_the_doctor_say_it(
    tmp_path: Path,
) -> None:
    shell = Shell(tmp_path / "data")
    create = ("configurations", "create", "--name", "typo", "--url", "http://127.0.0.1:4999/")
    async with serving(tmp_path):
        made = await shell.run(*create, "--event", "envelope-complete", "--all-users", "--off")
        assert made.exit_code == 0, made.output
        for done in (
            made,
            await shell.run("configurations", "list"),
            await shell.run("configurations", "update", "1", "--no-log"),
            await shell.run("configurations", "show", "1"),
        ):
            told = " ".join(done.stderr.split())
            assert "Warning: configuration 1: Nothing is sent to it: allowEnvelopePublish" in told
            assert "DocuSign does not have: envelope-complete." in told
        found = await _checked(shell)
        assert "1 (typo): Nothing is sent to it: allowEnvelopePublish is false." in found
        await shell.run("configurations", "delete", "1", "--yes")
        assert await _checked(shell) == "each gets what it asks for"


async def _checked(shell: Shell) -> str:
    """What the doctor says of the configurations, which never makes it fail."""
    checks = json.loads((await shell.run("doctor", "--json")).stdout)["checks"]
    (check,) = [check for check in checks if check["name"] == "configurations"]
    assert check["passed"]
    found: str = check["found"]
    return found


async def test_publish_warns_of_what_will_not_arrive_at_a_notification(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "data")
    hook = {"url": "http://127.0.0.1:4999/", "events": ["envelope-complete", "envelope-sent"]}
    event = json.dumps(published(eventNotification=hook))
    async with serving(tmp_path):
        done = await shell.run("publish", "-", stdin=event)
        assert done.exit_code == 0, done.output
        assert "DocuSign does not have: envelope-complete." in " ".join(done.stderr.split())
        told = (await shell.run("publish", "-", "--json", stdin=event)).stdout
        # The server of this process logs there too.
        assert len(json.loads(told.splitlines()[-1])["warnings"]) == 1


async def test_publish_tells_the_first_who_do_not_get_an_event_and_counts_the_others(
    tmp_path: Path,
) -> None:
    shell = Shell(tmp_path / "data")
    create = ("configurations", "create", "--url", "http://127.0.0.1:4999/", "--all-users")
    events = "\n".join(json.dumps(published(envelope_id=f"env-{n}")) for n in range(2))
    async with serving(tmp_path):
        for number in range(12):
            named = ("--name", f"c-{number}", "--event", "envelope-voided")
            assert (await shell.run(*create, *named)).exit_code == 0
        done = await shell.run("publish", "-", stdin=events)
        assert done.exit_code == 0, done.output
        assert "c-9" in done.stdout
        assert "c-10" not in done.stdout
        assert "and 4 more times a configuration did not get an event" in done.stdout
        told = (await shell.run("publish", "-", "--json", stdin=events)).stdout
        summary = json.loads(told.splitlines()[-1])
        assert (summary["skips"], len(summary["skipped"])) == (24, 10)
