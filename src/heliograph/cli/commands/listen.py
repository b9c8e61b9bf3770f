"""`heliograph listen`: a listener for developers, which verifies, shows, and misbehaves."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import re
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.text import Text

import heliograph
from heliograph import files
from heliograph.cli.connection import ACCESS_TOKEN
from heliograph.cli.exits import Stop, wrong
from heliograph.cli.forwarding import check_target, forwarding_to
from heliograph.cli.given_keys import given_keys, key_file_option, key_option
from heliograph.cli.terminal import counted, output
from heliograph.listen import zoo
from heliograph.listen.behaviour import Behaviour, Parameters
from heliograph.listen.forwarding import Forwarded, forwarding
from heliograph.listen.listener import Listener, listening
from heliograph.listen.messages import Summary, summarise
from heliograph.listen.publishing import publishing
from heliograph.listen.requests import Request
from heliograph.listen.signatures import Authenticity, Signatures, check
from heliograph.model.accounts import Secret
from heliograph.plain import harmless, harmless_json
from heliograph.wire import dates

_COLOURS: Final = {Authenticity.MATCHED: "green", Authenticity.NONE_MATCHED: "bold red"}
_SUFFIXES: Final = {"json": ".json", "json aggregate": ".json", "xml": ".xml", "soap": ".xml"}
_SAVED: Final = re.compile(r"(\d{6,})\.(?:json|xml|bin)")


@dataclasses.dataclass(frozen=True, slots=True)
class _Options:
    """What the command line said."""

    host: str
    port: int
    keys: tuple[Secret, ...]
    save: Path | None
    as_json: bool
    forward_to: str | None
    behaviour: Behaviour
    variant: str | None
    parameters: Parameters
    publish_to: str | None
    token: Secret | None


def _print_behaviours(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    console = output()
    for behaviour in zoo.BEHAVIOURS.values():
        console.print(
            Text(behaviour.name, "bold") + Text(f"  {behaviour.about}", "not bold"), soft_wrap=True
        )
        for name, about in behaviour.variants.items():
            console.print(f"  --variant {name:<18}{about}", soft_wrap=True)
    context.exit()


@click.command(epilog="Example: heliograph listen --port 9000 --key-file hmac-keys.txt")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=9000,
    show_default=True,
    help="The port; 0 takes a free one.",
)
@key_option("verify")
@key_file_option
@click.option(
    "--save",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep each body in a file of this directory.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object to a line.")
@click.option(
    "--forward-to",
    metavar="URL",
    help="Hand each message on as it came, to this machine or a public address, and answer what "
    "comes back.",
)
@click.option("--behaviour", default="accept", help="How to answer; --list has the names.")
@click.option("--variant", help="Which way of the behaviour; the first of --list when not given.")
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_behaviours,
    help="Show the behaviours and their variants, and end.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0),
    help="Between two bytes (slow-headers, slow-body), before an answer (late-answer), or between "
    "its head and its body (no-content-body, wrong-content-length, bad-chunks).",
)
@click.option(
    "--tries",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="The try of a message that nth-try answers 200.",
)
@click.option("--retry-after", help="The Retry-After that status sends, whatever the text.")
@click.option("--publish-to", help="The URL that publish-back publishes to.")
@click.option(
    "--token", envvar=ACCESS_TOKEN, show_envvar=True, help="The access token for --publish-to."
)
def listen(  # one parameter an option
    host: str,
    port: int,
    keys: Sequence[str],
    key_file: Any,
    save: Path | None,
    as_json: bool,
    forward_to: str | None,
    behaviour: str,
    variant: str | None,
    seconds: float | None,
    tries: int,
    retry_after: str | None,
    publish_to: str | None,
    token: str | None,
) -> None:
    """Listen for messages on this machine, verify their signatures, and show them.

    Each message is answered 200, or as the listener at --forward-to answers, or as --behaviour
    says: slowly, wrongly, not at all. Ctrl-C or SIGTERM ends it with a count of what came.
    """
    if retry_after is not None and not (retry_after.isascii() and retry_after.isprintable()):
        raise wrong("--retry-after must be printable ASCII.")
    options = _Options(
        host=host,
        port=port,
        keys=given_keys(keys, key_file),
        save=save,
        as_json=as_json,
        forward_to=forward_to,
        behaviour=_behaviour(behaviour, variant),
        variant=variant,
        parameters=Parameters(seconds, tries, retry_after),
        publish_to=publish_to,
        token=Secret(token) if token else None,
    )
    if forward_to is not None:
        check_target(forward_to, port)
        if options.behaviour is not zoo.ACCEPT:
            raise wrong("--forward-to stands without --behaviour: the other listener answers.")
    if options.behaviour.name == "publish-back" and publish_to is None:
        raise wrong(
            "publish-back needs --publish-to.",
            "It is the server's .../connect/events; give its access token with --token.",
        )
    asyncio.run(_run(options))


def _behaviour(name: str, variant: str | None) -> Behaviour:
    try:
        behaviour = zoo.BEHAVIOURS[name]
        behaviour.variant(variant)
    except KeyError:
        raise wrong(
            f"There is no behaviour {name!r}.", "`heliograph listen --list` shows them."
        ) from None
    except LookupError as problem:
        raise wrong(str(problem)) from None
    return behaviour


async def _run(options: _Options) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        room = None
        if options.save is not None:
            options.save.mkdir(parents=True, exist_ok=True)
            room = stack.enter_context(files.room(options.save / "message"))
        desk = _Desk(options, stopped, room)
        parameters = options.parameters
        if options.publish_to is not None:
            publish = await stack.enter_async_context(publishing(options.publish_to, options.token))
            parameters = dataclasses.replace(parameters, publish=publish)
        behaviour = options.behaviour
        if options.forward_to is not None:
            forward = await stack.enter_async_context(
                forwarding_to(options.forward_to, desk.forwarded)
            )
            behaviour = forwarding(forward)
        listener = Listener(behaviour, options.variant, parameters, desk.take, desk.note)
        try:
            await stack.enter_async_context(listening(listener, options.host, options.port))
        except OSError as error:
            raise _not_started(options, error) from None
        desk.announce(listener)
        await stopped.wait()
    desk.finish()


class _Desk:
    """Verifies, keeps and shows what came, and counts it."""

    def __init__(self, options: _Options, stopped: asyncio.Event, room: files.Room | None) -> None:
        self._options = options
        self._stopped = stopped
        self._console = output()
        self._counts: Counter[Authenticity] = Counter()
        self._room = room
        self._saved = 0
        self._failure: OSError | None = None
        if options.save is not None:
            matches = (_SAVED.fullmatch(path.name) for path in options.save.iterdir())
            self._saved = max((int(match[1]) for match in matches if match is not None), default=0)

    def announce(self, listener: Listener) -> None:
        """Say where it listens and what to do now."""
        url, played = f"{listener.base_url}/", listener.behaviour
        configure = (
            f"heliograph configurations create --name listener --url {url} "
            "--event envelope-completed --all-users --log"
        )
        if self._options.as_json:
            self._print_json(
                {
                    "kind": "listening",
                    "url": url,
                    "behaviour": played.name,
                    "variant": listener.variant or None,
                    "keys": len(self._options.keys),
                    "next": configure,
                }
            )
            return
        console = self._console
        console.print(f"Heliograph {heliograph.__version__} listens on {url}", style="bold")
        about = f"{played.name}: {played.about}"
        if listener.variant:
            about += f" {listener.variant}: {played.variants[listener.variant]}."
        keys = counted(len(self._options.keys), "HMAC key") if self._options.keys else ""
        for name, text in (
            ("Behaviour", about),
            ("Verifies", keys or "nothing: give --key or --key-file to verify signatures"),
            ("Configure", configure),
            ("Server", "one on this machine admits it with `heliograph serve --egress emulator`"),
            ("Stop", "Ctrl-C"),
        ):
            console.print(f"  {name:<12}{text}", soft_wrap=True)

    def take(self, request: Request) -> None:
        """A request came, whole."""
        summary, signatures = summarise(request), check(request, self._options.keys)
        self._counts[signatures.authenticity] += 1
        with self._writing():
            saved = self._save(summary, request)
            if self._options.as_json:
                self._print_json(_document(request, summary, signatures, saved))
            else:
                self._print(request, summary, signatures, saved)

    def forwarded(self, request: Request, forwarded: Forwarded) -> None:
        """A request was handed on."""
        with self._writing():
            if self._options.as_json:
                self._print_json(
                    {
                        "kind": "forwarded",
                        "time": dates.render(datetime.now(UTC)),
                        "envelopeId": summarise(request).envelope_id,
                        "status": forwarded.status,
                        "error": forwarded.error,
                        "seconds": round(forwarded.seconds, 3),
                    }
                )
                return
            said = forwarded.error or f"{forwarded.status} {forwarded.reason}".strip()
            taken = forwarded.status is not None and 200 <= forwarded.status <= 299
            line = f"          handed on: {harmless(said)}, after {forwarded.seconds:.3f} s"
            self._console.print(line, style="green" if taken else "red", soft_wrap=True)

    def note(self, what: str) -> None:
        """Something came that is no whole request."""
        now = datetime.now(UTC)
        with self._writing():
            if self._options.as_json:
                self._print_json({"kind": "note", "time": dates.render(now), "text": what})
            else:
                line = f"{_local(now)}  {harmless(what)}"
                self._console.print(line, style="yellow", soft_wrap=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The disk may be full, or nobody read any more what is shown: then it is over."""
        try:
            yield
        except OSError as error:
            self._failure = self._failure or error
            self._stopped.set()

    def finish(self) -> None:
        """Say what came of it all.

        Raises:
            Stop: it ended since something could not be written.
        """
        if isinstance(self._failure, BrokenPipeError):
            raise self._failure
        if self._failure is not None:
            raise wrong(f"A message could not be kept: {self._failure.strerror}.")
        total = self._counts.total()
        if self._options.as_json:
            counts = {which.value: self._counts[which] for which in Authenticity}
            self._print_json({"kind": "summary", "messages": total, "signatures": counts})
            return
        parts = [
            f"{self._counts[which]:,} {words}"
            for which, words in (
                (Authenticity.MATCHED, "signed by a given key"),
                (Authenticity.NONE_MATCHED, "with a WRONG SIGNATURE"),
                (Authenticity.UNSIGNED, "unsigned"),
                (Authenticity.UNCHECKED, "not checked"),
            )
            if self._counts[which]
        ]
        text = ", ".join(parts)
        self._console.print(f"{counted(total, 'message')}{': ' if text else ''}{text}.")

    def _save(self, summary: Summary, request: Request) -> Path | None:
        if self._options.save is None or self._room is None:
            return None
        self._saved += 1
        name = f"{self._saved:06}{_SUFFIXES.get(summary.format, '.bin')}"
        # Not flushed: many may come, and who sends them keeps them until the answer.
        (self._room.folder / name).write_bytes(request.body)
        self._room.place(name)
        return self._options.save / name

    def _print(
        self, request: Request, summary: Summary, signatures: Signatures, saved: Path | None
    ) -> None:
        what = [summary.event, summary.envelope_id, summary.subject]
        named = "  ".join(harmless(text) for text in what if text)
        kind = request.header("Content-Type") or "no Content-Type"
        if summary.format == "other":
            named = f"{harmless(request.method)} {harmless(request.target)}"
        details = [
            summary.retry_count and f"retry {harmless(summary.retry_count)}",
            summary.configuration_id and f"configuration {harmless(summary.configuration_id)}",
            f"{counted(len(request.body), 'byte')} of "
            + (harmless(kind[:200]) if summary.format == "other" else summary.format),
        ]
        line = Text(f"{_local(request.at)}  ").append(named, "bold")
        below = Text("          " + ", ".join(detail for detail in details if detail) + ", ")
        below.append(harmless(str(signatures)), _COLOURS.get(signatures.authenticity, "yellow"))
        if saved is not None:
            below.append(f", {harmless(str(saved))}")
        self._console.print(line, soft_wrap=True)
        self._console.print(below, soft_wrap=True)

    def _print_json(self, document: dict[str, Any]) -> None:
        click.echo(harmless_json(msgspec.json.encode(document).decode()))


