"""`heliograph demo`: the main job from beginning to end, with real parts in one process."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import structlog
import uvloop
from rich.live import Live
from rich.text import Text

from heliograph import files, service
from heliograph.access.credentials_file import Credentials
from heliograph.cli.commands.configurations import AS_DOCUSIGN
from heliograph.cli.connection import LINES, Connection
from heliograph.cli.demo_listeners import (
    COMPLETED,
    ENVELOPES,
    PARTS,
    Fails,
    Listeners,
    Part,
    listening,
    published,
)
from heliograph.cli.exits import Exit
from heliograph.cli.listing import fetch, print_listing
from heliograph.cli.terminal import Column, Row, counted, output, print_rows, print_text
from heliograph.model.accounts import Secret
from heliograph.settings import environment_name, from_environment, told_by_shell
from heliograph.wire.samples.envelope import Scene
from heliograph.wire.samples.messages import sample

_PATIENCE: Final = 30.0
"""Seconds that any step of the demo may take before it is called failed."""

_TIMEOUT: Final = 0.4
"""Seconds that the demo's listeners have for an answer."""

_SHOWN_FAILURES: Final = 2
"""Of each listener."""


@click.command(epilog="Example: heliograph demo --once")
@click.option(
    "--once/--stay",
    default=None,
    help="End after the round, with 0 when all was delivered, else 1; or stay until Ctrl-C. "
    "Without, it stays where standard output is a terminal.",
)
def demo(once: bool | None) -> None:
    """See a whole round on this machine: publish, fail, look, mend, republish, prove.

    A server and four listeners run in this process on free ports, in a directory that is
    deleted at the end. On a terminal they go on until Ctrl-C, for you to play with.
    """
    if once is None:
        once = not sys.stdout.isatty()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    with files.room(Path(tempfile.gettempdir()) / "heliograph-demo") as room:
        delivered = uvloop.run(_play(room.folder, once=once))
    if not delivered:
        click.get_current_context().exit(Exit.NO)


async def _play(data_dir: Path, *, once: bool) -> bool:
    settings = from_environment(
        {},
        port=0,
        data_dir=data_dir,
        egress="emulator",
        attempt_timeout=_TIMEOUT,
        grace=2.0,
        i_accept_data_loss=True,  # it is thrown away anyway
    )
    async with listening() as listeners, service.running(settings) as server:
        credentials = Credentials.read(data_dir)
        async with Connection(credentials) as connection:
            story = _Story(server, connection, listeners)
            try:
                delivered = await story.tell()
            except TimeoutError:
                output().print(f"\nThis took longer than {_PATIENCE:.0f} seconds.", style="red")
                delivered = await story.prove()
        if not once:
            _play_on(data_dir, listeners)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, server.stop)
            await server.stopped.wait()
    return delivered


