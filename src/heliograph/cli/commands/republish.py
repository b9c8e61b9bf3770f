"""`heliograph republish`: jobs that ask again for many deliveries, and how they are followed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import click
import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from heliograph.access.credentials_file import Credentials
from heliograph.cli import asking
from heliograph.cli.account_calls import run
from heliograph.cli.asking import dry_run_option
from heliograph.cli.bulk import choose_one
from heliograph.cli.connection import Connection, json_option, segment, server_options, yes_option
from heliograph.cli.exits import Exit, wrong
from heliograph.cli.grouping import Commands
from heliograph.cli.interrupts import heeded
from heliograph.cli.selecting import failure_filter_options
from heliograph.cli.terminal import (
    Column,
    Row,
    counted,
    lasting,
    local_time,
    local_time_and_zone,
    notes,
    output,
    print_fields,
    print_json,
    print_rows,
    zone_of,
)
from heliograph.model.republishing import MOST_RAMP, MOST_RATE

_PATH: Final = "republish_jobs"
_LOOK: Final = 1.0
"""Seconds between two looks at a job that is followed."""

_WHICH: Final = "Say which deliveries: filters such as --connect-id"
_ENDS: Final = ("finished", "cancelled", "stopped", "paused")


@click.group(cls=Commands)
def republish() -> None:
    """Ask again for many deliveries, slowly: jobs that can be paused, and stop themselves."""


@republish.command(
    epilog="\b\nExamples:\n  heliograph republish start --connect-id 1 --dry-run\n"
    "  heliograph republish start --connect-id 1 --canary 5 --rate 20 --ramp 60\n"
    "  heliograph republish start --delivered --connect-id 1 --from 2h"
)
@failure_filter_options
@click.option("--all", "everything", is_flag=True, help="Every open failure.")
@click.option("--delivered", is_flag=True, help="What was delivered, instead of failures.")
@click.option("--rate", type=click.IntRange(1, MOST_RATE), help="Deliveries a second.")
@click.option("--ramp", type=click.IntRange(0, MOST_RAMP), help="Seconds until the rate is full.")
@click.option(
    "--canary", type=click.IntRange(0, 1000), help="So many must be delivered before the others."
)
@click.option(
    "--stop-percent",
    type=click.IntRange(1, 100),
    help="Stop where so many of 100 fail; else it is 50.",
)
@click.option("--detach", is_flag=True, help="Start it, and do not wait for its end.")
@dry_run_option
@yes_option
@click.option("--json", "as_json", is_flag=True, help="The API's document; implies --detach.")
@server_options
def start(
    credentials: Credentials,
    chosen: dict[str, str],
    everything: bool,
    delivered: bool,
    detach: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **care: int | None,
) -> None:
    """Start a job, and show how far it is.

    It is about what filters select now, or --all. Where that is more than 100 it is shown first,
    and it asks. Ctrl-C leaves the job running. The status is 1 unless all was delivered.
    """
    choose_one((), chosen, everything, _WHICH)
    if care["ramp"] and care["rate"] is None:
        raise wrong("--ramp is how a rate rises.", "Give a --rate.")
    query = {**chosen, **({"all": "true"} if everything else {})}
    query |= {"of": "delivered"} if delivered else {}
    query |= {name: str(value) for name, value in care.items() if value is not None}
    if (dry_run or not yes) and not _is_meant(credentials, query, dry_run=dry_run, as_json=as_json):
        return
    job = _call(credentials, "POST", _PATH, query)
    if as_json:
        print_json(job)
        return
    if detach:
        many = counted(int(job["total"]), "delivery", "deliveries")
        output().print(f"Job {job['jobId']} is running: {many}.")
        notes().print(_how_to_follow(job["jobId"]), style="dim")
        return
    _follow(credentials, job["jobId"])


@republish.command("list", epilog="Example: heliograph republish list")
@click.option("--count", type=click.IntRange(1, 100), default=20, help="At most so many.")
@json_option
@server_options
def list_jobs(credentials: Credentials, count: int, as_json: bool) -> None:
    """List the jobs, newest first."""
    listing = _call(credentials, "GET", _PATH, {"count": str(count)})
    if as_json:
        print_json(listing)
        return
    jobs = listing["republishJobs"]
    if not jobs:
        notes().print("None. `heliograph republish start` makes one.")
        return
    zone = zone_of(job["created"] for job in jobs)
    print_rows(
        output(),
        [
            Column("JOB", right=True),
            Column(f"STARTED ({zone})"),
            Column("STATE"),
            *(Column(name, right=True) for name in ("ASKED", "OF", "DELIVERED", "FAILED")),
        ],
        [
            Row(
                [
                    job["jobId"],
                    local_time(job["created"]),
                    job["state"],
                    *(f"{int(job[name]):,}" for name in ("asked", "total", "delivered", "failed")),
                ],
                job.get("reason", ""),
                "dim",
            )
            for job in jobs
        ],
    )


@republish.command(epilog="Example: heliograph republish show 3 --follow")
@click.argument("job_id", metavar="ID")
@click.option("--follow", is_flag=True, help="Show how far it is until its end.")
@json_option
@server_options
def show(credentials: Credentials, job_id: str, follow: bool, as_json: bool) -> None:
    """Show how far a job is."""
    if follow and as_json:
        raise wrong("--follow is for a person: a program asks again.")
    if follow:
        _follow(credentials, job_id)
        return
    _show(_call(credentials, "GET", _one(job_id)), as_json)


@republish.command(epilog="Example: heliograph republish pause 3")
@click.argument("job_id", metavar="ID")
@json_option
@server_options
def pause(credentials: Credentials, job_id: str, as_json: bool) -> None:
    """Let a job ask for no more; what it has asked for goes out."""
    _show(_changed(credentials, job_id, {"state": "paused"}), as_json)


@republish.command(epilog="Example: heliograph republish resume 3 --rate 10")
@click.argument("job_id", metavar="ID")
@click.option("--rate", type=click.IntRange(0, MOST_RATE), help="From now on; 0 is none.")
@click.option("--ramp", type=click.IntRange(0, MOST_RAMP), help="Seconds until the rate is full.")
@json_option
@server_options
def resume(
    credentials: Credentials, job_id: str, rate: int | None, ramp: int | None, as_json: bool
) -> None:
    """Let a job go on that was paused or has stopped itself, or change its rate."""
    given = {"rate": rate, "ramp": ramp}
    care = {name: str(value) for name, value in given.items() if value is not None}
    _show(_changed(credentials, job_id, {"state": "running", **care}), as_json)


@republish.command(epilog="Example: heliograph republish cancel 3")
@click.argument("job_id", metavar="ID")
@yes_option
@json_option
@server_options
def cancel(credentials: Credentials, job_id: str, yes: bool, as_json: bool) -> None:
    """End a job; what it has asked for goes out."""
    if not yes:
        job = _call(credentials, "GET", f"{_PATH}/{segment(job_id)}")
        asking.confirm(
            f"Job {job_id} is {job['state']}, {job['left']} of {job['total']} are left: it cannot "
            "go on any more then. Go on?"
        )
    _show(_changed(credentials, job_id, {"state": "cancelled"}), as_json)


def _is_meant(
    credentials: Credentials, query: Mapping[str, str], *, dry_run: bool, as_json: bool
) -> bool:
    """Show what a job would be about; whether to start it."""
    shown = _call(credentials, "POST", _PATH, {**query, "dry_run": "true"})
    total = int(shown["total"])
    if dry_run and as_json:
        print_json(shown)
        return False
    if dry_run or not total or total > asking.MOST_UNASKED:
        _print_preview(shown, dry_run=dry_run)
    if total > asking.MOST_UNASKED and not dry_run:
        asking.confirm("Start a job for all of them?")
    return bool(total) and not dry_run


def _print_preview(shown: Mapping[str, Any], *, dry_run: bool) -> None:
    console = output() if dry_run else notes()
    nouns = ("delivery", "deliveries") if shown["of"] == "delivered" else ("failure", "failures")
    asking.print_preview(console, {**shown, "count": shown["total"]}, *nouns)
    if "duplicates" in shown:
        console.print(f"{int(shown['uncertain']):,} may arrive twice: {shown['duplicates']}")
    if shown.get("estimatedSeconds", "0") != "0":
        console.print(f"At this rate it takes about {lasting(int(shown['estimatedSeconds']))}.")


def _follow(credentials: Credentials, job_id: str) -> None:
    """Show how far a job is until it has an end, or somebody presses Ctrl-C."""
    try:
        job = asyncio.run(_until_its_end(credentials, job_id))
    except KeyboardInterrupt:
        notes().print(f"\nJob {job_id} goes on. {_how_to_follow(job_id)}")
        click.get_current_context().exit(Exit.INTERRUPTED)
    _show(job, as_json=False)
    if job["state"] != "finished" or job["delivered"] != job["total"]:
        click.get_current_context().exit(Exit.NO)


async def _until_its_end(credentials: Credentials, job_id: str) -> Any:
    console = notes()
    progress = Progress(
        TextColumn(f"Job {job_id}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with heeded(), progress:
        shown = progress.add_task("", total=None, told="")
        async with Connection(credentials) as connection:
            while True:
                job = (await connection.call("GET", _one(job_id), patient=True)).json
                done = int(job["total"]) - int(job["left"]) - int(job["pending"])
                progress.update(shown, total=int(job["total"]), completed=done, told=_told(job))
                if job["state"] in _ENDS:
                    return job
                await asyncio.sleep(_LOOK)


def _told(job: Mapping[str, Any]) -> str:
    parts = [f"{int(job['delivered']):,} delivered", f"{int(job['failed']):,} failed"]
    if (seconds := int(job.get("estimatedSeconds", "0"))) > 0:
        parts.append(f"{lasting(seconds)} left")
    return ", ".join(parts)


def _how_to_follow(job_id: str) -> str:
    return (
        f"Follow it: heliograph republish show {job_id} --follow. "
        f"Stop it: heliograph republish pause {job_id}."
    )


def _call(
    credentials: Credentials,
    method: str,
    path: str,
    query: Mapping[str, str] | None = None,
    change: Mapping[str, str] | None = None,
) -> Any:
    async def ask(connection: Connection) -> Any:
        body = None if change is None else msgspec.json.encode(change)
        return (await connection.call(method, path, query=query, body=body)).json

    return run(credentials, ask)


def _changed(credentials: Credentials, job_id: str, change: Mapping[str, str]) -> Any:
    return _call(credentials, "PUT", _one(job_id), change=change)


def _one(job_id: str) -> str:
    return f"{_PATH}/{segment(job_id)}"


def _show(job: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    numbers = {
        "Asked": "asked",
        "Delivered": "delivered",
        "Failed": "failed",
        "No outcome": "pending",
        "Passed over": "passedOver",
        "Gone": "gone",
        "Left": "left",
    }
    selected = job.get("selection") or {}
    print_fields(
        output(),
        [
            ("Job", job["jobId"]),
            ("State", job["state"]),
            ("Reason", job.get("reason")),
            ("Of", job["of"]),
            ("Which", ", ".join(f"{name} {text}" for name, text in selected.items()) or "all"),
            ("Started by", job["startedBy"]),
            ("Started", local_time_and_zone(job["created"])),
            ("Ended", local_time_and_zone(job.get("ended"))),
            ("Rate", _rate(job)),
            ("Canary", job.get("canary")),
            ("Total", f"{int(job['total']):,}"),
            *(
                (title, f"{int(job[name]):,}" if job[name] != "0" or name == "failed" else None)
                for title, name in numbers.items()
            ),
        ],
    )


def _rate(job: Mapping[str, Any]) -> str | None:
    if "rate" not in job:
        return None
    ramp = f", after a ramp of {job['ramp']} s" if "ramp" in job else ""
    return f"{job['rate']} a second{ramp}"
