"""The commands against a real server process and real listeners."""

from __future__ import annotations

import asyncio
import csv
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from heliograph.access.credentials_file import Credentials
from heliograph.cli.connection import Connection
from heliograph.cli.listing import fetch
from tests.listener import LoopbackListener
from tests.service.cli.shell import COMMAND, ESCAPE, Shell, start_server, write
from tests.support import published


async def test_one_object_an_array_and_lines_are_told_by_their_content(
    shell: Shell, crm: str, tmp_path: Path
) -> None:
    one = tmp_path / "one.json"
    one.write_text("\ufeff" + json.dumps(published(), indent=2))
    several = tmp_path / "several.txt"
    several.write_text(json.dumps([published(envelope_id=f"a-{at}") for at in range(3)], indent=1))
    lines = write(tmp_path, *(published(envelope_id=f"l-{at}") for at in range(1201)))

    for file, count in ((str(one), 1), (str(several), 3), (lines, 1201)):
        summary = await shell.json("publish", file)
        assert (summary["events"], summary["deliveries"], summary["repeated"]) == (count, count, 0)

    told = await shell.run("publish", "-", stdin=json.dumps(published("envelope-voided")))
    assert told.exit_code == 0
    assert "Published 1 event: 1 new, 0 repeated; 0 deliveries." in told.stdout
    assert "envelope-voided is not among its events" in told.stdout
    assert "Nobody gets them" in told.stderr


async def test_a_bad_line_is_named_and_its_batch_stays_behind(
    shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path
) -> None:
    good = [published(envelope_id=f"g-{at}") for at in range(1005)]
    file = write(tmp_path, *good[:1002], {"event": "x"}, *good[1002:])

    refused = await shell.run("publish", file)
    assert refused.exit_code == 2
    assert "line 1003: The event has no object `data`." in refused.stderr
    assert "1,000 events of the file were published." in refused.stderr
    key = refused.stderr.partition("--key ")[2].partition("`")[0]

    write(tmp_path, *good)
    resumed = await shell.run("publish", file, "--key", key)
    assert "1,005 events: 5 new, 1,000 repeated; 1,005 deliveries." in resumed.stdout
    await listener.until(lambda received: len(received) == 1005)


async def test_a_call_without_an_answer_is_repeated_and_adds_nothing_twice(
    shell: Shell, crm: str, tmp_path: Path
) -> None:
    file = write(tmp_path, *(published(envelope_id=f"p-{at}") for at in range(3)))
    async with lossy_proxy(Credentials.read(shell.data_dir).base_uri) as base:
        shell.env = through(base, Credentials.read(shell.data_dir))
        summary = await shell.json("publish", file)
    shell.env = {}
    # The first answer was lost, the second was 503: the third tells of repeats.
    assert (summary["events"], summary["repeated"]) == (3, 3)


def to_the_process(process: int) -> None:
    os.kill(process, signal.SIGINT)


def to_a_thread_that_reads(process: int) -> None:
    """As it is when the main thread is just about to wait: nothing interrupts that wait."""
    (other,) = {int(task.name) for task in Path(f"/proc/{process}/task").iterdir()} - {process}
    assert ctypes.CDLL(None).tgkill(process, other, signal.SIGINT) == 0


@pytest.mark.parametrize("interrupt", [to_the_process, to_a_thread_that_reads])
async def test_an_interrupted_run_tells_how_to_go_on_even_on_a_quiet_pipe(
    shell: Shell,
    listener: LoopbackListener,
    crm: str,
    tmp_path: Path,
    interrupt: Callable[[int], None],
) -> None:
    errors = tmp_path / "stderr"
    with errors.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(*COMMAND, "publish", "--data-dir", str(shell.data_dir), "-"),
            stdin=subprocess.PIPE,
            stderr=file,
            env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        )
    assert process.stdin is not None
    try:
        for at in range(1500):
            process.stdin.write(json.dumps(published(envelope_id=f"i-{at}")).encode() + b"\n")
        await process.stdin.drain()
        await listener.until(lambda received: len(received) == 1000)
        interrupt(process.pid)
        status = await process.wait()  # one that does not end is what pytest's limit is for
        told = errors.read_text()
        assert status == 130, told
        assert "Interrupted." in told
        assert "Go on with `--key " in told
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGABRT)  # it then says where each of its threads stands
            await process.wait()
            sys.stderr.write(errors.read_text())
        process.stdin.close()


