"""The commands run in this process, and a server in one of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from heliograph.cli import main
from tests.busy import hang

COMMAND = (sys.executable, "-m", "heliograph.cli")
ESCAPE = "\x1b]0;owned\x07\x1b[2J\u009b31m[red]\u202e"


@dataclass
class Shell:
    """Runs commands in this process, for one server; the event loop goes on meanwhile."""

    data_dir: Path
    env: dict[str, str] = field(default_factory=dict)

    async def run(self, *arguments: str, stdin: str | bytes | None = None) -> Result:
        env = {"HELIOGRAPH_DATA_DIR": str(self.data_dir), "COLUMNS": "80", **self.env}
        runner = CliRunner(env=env)
        return await asyncio.to_thread(runner.invoke, main, arguments, input=stdin)

    async def json(self, *arguments: str) -> Any:
        done = await self.run(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    async def records(self, kind: str, connect_id: str, count: int) -> list[dict[str, str]]:
        """The records of a configuration, as soon as there are `count`."""
        async with hang(20):
            while True:
                found = await self.json(kind, "list", "--connect-id", connect_id)
                if len(found[kind]) == count:
                    records: list[dict[str, str]] = found[kind]
                    return records


def start_server(data_dir: Path, *more: str) -> subprocess.Popen[str]:
    arguments = ["serve", "--port", "0", "--data-dir", str(data_dir), "--egress", "emulator"]
    with (data_dir.parent / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*COMMAND, *arguments, "--i-accept-data-loss", *more],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    first = process.stdout.readline()
    assert "listens on http://127.0.0.1:" in first, (data_dir.parent / "server.log").read_text()
    return process


@contextmanager
def running_server(data_dir: Path) -> Iterator[Path]:
    """A server of this data directory, which ends in order."""
    with start_server(data_dir) as process:
        yield data_dir
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def write(folder: Path, *events: dict[str, Any]) -> str:
    file = folder / "events.ndjson"
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    return str(file)
