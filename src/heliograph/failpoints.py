"""Named places where the chaos suite ends, breaks or delays the process; else they do nothing.

`HELIOGRAPH_FAILPOINT=settle.commit.after:kill:3` ends the process, as kill -9 does, at the
third pass of that place. Several are separated by commas. A pass is `NAME:ACTION[:COUNT]`, or
`NAME:ACTION:id=TEXT` for each pass with that row. Actions: kill, raise, hang (five seconds).

Without the variable `failpoint` is a function that returns at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

VARIABLE: Final = "HELIOGRAPH_FAILPOINT"

HANG: Final = 5.0
"""Seconds that the action hang takes."""


class FailpointHit(Exception):
    """What the action raise raises."""


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise() -> None:
    raise FailpointHit("a failpoint of the chaos suite")


def _hang() -> None:
    time.sleep(HANG)


_ACTIONS: Final[dict[str, Callable[[], None]]] = {"kill": _kill, "raise": _raise, "hang": _hang}


@dataclass(frozen=True, slots=True)
class Trap:
    """What happens at one place: at the pass number `count`, or whenever `row` passes."""

    name: str
    action: str
    count: int = 1
    row: str | None = None


def parse(text: str) -> Sequence[Trap]:
    """Read what `VARIABLE` holds.

    Raises:
        ValueError: it says something else than the module's head allows.
    """
    return tuple(_trap(part.strip()) for part in text.split(",") if part.strip())


def _trap(part: str) -> Trap:
    name, _, rest = part.partition(":")
    action, _, when = rest.partition(":")
    if not name or action not in _ACTIONS:
        raise ValueError(f"{part!r} is not NAME:ACTION[:COUNT], with {', '.join(_ACTIONS)}.")
    if when.startswith("id="):
        return Trap(name, action, row=when.removeprefix("id="))
    if when and not (when.isdecimal() and int(when) > 0):
        raise ValueError(f"{part!r}: the count must be a number from 1.")
    return Trap(name, action, int(when or 1))


def armed(traps: Sequence[Trap]) -> Callable[[str, object], None]:
    """A `failpoint` that knows these traps."""
    passes: dict[str, int] = {}
    lock = threading.Lock()  # the store passes on a thread of its own

    def pass_by(name: str, row: object = None) -> None:
        with lock:
            count = passes[name] = passes.get(name, 0) + 1
        for trap in traps:
            if trap.name != name:
                continue
            if (count == trap.count) if trap.row is None else (trap.row == str(row)):
                _ACTIONS[trap.action]()

    return pass_by


def _nothing(name: str, row: object = None) -> None:
    """Where no trap is set."""


def _from_environment(text: str | None) -> Callable[[str, object], None]:
    if not text:
        return _nothing
    try:
        traps = parse(text)
    except ValueError as error:
        _warn(f"{VARIABLE} is ignored: {error}")
        return _nothing
    _warn(f"{VARIABLE}={text}: this process is going to fail on purpose. Never set it to serve.")
    return armed(traps)


def _warn(text: str) -> None:
    # Before any logging is set up: this must be seen whatever comes after.
    sys.stderr.write(f"WARNING: {text}\n")
    sys.stderr.flush()


failpoint: Callable[..., None] = _from_environment(os.environ.get(VARIABLE))
"""`failpoint(name)` or `failpoint(name, row)`, at the place of that name."""
