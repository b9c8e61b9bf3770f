"""Several nodes behind one port: who starts, serves, ends, and is replaced."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from heliograph.cli.processes import apart, chosen, share
from heliograph.incoming import dev_certificate
from heliograph.processors import usable
from heliograph.settings import Settings
from tests.busy import hang, hang_times
from tests.listener import LoopbackListener
from tests.process import PATIENCE, Server, started
from tests.support import published

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@contextlib.contextmanager
def several(folder: Path, url: str, *options: str, count: int = 2) -> Iterator[Server]:
    with started(folder, "--database-url", url, "--processes", str(count), *options) as server:
        yield server


def children(server: Server) -> list[int]:
    """The processes of the nodes, the oldest first."""
    watcher = server.process.pid
    listed = Path(f"/proc/{watcher}/task/{watcher}/children").read_text()
    return [int(number) for number in listed.split()]


def has_ended(process: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return True


def logged(server: Server, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def until(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds * hang_times()
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def configure(server: Server, url: str) -> None:
    wanted = {
        "name": "all",
        "urlToPublishTo": url,
        "allowEnvelopePublish": "true",
        "allUsers": "true",
        "events": ["envelope-sent"],
    }
    assert server.call("POST", "", wanted).status == 201


def publish(server: Server, number: int) -> None:
    """Publish until it is accepted: who broke the connection may have stored it (R2)."""
    body = published(envelope_id=f"env-{number}", eventId=f"event-{number}")
    while True:
        with contextlib.suppress(OSError):
            if server.call("POST", "events", body).status == 202:
                return


async def publish_many(server: Server, count: int) -> None:
    """From so many connections that no node takes all of them."""
    few = asyncio.Semaphore(16)

    async def one(number: int) -> None:
        async with few:
            await asyncio.to_thread(publish, server, number)

    await asyncio.gather(*(one(number) for number in range(count)))


@asynccontextmanager
async def hanging() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A listener that takes requests and answers none; its address, and the requests."""
    heads: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            await reader.read()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads
    finally:
        server.close()


async def until_async(holds: Callable[[], bool]) -> None:
    async with hang(PATIENCE):
        while not holds():
            await asyncio.sleep(0.02)


async def test_nodes_behind_one_port_share_the_calls_and_the_sending(
    tmp_path: Path, database_url: str, listener: LoopbackListener
) -> None:
    with several(tmp_path, database_url, count=3) as server:
        assert len(children(server)) == 3
        configure(server, listener.base)
        await publish_many(server, 60)
        await listener.until(lambda received: len(received) >= 60)
        await until_async(lambda: len(logged(server, "attempt")) >= 60)
        assert len(logged(server, "event_accepted")) == 60
        accepted_by = Counter(line["process"] for line in logged(server, "event_accepted"))
        sent_by = Counter(line["process"] for line in logged(server, "attempt"))
        assert len(accepted_by) > 1, accepted_by
        assert len(sent_by) > 1, sent_by
        nodes = children(server)
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0
        assert server.process.stdout is not None
        assert server.process.stdout.read() == b""  # the banner came once
        assert all(has_ended(node) for node in nodes)
    numbers = sorted(message.message["data"]["envelopeId"] for message in listener.received)
    assert numbers == sorted(f"env-{number}" for number in range(60))
    with psycopg.connect(database_url) as connection:
        ((alive,),) = connection.execute("select count(*) from node where stopped_us is null")
        assert alive == 0


async def test_r1_r3_a_node_that_is_killed_under_load_is_replaced_and_nothing_is_lost(
    tmp_path: Path, database_url: str, listener: LoopbackListener
) -> None:
    with several(tmp_path, database_url) as server:
        configure(server, listener.base)
        first, second = children(server)
        load = asyncio.create_task(publish_many(server, 200))
        await listener.until(lambda received: len(received) >= 20)
        os.kill(second, signal.SIGKILL)
        await load
        arrived = {f"env-{number}" for number in range(200)}
        await listener.until(
            lambda received: {r.message["data"]["envelopeId"] for r in received} == arrived
        )
        await until_async(lambda: bool(logged(server, "process_replaced")))
        (replaced,) = logged(server, "process_replaced")
        assert replaced["status"] == 128 + signal.SIGKILL
        assert children(server)[0] == first
        assert len(children(server)) == 2
        assert second not in children(server)


