"""R15: no signal but SIGKILL ends or suspends a server with work in flight."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from heliograph.cli.signals import STOPPING
from tests.cost import Stopwatch
from tests.process import PATIENCE, Server, started

NEVER = {signal.SIGKILL, signal.SIGSTOP}
ENDING = {*STOPPING, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
IGNORED = sorted(set(signal.valid_signals()) - NEVER - ENDING)


def logged(server: Server, event: str) -> list[str]:
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    return [line["signal"] for line in lines if line["event"] == event]


def test_r15_sighup_without_a_certificate_and_all_that_is_no_stop_is_ignored(
    tmp_path: Path,
) -> None:
    with started(tmp_path) as server:
        for number in IGNORED:
            server.process.send_signal(number)
            assert server.answers, number
        watch = Stopwatch(server.process.pid)
        wanted = {"SIGHUP", "SIGUSR1", "SIGALRM", "SIGTSTP", "SIGTTIN"}
        while not wanted <= set(logged(server, "signal_ignored")):
            assert watch.seconds < 20
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    "number", [signal.SIGQUIT, signal.SIGXCPU, signal.SIGABRT, signal.SIGSEGV], ids=lambda n: n.name
)
def test_r15_what_says_that_the_server_must_end_stops_it_in_order(
    tmp_path: Path, number: signal.Signals
) -> None:
    with started(tmp_path) as server:
        server.process.send_signal(number)
        if number in STOPPING:
            server.process.send_signal(number)  # as SIGXCPU comes again each second
        assert server.process.wait(PATIENCE) == 0
