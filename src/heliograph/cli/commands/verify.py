"""`heliograph verify`: play DocuSign at its worst against a listener, and judge it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from heliograph import files
from heliograph.cli.exits import Exit, Stop, wrong
from heliograph.cli.given_keys import given_keys, key_file_option
from heliograph.cli.interrupts import heeded
from heliograph.cli.terminal import notes, output, print_json, print_text
from heliograph.egress import Refused
from heliograph.model.accounts import Secret
from heliograph.plain import harmless
from heliograph.verify import reports
from heliograph.verify.checks import CHECKS, GROUPS
from heliograph.verify.crafting import Scale, World
from heliograph.verify.plays import Check, Outcome, Verdict
from heliograph.verify.reports import Report
from heliograph.verify.running import NoCount, Trial, Unreachable, run
from heliograph.verify.sending import check_url
from heliograph.wire import docusign
from heliograph.wire.samples.posts import FORMATS

_STYLES: Final = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.SKIPPED: "dim"}
_NAME: Final = max(map(len, CHECKS))


def _listed(
    kind: str, known: Iterable[str]
) -> Callable[[click.Context, click.Parameter, Sequence[str]], Sequence[str] | None]:
    """Reads names, given one by one or apart by commas; None where there are none."""
    names = tuple(known)

    def read(_: click.Context, __: click.Parameter, texts: Sequence[str]) -> Sequence[str] | None:
        parts = (part.strip() for text in texts for part in text.split(","))
        given = tuple(filter(None, parts))
        for one in given:
            if one not in names:
                near = get_close_matches(one, names, n=1)
                meant = f" Did you mean {near[0]}?" if near else ""
                raise click.BadParameter(f"there is no {kind} {one!r}.{meant}")
        return given if texts else None

    return read


def _print_checks(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    console = output()
    for group, checks in GROUPS.items():
        console.print(group, style="bold")
        for check in checks:
            console.print(f"  {check.name:<{_NAME}}  {check.kind.value}", soft_wrap=True)
    context.exit()


def _file(name: str, what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        f"--{name}",
        f"{name}_file",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help=f"A file to write {what} to.",
    )


@click.command(
    epilog="Example: heliograph verify http://127.0.0.1:3000/hook --key-file hmac-keys.txt"
)
@click.argument("url")
@click.option(
    "--key",
    help="The listener's HMAC key. Other users of this machine can read a command line: a file is "
    "the better place.",
)
@click.option("--second-key", help="Another key that it knows.")
@key_file_option
@click.option("--unsigned", is_flag=True, help="It checks no signatures: leave those checks out.")
@click.option(
    "--formats",
    callback=_listed("format", FORMATS),
    multiple=True,
    default=("json",),
    show_default=True,
    help=f"What it takes, apart by commas: {', '.join(FORMATS)}. The first is sent where none is "
    "meant.",
)
@click.option(
    "--event",
    type=click.Choice(sorted(docusign.EVENTS)),
    metavar="NAME",
    default="envelope-completed",
    show_default=True,
    help="An event that it acts on.",
)
@click.option("--probe", metavar="URL", help="Answers how often it has acted: a number.")
@click.option(
    "--within",
    type=click.FloatRange(0.1, 100.0),
    default=5.0,
    show_default=True,
    help="Seconds that an answer may take.",
)
@click.option(
    "--only",
    metavar="NAMES",
    multiple=True,
    callback=_listed("check", CHECKS),
    help="These checks, apart by commas.",
)
@click.option(
    "--skip",
    metavar="NAMES",
    multiple=True,
    callback=_listed("check", CHECKS),
    help="Not these, apart by commas.",
)
@click.option("--json", "as_json", is_flag=True, help="What came of it, as one JSON document.")
@_file("junit", "JUnit XML")
@_file("html", "a page")
@_file("badge", "a badge (SVG)")
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_checks,
    help="Show the names of the checks, and end.",
)
def verify(  # one parameter an option
    url: str,
    key: str | None,
    second_key: str | None,
    key_file: BinaryIO | None,
    unsigned: bool,
    formats: Sequence[str],
    event: str,
    probe: str | None,
    within: float,
    only: Sequence[str] | None,
    skip: Sequence[str] | None,
    as_json: bool,
    junit_file: Path | None,
    html_file: Path | None,
    badge_file: Path | None,
) -> None:
    """Play DocuSign at its worst against the listener at URL, and judge it.

    Sends it what Connect sends and what a stranger might, some 1,300 messages, to this machine or a
    public address. The status is 0 if every check passed, 1 if one failed, and 3 if the listener
    gives no answer at all. Try it on a listener whose side effects do no harm.
    """
    for option, given in (("URL", url), ("--probe", probe)):
        _check_url(option, given)
    if not formats:
        raise wrong("--formats names none.", f"There are {', '.join(FORMATS)}.")
    given_key, given_second = _keys(key, second_key, key_file, unsigned=unsigned)
    world = World(
        datetime.now(UTC),
        *(given_key, given_second, formats, event),
        Scale(slow=1.2 * within),
    )
    checks = [
        check
        for name, check in CHECKS.items()
        if (only is None or name in only) and name not in (skip or ())
    ]
    if not checks:
        raise wrong("--only and --skip leave no check.", "`heliograph verify --list` shows them.")
    wanted = [
        (file, written)
        for file, written in (
            (junit_file, reports.junit),
            (html_file, _html),
            (badge_file, _badge),
        )
        if file is not None
    ]
    for file, _ in wanted:
        with files.room(file):
            pass  # it can be written: known before a minute has passed
    trial = Trial(url, world, probe, within)
    report = _tried(trial, checks, tells=not as_json)
    if as_json:
        print_json(reports.document(report))
    else:
        _print_end(report)
    for file, written in wanted:
        files.write(file, written(report), 0o644)
    if not report.well:
        raise SystemExit(Exit.NO)


def _check_url(option: str, url: str | None) -> None:
    if url is None:
        return
    try:
        check_url(url)
    except Refused as refusal:
        raise wrong(f"{option}: {refusal}") from None


def _keys(
    key: str | None, second: str | None, file: BinaryIO | None, *, unsigned: bool
) -> tuple[Secret | None, Secret | None]:
    """The listener's keys: those of the options, then those of the file."""
    given = given_keys([one for one in (key, second) if one is not None], file)
    if unsigned and given:
        raise wrong("--unsigned stands without --key, --second-key and --key-file.")
    if not unsigned and not given:
        raise wrong(
            "Give the listener's key: --key-file or --key.",
            "With --unsigned signatures are not checked; anybody can then make it act.",
        )
    if len(given) > 2:
        raise wrong(f"A listener is tried with two keys at most, and {len(given)} are given.")
    key_of = dict(enumerate(given))
    return key_of.get(0), key_of.get(1)


