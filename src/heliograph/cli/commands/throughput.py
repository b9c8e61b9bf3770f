"""`heliograph throughput`: how fast messages go out, how fast listeners answer, what waits."""

from __future__ import annotations

from typing import Any

import click

from heliograph.access.credentials_file import Credentials
from heliograph.cli.account_calls import run
from heliograph.cli.connection import Connection, json_option, server_options
from heliograph.cli.terminal import counted, lasting, output, print_fields, print_json


@click.command(epilog="Example: heliograph throughput --connect-id 1")
@click.option("--connect-id", metavar="ID", help="Of this configuration alone.")
@json_option
@server_options
def throughput(credentials: Credentials, connect_id: str | None, as_json: bool) -> None:
    """Show how fast messages go out, how fast listeners answer, and what has not gone out yet.

    The rates are those of the last posts that were logged: of five minutes, or the last 1,000.
    """
    query = {} if connect_id is None else {"connect_id": connect_id}

    async def ask(connection: Connection) -> Any:
        return (await connection.call("GET", "throughput", query=query)).json

    found = run(credentials, ask)
    print_json(found) if as_json else print_fields(output(), fields_of(found))


def fields_of(found: dict[str, Any]) -> list[tuple[str, str | None]]:
    """The answer of `get_throughput`, in words."""
    more = "+" if found["capped"] == "true" else ""
    posts, span = int(found["posts"]), lasting(int(found["seconds"]))
    none = "no post was logged in the last 5 min"
    drain = found.get("drainSeconds")
    drained = "nobody can tell: nothing was delivered" if drain is None else lasting(int(drain))
    answers = [("50", found.get("medianMilliseconds")), ("99", found.get("p99Milliseconds"))]
    return [
        ("Waiting", f"{int(found['waiting']):,}{more}"),
        ("In flight", f"{int(found['inFlight']):,}{more}"),
        ("Held", f"{int(found['held']):,}{more}"),
        ("Drained in", drained),
        ("Delivered", f"{found['deliveredPerMinute']} a minute" if posts else none),
        ("Failed", f"{found['failedPerMinute']} a minute" if posts else None),
        *(
            (f"{share} % answer in", None if value is None else f"{int(value):,} ms")
            for share, value in answers
        ),
        ("Told by", f"{counted(posts, 'post')} of the last {span}" if posts else None),
        ("Servers", found["servers"]),
    ]