def _document(
    request: Request, summary: Summary, signatures: Signatures, saved: Path | None
) -> dict[str, Any]:
    return {
        "kind": "message",
        "time": dates.render(request.at),
        "method": request.method,
        "target": request.target,
        "format": summary.format,
        "event": summary.event,
        "envelopeId": summary.envelope_id,
        "subject": summary.subject,
        "retryCount": summary.retry_count,
        "configurationId": summary.configuration_id,
        "contentType": request.header("Content-Type"),
        "bytes": len(request.body),
        "signature": {
            "verdict": signatures.authenticity.value,
            "keys": signatures.keys,
            "headers": [
                {"name": signature.header, "key": signature.key} for signature in signatures.all
            ],
        },
        "saved": None if saved is None else str(saved),
    }


def _local(when: datetime) -> str:
    return when.astimezone().strftime("%H:%M:%S")


def _not_started(options: _Options, error: OSError) -> Stop:
    where = f"{options.host}:{options.port}"
    if error.errno == errno.EADDRINUSE:
        return wrong(
            f"Another program listens on {where}.", "Choose another --port; 0 takes a free one."
        )
    return wrong(
        f"Cannot listen on {where}: {error.strerror or error}.",
        "Choose a --host that this machine has, and a --port that you may use.",
    )