async def test_progress_is_shown_on_a_terminal_only(shell: Shell, crm: str, tmp_path: Path) -> None:
    file = write(tmp_path, *(published(envelope_id=f"t-{at}") for at in range(2)))
    assert (await shell.run("publish", file)).stderr == ""
    shell.env = {"FORCE_COLOR": "1"}  # rich then takes the stream for a terminal
    for arguments in (("publish", file), ("failures", "republish", "--connect-id", crm)):
        shown = await shell.run(*arguments)
        assert (shown.exit_code, "\x1b[" in shown.stderr) == (0, True), shown.output


async def test_a_failure_is_listed_shown_republished_and_gone(
    shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path
) -> None:
    listener.status = 500
    envelope = "7f0c1b1e-4a5e-4c8e-9d35-0123456789ab"
    await shell.run("publish", write(tmp_path, published(envelope_id=envelope)))
    (failure,) = await shell.records("failures", crm, 1)

    listed = await shell.run("failures", "list", "--connect-id", crm, "--each")
    assert envelope in listed.stdout
    assert "status: 500 Internal Server Error" in listed.stdout
    assert max(map(len, listed.stdout.splitlines())) <= 80

    shown = await shell.run("failures", "show", failure["failureId"])
    assert "Lease of 12 Harbour Street" in shown.stdout
    assert "listener is broken" in shown.stdout
    full = await shell.json("failures", "show", failure["failureId"])
    assert [half["payload"] for half in full["connectDebugLog"]][1].endswith("listener is broken")

    failed = await shell.run("failures", "republish", envelope, "--wait")
    assert (failed.exit_code, "failed" in failed.stdout) == (1, True)
    listener.status = 200
    done = await shell.run("failures", "republish", envelope, "--wait")
    assert (done.exit_code, "success" in done.stdout) == (0, True)
    await shell.records("failures", crm, 0)
    # It has no failure any more: it goes out once more.
    again = await shell.run("failures", "republish", envelope)
    assert (again.exit_code, "queued" in again.stdout) == (0, True)
    await shell.records("logs", crm, 4)
    unknown = await shell.run("failures", "republish", "unknown")
    assert (unknown.exit_code, "not_found" in unknown.stdout) == (1, True)


async def test_what_was_delivered_is_sent_again_by_log_entry_or_in_bulk(
    shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path
) -> None:
    file = write(tmp_path, *(published(envelope_id=f"resent-{at}") for at in range(101)))
    await shell.run("publish", file)
    newest, *_ = await shell.records("logs", crm, 101)
    done = await shell.run("logs", "resend", newest["logId"])
    assert (done.exit_code, f"{newest['logId']}: queued." in done.stdout) == (0, True)
    await shell.records("logs", crm, 102)
    shown = await shell.run("logs", "list", "--envelope-id", newest["envelopeId"])
    assert shown.stdout.count(newest["envelopeId"]) == 2
    latest, _ = (await shell.json("logs", "list", "--envelope-id", newest["envelopeId"]))["logs"]
    assert "Resent by" in (await shell.run("logs", "show", latest["logId"])).stdout
    assert (await shell.run("logs", "resend", "999999")).exit_code == 4

    dry = await shell.json("logs", "resend", "--connect-id", crm, "--dry-run")
    assert dry["count"] == "101"
    alone = await shell.run("logs", "resend", "--connect-id", crm)
    assert (alone.exit_code, "Say --yes" in alone.stderr) == (2, True)
    assert len(listener.received) == 102
    meant = await shell.run("logs", "resend", "--connect-id", crm, "--yes")
    assert "101 messages queued to be sent again." in meant.stdout
    await shell.records("logs", crm, 203)
    for unclear in ((), ("1", "--all"), ("--all", "--connect-id", crm), ("--error", "x")):
        assert (await shell.run("logs", "resend", *unclear)).exit_code == 2


async def test_json_is_exactly_the_document_of_the_api(
    shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path
) -> None:
    listener.status = 500
    await shell.run("publish", write(tmp_path, published(envelope_id="é")))
    await shell.records("failures", crm, 1)
    for arguments, path in (
        (("failures", "list", "--connect-id", crm), f"failures?connect_id={crm}"),
        (("logs", "list", "--connect-id", crm), f"logs?connect_id={crm}"),
        (("configurations", "list"), ""),
        (("configurations", "show", crm), crm),
        (("hmac-keys", "list"), "secret"),
    ):
        assert await shell.json(*arguments) == await get(shell.data_dir, path)


