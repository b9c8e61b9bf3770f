"""`heliograph publish`: events of a file, in batches that are safe to repeat (R2)."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import secrets
import stat
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final

import click
import msgspec
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from heliograph.access.credentials_file import Credentials
from heliograph.cli.batches import BadEvent, Batch, batches
from heliograph.cli.connection import LINES, Connection, server_options
from heliograph.cli.exits import Exit, Stop, wrong
from heliograph.cli.interrupts import heeded
from heliograph.cli.terminal import (
    Column,
    Row,
    counted,
    notes,
    output,
    print_json,
    print_rows,
    print_text,
)
from heliograph.wire.samples.envelope import Scene
from heliograph.wire.samples.messages import sample

_LONGEST_KEY: Final = 120
_MOST_SKIPS: Final = 20
"""Kinds of skips in the table; a file with many users can have a reason for each."""


@dataclass(slots=True)
class Summary:
    """What a run came to so far.

    `skips` counts each event for each configuration that does not get it; `skipped` are those that
    the answers gave a reason for.
    """

    key: str
    events: int = 0
    deliveries: int = 0
    repeated: int = 0
    skips: int = 0
    skipped: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)

    def add(self, answer: dict[str, Any]) -> None:
        """Count one batch's answer."""
        for event in answer["events"]:
            self.events += 1
            self.deliveries += int(event["deliveries"])
            self.repeated += event["repeated"] == "true"
            self.skips += int(event["skippedCount"])
            self.skipped.update(
                (skip["connectId"], skip["name"], skip["reason"]) for skip in event["skipped"]
            )
            self.warnings.update(event.get("warnings") or ())

    def document(self) -> dict[str, Any]:
        """The summary for programs."""
        return {
            "key": self.key,
            "events": self.events,
            "deliveries": self.deliveries,
            "repeated": self.repeated,
            "skips": self.skips,
            "skipped": [
                {"connectId": connect_id, "name": name, "reason": reason, "events": number}
                for (connect_id, name, reason), number in self.skipped.most_common()
            ],
            "warnings": list(self.warnings),
        }


@click.command(
    epilog="\b\nExamples:\n  heliograph publish events.ndjson\n"
    "  heliograph publish --sample envelope-completed"
)
@click.argument("file", type=click.File("rb", lazy=False), required=False)
@click.option("--sample", "name", help="Instead of a FILE: one event of this name, made up.")
@click.option("--key", help="Resume the run that printed this key: nothing is published twice.")
@click.option(
    "--in-flight",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="Batches sent at once. More than 1 helps where the server is far away, and can put "
    "events of two batches out of order.",
)
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON document.")
@server_options
def publish(
    credentials: Credentials,
    file: BinaryIO | None,
    name: str | None,
    key: str | None,
    in_flight: int,
    as_json: bool,
) -> None:
    """Publish the events of FILE (- for standard input).

    FILE holds one JSON object, an array of them, or one object to a line (NDJSON), which is
    told by its content. Events go out in batches of up to 1,000. A batch that got no answer is
    repeated under the same key, which adds nothing twice.
    """
    if key is not None and not _usable(key):
        raise wrong(f"--key must be 1 to {_LONGEST_KEY} printable ASCII characters.")
    if (file is None) == (name is None):
        raise wrong("Give a FILE (- for standard input) or --sample, one of them.")
    file = file or made_up([sample(name or "", Scene(str(uuid.uuid4())), datetime.now(UTC))])
    publish_all(credentials, file, key, in_flight, as_json=as_json)


def made_up(events: Sequence[dict[str, Any]]) -> BinaryIO:
    """Events as a file of them."""
    return io.BytesIO(b"\n".join(map(msgspec.json.encode, events)))


def publish_all(
    credentials: Credentials,
    file: BinaryIO,
    key: str | None = None,
    in_flight: int = 1,
    *,
    as_json: bool,
) -> None:
    """Publish the events of a file, and print what it came to.

    Raises:
        Stop: it did not come to its end, and how to go on.
    """
    run = _Run(Summary(key or secrets.token_hex(8)), file, in_flight)
    try:
        asyncio.run(run.publish(credentials))
    except (Stop, BadEvent, KeyboardInterrupt) as problem:
        raise run.stopped(problem) from None
    if as_json:
        print_json(run.summary.document())
    else:
        _print_summary(run.summary)


