"""`heliograph deliveries`: each event for each configuration, whatever has become of it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import click

from heliograph.access.credentials_file import Credentials
from heliograph.cli.account_calls import run
from heliograph.cli.connection import Connection, json_option, segment, server_options
from heliograph.cli.export import exporting
from heliograph.cli.grouping import Commands
from heliograph.cli.listing import about, listing_options, sender, show_listing
from heliograph.cli.published import print_attempts, print_deliveries, print_published, result
from heliograph.cli.selecting import delivery_filter_options
from heliograph.cli.terminal import local_time_and_zone, output, print_fields, print_json


@click.group(cls=Commands)
def deliveries() -> None:
    """Events for configurations, in any state: what waits, is held, was delivered or not."""


@deliveries.command(
    "list", epilog="Example: heliograph deliveries list --state held --connect-id 1"
)
@listing_options(delivery_filter_options)
def list_deliveries(
    credentials: Credentials,
    chosen: dict[str, str],
    count: int | None,
    order: str,
    as_json: bool,
) -> None:
    """List deliveries, with what has become of each."""
    query = {**chosen, "order": order}
    show = partial(print_published, show=print_deliveries)
    asyncio.run(show_listing(credentials, "deliveries", query, count, as_json, show))


@deliveries.command(epilog="Example: heliograph deliveries show 12")
@click.argument("delivery_id", metavar="ID")
@json_option
@server_options
def show(credentials: Credentials, delivery_id: str, as_json: bool) -> None:
    """Show a delivery with its attempts, and the exchange of the last one."""

    async def ask(connection: Connection) -> Any:
        query = {"additional_info": "true"}
        return (
            await connection.call("GET", f"deliveries/{segment(delivery_id)}", query=query)
        ).json

    delivery = run(credentials, ask)
    if as_json:
        print_json(delivery)
        return
    print_fields(
        output(),
        [
            ("Delivery", delivery["deliveryId"]),
            ("State", result(delivery)),
            ("Event", f"{delivery['event']}, {delivery['eventId']}"),
            ("About", about(delivery)),
            ("Subject", delivery.get("subject")),
            ("Sender", sender(delivery)),
            ("Configuration", f"{delivery['connectId']} {delivery['configName']}"),
            ("Listener", delivery["configUrl"]),
            ("Recipient", delivery.get("recipientUserId")),
            ("Accepted", local_time_and_zone(delivery["created"])),
            ("Last try", local_time_and_zone(delivery.get("lastTry"))),
            ("Resent by", delivery.get("resentBy")),
        ],
    )
    print_attempts(delivery["attempts"])


deliveries.add_command(
    exporting(
        "deliveries",
        ("delivery", "deliveries"),
        (
            "deliveryId",
            "deliveryState",
            "eventId",
            "event",
            "envelopeId",
            "subject",
            "userName",
            "email",
            "status",
            "connectId",
            "configName",
            "configUrl",
            "recipientUserId",
            "created",
            "attemptCount",
            "lastTry",
            "nextTry",
            "heldReason",
            "error",
            "failureId",
            "cancelledBy",
            "mergedInto",
            "resentBy",
        ),
        delivery_filter_options,
    )
)