async def test_failures_go_back_or_away_in_bulk_by_filter(
    shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path
) -> None:
    listener.status = 500
    file = write(tmp_path, *(published(envelope_id=f"bulk-{at}") for at in range(5)))
    await shell.run("publish", file)
    await shell.records("failures", crm, 5)

    unasked = await shell.run("failures", "delete", "--envelope-id", "bulk-0", stdin="n\n")
    assert unasked.exit_code == 1
    gone = await shell.run("failures", "delete", "--envelope-id", "bulk-0", "--yes")
    assert "Deleted 1 failure." in gone.stdout
    (one, *_) = await shell.records("failures", crm, 4)
    assert (await shell.run("failures", "delete", one["failureId"])).exit_code == 0
    assert (await shell.run("failures", "delete", one["failureId"])).exit_code == 4

    dry = await shell.run("failures", "republish", "--connect-id", crm, "--dry-run")
    assert dry.stdout.startswith("3 failures, created from 20")
    assert f"{listener.base}/hook" in dry.stdout
    for refused in (("delete", one["failureId"]), ("republish", "env")):
        assert (await shell.run("failures", *refused, "--dry-run")).exit_code == 2
    await shell.records("failures", crm, 3)

    listener.status = 200
    queued = await shell.run("failures", "republish", "--connect-id", crm, "--error", "500")
    assert "3 failures queued to be sent now." in queued.stdout
    await shell.records("failures", crm, 0)
    for unclear in ((), ("--all", "--connect-id", crm), ("env", "--all")):
        assert (await shell.run("failures", "republish", *unclear)).exit_code == 2


async def test_more_than_a_hundred_are_shown_and_asked_about_before_they_are_sent_again(
    shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path
) -> None:
    slow = tmp_path / "slow.json"
    slow.write_text('{"retrySchedule": ["3600"]}')
    assert (await shell.run("configurations", "update", crm, "--file", str(slow))).exit_code == 0
    listener.status = 500
    file = write(tmp_path, *(published(envelope_id=f"many-{at}") for at in range(101)))
    await shell.run("publish", file)
    await shell.records("failures", crm, 101)
    republish = ("failures", "republish", "--connect-id", crm)

    alone = await shell.run(*republish)
    assert alone.exit_code == 2
    assert "101 failures, created from " in alone.stderr
    assert "Say --yes if it is meant." in alone.stderr
    declined = await shell.run(*republish, stdin="n\n")
    assert (declined.exit_code, declined.stdout) == (1, "")
    assert len(listener.received) == 101
    # A hundred, and whatever --yes says, are not asked about.
    await shell.run("failures", "delete", "--envelope-id", "many-0", "--yes")
    fewer = await shell.run(*republish)
    assert "100 failures queued" in fewer.stdout, fewer.output
    listener.status = 200
    agreed = await shell.run(*republish, stdin="y\n")
    assert agreed.exit_code == 0
    await shell.records("failures", crm, 0)


async def test_a_listing_follows_every_page_and_stops_where_it_is_told(
    shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path
) -> None:
    listener.status = 500
    await shell.run(
        "publish", write(tmp_path, *(published(envelope_id=f"page-{at}") for at in range(5)))
    )
    await shell.records("failures", crm, 5)
    query = {"connect_id": crm, "order": "asc"}
    async with Connection(Credentials.read(shell.data_dir)) as connection:
        every = await fetch(connection, "failures", query, None, page=2)
        three = await fetch(connection, "failures", query, 3, page=2)
    ids = [one["envelopeId"] for one in every.records]
    assert ids == [f"page-{at}" for at in range(5)]
    assert (every.more, every.document["totalRecords"]) == (False, "5")
    assert ([one["envelopeId"] for one in three.records], three.more) == (ids[:3], True)
    told = await shell.run("failures", "list", "--connect-id", crm, "--count", "2")
    assert "2 shown of 5: --count N shows N" in told.stdout
    posts = await shell.run("logs", "list", "--connect-id", crm, "--count", "2")
    assert re.search(r"2 shown of [1-9]\d*: --count N shows N, --json has all\.", posts.stdout)


