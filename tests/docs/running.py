"""Runs the blocks of a page in order: one process a language, as in one terminal each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.busy import hang
from tests.docs.pages import RUNNABLE, Block
from tests.needed import program
from tests.sdk import node_program

_MARK: Final = "\x1e"
_PATIENCE: Final = 120.0
"""Seconds that a block may take: some start servers, or send a listener all that there is."""
_MOST_SHOWN: Final = 2000
"""Characters: the SDK for Node throws errors of thousands of lines."""

# Each process waits before a block until it is told to go on, and marks where the block's
# output ends.
_BASH: Final = r"""
set -euo pipefail
next_block() { printf '\036'; read -r _; }
"""
_PYTHON: Final = r"""
import sys as _sys
def next_block():
    _sys.stdout.write("\x1e")
    _sys.stdout.flush()
    _sys.stdin.readline()
"""
_NODE: Final = r"""
import { createInterface as _interface } from "node:readline";
const _lines = _interface({ input: process.stdin })[Symbol.asyncIterator]();
async function nextBlock() {
  process.stdout.write("\x1e");
  await _lines.next();
}
"""


@dataclass(frozen=True)
class _Language:
    prelude: str
    pause: str
    file: str
    command: Sequence[str]


def _language(name: str) -> _Language:
    match name:
        case "bash":
            for needed in ("curl", "jq", "openssl"):
                program(needed)
            return _Language(_BASH, "next_block", "blocks.sh", (program("bash"),))
        case "python":
            return _Language(_PYTHON, "next_block()", "blocks.py", (sys.executable, "-u"))
        case _:
            command = (node_program.node(),)
            return _Language(_NODE, "await nextBlock();", "blocks.mjs", command)


class BlockFailed(AssertionError):
    """A block ended its process, or did not end."""


class _Process:
    """All blocks of one language."""

    def __init__(self, process: asyncio.subprocess.Process, errors: Path) -> None:
        self._process = process
        self._errors = errors

    async def run_next(self) -> str:
        """Run the next block; what it wrote to standard output."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return await self.until_mark()

    async def until_mark(self) -> str:
        assert self._process.stdout is not None
        try:
            async with hang(_PATIENCE):
                found = await self._process.stdout.readuntil(_MARK.encode())
        except asyncio.IncompleteReadError as ended:
            raise BlockFailed(
                f"the block failed; it wrote:\n{ended.partial.decode()}\n"
                f"and to standard error:\n{self._errors.read_text()[:_MOST_SHOWN]}"
            ) from None
        except TimeoutError:
            told = self._errors.read_text()[:_MOST_SHOWN]
            raise BlockFailed(f"no end within {_PATIENCE} s: {told}") from None
        return found.decode().removesuffix(_MARK)


class Runner:
    """Runs blocks in a folder, which is where a reader would be.

    Args:
        folder: The current directory of every block.
        environment: Variables that a reader has set.
        ports: What stands for a port of the pages, which another program may have here.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], ports: Mapping[str, str]
    ) -> None:
        self._folder = folder
        self._ports = ports
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HELIO", "PYTEST_"))
        }
        # Whoever has Heliograph installed has its commands in the path.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**own, "PATH": path, "COLUMNS": "100", **environment}

    async def run(self, blocks: Sequence[Block]) -> AsyncIterator[tuple[Block, str]]:
        """Run blocks one after the other; each with what it wrote to standard output.

        Raises:
            BlockFailed: naming the line of the page.
        """
        async with AsyncExitStack() as stack:
            processes = {}
            for name in RUNNABLE:
                own = [one.text for one in blocks if one.language == name and not one.file_name]
                if own:
                    processes[name] = await self._start(stack, name, own)
            for block in blocks:
                if block.file_name:
                    await asyncio.to_thread(self._save, block)
                elif block.language in processes:
                    try:
                        written = await processes[block.language].run_next()
                    except BlockFailed as failed:
                        where = f"line {block.line + 1}"
                        raise BlockFailed(f"{where}: {failed}\n{block.text}") from None
                    yield block, written

    def _save(self, block: Block) -> None:
        assert block.file_name is not None
        file = self._folder / block.file_name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self._with_ports(block.text), encoding="utf-8")

    def _with_ports(self, text: str) -> str:
        for usual, here in self._ports.items():
            text = text.replace(usual, here)
        return text

    async def _start(self, stack: AsyncExitStack, name: str, texts: Sequence[str]) -> _Process:
        language = await asyncio.to_thread(_language, name)
        source = self._with_ports(f"{language.pause}\n".join(texts))
        file = self._folder / language.file
        file.write_text(f"{language.prelude}{language.pause}\n{source}\n{language.pause}\n")
        errors = self._folder / f"{name}.errors"
        if name == "javascript":
            modules = self._folder / "node_modules"
            modules.symlink_to(node_program.FOLDER / "node_modules")
        process = await asyncio.create_subprocess_exec(
            *(*language.command, str(file)),
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stack.enter_context(errors.open("wb")),
            limit=2**24,
            start_new_session=True,
        )
        stack.push_async_callback(_end, process)
        started = _Process(process, errors)
        await started.until_mark()
        return started


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process and what its blocks have left in the background."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        async with hang(_PATIENCE / 4):
            await process.communicate()
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