def _tried(trial: Trial, checks: Sequence[Check], *, tells: bool) -> Report:
    at, began, verdicts = datetime.now(UTC), time.monotonic(), list[Verdict]()
    console = output()
    with _progress() as progress:
        shown = progress.add_task("The first message")

        def take(verdict: Verdict) -> None:
            verdicts.append(verdict)
            following = checks[len(verdicts) : len(verdicts) + 1]
            said = f"{len(verdicts)} of {len(checks)}"
            progress.update(shown, description=", ".join([said, *(one.name for one in following)]))
            if tells:
                progress.stop()  # its line is on the same terminal
                _print(console, verdict)
                progress.start()

        try:
            asyncio.run(_run(trial, checks, take))
        except Unreachable as error:
            raise Stop(
                Exit.UNREACHABLE, f"The listener gives no answer: {error}.", "Is the URL right?"
            ) from None
        except NoCount as error:
            raise wrong(
                f"--probe: {error} answers no number.",
                'It is asked by GET, and answers 200 and 17, or {"count": 17}.',
            ) from None
    return Report(trial.url, at, time.monotonic() - began, verdicts)


async def _run(trial: Trial, checks: Sequence[Check], take: Callable[[Verdict], None]) -> None:
    with heeded():
        async for verdict in run(trial, checks):
            take(verdict)


def _progress() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = notes()
    # Elsewhere each start of its line would be an empty one.
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _print(console: Console, verdict: Verdict) -> None:
    check = verdict.check
    seconds = "" if verdict.outcome is Outcome.SKIPPED else f"{verdict.seconds:7.2f} s"
    line = f"{verdict.outcome.value:<8}{check.name:<{_NAME + 2}}{check.kind.value:<20}{seconds}"
    console.print(line.rstrip(), style=_STYLES[verdict.outcome], soft_wrap=True)
    if verdict.outcome is Outcome.SKIPPED:
        print_text(console, verdict.said, 8, "dim")
    elif verdict.outcome is Outcome.FAILED:
        print_text(console, harmless(verdict.said), 8, "red")
        print_text(console, f"Sent: {check.title}.", 8)
        print_text(console, f"Why: {check.why}.", 8)
        print_text(console, check.page, 8)


def _print_end(report: Report) -> None:
    console, skipped = output(), len(report.of(Outcome.SKIPPED))
    end = "It passes" if report.well else "It does not pass"
    more = f", {skipped} skipped" if skipped else ""
    style = "bold green" if report.well else "bold red"
    line = f"{end}: {report.score} checks{more}, in {report.seconds:.1f} s."
    console.print(line, style=style, soft_wrap=True)


def _html(report: Report) -> bytes:
    return reports.html(report).encode()


def _badge(report: Report) -> bytes:
    return reports.badge(report).encode()
