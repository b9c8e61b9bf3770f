"""`heliograph`, hindered where it makes processes: `python -m tests.hindered`.

`HINDERED=asleep:2` keeps the second node from ever answering: it says so on standard
output and waits. `HINDERED=refused:2` has the system refuse, from the banner on, the next two
pipes and the next two processes; `HINDERED=few:1` has it make one process and no other.
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
from collections.abc import Callable
from typing import Final, TypeVar

import click

from heliograph.cli import main, serving
from heliograph.service import Place
from heliograph.settings import Settings

VARIABLE: Final = "HINDERED"

T = TypeVar("T")

ASLEEP: Final = "Stop it: it sleeps"
"""What the node says that never answers; `tests.process.started` takes it for the banner."""


def _put_to_sleep(number: int) -> None:
    take_place = serving._take_place

    def take(settings: Settings, api: bool, place: Place) -> None:
        if place.number == number:
            click.echo(ASLEEP)
            while True:
                signal.pause()
        take_place(settings, api, place)

    serving._take_place = take


def _refuse(times: int) -> None:
    announce = serving._announce

    def begin(settings: Settings, base_uri: str) -> None:
        os.pipe = _refused(os.pipe, errno.EMFILE, times)
        os.fork = _refused(os.fork, errno.EAGAIN, times)
        announce(settings, base_uri)

    serving._announce = begin


def _make_few(number: int) -> None:
    fork, made = os.fork, itertools.count(1)

    def make() -> int:
        if next(made) > number:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    os.fork = make


def _refused(function: Callable[[], T], number: int, times: int) -> Callable[[], T]:
    asked = itertools.count(1)

    def call() -> T:
        if next(asked) <= times:
            raise OSError(number, os.strerror(number))
        return function()

    return call


if __name__ == "__main__":
    how, _, which = os.environ[VARIABLE].partition(":")
    hinder = {"asleep": _put_to_sleep, "refused": _refuse, "few": _make_few}
    hinder[how](int(which))
    main()