async def test_failures_are_put_together_by_cause_unless_each_is_wanted(
    shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path
) -> None:
    listener.status = 500
    events = [published(envelope_id=f"cause-{at}") for at in range(3)]
    await shell.run("publish", write(tmp_path, *events))
    await shell.records("failures", crm, 3)
    told = (await shell.run("failures", "list", "--connect-id", crm)).stdout
    assert re.search(rf"(?m)^ *{crm} +3  [-\d]+ [:\d]+  status: HTTP 500$", told)
    assert "3 envelopes. The newest" in told
    assert "3 failures, by cause" in told
    shell.env = {"COLUMNS": "44"}
    narrow = (await shell.run("failures", "list", "--connect-id", crm)).stdout.splitlines()
    assert max(map(len, narrow)) <= 44
    assert "CAUSE        status: HTTP 500" in narrow
    for rows in (("--each",), ("--order", "asc"), ("--count", "3")):
        each = (await shell.run("failures", "list", "--connect-id", crm, *rows)).stdout
        whole = re.findall(r"(?m)^LAST TRY \(\S+\)  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", each)
        assert len(whole) == 3, "a digit was cut"
        assert each.splitlines()[-1] == "3 failures."


async def test_an_export_holds_every_failure_and_no_formula(
    shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path
) -> None:
    listener.status = 500
    subjects = ["=HYPERLINK(0)", "+1", "-1", "@x", "\tx", "plain, 'quoted'", ESCAPE]
    for at, subject in enumerate(subjects):
        event = published(envelope_id=f"x-{at}")
        event["data"]["envelopeSummary"]["emailSubject"] = subject
        await shell.run("publish", "-", stdin=json.dumps(event))
    await shell.records("failures", crm, len(subjects))

    arguments = ("--connect-id", crm, "--order", "asc")
    lines = await shell.run("failures", "export", "-", *arguments)
    assert [json.loads(line)["subject"] for line in lines.stdout.splitlines()] == subjects
    file = tmp_path / "failures.csv"
    told = await shell.run("failures", "export", str(file), *arguments)
    assert told.exit_code == 0, told.output
    assert f"{len(subjects)} failures written" in told.stderr
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert [row["subject"] for row in rows][:6] == [
        "'=HYPERLINK(0)",
        "'+1",
        "'-1",
        "'@x",
        "'\\tx",
        "plain, 'quoted'",
    ]
    assert "\x1b" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["failures.csv"]


async def test_nothing_from_elsewhere_reaches_the_terminal_as_a_command(
    shell: Shell, listener: LoopbackListener, crm: str
) -> None:
    listener.status = 500
    event = published(envelope_id="esc")
    event["data"]["envelopeSummary"]["emailSubject"] = ESCAPE
    event["data"]["envelopeSummary"]["sender"]["userName"] = ESCAPE
    await shell.run("publish", "-", stdin=json.dumps(event))
    (failure,) = await shell.records("failures", crm, 1)
    (log, *_) = await shell.records("logs", crm, 1)
    for arguments in (
        ("failures", "list", "--connect-id", crm),
        ("failures", "list", "--connect-id", crm, "--each"),
        ("failures", "list", "--connect-id", crm, "--json"),
        ("failures", "show", failure["failureId"]),
        ("logs", "list", "--connect-id", crm),
        ("logs", "show", log["logId"]),
        ("failures", "export", "-", "--format", "csv", "--connect-id", crm),
        ("failures", "export", "-", "--connect-id", crm),
    ):
        told = await shell.run(*arguments)
        assert told.exit_code == 0, told.output
        assert not set(told.output) & {"\x1b", "\x07", "\u009b", "\u202e"}, arguments
    shown = (await shell.run("failures", "show", failure["failureId"])).stdout
    assert r"\x1b]0;owned\x07\x1b[2J\x9b31m[red]\u202e" in shown


async def test_log_entries_are_listed_shown_and_deleted(
    shell: Shell, crm: str, tmp_path: Path
) -> None:
    await shell.run("publish", write(tmp_path, published(), published(envelope_id="env-2")))
    (newest, oldest) = await shell.records("logs", crm, 2)
    listed = await shell.run("logs", "list", "--connect-id", crm, "--from", "1h")
    assert "env-2" in listed.stdout
    assert "2 log entries." in listed.stdout
    assert max(map(len, listed.stdout.splitlines())) <= 80
    shown = await shell.run("logs", "show", newest["logId"])
    assert "HTTP/1.1 200 OK" in shown.stdout

    assert (await shell.run("logs", "delete", newest["logId"])).exit_code == 0
    assert (await shell.run("logs", "show", newest["logId"])).exit_code == 4
    assert (await shell.json("logs", "show", oldest["logId"]))["logId"] == oldest["logId"]
    assert (await shell.run("logs", "delete")).exit_code == 2
    assert "The log is empty." in (await shell.run("logs", "delete", "--all", "--yes")).stdout
    await shell.records("logs", crm, 0)
    empty = await shell.run("logs", "list", "--connect-id", crm)
    assert (empty.stdout, "No log entries." in empty.stderr) == ("", True)


