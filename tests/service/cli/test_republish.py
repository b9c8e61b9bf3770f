"""`heliograph republish` against a real server process and a real listener."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.busy import hang
from tests.listener import LoopbackListener
from tests.service.cli.shell import COMMAND, Shell, running_server, write
from tests.support import published


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A server of the test's own: the numbers of its jobs begin with 1."""
    with running_server(tmp_path / "data") as folder:
        yield Shell(folder)


async def failures(shell: Shell, listener: LoopbackListener, folder: Path, count: int) -> str:
    """So many failures of one configuration, which are not tried again by themselves."""
    file = folder / "crm.json"
    wanted = {
        "name": "crm",
        "urlToPublishTo": f"{listener.base}/hook",
        "allUsers": "true",
        "configurationType": "custom",
        "deliveryMode": "SIM",
        "eventData": {"version": "restv2.1"},
        "events": ["envelope-sent"],
        "retrySchedule": ["86400"],
    }
    file.write_text(json.dumps(wanted))
    made = await shell.json("configurations", "create", "--file", str(file))
    listener.status = 500
    await shell.run(
        "publish", write(folder, *(published(envelope_id=f"env-{n}") for n in range(count)))
    )
    await shell.records("failures", made["connectId"], count)
    connect_id: str = made["connectId"]
    return connect_id


async def test_a_job_is_previewed_started_and_followed_to_its_end(
    shell: Shell, listener: LoopbackListener, tmp_path: Path
) -> None:
    crm = await failures(shell, listener, tmp_path, 3)
    shown = await shell.run("republish", "start", "--connect-id", crm, "--rate", "2", "--dry-run")
    assert (shown.exit_code, "3 failures, created from" in shown.stdout) == (0, True)
    assert "At this rate it takes about 2 s." in shown.stdout
    assert (await shell.json("republish", "list"))["republishJobs"] == []
    # The listener is still away: one is asked for, and no other.
    stopped = await shell.run("republish", "start", "--connect-id", crm, "--canary", "1")
    assert stopped.exit_code == 1
    assert "A delivery of the canary failed." in stopped.stdout
    listener.status = 200
    resumed = await shell.run("republish", "resume", "1", "--rate", "100")
    assert (resumed.exit_code, "100 a second" in resumed.stdout) == (0, True)
    followed = await shell.run("republish", "show", "1", "--follow")
    assert followed.exit_code == 1  # one of the three has failed in it
    assert "finished" in followed.stdout
    whole = await shell.run("republish", "start", "--connect-id", crm)
    assert (whole.exit_code, "Delivered" in whole.stdout) == (0, True)
    await shell.records("failures", crm, 0)
    nothing = await shell.run("republish", "start", "--all")
    assert (nothing.exit_code, "No failure is meant." in nothing.stderr) == (0, True)
    twice = await shell.run("republish", "start", "--delivered", "--all", "--dry-run")
    assert "3 may arrive twice: Each was delivered already" in twice.stdout
    listed = await shell.run("republish", "list")
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:3]] == ["2", "1"]


async def test_a_job_is_paused_and_cancelled_and_what_has_ended_says_so(
    shell: Shell, listener: LoopbackListener, tmp_path: Path
) -> None:
    crm = await failures(shell, listener, tmp_path, 4)
    job = await shell.json("republish", "start", "--connect-id", crm, "--rate", "1")
    paused = await shell.run("republish", "pause", job["jobId"])
    assert (paused.exit_code, "Paused by first-administrator." in paused.stdout) == (0, True)
    unsaid = await shell.run("republish", "cancel", job["jobId"])
    assert (unsaid.exit_code, "Say --yes" in unsaid.stderr) == (2, True)
    assert (await shell.json("republish", "cancel", job["jobId"], "--yes"))["state"] == "cancelled"
    ended = await shell.run("republish", "resume", job["jobId"])
    assert (ended.exit_code, "REPUBLISH_JOB_ENDED" in ended.stderr) == (4, True)
    assert (await shell.run("republish", "show", "99")).exit_code == 4
    for unclear in ((), ("--all", "--connect-id", crm), ("--all", "--ramp", "5")):
        assert (await shell.run("republish", "start", *unclear)).exit_code == 2


async def test_ctrl_c_leaves_the_job_running_and_says_how_to_follow_it(
    shell: Shell, listener: LoopbackListener, tmp_path: Path
) -> None:
    crm = await failures(shell, listener, tmp_path, 30)
    before = len(listener.received)
    listener.status = 200
    arguments = ("republish", "start", "--connect-id", crm, "--rate", "5", "--yes")
    command = [*COMMAND, *arguments, "--data-dir", str(shell.data_dir)]
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
    try:
        await listener.until(lambda got: len(got) > before, 60)
        process.send_signal(signal.SIGINT)
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 130
    assert b"Job 1 goes on." in said
    assert b"heliograph republish show 1 --follow" in said
    await shell.run("republish", "resume", "1", "--rate", "0")
    async with hang(20):
        while (await shell.json("republish", "show", "1"))["state"] != "finished":
            pass
    assert len(listener.received) == before + 30