async def test_r8_what_a_dead_node_had_in_flight_goes_out_again_before_its_lease_has_run_out(
    tmp_path: Path, database_url: str
) -> None:
    async with hanging() as (url, heads):
        with several(tmp_path, database_url, "--lease", "3600", "--grace", "0") as server:
            await asyncio.to_thread(configure, server, url)
            await asyncio.to_thread(publish, server, 1)
            await until_async(lambda: len(heads) == 1)
            for node in children(server):  # one of the two has it
                os.kill(node, signal.SIGKILL)
            await until_async(lambda: len(heads) == 2)


async def test_r15_a_second_stop_ends_all_of_them_at_once(
    tmp_path: Path, database_url: str
) -> None:
    async with hanging() as (url, heads):
        with several(tmp_path, database_url, "--grace", "1000") as server:
            await asyncio.to_thread(configure, server, url)
            await asyncio.to_thread(publish, server, 1)
            await until_async(lambda: len(heads) == 1)
            nodes = children(server)
            server.process.terminate()
            await until_async(lambda: any(not has_ended(node) for node in nodes))
            for node in nodes:  # as from a supervisor that signals each process
                os.kill(node, signal.SIGTERM)
                os.kill(node, signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                await asyncio.to_thread(server.process.wait, 1)
            server.process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(server.process.wait, PATIENCE) == 130
            await until_async(lambda: all(has_ended(node) for node in nodes))


def test_r15_a_node_that_is_stopped_ends_in_order_and_is_replaced(
    tmp_path: Path, database_url: str
) -> None:
    with several(tmp_path, database_url) as server:
        first, second = children(server)
        os.kill(first, signal.SIGTERM)
        until(lambda: bool(logged(server, "process_replaced")))
        (replaced,) = logged(server, "process_replaced")
        assert (replaced["process"], replaced["status"]) == (1, 0)
        until(lambda: len(children(server)) == 2)
        assert second in children(server)
        assert server.answers


def test_r15_a_stop_while_a_node_is_replaced_is_one_in_order(
    tmp_path: Path, database_url: str
) -> None:
    with several(tmp_path, database_url) as server:
        before = set(children(server))
        os.kill(max(before), signal.SIGKILL)
        until(lambda: bool(set(children(server)) - before))
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_r15_one_stop_of_the_whole_group_while_a_node_starts_is_one_in_order(
    tmp_path: Path, database_url: str, stop: signal.Signals
) -> None:
    options = ("--database-url", database_url, "--processes", "2")
    with started(
        tmp_path, *options, module="tests.hindered", own_group=True, HINDERED="asleep:2"
    ) as server:
        assert server.answers
        (_, second) = children(server)
        server.process.send_signal(signal.SIGSTOP)  # it is to look only when both have come
        os.killpg(server.process.pid, stop)
        until(lambda: has_ended(second))
        server.process.send_signal(signal.SIGCONT)
        assert server.process.wait(PATIENCE) == 0
        assert not re.search("^(Error|Aborted)", server.log.read_text(), re.MULTILINE)
    with psycopg.connect(database_url) as connection:
        ((alive,),) = connection.execute("select count(*) from node where stopped_us is null")
        assert alive == 0  # who was killed would have left its lease


def test_r15_nodes_whose_watcher_is_gone_stop_in_order_and_leave_the_port(
    tmp_path: Path, database_url: str
) -> None:
    with several(tmp_path, database_url) as server:
        nodes = children(server)
        server.process.kill()
        until(lambda: all(has_ended(node) for node in nodes))
        assert {line["process"] for line in logged(server, "unwatched")} == {1, 2}
        with pytest.raises(ConnectionRefusedError):
            server.open()
    with several(tmp_path, database_url) as server:
        assert server.answers


def test_sighup_renews_the_certificate_of_all_nodes(tmp_path: Path, database_url: str) -> None:
    dev_certificate.issue(tmp_path)
    options = ("--tls-cert", f"{tmp_path}/server.pem", "--tls-key", f"{tmp_path}/server.key")
    with several(tmp_path, database_url, *options) as server:
        assert server.answers
        server.process.send_signal(signal.SIGHUP)
        server.process.send_signal(signal.SIGUSR2)
        until(lambda: len(logged(server, "certificate_renewed")) == 2)
        until(lambda: len(logged(server, "signal_ignored")) == 2)
        for event in ("certificate_renewed", "signal_ignored"):
            assert {line["process"] for line in logged(server, event)} == {1, 2}


def test_nodes_that_come_up_no_more_end_the_server_with_their_status(
    tmp_path: Path, database_url: str
) -> None:
    with several(tmp_path, database_url) as server:
        (tmp_path / "data" / "master.key").unlink()
        for node in children(server):
            os.kill(node, signal.SIGKILL)
        assert server.process.wait(PATIENCE) == 5
        failed = logged(server, "process_failed")
        assert len(failed) >= 3
        assert all("master.key is missing" in line["error"] for line in failed)


def test_a_process_that_the_system_does_not_make_is_tried_again_beside_one_that_answers(
    tmp_path: Path, database_url: str
) -> None:
    options = ("--database-url", database_url, "--processes", "2")
    with started(tmp_path, *options, module="tests.hindered", HINDERED="refused:1") as server:
        (first, second) = children(server)
        opened = Path(f"/proc/{server.process.pid}/fd")
        before = len(list(opened.iterdir()))
        os.kill(second, signal.SIGKILL)
        until(lambda: bool(logged(server, "process_replaced")))
        (replaced,) = logged(server, "process_replaced")
        assert (replaced["process"], replaced["status"]) == (2, 128 + signal.SIGKILL)
        assert children(server)[0] == first
        assert len(list(opened.iterdir())) == before  # of what was refused nothing stays open
        assert server.answers


def test_a_server_whose_processes_the_system_makes_no_more_ends_and_says_why(
    tmp_path: Path, database_url: str
) -> None:
    options = ("--database-url", database_url, "--processes", "2")
    with started(tmp_path, *options, module="tests.hindered", HINDERED="refused:99") as server:
        for node in children(server):
            os.kill(node, signal.SIGKILL)
        assert server.process.wait(PATIENCE) == 1
        (said,) = [line for line in server.log.read_text().splitlines() if "Error:" in line]
        why = "cannot be started: Too many open files"
        assert said in {f"Error: process {number} {why}." for number in (1, 2)}


def test_a_server_that_cannot_start_says_so_once(tmp_path: Path) -> None:
    url = f"postgresql://nobody@/none?host={tmp_path}"
    words = ("serve", "--port", "0", "--data-dir", tmp_path / "data", "--processes", "4")
    ended = subprocess.run(
        [sys.executable, "-m", "heliograph.cli", *map(str, words)],
        env={**os.environ, "HELIOGRAPH_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 74
    assert ended.stderr.count("Error: ") == 1
    assert ended.stdout == ""


@pytest.mark.parametrize("made", [0, 1])
def test_a_server_whose_processes_the_system_does_not_make_ends_in_order_and_says_why(
    tmp_path: Path, database_url: str, made: int
) -> None:
    words = (
        *("serve", "--port", "0", "--data-dir", tmp_path / "data", "--i-accept-data-loss"),
        *("--database-url", database_url, "--processes", "3"),
    )
    ended = subprocess.run(
        [sys.executable, "-m", "tests.hindered", *map(str, words)],
        env={**os.environ, "HINDERED": f"few:{made}"},
        capture_output=True,
        text=True,
        check=False,
    )
    (said,) = [line for line in ended.stderr.splitlines() if "Error:" in line]
    why = "cannot be started: Resource temporarily unavailable"
    assert said == f"Error: process {made + 1} {why}."
    assert (ended.returncode, ended.stdout) == (1, "")
    with psycopg.connect(database_url) as connection:
        ((alive,),) = connection.execute("select count(*) from node where stopped_us is null")
    assert alive == 0


def test_r20_sqlite_has_one_process_and_says_why(tmp_path: Path) -> None:
    words = ("serve", "--port", "0", "--data-dir", str(tmp_path), "--processes", "2")
    ended = subprocess.run(
        [sys.executable, "-m", "heliograph.cli", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "an SQLite file has one process that writes" in ended.stderr


def test_unless_somebody_says_how_many_there_is_a_process_for_each_processor(
    tmp_path: Path, database_url: str
) -> None:
    there_are = min(usable(), 8)
    with started(tmp_path, "--database-url", database_url) as server:
        assert len(children(server)) == (there_are if there_are > 1 else 0)
    with started(tmp_path, "--database-url", database_url, "--processes", "1") as server:
        assert children(server) == []
    assert chosen(Settings()) == 1
    assert chosen(Settings(processes=5)) == 5


def test_what_goes_out_is_shared_out_and_each_node_has_some() -> None:
    settings = Settings(processes=3, in_flight=512, in_flight_mib=2)
    one = share(settings)
    assert (one.in_flight, one.in_flight_mib, one.per_configuration) == (171, 1, 3)
    assert one.refused_limit == 34  # S13: of 100 guesses at tokens
    assert one.connections == settings.connections


def test_starts_that_come_to_nothing_are_ever_further_apart_up_to_half_a_minute() -> None:
    assert [apart(failures) for failures in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert apart(100_000) == 30


async def test_a_synchronous_retry_is_answered_whichever_process_sends_it(
    tmp_path: Path, database_url: str, listener: LoopbackListener
) -> None:
    with several(tmp_path, database_url) as server:
        configure(server, listener.base)
        listener.status = 500
        await publish_many(server, 12)
        await listener.until(lambda received: len(received) >= 12)
        listener.status = 200
        for number in range(12):
            asked = {"envelopeIds": [f"env-{number}"], "synchronous": "true"}
            began = time.monotonic()
            answer = await asyncio.to_thread(server.call, "PUT", "envelopes/retry_queue", asked)
            assert answer.status == 200
            assert time.monotonic() - began < 10 * hang_times()


def counted(server: Server, name: str) -> dict[str, float]:
    """What each process counts under a name, all other labels together."""
    text = server.call("GET", "/metrics").body.decode()
    found: dict[str, float] = {}
    for metric in text_string_to_metric_families(text):
        for sample in metric.samples:
            if sample.name == name:
                process = sample.labels.get("process", "")
                found[process] = found.get(process, 0) + sample.value
    return found


async def test_whoever_is_asked_for_metrics_shows_those_of_all_processes(
    tmp_path: Path, database_url: str
) -> None:
    with several(tmp_path, database_url, count=3) as server:
        await publish_many(server, 60)
        for _ in range(8):  # of which no one process takes all
            events = counted(server, "heliograph_events_total")
            assert events.keys() == {"1", "2", "3"}
            assert sum(events.values()) == 60
            assert counted(server, "process_open_fds").keys() == {"1", "2", "3"}
            assert counted(server, "heliograph_nodes_alive") == {"": 3}
        text = server.call("GET", "/metrics").body.decode()
        helped = [line.split()[2] for line in text.splitlines() if line.startswith("# HELP")]
        assert len(helped) == len(set(helped))


def test_a_process_that_stands_still_is_left_out_of_the_metrics(
    tmp_path: Path, database_url: str
) -> None:
    with several(tmp_path, database_url) as server:
        (first, _) = children(server)
        os.kill(first, signal.SIGSTOP)
        try:
            assert counted(server, "heliograph_info").keys() == {"2"}
        finally:
            os.kill(first, signal.SIGCONT)
        until(lambda: counted(server, "heliograph_info").keys() == {"1", "2"})
