"""`events`, `deliveries`, `envelopes`: what has become of everything, for people and programs."""

from __future__ import annotations

import csv
import json
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.listener import LoopbackListener
from tests.service.cli.shell import ESCAPE, Shell, write
from tests.support import published


@dataclass(frozen=True)
class Lease:
    """An envelope of its own: one event was delivered, the next has failed, one nobody wants."""

    shell: Shell
    envelope_id: str

    @property
    def only(self) -> tuple[str, str]:
        """The filter that leaves out what other tests have published."""
        return "--envelope-id", self.envelope_id


@pytest.fixture
async def lease(shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path) -> Lease:
    envelope_id = f"env-{uuid.uuid4()}"

    async def publish(name: str, end: str) -> None:
        event = published(name, envelope_id, eventId=f"{envelope_id}-{end}")
        await shell.run("publish", write(tmp_path, event))

    await publish("envelope-sent", "first")
    await shell.records("logs", crm, 1)
    listener.status = 500
    await publish("envelope-sent", "second")
    await shell.records("failures", crm, 1)
    await publish("envelope-voided", "third")
    return Lease(shell, envelope_id)


async def test_an_envelopes_timeline_says_to_whom_each_event_went_or_why_not(lease: Lease) -> None:
    told = await lease.shell.run("envelopes", "show", lease.envelope_id)
    assert told.exit_code == 0, told.output
    assert told.stdout.startswith(f"Envelope  {lease.envelope_id}\n")
    _, first, second, third = told.stdout.split("  envelope-")
    assert "crm: delivered 20" in first
    assert ", 1 try" in first
    assert "crm: waiting, next try: " in second
    assert "status: 500" in second
    assert "crm: not sent, envelope-voided is not among its events" in third
    document = await lease.shell.json("envelopes", "show", lease.envelope_id)
    assert [event["eventId"].rpartition("-")[2] for event in document["events"]] == [
        *("first", "second", "third")
    ]
    unknown = await lease.shell.run("envelopes", "show", "env-9")
    assert unknown.exit_code == 2
    assert "No event of envelope env-9 is kept." in unknown.stderr


async def test_events_are_listed_and_shown(lease: Lease) -> None:
    run = lease.shell.run
    told = await run("events", "list", *lease.only, "--event", "envelope-voided")
    assert f"{lease.envelope_id}-third · Lease of 12 Harbour Street" in told.stdout
    assert told.stdout.rstrip().endswith("1 event.")
    told = await run("events", "list", *lease.only, "--count", "2")
    assert "2 shown of 3: --count N shows N" in told.stdout
    told = await run("events", "show", f"{lease.envelope_id}-third", "--explain")
    assert "not sent, envelope-voided is not among its events" in told.stdout
    document = await lease.shell.json("events", "list", *lease.only)
    assert document["totalRecords"] == "3"
    assert (await run("events", "list", "--subject", "none")).stderr == "No events.\n"


async def test_deliveries_are_listed_and_shown_in_any_state(lease: Lease) -> None:
    run, listed = lease.shell.run, ("deliveries", "list", *lease.only)
    told = await run(*listed)
    assert "delivered 20" in told.stdout
    assert "waiting, next try: " in told.stdout
    (delivered,) = (await lease.shell.json(*listed, "--state", "delivered"))["deliveries"]
    told = await run("deliveries", "show", delivered["deliveryId"])
    assert "State          delivered 20" in told.stdout
    assert "HTTP/1.1 200" in told.stdout
    await run("failures", "delete", *lease.only, "--yes")
    told = await run(*listed, "--state", "cancelled")
    assert "cancelled by first-administrator, 1 try" in told.stdout
    assert (await run("deliveries", "show", "9999")).exit_code != 0


async def test_how_fast_messages_go_out_is_told_of_all_or_of_a_listener(
    lease: Lease, crm: str
) -> None:
    told = await lease.shell.run("throughput", "--connect-id", crm)
    assert told.exit_code == 0, told.output
    lines = dict(line.split(maxsplit=1) for line in told.stdout.splitlines())
    assert lines["Waiting"] == "1"
    assert lines["Delivered"].endswith(" a minute")
    assert told.stdout.count(" ms\n") == 2
    assert "posts of the last 5 min" in told.stdout
    every = await lease.shell.json("throughput")
    assert int(every["posts"]) >= 2
    unknown = await lease.shell.run("throughput", "--connect-id", "987654")
    assert unknown.exit_code != 0
    assert "There is no configuration 987654." in unknown.stderr


async def test_they_are_exported(lease: Lease, tmp_path: Path) -> None:
    lines = await lease.shell.run("deliveries", "export", "-", *lease.only, "--order", "asc")
    found = [json.loads(line) for line in lines.stdout.splitlines()]
    assert [one["deliveryState"] for one in found] == ["delivered", "waiting"]
    file = tmp_path / "events.csv"
    told = await lease.shell.run("events", "export", str(file), *lease.only)
    assert "3 events written" in told.stderr
    with file.open(newline="") as text:
        ends = [row["eventId"].rpartition("-")[2] for row in csv.DictReader(text)]
    assert ends == ["third", "second", "first"]


async def test_nothing_from_elsewhere_reaches_the_terminal_as_a_command(
    shell: Shell, crm: str
) -> None:
    event = published(envelope_id="esc", eventId="esc-1")
    event["data"]["envelopeSummary"]["emailSubject"] = ESCAPE
    event["data"]["envelopeSummary"]["sender"]["userName"] = ESCAPE
    await shell.run("publish", "-", stdin=json.dumps(event))
    (delivery,) = (await shell.json("deliveries", "list", "--event-id", "esc-1"))["deliveries"]
    for arguments in (
        ("events", "list"),
        ("events", "show", "esc-1"),
        ("deliveries", "list"),
        ("deliveries", "show", delivery["deliveryId"]),
        ("envelopes", "show", "esc"),
        ("events", "list", "--json"),
        ("deliveries", "export", "-"),
    ):
        told = await shell.run(*arguments)
        assert told.exit_code == 0, told.output
        assert "\x1b" not in told.output, arguments
