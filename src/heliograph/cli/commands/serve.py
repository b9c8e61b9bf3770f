"""`heliograph serve`: the server in the foreground."""

from __future__ import annotations

from typing import Any

import click

from heliograph.cli.serving import run, setting_options


@click.command(epilog="Example: heliograph serve --data-dir ./hg --egress emulator")
@setting_options
def serve(**options: Any) -> None:
    """Run the server until SIGTERM or Ctrl-C; a second signal stops it at once.

    SIGHUP reads the certificate again; no other signal but SIGKILL ends it with work in flight.

    Each setting is an option or an environment variable; the option wins. The log goes to
    standard error: one JSON object to a line, or lines to read on a terminal.
    """
    run(options, api=True)
