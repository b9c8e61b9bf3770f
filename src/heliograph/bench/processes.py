"""The processes that a bench starts: each ends with its block, whatever happens in it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from heliograph.access.credentials_file import Credentials
from heliograph.errors import HeliographError
from heliograph.settings import environment_without_settings

_GRACE: Final = 20.0
"""Seconds that a process has to end by itself."""

Answer = TypeVar("Answer")


class BenchFailed(HeliographError):
    """A process that the bench has started does not do what it is for."""


class Child:
    """A process that takes orders: the module's `obey` reads them."""

    def __init__(self, module: str, process: subprocess.Popen[bytes]) -> None:
        self._module = module
        self._process = process
        self.id = process.pid

    def send(self, order: Any) -> None:
        """Give an order; `receive` has its answer.

        Raises:
            BenchFailed: the process has ended.
        """
        assert self._process.stdin is not None  # noqa: S101 (for mypy: it was asked for)
        try:
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def receive(self, kind: type[Answer]) -> Answer:
        """The answer to the oldest order that has none.

        Raises:
            BenchFailed: the process has ended.
        """
        assert self._process.stdout is not None  # noqa: S101 (as above)
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        return msgspec.json.decode(line, type=kind)

    def ask(self, order: Any, kind: type[Answer]) -> Answer:
        """Give an order, and wait for its answer."""
        self.send(order)
        return self.receive(kind)

    def tell(self, order: Any) -> None:
        """Give an order that has nothing to answer, and wait until it is carried out."""
        self.ask(order, type(None))

    def _ended(self) -> BenchFailed:
        return BenchFailed(f"{self._module} ended by itself: see what it says above.")


@contextlib.contextmanager
def child(module: str) -> Iterator[Child]:
    """A process of a module of this package, which takes orders."""
    with _process(
        [sys.executable, "-m", f"{__package__}.{module}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment_without_settings(),
    ) as process:
        yield Child(module, process)


def command(*words: str) -> float:
    """Run a command of `heliograph` to its end; the seconds that it took.

    Raises:
        BenchFailed: it fails.
    """
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "heliograph.cli", *words],
        env=environment_without_settings(),
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != 0:
        raise BenchFailed(f"heliograph {words[0]} ended with {done.returncode}.")
    return time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Node:
    """A `heliograph serve` that answers."""

    id: int
    credentials: Credentials
    seconds: float
    """Until it answered."""


@contextlib.contextmanager
def node(data_dir: Path, environment: Mapping[str, str], options: Sequence[str]) -> Iterator[Node]:
    """A server, from when it answers until it has stopped in order; its log lies beside its data.

    Raises:
        BenchFailed: it does not start.
    """
    log, began = data_dir.with_suffix(".log"), time.monotonic()
    words = [sys.executable, "-m", "heliograph.cli", "serve", "--port", "0"]
    words += [
        "--data-dir",
        str(data_dir),
        "--egress",
        "emulator",
        "--fidelity",
        "relaxed",
        *options,
    ]
    with (
        log.open("ab") as file,
        _process(
            words,
            stdout=subprocess.PIPE,
            stderr=file,
            env={**environment_without_settings(), **environment},
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101 (for mypy: it was asked for)
        for line in process.stdout:
            if b"Stop" in line:
                break
        else:
            said = log.read_text(errors="replace").strip() or "no word of why"
            raise BenchFailed(f"The server did not start: {said[-2000:]}")
        yield Node(process.pid, Credentials.read(data_dir), time.monotonic() - began)


@contextlib.contextmanager
def _process(words: Sequence[str], **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    # In a group of its own, with whatever it starts: Ctrl-C is for the bench, which ends them all.
    process = subprocess.Popen(words, process_group=0, **how)
    try:
        yield process
        if process.stdin is not None:
            process.stdin.close()  # nothing more to do
        else:
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
