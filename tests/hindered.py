"""`heliograph`, hindered where it makes processes: `python -m tests.hindered`.

`HINDERED=asleep:2` keeps the second node from ever answering: it says so on standard
output and waits.
"""

from __future__ import annotations

import os
import signal
from typing import Final

import click

from heliograph.cli import main, serving
from heliograph.service import Place
from heliograph.settings import Settings

VARIABLE: Final = "HINDERED"

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


if __name__ == "__main__":
    how, _, which = os.environ[VARIABLE].partition(":")
    {"asleep": _put_to_sleep}[how](int(which))
    main()
