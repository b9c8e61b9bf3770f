"""`heliograph trigger`: fire a sample by the name of its event, or a story, at a listener."""

from __future__ import annotations

import asyncio
import re
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, BinaryIO, Final

import click

from heliograph.access.credentials_file import Credentials
from heliograph.cli.commands.publish import made_up, publish_all
from heliograph.cli.connection import options_of_a_server
from heliograph.cli.exits import Exit, wrong
from heliograph.cli.given_keys import given_keys, key_file_option, key_option
from heliograph.cli.interrupts import heeded
from heliograph.cli.posting import Listener, Poster, check_url, composed
from heliograph.cli.terminal import counted, output, print_json, print_text
from heliograph.delivery.attempt import Exchange
from heliograph.delivery.retry import explain, was_taken
from heliograph.model.deliveries import Fault
from heliograph.plain import harmless
from heliograph.wire import docusign
from heliograph.wire.samples.changes import BadValue, NoSuchPath, change, near
from heliograph.wire.samples.envelope import Scene
from heliograph.wire.samples.messages import sample, story
from heliograph.wire.samples.pdf import Unfit
from heliograph.wire.samples.posts import ACCOUNT, FORMATS, NUMBERS
from heliograph.wire.samples.stories import STORIES

_UNITS: Final = {"b": 1, "kb": 10**3, "mb": 10**6, "kib": 2**10, "mib": 2**20}
_SIZE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([a-z]*)", re.IGNORECASE)
_LARGEST: Final = 75_000_000
"""Bytes of a document: base64 makes a message of 100 MB of it."""


