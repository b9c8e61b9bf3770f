"""`heliograph audit`: who did what to what."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from heliograph.access.credentials_file import Credentials
from heliograph.cli.export import exporting
from heliograph.cli.grouping import Commands
from heliograph.cli.listing import Listing, listing_options, show_listing
from heliograph.cli.selecting import audit_filter_options
from heliograph.cli.terminal import (
    Column,
    Row,
    counted,
    local_time,
    notes,
    output,
    print_rows,
    zone_of,
)

_NOUN: Final = ("entry", "entries")


@click.group(cls=Commands)
def audit() -> None:
    """Who did what to what, when and from where."""


@audit.command("list", epilog="Example: heliograph audit list --from 1d --what 'configuration 7'")
@listing_options(audit_filter_options)
def list_entries(
    credentials: Credentials,
    chosen: dict[str, str],
    count: int | None,
    order: str,
    as_json: bool,
) -> None:
    """List what was done, newest first, with the values that were changed."""
    query = {**chosen, "order": order}
    asyncio.run(show_listing(credentials, "audit", query, count, as_json, _show))


audit.add_command(
    exporting(
        "audit",
        _NOUN,
        (
            "entryId",
            "created",
            "actor",
            "address",
            "tokenId",
            "userId",
            "action",
            "what",
            "details",
        ),
        audit_filter_options,
        "action",
    )
)


def _show(listing: Listing) -> None:
    records: Sequence[Mapping[str, Any]] = listing.records
    if not records:
        notes().print("Nothing was done.")
        return
    columns = [
        Column(f"WHEN ({zone_of(record['created'] for record in records)})"),
        Column("WHO", gives_way=True),
        Column("FROM"),
        Column("ACTION"),
    ]
    rows = [
        Row(
            [
                local_time(record["created"]),
                record["actor"],
                record.get("address", "-"),
                record["action"],
            ],
            "; ".join([record["what"], *map(_change, record.get("details", ()))]),
            "",
        )
        for record in records
    ]
    print_rows(output(), columns, rows)
    shown = counted(len(records), *_NOUN)
    more = " shown, there are more: --count N shows N, `audit export` writes all"
    output().print(f"{shown}{more if listing.more else ''}.", style="dim")


def _change(detail: Mapping[str, str]) -> str:
    """`name: crm -> erp`; of something new only what it has."""
    after = detail.get("after", "-")
    before = detail.get("before")
    return f"{detail['name']}: {after if before is None else f'{before} -> {after}'}"
