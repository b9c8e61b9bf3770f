"""Every behaviour by its name, and a listener that has one, for tests and the command line.

`accept` is what a listener should do; all others are what one may meet.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from heliograph.listen import answers, bodies, connections, heads
from heliograph.listen.behaviour import Behaviour, Parameters
from heliograph.listen.listener import Listener
from heliograph.listen.listener import listening as _listening
from heliograph.listen.requests import Request

ACCEPT: Final = Behaviour(
    "accept", "Answers 200 to everything: what a listener should do.", connections.accept
)

ODD: Final = (
    *connections.BEHAVIOURS,
    *heads.BEHAVIOURS,
    *bodies.BEHAVIOURS,
    *answers.BEHAVIOURS,
)
"""Everything but `accept`."""

BEHAVIOURS: Final[Mapping[str, Behaviour]] = {
    behaviour.name: behaviour for behaviour in (ACCEPT, *ODD)
}


def make(
    name: str,
    variant: str | None = None,
    parameters: Parameters | None = None,
    on_request: Callable[[Request], None] | None = None,
) -> Listener:
    """A listener with the behaviour of this name, to be served with `listener.listening`.

    Raises:
        LookupError: there is no such behaviour or variant.
    """
    if name not in BEHAVIOURS:
        raise LookupError(f"There is no behaviour {name!r}.")
    return Listener(BEHAVIOURS[name], variant, parameters, on_request or (lambda _: None))


@asynccontextmanager
async def listening(
    name: str,
    variant: str | None = None,
    parameters: Parameters | None = None,
    on_request: Callable[[Request], None] | None = None,
) -> AsyncIterator[str]:
    """Run a behaviour on a free port of loopback; gives `http://127.0.0.1:port`.

    Raises:
        LookupError: there is no such behaviour or variant.
        OSError: no port is free.
    """
    async with _listening(make(name, variant, parameters, on_request)) as listener:
        yield listener.base_url
