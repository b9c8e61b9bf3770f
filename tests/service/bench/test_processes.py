"""Publisher and sink, one straight to the other: what a bench counts is what happened."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection

import pytest

from heliograph.bench import host
from heliograph.bench.listeners import Listeners
from heliograph.bench.orders import (
    Await,
    Called,
    Calls,
    Connect,
    Forget,
    Hang,
    Listen,
    Listening,
    Tell,
    Told,
)
from heliograph.bench.processes import BenchFailed, Child, child

TEMPLATES = Listeners(3).templates(1_000)


@dataclass(frozen=True)
class Pair:
    publisher: Child
    sink: Child
    port: int

    def post(self, calls: int, first: int = 0, path: str = "/7", **how: object) -> Called:
        """So many posts of an event each, from the number `first`; 0: `how` says when to end."""
        order = Calls(path=path, templates=TEMPLATES, first=first, calls=calls or None, status=200)
        for name, value in how.items():
            setattr(order, name, value)
        return self.publisher.ask(order, Called)

    def told(self, first: int = 0) -> Told:
        return self.sink.ask(Tell(first, each=True), Told)


@pytest.fixture
def pair() -> Iterator[Pair]:
    with child("sink") as sink, child("publisher") as publisher:
        port = sink.ask(Listen(), Listening).port
        publisher.tell(Connect([("127.0.0.1", port)], "none", 4))
        yield Pair(publisher, sink, port)


def numbers(told: Told) -> Sequence[int]:
    return sorted(number for number, _ in told.each)


def test_each_event_is_published_once_and_arrives_before_it_is_answered(pair: Pair) -> None:
    called = pair.post(50)
    told = pair.told()
    assert (called.first, called.next, called.calls, called.refused) == (0, 50, 50, {})
    assert len(called.took) == 50
    assert numbers(told) == list(range(50))
    assert called.began < min(at for _, at in told.each) <= told.last < called.ended
    assert called.bytes == 2


def test_what_comes_twice_is_told_and_what_came_before_is_not(pair: Pair) -> None:
    pair.post(10)
    pair.post(5, first=8)
    assert (pair.told().arrived, pair.told().repeated) == (13, 2)
    assert (pair.told(10).arrived, pair.told(10).repeated) == (3, 0)
    pair.post(10, path="/8")  # to another listener
    assert (pair.told().arrived, pair.told().repeated) == (23, 2)


def test_what_is_answered_otherwise_is_refused_and_can_be_forgotten(pair: Pair) -> None:
    called = pair.post(4, status=202)
    assert {status: sorted(found) for status, found in called.refused.items()} == {
        200: [0, 1, 2, 3]
    }
    pair.sink.tell(Forget([1, 2]))
    pair.post(2, first=2)  # what was unknown comes later
    assert numbers(pair.told()) == [0, 3]
    assert pair.told().repeated == 1


def test_a_sink_that_gets_nothing_more_says_so_and_one_that_has_enough_at_once(
    pair: Pair,
) -> None:
    pair.post(3)
    pair.sink.tell(Await(3, 3600.0))
    pair.sink.tell(Await(4, 0.01))


def test_events_come_at_a_rate_and_each_answer_has_its_time(pair: Pair) -> None:
    called = pair.post(20, rate=200.0)
    assert [number for number, *_ in sorted(called.answered)] == list(range(20))
    assert all(called.began <= sent < at <= called.ended for _, sent, at in called.answered)
    assert called.ended - called.began >= 19 / 200


def test_no_event_of_a_rate_is_left_out_where_every_connection_is_busy(pair: Pair) -> None:
    assert pair.post(200, rate=1e6).next == 200
    assert pair.post(0, seconds=0.02, rate=1e4).next == 200


def test_a_call_of_many_events_counts_each_of_them(pair: Pair) -> None:
    called = pair.post(3, size=10, status=202)
    assert called.next == 30
    assert sorted(called.refused_events) == list(range(30))


def test_a_listener_that_hangs_takes_what_is_posted_and_counts_nothing(pair: Pair) -> None:
    pair.sink.tell(Hang([7]))
    with contextlib.closing(HTTPConnection("127.0.0.1", pair.port, timeout=0.2)) as connection:
        connection.request("POST", "/7", "000000000001".join(TEMPLATES[0]))
        with pytest.raises(TimeoutError):
            connection.getresponse()
    assert pair.told().arrived == 0


def test_a_process_that_has_ended_is_told() -> None:
    with child("sink") as sink, pytest.raises(BenchFailed, match="sink ended by itself"):
        sink.tell({"type": "Nonsense"})


def test_a_process_that_had_ended_before_it_is_told_anything_is_told_too() -> None:
    def tell_nobody() -> None:
        with child("sink") as sink:
            os.kill(sink.id, signal.SIGKILL)
            os.waitid(os.P_PID, sink.id, os.WEXITED | os.WNOWAIT)
            sink.send(Tell())

    with pytest.raises(BenchFailed, match="sink ended by itself"):
        tell_nobody()


def test_what_a_process_and_its_children_take_of_the_processor_is_seen(pair: Pair) -> None:
    before = host.processor_seconds(pair.publisher.id)
    while host.processor_seconds(pair.publisher.id) == before:
        pair.post(200, first=0)
    memory = host.memory([pair.publisher.id])
    assert memory is not None
    assert 1 < memory < 200


def test_a_process_may_have_any_name() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "open('/proc/self/comm', 'wb').write(b'\\xff) 1'); print(input())"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        while host.name(process.pid) != "\ufffd) 1":
            assert process.poll() is None
        assert process.pid in host.tree(os.getpid())
        assert host.parent(process.pid) == os.getpid()
        process.communicate(b"\n")
