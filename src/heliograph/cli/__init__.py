"""The command line: `heliograph serve`, `heliograph demo`, and a client for everything else."""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

import heliograph
from heliograph.cli.exits import STATUSES, Exit, stop_for
from heliograph.errors import HeliographError

# In the order of the help. Each is the function of its name in the module of its name, which is
# imported when it is called for: --help does not pay for the server.
_COMMANDS: Final = {
    "serve": "Run the server.",
    "dispatch": "Run a node that only sends, on a shared PostgreSQL.",
    "emulator": "Run DocuSign's quickstarts against this machine: start, advance, reset.",
    "demo": "See a whole round: publish, fail, mend, republish.",
    "status": "Is all well? What fails, since when, and what to do.",
    "throughput": "How fast messages go out, and what waits.",
    "publish": "Publish events from a file or standard input.",
    "trigger": "Fire a sample, or a whole story, at a listener.",
    "historical": "Publish envelopes of the past once more: start, follow, cancel.",
    "configurations": "Who gets which events: list, show, create, update, delete.",
    "events": "What was published, and to whom it went: list, show, tail, export.",
    "deliveries": "Events for configurations, in any state: list, show, export.",
    "envelopes": "The timeline of one envelope: show.",
    "logs": "Every post that was logged: list, show, tail, resend, delete.",
    "failures": "What did not arrive: list, show, republish, delete, export.",
    "republish": "Ask again for many, slowly: start, list, show, pause, resume, cancel.",
    "incidents": "What fails, by listener and cause: list, show, acknowledge.",
    "users": "Who belongs to the account: list, add, password, close, import.",
    "groups": "Users that configurations name together.",
    "tokens": "Who may call the API: list, add, revoke.",
    "applications": "Integration keys: who signs users in, and with what consent.",
    "audit": "Who did what to what, when and from where: list, export.",
    "accounts": "The tenants of an installation: list, create.",
    "hmac-keys": "The keys that sign messages: create, list, delete.",
    "client-certificate": "What listeners with mutual TLS are shown.",
    "connect-oauth": "The OAuth client that posts get tokens with.",
    "relays": "URLs that DocuSign's Connect posts to: create, list, show, update.",
    "dev-cert": "Make a certificate, to develop with over HTTPS.",
    "secrets": "Change the master key that secrets are encrypted with.",
    "backup": "Copy the database of a running server to a file.",
    "restore": "Put a backup into an empty data directory.",
    "copy": "Move an installation from SQLite to PostgreSQL.",
    "retention": "Delete what is older than it must be kept, now.",
    "doctor": "Check the storage, and the server if it runs.",
    "bench": "Measure this machine, and Heliograph on it.",
    "completion": "Let the shell complete commands and options: install, show.",
    "listen": "A listener to develop with: verifies, shows, misbehaves.",
    "verify": "Play DocuSign at its worst against a listener, and judge it.",
}


class _Program(click.Group):
    """The group of all commands; turns what they raise into an exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"heliograph.cli.commands.{name}")
        command: click.Command = getattr(module, name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = ctx.resilient_parsing or args[0] in _COMMANDS  # what a shell completes is not told
        if not known and (near := get_close_matches(args[0], _COMMANDS, n=1)):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        named = [item for item in _COMMANDS.items() if item[0].startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=text) for name, text in named), *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(Exit.INTERRUPTED)
        except BrokenPipeError:
            raise  # click ends quietly: nobody reads any more
        except (HeliographError, OSError, ExceptionGroup) as error:
            stop = stop_for(error)
            if stop is None:
                raise
            raise stop from None


@click.group(
    cls=_Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"\b\nExit statuses:\n{STATUSES}",
)
@click.version_option(
    heliograph.__version__, prog_name="heliograph", message="%(prog)s %(version)s"
)
def main() -> None:
    """Heliograph publishes envelope events to listeners and keeps a complete failure log.

    \b
    Start here:
      heliograph demo
      heliograph serve --data-dir ./hg --egress emulator

    \b
    In other terminals, in the same folder:
      heliograph listen
      heliograph configurations create --name first --all-users \
          --url http://127.0.0.1:9000/ --event envelope-completed
      heliograph configurations test 1
      heliograph status
    """