def _size(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """A number of bytes: `300000`, `3MB`, `2.5 MiB`."""
    if text is None:
        return None
    found = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(found[2].lower() or "b") if found else None
    if found is None or unit is None:
        raise click.BadParameter(f"{text!r} is no size: write it like 300kB, 3MB or 2MiB.")
    size = int(float(found[1]) * unit)
    if size > _LARGEST:
        raise click.BadParameter(f"a document has at most {_LARGEST:,} bytes.")
    return size


def _completing(known: Iterable[str]) -> Callable[..., list[str]]:
    """Lets the shell complete a name."""
    return lambda _context, _parameter, typed: [
        name for name in sorted(known) if name.startswith(typed)
    ]


def _print_names(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    console = output()
    console.print("Stories", style="bold")
    for name, told in STORIES.items():
        console.print(f"  {name:<16}{told.about}", soft_wrap=True)
    console.print("Events", style="bold")
    for event in sorted(docusign.EVENTS):
        console.print(f"  {event}", soft_wrap=True)
    context.exit()


@click.command(
    epilog="\b\nExamples:\n  heliograph trigger envelope-completed --to http://127.0.0.1:9000/\n"
    "  heliograph trigger --story decline --to http://127.0.0.1:9000/"
)
@click.argument("event", required=False, shell_complete=_completing(docusign.EVENTS))
@click.option(
    "--story",
    "told",
    shell_complete=_completing(STORIES),
    help="Instead of an EVENT: all of a story, in DocuSign's order.",
)
@click.option("--to", "url", help="Post it there: to this machine, or to a public address.")
@click.option("--publish", "publishes", is_flag=True, help="Publish it to the server.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change a value, by its path in the JSON message, such as "
    "data.envelopeSummary.emailSubject; may be repeated.",
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="The message's format; json without."
)
@click.option(
    "--documents",
    metavar="SIZE",
    callback=_size,
    help="Put documents in: a PDF of so many bytes, like 300kB or 3MB, and the certificate of what "
    "is completed.",
)
@key_option("sign")
@key_file_option
@click.option("--json", "as_json", is_flag=True, help="What came of it, as one JSON document.")
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_names,
    help="Show the names of events and stories, and end.",
)
@options_of_a_server
def trigger(  # one parameter an option
    server: Callable[[], Credentials],
    event: str | None,
    told: str | None,
    url: str | None,
    publishes: bool,
    changes: Sequence[str],
    form: str | None,
    documents: int | None,
    keys: Sequence[str],
    key_file: BinaryIO | None,
    as_json: bool,
) -> None:
    """Make up the message of an EVENT, and post it, publish it or show it.

    With --to it goes to a listener as the server would post it: rendered, signed with the given
    keys, and once. With neither --to nor --publish its body is written to standard output.
    """
    if publishes and (url is not None or form or keys or key_file):
        raise wrong(
            "--publish stands without --to, --format, --key and --key-file.",
            "Where a published event goes, and how, its configurations say.",
        )
    if url is not None:
        check_url(url)
    listener = Listener(
        url or "https://listener.example.com/",
        form or FORMATS[0],
        documents is not None,
        keys=given_keys(keys, key_file),
    )
    scene = Scene(str(uuid.uuid4()), None if publishes else ACCOUNT, documents=documents)
    messages = _made(event, told, scene)
    if not publishes:
        messages = [{**message, **NUMBERS} for message in messages]
    _change(messages, changes)
    if publishes:
        publish_all(server(), made_up(messages), as_json=as_json)
    elif url is None:
        _show(messages, listener, as_json=as_json)
    elif not asyncio.run(_post(messages, listener, as_json=as_json)):
        raise SystemExit(Exit.NO)


def _made(event: str | None, told: str | None, scene: Scene) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    try:
        match event, told:
            case str(), None:
                _check_name("event", event, docusign.EVENTS)
                return [sample(event, scene, now)]
            case None, str():
                _check_name("story", told, STORIES)
                return story(told, scene, now)
    except Unfit as error:
        raise wrong(f"--documents: {error}") from None
    raise wrong("Give an EVENT or --story, one of them.", "`heliograph trigger --list` shows them.")


def _check_name(kind: str, name: str, known: Iterable[str]) -> None:
    if name in known:
        return
    if meant := get_close_matches(name, sorted(known), n=3):
        raise wrong(f"There is no {kind} {name!r}.", f"Did you mean {', '.join(meant)}?")
    raise wrong(f"There is no {kind} {name!r}.", "`heliograph trigger --list` shows them.")


def _change(messages: Sequence[dict[str, Any]], changes: Sequence[str]) -> None:
    """Change what a path names, in each message of a story that has it."""
    for assignment in changes:
        path, separator, value = assignment.partition("=")
        if not separator:
            raise wrong(f"--set {assignment}: write it PATH=VALUE.")
        having = 0
        for message in messages:
            try:
                change(message, path, value)
            except NoSuchPath:
                continue
            except BadValue as error:
                raise wrong(f"--set {error}") from None
            having += 1
        if not having:
            raise _unknown(messages[-1], path)


def _unknown(message: Mapping[str, Any], path: str) -> click.ClickException:
    what = f"--set: the message has no {path}."
    if meant := near(message, path):
        return wrong(what, "Did you mean one of these?", *meant)
    return wrong(what, "Without --to and --publish the command shows the message.")


def _show(messages: Sequence[Mapping[str, Any]], listener: Listener, *, as_json: bool) -> None:
    posts = [composed(message, listener) for message in messages]
    if as_json:
        shown = [
            {
                "event": message["event"],
                "headers": [f"{name}: {value}" for name, value in post.headers],
                "body": post.body.decode(),
            }
            for message, post in zip(messages, posts, strict=True)
        ]
        print_json({"messages": shown})
        return
    # As it is posted, to the byte, so that a file of it has the signature that --json shows.
    alone = len(posts) == 1 and not sys.stdout.isatty()
    for post in posts:
        click.echo(post.body, nl=not alone)


async def _post(
    messages: Sequence[Mapping[str, Any]], listener: Listener, *, as_json: bool
) -> bool:
    """Post in order until one is not taken, as DocuSign holds back what follows it."""
    results: list[dict[str, Any]] = []
    with heeded():
        async with Poster(listener) as poster:
            for message in messages:
                result = _result(message, *await poster.post(message))
                results.append(result)
                if not as_json:
                    _print_result(result)
                if not result["taken"]:
                    break
    taken, left = results[-1]["taken"], len(messages) - len(results)
    if as_json:
        document = {"url": listener.url, "format": listener.format, "taken": taken}
        print_json({**document, "messages": results, "notSent": left})
    elif left:
        output().print(f"{counted(left, 'message')} that would follow it: not sent.")
    return bool(taken)


def _result(message: Mapping[str, Any], exchanged: Exchange, seconds: float) -> dict[str, Any]:
    answer, came_back = exchanged.answer, exchanged.came_back
    return {
        "event": message["event"],
        "envelopeId": message["data"].get("envelopeId"),
        "bytes": len(exchanged.post.body),
        "taken": was_taken(came_back),
        "seconds": round(seconds, 3),
        "status": None if answer is None else answer.status,
        "reason": None if answer is None else answer.reason,
        "headers": None if answer is None else [f"{name}: {text}" for name, text in answer.headers],
        "body": None if answer is None else answer.body.decode("utf-8", "replace"),
        "error": str(explain(came_back)) if isinstance(came_back, Fault) else None,
    }


def _print_result(result: Mapping[str, Any]) -> None:
    console = output()
    about = "  ".join(filter(None, [result["event"], result["envelopeId"]]))
    console.print(harmless(about), style="bold", soft_wrap=True)
    status = f"{result['status']} {result['reason']}".strip() if result["status"] else ""
    said = ", ".join(filter(None, [status, result["error"]]))
    line = f"  {counted(result['bytes'], 'byte')}: {harmless(said)}, after {result['seconds']} s"
    console.print(line, style="green" if result["taken"] else "red", soft_wrap=True)
    if result["body"]:
        print_text(console, result["body"].rstrip("\n"), 4)