class _Story:
    """The steps of the demo, and what a person sees of each."""

    def __init__(
        self, server: service.Running, connection: Connection, listeners: Listeners
    ) -> None:
        self._server = server
        self._connection = connection
        self._listeners = listeners
        self._console = output()
        self._ids: dict[str, str] = {}
        self._expected: dict[str, int] = {part.name: 0 for part in PARTS}
        self._published = 0
        self._step = 0

    async def tell(self) -> bool:
        """The whole round; True when everything arrived."""
        self._say(f"A server listens on {self._server.base_uri}, and four listeners wait.")
        await self._configure()
        await self._publish()
        await self._first_tries()
        await self._look()
        await self._mend_and_republish()
        return await self.prove()

    async def _configure(self) -> None:
        key = (await self._connection.call("POST", "secret")).json
        self._listeners.trust(Secret(key["secret"]))
        for part in PARTS:
            wanted = {
                "name": part.name,
                "urlToPublishTo": f"{self._listeners.base}/{part.name}",
                "allowEnvelopePublish": "true",
                "allUsers": "true",
                "enableLog": "true",
                "includeHMAC": "true",
                **AS_DOCUSIGN,
                "events": part.events,
            }
            answer = await self._connection.call("POST", "", body=msgspec.json.encode(wanted))
            self._ids[part.name] = answer.json["connectId"]
        self._say("An HMAC key and a configuration for each listener are created.")
        print_rows(
            self._console,
            [Column("CONFIG", right=True), Column("NAME"), Column("WANTS"), Column("ITS LISTENER")],
            [
                Row(
                    [
                        self._ids[part.name],
                        part.name,
                        ", ".join(name.removeprefix("envelope-") for name in part.events),
                        part.fails,
                    ]
                )
                for part in PARTS
            ],
        )

    async def _publish(self) -> None:
        deliveries = 0
        for call in published():
            answer = await self._connection.call(
                "POST",
                "events",
                body=b"\n".join(map(msgspec.json.encode, call)),
                headers={"Content-Type": LINES},
            )
            deliveries += sum(int(event["deliveries"]) for event in answer.json["events"])
            self._published += len(call)
            for part in PARTS:
                self._expected[part.name] += sum(event["event"] in part.events for event in call)
        self._say(
            f"{counted(self._published, 'event')} of {ENVELOPES} envelopes are published: "
            f"{counted(deliveries, 'delivery', 'deliveries')} are on disk."
        )

    async def _first_tries(self) -> None:
        """Until each delivery was tried, and what failed stands in the failure log."""
        tallies = self._listeners.tallies
        # In order: what comes after a failing event of the same envelope waits for its turn.
        tried = {
            part.name: self._expected[part.name] if part.fails is Fails.NEVER else ENVELOPES
            for part in PARTS
        }

        def all_tried() -> bool:
            return all(tallies[name].posts >= number for name, number in tried.items())

        failing = sum(tried[part.name] for part in PARTS if part.fails is not Fails.NEVER)
        await self._watch(all_tried, lambda number: number >= failing)

    async def _look(self) -> None:
        listing = await fetch(self._connection, "failures", {"order": "asc"}, None)
        counts = {
            part.name: sum(
                record["connectId"] == self._ids[part.name] for record in listing.records
            )
            for part in PARTS
        }
        self._say(
            f"{counted(len(listing.records), 'failure')}: "
            + ", ".join(f"{number} of {name}" for name, number in counts.items() if number)
            + ". Later events of the same envelopes wait for their turn. Two of each:"
        )
        some = [
            failure
            for part in PARTS
            for failure in [
                record for record in listing.records if record["connectId"] == self._ids[part.name]
            ][:_SHOWN_FAILURES]
        ]
        listing.document["failures"] = some
        print_listing(listing, footer=False)

    async def _mend_and_republish(self) -> None:
        await self._listeners.mend()
        answer = await self._connection.call("PUT", "failures/retry_queue", query={"all": "true"})
        self._say(
            f"The listeners are mended; one call republished {answer.json['changed']} failures."
        )
        tallies = self._listeners.tallies

        def all_taken() -> bool:
            return all(len(tallies[name].taken) >= n for name, n in self._expected.items())

        await self._watch(all_taken, lambda number: number == 0)

    async def prove(self) -> bool:
        """The table at the end: what was to arrive, what arrived, what is left."""
        rows, good = [], True
        for part in PARTS:
            tally, expected = self._listeners.tallies[part.name], self._expected[part.name]
            left = await self._failures(part)
            fine = len(tally.taken) == expected and not left and not tally.unsigned
            good = good and fine
            figures = (self._published, expected, len(tally.taken), tally.unsigned, left)
            rows.append(
                Row([part.name, *map(str, figures), "all arrived" if fine else "NOT ALL ARRIVED"])
            )
        self._say("What each listener took, counted by itself; signatures were checked.")
        figures_named = ("PUBLISHED", "WANTED", "RECEIVED", "UNSIGNED", "FAILURES LEFT")
        columns = [Column("LISTENER"), *(Column(name, right=True) for name in figures_named)]
        print_rows(self._console, [*columns, Column("")], rows)
        return good

    async def _failures(self, part: Part | None = None) -> int:
        query = {} if part is None else {"connect_id": self._ids[part.name]}
        return int(
            (await self._connection.call("GET", "failures", query=query)).json["totalRecords"]
        )

    async def _until_failures(self, holds: Callable[[int], bool]) -> None:
        async with asyncio.timeout(_PATIENCE):
            while True:
                # Taken before the look, so that what is settled meanwhile is not missed.
                settled = self._server.signals.next_settled()
                if holds(await self._failures()):
                    return
                await settled.wait()

    async def _watch(self, holds: Callable[[], bool], failures: Callable[[int], bool]) -> None:
        """Wait for the listeners and then for the failure log; a terminal shows the counts."""
        with Live(
            console=self._console, transient=True, auto_refresh=True, refresh_per_second=12
        ) as live:

            def look() -> bool:
                if self._console.is_terminal:
                    live.update(self._counts())
                return holds()

            async with asyncio.timeout(_PATIENCE):
                await self._listeners.until(look)
            await self._until_failures(failures)

    def _counts(self) -> Text:
        lines = [f"   {'LISTENER':<12}{'POSTS':>8}{'REFUSED':>10}{'RECEIVED':>10}  of"]
        for part in PARTS:
            tally = self._listeners.tallies[part.name]
            figures = f"{tally.posts:>8}{tally.refused:>10}{len(tally.taken):>10}"
            lines.append(f"   {part.name:<12}{figures}  {self._expected[part.name]}")
        return Text("\n".join(lines))

    def _say(self, what: str) -> None:
        self._step += 1
        self._console.print()
        print_text(self._console, f"{self._step}. {what}", 0, "bold cyan")


def _play_on(data_dir: Path, listeners: Listeners) -> None:
    path = data_dir / "event.json"
    event = sample(COMPLETED, Scene(str(uuid.uuid4())), datetime.now(UTC))
    path.write_bytes(msgspec.json.format(msgspec.json.encode(event)) + b"\n")
    # Who has it from a project's environment calls it in the other terminal as here.
    program = "uv run heliograph" if told_by_shell("UV_RUN_RECURSION_DEPTH") else "heliograph"
    lines: Sequence[Any] = (
        f"export {environment_name('data_dir')}={data_dir}",
        f"curl -X PUT -d broken {listeners.base}/billing",
        f"{program} publish {path}",
        f"{program} failures list",
        f"curl -X PUT -d mended {listeners.base}/billing",
        f"{program} failures republish --all",
        f"{program} logs list --count 5",
    )
    console = output()
    console.print("\nPlay on, in another terminal:", style="bold cyan")
    for line in lines:
        console.print(f"  {line}", soft_wrap=True)
    console.print("Ctrl-C here ends it and deletes everything.", style="dim")
