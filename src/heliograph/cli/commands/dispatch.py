"""`heliograph dispatch`: a node that only sends, in the foreground."""

from __future__ import annotations

import functools
from typing import Any

import click

from heliograph.cli.serving import run, setting_options
from heliograph.settings import NOT_OF_DISPATCH


@click.command(epilog="Example: heliograph dispatch --data-dir ./node2 --port 8081")
@functools.partial(setting_options, without=NOT_OF_DISPATCH)
def dispatch(**options: Any) -> None:
    """Run a node that only sends, beside nodes of `serve` on the same PostgreSQL.

    It answers /healthz and /readyz and takes no events. Its data directory needs a copy of
    master.key from a node that runs.
    """
    run(options, api=False)