class _Run:
    """One publish run: a few batches on their way at once, answers counted as they come."""

    def __init__(self, summary: Summary, file: BinaryIO, in_flight: int) -> None:
        self.summary = summary
        self._file = file
        self._in_flight = in_flight
        self._sending: set[asyncio.Task[None]] = set()
        self._progress = _progress()
        self._shown = self._progress.add_task("", total=_size(file), events=0)

    async def publish(self, credentials: Credentials) -> None:
        """Send every batch; after a problem nothing more is begun, what is on its way ends."""
        reading = batches(_own(self._file))
        async with Connection(credentials) as connection:
            with heeded(), self._progress:
                try:
                    while batch := await _next(reading):
                        await self._room()
                        task = asyncio.create_task(self._send(connection, batch))
                        self._sending.add(task)
                finally:
                    ended = await asyncio.gather(*self._sending, return_exceptions=True)
                for problem in filter(None, ended):
                    raise problem

    async def _room(self) -> None:
        """Wait until fewer than `in_flight` are on their way; raises what one of them met."""
        while len(self._sending) >= self._in_flight:
            done, self._sending = await asyncio.wait(
                self._sending, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()

    async def _send(self, connection: Connection, batch: Batch) -> None:
        try:
            answer = await connection.call(
                "POST",
                "events",
                body=batch.body,
                headers={
                    "Content-Type": LINES,
                    "Idempotency-Key": f"{self.summary.key}.{batch.first}",
                },
                patient=True,
            )
        except Stop as refused:
            last = batch.first + len(batch.events) - 1
            if refused.status is not Exit.REFUSED:
                raise
            place = f"lines {batch.lines[0]} to {batch.lines[-1]}, events {batch.first} to {last}"
            raise Stop(refused.status, f"{place}: {refused.message}", *refused.steps) from None
        self.summary.add(answer.json)
        self._progress.update(self._shown, completed=batch.read, events=self.summary.events)

    def stopped(self, problem: BaseException) -> Stop:
        """The error of a run that did not reach its end, with the way to go on."""
        number, name = self.summary.events, getattr(self._file, "name", "-")
        done = f"{number:,} {'event' if number == 1 else 'events'} of the file were published."
        if not number and isinstance(problem, Stop) and problem.status is Exit.REFUSED:
            return Stop(problem.status, problem.message, *problem.steps, "Nothing was published.")
        again = f"Go on with `--key {self.summary.key}` and the same file: nothing goes out twice."
        if isinstance(problem, Stop):
            return Stop(problem.status, problem.message, *problem.steps, done, again)
        if isinstance(problem, BadEvent) and not number:
            return wrong(f"{name}: {problem}", "Nothing was published.")
        if isinstance(problem, BadEvent):
            return wrong(f"{name}: {problem}", done, "Mend the line. " + again)
        return Stop(Exit.INTERRUPTED, "Interrupted.", done, again)


def _usable(key: str) -> bool:
    return 0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable()


async def _next(reading: Iterator[Batch]) -> Batch | None:
    """Read a batch in a thread that nobody waits for: Ctrl-C must not hang on a quiet pipe."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Batch | None] = loop.create_future()

    def tell(batch: Batch | None, problem: Exception | None) -> None:
        if future.cancelled():
            return
        if problem is None:
            future.set_result(batch)
        else:
            future.set_exception(problem)

    def read() -> None:
        batch, problem = None, None
        try:
            batch = next(reading, None)
        except Exception as error:
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: the run was interrupted
            loop.call_soon_threadsafe(tell, batch, problem)

    threading.Thread(target=read, daemon=True).start()
    return await future


def _own(file: BinaryIO) -> BinaryIO:
    """Standard input under a descriptor of our own: Python, when it ends, would wait for a
    thread that still reads sys.stdin."""
    real = getattr(file, "name", None) == "<stdin>" and sys.stdin is sys.__stdin__
    return os.fdopen(os.dup(file.fileno()), "rb") if real else file


def _size(file: BinaryIO) -> int | None:
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _progress() -> Progress:
    console = notes()
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.fields[events]:,} events"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def _print_summary(summary: Summary) -> None:
    console = output()
    new = summary.events - summary.repeated
    console.print(
        f"Published {counted(summary.events, 'event')}: {new:,} new, "
        f"{summary.repeated:,} repeated; "
        f"{counted(summary.deliveries, 'delivery', 'deliveries')}."
    )
    if summary.skipped:
        console.print("\nSkipped configurations", style="bold")
        commonest = summary.skipped.most_common(_MOST_SKIPS)
        print_rows(
            console,
            [
                Column("CONFIG", right=True),
                Column("NAME", gives_way=True),
                Column("EVENTS", right=True),
            ],
            [
                Row([connect_id, name, f"{number:,}"], reason, "dim")
                for (connect_id, name, reason), number in commonest
            ],
        )
        if len(summary.skipped) > len(commonest):
            console.print(f"and {len(summary.skipped) - len(commonest):,} more: --json has them.")
        if unsaid := summary.skips - summary.skipped.total():
            console.print(f"and {unsaid:,} more times a configuration did not get an event.")
    for warning, _ in summary.warnings.most_common(_MOST_SKIPS):
        print_text(notes(), f"Warning: a notification: {warning}", 0, "yellow")
    if not summary.deliveries and not summary.repeated:
        notes().print("Nobody gets them: see `heliograph configurations list`.", style="yellow")
