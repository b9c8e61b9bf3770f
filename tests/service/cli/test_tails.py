"""`logs tail` and `events tail`: commands of their own, a server that comes and goes."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.busy import hang
from tests.listener import LoopbackListener
from tests.service.cli.shell import COMMAND, ESCAPE, Shell, start_server, write
from tests.support import published


@dataclass
class Tail:
    process: asyncio.subprocess.Process

    async def line(self) -> str:
        assert self.process.stdout is not None
        async with hang(20):
            return (await self.process.stdout.readline()).decode().rstrip("\n")

    async def said(self, text: str) -> None:
        """Return once a line of standard error has the text."""
        assert self.process.stderr is not None
        async with hang(60):
            while text not in (line := (await self.process.stderr.readline()).decode()):
                assert line, "it ended"


@asynccontextmanager
async def tailing(data_dir: Path, *arguments: str, begun: bool = True) -> AsyncIterator[Tail]:
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, *arguments),
        env={**os.environ, "HELIOGRAPH_DATA_DIR": str(data_dir), "TZ": "UTC"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    tail = Tail(process)
    try:
        if begun:
            await tail.said("Following; Ctrl-C ends it.")
        yield tail
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_posts_are_told_in_a_line_each_until_ctrl_c(
    data_dir: Path, shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path
) -> None:
    async with tailing(data_dir, "logs", "tail", "--connect-id", crm, "--from", "1h") as tail:
        await shell.run("publish", write(tmp_path, published(envelope_id="tail-1")))
        told = await tail.line()
        assert told.endswith(f"  ok  {crm:>3}  tail-1  Lease of 12 Harbour Street")
        listener.status = 500
        await shell.run("publish", write(tmp_path, published(envelope_id="tail-2")))
        assert f"  no  {crm:>3}  tail-2  status: 500" in await tail.line()
        tail.process.send_signal(signal.SIGINT)
        await tail.said("Interrupted.")
        async with hang(20):
            assert await tail.process.wait() == 130


async def test_a_program_gets_the_records_and_a_terminal_no_commands(
    data_dir: Path, shell: Shell, tmp_path: Path
) -> None:
    event = published(envelope_id="tail-esc")
    event["data"]["envelopeSummary"]["emailSubject"] = f"{ESCAPE}\nid: 1.1"
    only = ("--envelope-id", "tail-esc", "--from", "1h")
    async with tailing(data_dir, "events", "tail", *only) as lines:
        await shell.run("publish", write(tmp_path, event))
        told = await lines.line()
        assert "  envelope-sent  tail-esc  0 deliveries  " in told
        assert "\x1b" not in told
        async with tailing(data_dir, "events", "tail", "--json", *only) as records:
            record = await records.line()
            assert "\x1b" not in record
            assert json.loads(record)["subject"] == f"{ESCAPE}\nid: 1.1"


async def test_a_server_that_comes_back_is_followed_on_and_nothing_left_out(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    shell = Shell(folder)
    with await asyncio.to_thread(start_server, folder) as first:
        port = (await shell.json("status"))["server"].rpartition(":")[2]
        async with tailing(folder, "events", "tail", "--json") as tail:
            first.send_signal(signal.SIGTERM)
            await tail.said("The server has ended the connection.")
            assert await asyncio.to_thread(first.wait, 20) == 0
            # Where it is looked for.
            with await asyncio.to_thread(start_server, folder, "--port", port) as second:
                await shell.run("publish", write(tmp_path, published(envelope_id="back")))
                assert json.loads(await tail.line())["envelopeId"] == "back"
                await tail.said("Following again.")
                second.send_signal(signal.SIGTERM)


async def test_on_a_terminal_a_row_is_one_line_of_its_width(
    data_dir: Path, shell: Shell, tmp_path: Path
) -> None:
    event = published(envelope_id="tail-wide")
    event["data"]["envelopeSummary"]["emailSubject"] = "word " * 40
    await shell.run("publish", write(tmp_path, event))
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "events", "tail", "--envelope-id", "tail-wide", "--from", "1h"),
        env={**os.environ, "HELIOGRAPH_DATA_DIR": str(data_dir), "COLUMNS": "80"},
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    try:
        async with hang(20):
            told = (await asyncio.to_thread(os.read, ours, 4096)).decode()
    finally:
        process.kill()
        await process.wait()
        os.close(ours)
    assert told.endswith("…\r\n")
    assert len(told.rstrip()) == 80


async def test_who_cannot_follow_is_told_at_once(shell: Shell) -> None:
    shell.env = {"HELIOGRAPH_ACCESS_TOKEN": "nobody's"}
    refused = await shell.run("logs", "tail")
    assert (refused.exit_code, "AUTHORIZATION_INVALID_TOKEN" in refused.stderr) == (4, True)
    typo = await shell.run("logs", "tail", "--to", "1h")
    assert (typo.exit_code, "--to" in typo.stderr) == (2, True)
