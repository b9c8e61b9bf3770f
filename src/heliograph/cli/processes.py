"""Several nodes behind one port: one process starts them, watches, and replaces who has ended.

It forks before it has a thread or an event loop, and never has any: it waits for signals and hands
them on. It opens no database and answers nobody, so that little can end it. What it had opened
before, the port above all, is there for whoever comes next: a connection that one node has not
taken is another's.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import click

from heliograph import processors
from heliograph.cli import signals
from heliograph.cli.exits import Exit
from heliograph.incoming.crowd import Crowd, Turn
from heliograph.service import EXIT_HARD_STOP, Place
from heliograph.settings import Settings
from heliograph.watch.siblings import Siblings, questions

_STOPS: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}

_MOST: Final = 8
"""Processes where nobody says how many: each has connections to the database."""

_APART: Final = 1
"""Seconds between two starts of one node: who has lived for longer is replaced at once."""

_LONGEST_APART: Final = 30
"""The same, doubled each time that it ended before it answered."""

_MOST_FAILURES: Final = 3
"""Starts in a row that came to nothing, after which all end where no other node answers."""

_LOOK: Final = 0.05
"""Seconds between two looks, while the nodes start, whether a stop is wanted."""

_SIGNALLED: Final = 128
"""What a shell adds to the number of the signal that has ended a process."""


def chosen(settings: Settings) -> int:
    """How many processes the settings ask for: where they leave it open, what the machine has."""
    if settings.processes or not settings.database_url:
        return settings.processes or 1
    return min(processors.usable(), _MOST)


def share(settings: Settings) -> Settings:
    """The settings of one of its nodes: what goes out is bounded for all of them together, and so
    are guesses at tokens (S13).

    What else comes in is bounded for each alone, for the system chooses who takes a connection.
    """
    names = ("in_flight", "in_flight_mib", "per_configuration", "refused_limit")
    parts = {name: -(-getattr(settings, name) // settings.processes) for name in names}
    return replace(settings, **parts)


def apart(failures: int) -> int:
    """Seconds between two starts of a node, of which so many in a row came to nothing."""
    return min(_APART << failures, _LONGEST_APART)


def divide(count: int, listening: socket.socket, announce: Callable[[], None]) -> Place | int:
    """Become `count` nodes, and the process that watches over them.

    Call it before any thread is started, and after `signals.hold`.

    Args:
        count: How many.
        listening: The socket that is bound to the address.
        announce: Is called, by the one that watches, once all of them answer.

    Returns:
        In the process of each node its place, at once; in the one that watches, when all have
        ended, their exit status.
    """
    if threading.active_count() > 1:
        raise RuntimeError("What has threads must not be forked: their locks would stay taken.")
    sys.stdout.flush()
    gc.freeze()  # what nobody counts or moves stays in memory that all of them share
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_STOPS, signal.SIGCHLD})
    return _Watcher(count, listening).run(announce)


@dataclass(slots=True)
class _Node:
    """One node, in one process after another; 0 and -1 stand for none.

    `answers` is a pipe that brings a byte once it answers, and ends with it. `failures` are its
    starts in a row that came to nothing; `replaces` is the status that the process before ended
    with; `again` is when to start it, by the monotonic clock.
    """

    number: int
    process_id: int = 0
    answers: int = -1
    answered: bool = False
    started: float = 0.0
    failures: int = 0
    replaces: int | None = None
    again: float | None = None

    def is_known(self, patience: float = 0.0) -> bool:
        """Whether it is known, within so many seconds, if it answers (`answered`) or never will."""
        if not self.answered and select.select([self.answers], [], [], patience)[0]:
            self.answered = os.read(self.answers, 1) != b""
            return True
        return self.answered


class _Watcher:
    """The process that watches. What may return a place does so in the process of a node."""

    def __init__(self, count: int, listening: socket.socket) -> None:
        self._listening = listening
        self._nodes = [_Node(number) for number in range(1, count + 1)]
        self._watched, self._watching = os.pipe()
        self._log_turn = os.memfd_create("log")
        self._questions = questions(count)
        self._crowd = Crowd(count)
        self._all_answered = False
        self._stopping = False
        self._status = 0

    def run(self, announce: Callable[[], None]) -> Place | int:
        """Start all of them, the first one alone: it makes what the others find."""
        for node in self._nodes:
            if (place := self._start(node)) is not None:
                return place
            if self._is_to_stop() or (node.number == 1 and not self._comes_up(node)):
                return self._watch()
        self._all_answered = all(self._comes_up(node) for node in self._nodes)
        if self._all_answered:
            announce()
        return self._watch()

    def _fork(self, node: _Node) -> Place | None:
        """Raises OSError where the system makes no process, and leaves nothing open then."""
        node.answered, node.again, node.started = False, None, time.monotonic()
        node.answers, answers = os.pipe()
        try:
            node.process_id = os.fork()
        except OSError:
            os.close(node.answers)
            os.close(answers)
            raise
        if node.process_id:
            os.close(answers)
            return None
        os.close(self._watching)
        for other in self._nodes:
            if other.process_id or other is node:
                os.close(other.answers)
        for number in _STOPS:  # no KeyboardInterrupt, nor ignored as of a shell's `&`
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_STOPS, signal.SIGCHLD})
        return Place(
            node.number,
            self._listening,
            watched=self._watched,
            answers=answers,
            log_turn=self._log_turn,
            siblings=Siblings(node.number, self._questions),
            turn=Turn(self._crowd, node.number),
            replaces=node.replaces,
        )

    def _comes_up(self, node: _Node) -> bool:
        """Wait until it answers; False where it has ended, or a stop is wanted."""
        while not node.is_known(_LOOK):
            if self._is_to_stop():
                return False
        return node.answered

    def _is_to_stop(self) -> bool:
        """Whether a stop has come, be it that it was not taken yet."""
        return self._stopping or bool(signal.sigpending() & _STOPS)

    def _watch(self) -> Place | int:
        """Hand signals on, and start anew who has ended, until all have."""
        while not self._stopping or any(node.process_id for node in self._nodes):
            number = self._next_signal()
            if number in _STOPS and self._stopping:
                self._hand_on(signal.SIGKILL)
                return EXIT_HARD_STOP
            if number in _STOPS | signals.STOPPING:
                self._stop()
            if number is not None:
                self._hand_on(number)
            for node in self._nodes:
                if node.process_id:
                    self._reap(node)
            for node in self._nodes:
                due = node.again is not None and node.again <= time.monotonic()
                if due and (place := self._start(node)) is not None:
                    return place
        return self._status

    def _next_signal(self) -> int | None:
        """What to hand on; None where a node has ended, or is to start."""
        waited = signals.held() | _STOPS | {signal.SIGCHLD}
        times = [node.again for node in self._nodes if node.again is not None]
        if times:
            found = signal.sigtimedwait(waited, max(0.0, min(times) - time.monotonic()))
        else:
            found = signal.sigwaitinfo(waited)
        return None if found is None or found.si_signo == signal.SIGCHLD else found.si_signo

    def _start(self, node: _Node) -> Place | None:
        """Where the system makes no process now, that start has failed."""
        try:
            return self._fork(node)
        except OSError as error:
            node.failures += 1
            why = f"process {node.number} cannot be started: {error.strerror}"
            if not self._is_to_stop():
                self._try_again(node, Exit.NO, why)
            return None

    def _hand_on(self, number: int) -> None:
        for node in self._nodes:
            if node.process_id:
                os.kill(node.process_id, number)

    def _stop(self) -> None:
        """Replace nobody any more, and leave the port to the nodes, who close it."""
        self._stopping = True
        self._listening.close()
        for node in self._nodes:
            node.again = None

    def _reap(self, node: _Node) -> None:
        """Where its process has ended: start another one, or end with it."""
        ended, how = os.waitpid(node.process_id, os.WNOHANG)
        if not ended:
            return
        node.is_known()
        os.close(node.answers)
        self._crowd.leave(node.number)
        node.process_id = 0
        node.failures = 0 if node.answered else node.failures + 1
        code = os.waitstatus_to_exitcode(how)
        status = code if code >= 0 else _SIGNALLED - code
        if self._is_to_stop():  # which a group gets all at once: nobody failed by it
            if -code not in _STOPS:  # else it met that before it answered
                self._status = self._status or status
            return
        node.replaces = status
        why = f"{signals.name_of(-code)} ended process {node.number} as it started"
        self._try_again(node, status, why if code < 0 else "")  # else it has said so itself

    def _try_again(self, node: _Node, status: int, why: str) -> None:
        """Start it anew when it is time; where that is hopeless say why, and end."""
        if self._is_hopeless(node):
            if why:
                click.echo(f"Error: {why}.", err=True)
            self._status = status
            self._stop()
            self._hand_on(signal.SIGTERM)
        else:
            node.again = node.started + apart(node.failures)

    def _is_hopeless(self, node: _Node) -> bool:
        """Whether what it ended with ends the server."""
        if not self._all_answered:
            return not node.answered
        others = [other for other in self._nodes if other.process_id and other.is_known()]
        return node.failures >= _MOST_FAILURES and not any(other.answered for other in others)