async def test_a_configuration_is_created_changed_and_deleted(
    shell: Shell, listener: LoopbackListener, crm: str, tmp_path: Path
) -> None:
    assert "publishing" in (await shell.run("configurations", "list")).stdout
    assert (await shell.run("configurations", "create", "--name", "x")).exit_code == 2
    refused = await shell.run(
        *("configurations", "create", "--all-users", "--event", "envelope-sent", "--name", "x"),
        *("--url", "http://169.254.169.254/latest"),
    )
    assert (refused.exit_code, "urlToPublishTo is refused" in refused.stderr) == (4, True)

    paused = await shell.run(
        "configurations", "update", crm, "--pause", "--event", "envelope-voided"
    )
    assert "paused" in paused.stdout
    file = tmp_path / "crm.json"
    file.write_text('{"name": "renamed", "includeTimeZoneInformation": "true"}')
    changed = await shell.json("configurations", "update", crm, "--file", str(file), "--no-log")
    assert changed["name"] == "renamed"
    assert (changed["pausePublish"], changed["enableLog"]) == ("true", "false")
    assert changed["events"] == ["envelope-voided"]
    shown = (await shell.run("configurations", "show", crm)).stdout
    assert "includeTimeZoneInformation" in shown
    assert "requireMutualTls" not in shown  # as many are "false", which is said by --json
    off = await shell.json("configurations", "update", crm, "--off")
    assert off["allowEnvelopePublish"] == "false"
    assert "off" in (await shell.run("configurations", "list")).stdout
    on = await shell.json("configurations", "update", crm, "--on")
    assert off.pop("warnings") == ["Nothing is sent to it: allowEnvelopePublish is false."]
    assert on == off | {"allowEnvelopePublish": "true"}
    assert (await shell.run("configurations", "update", crm)).exit_code == 2
    for wrong in ("[]", "{", ""):
        refused = await shell.run("configurations", "update", crm, "--file", "-", stdin=wrong)
        assert (refused.exit_code, "no configuration as JSON" in refused.stderr) == (2, True)
    assert "line 1" in (await shell.run("publish", "-", stdin="{")).stderr

    assert (await shell.run("configurations", "delete", crm, "--yes")).exit_code == 0
    assert (await shell.run("configurations", "show", crm)).exit_code == 4


async def test_an_hmac_key_shows_its_secret_once(shell: Shell) -> None:
    made = await shell.json("hmac-keys", "create")
    listed = await shell.run("hmac-keys", "list")
    assert made["keyId"] in listed.stdout
    assert made["secret"] not in listed.stdout
    assert max(map(len, listed.stdout.splitlines())) <= 80
    assert (await shell.run("hmac-keys", "delete", made["keyId"], "--yes")).exit_code == 0
    assert (await shell.run("hmac-keys", "delete", made["keyId"], "--yes")).exit_code == 4


async def test_errors_say_what_to_do_and_end_with_their_status(
    shell: Shell, tmp_path: Path, unused_tcp_port: int
) -> None:
    missing = await shell.run("failures", "list", "--data-dir", str(tmp_path / "none"))
    assert (missing.exit_code, "heliograph serve --data-dir" in missing.stderr) == (2, True)
    partly = await shell.run("failures", "list", "--base-uri", "http://127.0.0.1:1")
    assert (partly.exit_code, "HELIOGRAPH_ACCESS_TOKEN" in partly.stderr) == (2, True)

    known = Credentials.read(shell.data_dir)
    shell.env = through(f"http://127.0.0.1:{unused_tcp_port}", known)
    away = await shell.run("failures", "list")
    assert (away.exit_code, "Connection refused" in away.stderr) == (3, True)
    shell.env = {**through(known.base_uri, known), "HELIOGRAPH_ACCESS_TOKEN": "wrong"}
    refused = await shell.run("failures", "list")
    assert (refused.exit_code, "AUTHORIZATION_INVALID_TOKEN" in refused.stderr) == (4, True)
    shell.env = {}
    for arguments in (("--from", "yesterday"), ("--status", "lost"), ("--count", "0")):
        assert (await shell.run("failures", "list", *arguments)).exit_code == 2
    assert (await shell.run("failures", "list", "--connect-id", "x")).exit_code == 4


