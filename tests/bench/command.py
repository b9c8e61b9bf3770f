"""What the commands of the benchmarks share: options, and a folder and an engine to run on."""

from __future__ import annotations

import contextlib
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from tests.postgres_server import DURABLE, postgres_server


def parser(name: str, description: str | None) -> ArgumentParser:
    """The options `--engine`, `--folder` and `--json` of `python -m tests.bench.<name>`."""
    made = ArgumentParser(prog=f"python -m tests.bench.{name}", description=description)
    made.add_argument("--engine", choices=("sqlite", "postgres"), default="sqlite")
    made.add_argument("--folder", type=Path, help="where the database is made, on a real disk")
    made.add_argument("--json", action="store_true")
    return made


@contextlib.contextmanager
def place(given: Namespace) -> Iterator[tuple[Path, list[str]]]:
    """A folder, and the options of a server on the engine, for the time of the block."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=given.folder)))
        options = []
        if given.engine == "postgres":
            server = stack.enter_context(postgres_server(**DURABLE))
            options += ["--database-url", server.url, "--processes", "1"]
        yield folder, options
