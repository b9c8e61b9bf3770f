"""An installation of one or more server processes, which are started, killed and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil

from heliograph.access.credentials_file import Credentials
from tests.busy import hang
from tests.chaos.checker import Lapse
from tests.chaos.engines import Engine, Postgres, Sqlite

KINDS = ("sqlite-1", "postgres-1", "postgres-3", "postgres-1x2")
"""What can be under test: an engine, how many servers, and where it is not one how many processes
each has."""

START_SECONDS = 30.0
LEASE_SECONDS = 4.0
"""Short, so that a take-over is seen soon; what is promised grows with it."""

ATTEMPT_SECONDS = 4.0

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def _die_with_us() -> None:
    """Runs in the new process: a suite that is killed leaves no servers behind."""
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


class DidNotStart(Exception):
    """A server that ended instead of answering; the text is the end of its log."""


@dataclass
class Node:
    """One server process, again and again on the same data directory."""

    name: str
    folder: Path
    engine: Engine
    processes: int = 1
    options: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()
    module: str = "heliograph.cli"
    base_uri: str = ""
    process: Process | None = None
    up: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def running(self) -> bool:
        """Whether the process is there, stopped with SIGSTOP or not."""
        return self.process is not None and self.process.returncode is None

    @property
    def log(self) -> Path:
        """Standard error of every process that ran here."""
        return self.folder / "server.log"

    def command(self) -> list[str]:
        """How the server is started."""
        return [
            *self.prefix,
            *(sys.executable, "-m", self.module, "serve", "--port", "0"),
            *("--data-dir", str(self.folder), "--egress", "emulator"),
            *("--fidelity", "relaxed"),
            *("--lease", str(LEASE_SECONDS), "--attempt-timeout", str(ATTEMPT_SECONDS)),
            *("--processes", str(self.processes)),
            *("--i-accept-data-loss", *self.engine.arguments(), *self.options),
        ]

    async def start(self, **environment: str) -> None:
        """Start, and return once it answers.

        Raises:
            DidNotStart: it ended, or said nothing in time.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        # A group of its own: what stands in front of the server is signalled with it.
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command(),
                env={**os.environ, **self.environment, **environment},
                stdout=PIPE,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_us,
            )
        assert self.process.stdout is not None
        with contextlib.suppress(TimeoutError):
            async with hang(START_SECONDS):
                while line := await self.process.stdout.readline():
                    if found := re.search(rb"http://[\d.]+:\d+", line):
                        self.base_uri = found[0].decode()
                        self.up.set()
                        return
        await self.kill()
        raise DidNotStart(self.log.read_text(errors="replace")[-800:])

    async def ended(self, within: float | None = None) -> int:
        """Wait until the process has ended by itself, in so many seconds if any; its status."""
        assert self.process is not None
        async with hang(30.0) if within is None else asyncio.timeout(within):
            status = await self.process.wait()
        self.up.clear()
        return status

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and what stands in front of it."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    async def kill(self) -> None:
        """As kill -9."""
        self.up.clear()
        if self.running:
            behind = self.behind_port() if self.processes > 1 else []
            self.signal(signal.SIGKILL)
            await self.ended()
            for process in behind:
                await self.without(process)

    async def stop(self) -> int:
        """SIGTERM, and its exit status."""
        self.up.clear()
        assert self.process is not None
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate() if not self.prefix else self.signal(signal.SIGTERM)
        return await self.ended()

    def pause(self) -> None:
        """Stop the process where it stands; the kernel goes on taking connections for it."""
        self.up.clear()
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)
        self.up.set()

    @property
    def process_id(self) -> int:
        """Its process's, that of the one that watches where there are several."""
        assert self.process is not None
        return self.process.pid

    def behind_port(self) -> list[int]:
        """The ids of the processes behind its port, where there are several."""
        return [one.pid for one in psutil.Process(self.process_id).children()]

    async def senders(self) -> list[int]:
        """The ids of its sender processes that post, once there is one."""
        assert self.process is not None
        server = psutil.Process(self.process.pid)
        async with hang(60):
            while True:
                found = [one.pid for one in server.children() if one.net_connections("tcp")]
                if found:
                    return found
                await asyncio.sleep(0.02)

    async def without(self, sender: int) -> None:
        """Once another process of its is there no more."""
        async with hang(60):
            while Path(f"/proc/{sender}").exists():
                await asyncio.sleep(0.02)

    def lapses(self) -> list[Lapse]:
        """Each time that it gave up its sends because it could not renew its lease."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            # A kill may have cut the last line of a process short.
            if ('"sends_given_up"' in line or '"lease_lost"' in line) and line.endswith("}"):
                said = json.loads(line)
                at = datetime.fromisoformat(said["timestamp"])
                found.append(Lapse(int(at.timestamp() * 1e9), self.name, said["deliveries"]))
        return found

    def in_flight(self) -> int:
        """What it has claimed and not settled."""
        return self.engine.in_flight(self.folder)


@dataclass
class Installation:
    """Nodes on one database, with one master key and one account."""

    folder: Path
    engine: Engine
    nodes: list[Node]

    @property
    def first(self) -> Node:
        return self.nodes[0]

    @property
    def credentials(self) -> Credentials:
        """The first node made the account; every node knows it."""
        return Credentials.read(self.first.folder)

    def answering(self) -> list[Node]:
        """The nodes that take calls now."""
        return [node for node in self.nodes if node.up.is_set() and node.running]

    async def start(self) -> None:
        """Start every node that is not running, the first one first."""
        for node in self.nodes:
            if not node.running:
                if node is not self.first:
                    node.folder.mkdir(parents=True, exist_ok=True)
                    shutil.copy(self.first.folder / "master.key", node.folder)
                await node.start()

    async def close(self) -> None:
        """End whatever still runs."""
        for node in self.nodes:
            if node.running:
                node.signal(signal.SIGCONT)
                await node.kill()


def make(
    kind: str,
    folder: Path,
    *,
    engine: Engine | None = None,
    change: Callable[[Node], None] | None = None,
) -> Installation:
    """An installation that is not started yet.

    Args:
        kind: One of `KINDS`.
        folder: Where its data directories are made.
        engine: A database to use instead of a new one.
        change: Is given each node, to set options, environment or prefix.
    """
    name, _, counts = kind.partition("-")
    count, _, processes = counts.partition("x")
    if engine is None:
        engine = Sqlite(folder) if name == "sqlite" else Postgres.started()
    nodes = [
        Node(f"node-{number}", folder / f"node-{number}", engine, int(processes or 1))
        for number in range(1, int(count) + 1)
    ]
    for node in nodes:
        if change is not None:
            change(node)
    return Installation(folder, engine, nodes)