async def test_a_server_that_cannot_start_says_why_in_a_line(shell: Shell, tmp_path: Path) -> None:
    known = Credentials.read(shell.data_dir)
    port = known.base_uri.rpartition(":")[2]
    accept = ("--i-accept-data-loss", "--data-dir")
    taken = await shell.run("serve", "--port", port, *accept, str(tmp_path / "a"))
    assert (taken.exit_code, "Choose another --port" in taken.stderr) == (2, True)
    locked = await shell.run("serve", "--port", "0", *accept, str(shell.data_dir))
    assert (locked.exit_code, "stop it first" in locked.stderr) == (5, True)
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "master.key").write_bytes(bytes(32))
    (tmp_path / "open" / "master.key").chmod(0o644)
    unsafe = await shell.run("serve", "--port", "0", "--data-dir", str(tmp_path / "open"))
    assert (unsafe.exit_code, "chmod 600" in unsafe.stderr) == (5, True)
    for wrong in (("--port", "99999"), ("--egress", "moon"), ("--in-flight", "0")):
        refused = await shell.run("serve", *wrong)
        assert (refused.exit_code, wrong[0] in refused.stderr) == (2, True)
    shell.env = {"HELIOGRAPH_GRACE": "soon"}
    assert "HELIOGRAPH_GRACE" in (await shell.run("serve")).stderr


async def test_the_doctor_looks_at_the_storage_and_the_server(shell: Shell, tmp_path: Path) -> None:
    told = await shell.run("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(told.stdout)["checks"]}
    assert {"sqlite", "file system", "credentials.json", "settings"} <= set(checks)
    assert (checks["server"]["passed"], checks["token"]["passed"]) == (True, True)

    (tmp_path / "master.key").write_bytes(bytes(32))
    (tmp_path / "master.key").chmod(0o644)
    failed = await shell.run("doctor", "--data-dir", str(tmp_path))
    assert failed.exit_code == 1
    assert "chmod 600" in failed.stdout


def test_the_server_writes_private_credentials_logs_json_and_stops_in_order(
    tmp_path: Path,
) -> None:
    with start_server(tmp_path / "data") as process:
        file = tmp_path / "data" / "credentials.json"
        assert file.stat().st_mode & 0o777 == 0o600
        assert set(json.loads(file.read_text())) == {"baseUri", "accountId", "accessToken"}
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stdout is not None
        rest = process.stdout.read()
    assert Credentials.read(tmp_path / "data").access_token.reveal() not in rest
    for line in (tmp_path / "server.log").read_text().splitlines():
        assert json.loads(line)["event"]


def through(base: str, known: Credentials) -> dict[str, str]:
    return {
        "HELIOGRAPH_BASE_URI": base,
        "HELIOGRAPH_ACCOUNT_ID": known.account_id,
        "HELIOGRAPH_ACCESS_TOKEN": known.access_token.reveal(),
    }


async def get(data_dir: Path, path: str) -> Any:
    known = Credentials.read(data_dir)
    url = f"{known.base_uri}/v2.1/accounts/{known.account_id}/connect{path and '/'}{path}"
    headers = {"Authorization": f"Bearer {known.access_token.reveal()}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as answer:
        return await answer.json()


@asynccontextmanager
async def lossy_proxy(base: str) -> AsyncIterator[str]:
    """Passes calls on; loses the first answer, and turns the second into 503."""
    calls = 0

    async def forward(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        body = await request.read()
        kept = ("Authorization", "Content-Type", "Idempotency-Key")
        headers = {name: request.headers[name] for name in kept if name in request.headers}
        if calls == 2:
            text = json.dumps({"errorCode": "SERVICE_UNAVAILABLE", "message": "later"})
            return web.Response(status=503, headers={"Retry-After": "0"}, text=text)
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, base + request.path, data=body, headers=headers) as got,
        ):
            answer = await got.read()
        if calls == 1:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=got.status, body=answer)

    runner = web.ServerRunner(web.Server(forward))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
