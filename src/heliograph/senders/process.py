"""A sender process: posts what its server hands over, until the server is gone.

It has no database and no listening socket, and logs only why it cannot go on: `python -m
heliograph.senders.process FD` is started by `handing`, with one end of a pair of sockets, and by
nobody else.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import structlog
import uvloop

from heliograph.clock import SystemClock
from heliograph.egress import Guard, Profile
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import Answer, Proofs
from heliograph.outbound.authorizer import Authorizer
from heliograph.outbound.transport import Budget, Transport
from heliograph.senders import frames
from heliograph.senders.frames import CameBack, Posting, Setup
from heliograph.watch import logs
from heliograph.watch.logs import told

_log = structlog.get_logger()


class _Posts:
    """The posts that are under way."""

    def __init__(self, authorizer: Authorizer, writer: asyncio.StreamWriter) -> None:
        self._authorizer = authorizer
        self._writer = writer
        self._listeners: dict[int, tuple[ConnectConfiguration, Proofs]] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._ended: list[CameBack] = []

    def take(self, handed: frames.Handed) -> None:
        """Begin what was handed over."""
        if handed.forget:
            self._listeners.clear()
        for listener in handed.listeners:
            self._listeners[listener.number] = frames.unpack(listener.packed)
        for posting in handed.posts:
            # It is there now, whatever is forgotten while it runs.
            configuration, proofs = self._listeners[posting.listener]
            task = asyncio.create_task(self._post(posting, configuration, proofs))
            self._running[posting.number] = task
            # What is cancelled before it has begun runs nothing of its own.
            task.add_done_callback(functools.partial(self._forget, posting.number))
        for number in handed.cancelled:
            if number in self._running:
                self._running[number].cancel()

    async def _post(
        self, posting: Posting, configuration: ConnectConfiguration, proofs: Proofs
    ) -> None:
        try:
            result = await self._authorizer.post(
                configuration, posting.headers, posting.body, proofs, last=posting.last
            )
        except Exception as error:
            self._tell(CameBack(posting.number, broke=told(error)))
        else:
            if isinstance(result, Answer):
                self._tell(CameBack(posting.number, answer=result))
            else:
                self._tell(CameBack(posting.number, fault=result))

    def _forget(self, number: int, _: asyncio.Task[None]) -> None:
        del self._running[number]

    def _tell(self, came_back: CameBack) -> None:
        if not self._ended:  # all that end in one turn of the loop go together
            asyncio.get_running_loop().call_soon(self._write)
        self._ended.append(came_back)

    def _write(self) -> None:
        ended, self._ended = self._ended, []
        frames.write(self._writer, ended)

    async def stop(self) -> None:
        """End what is under way."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _serve(ours: socket.socket) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    first = await frames.read(reader)
    if first is None:
        return
    setup = frames.SETUP.decode(first)
    asyncio.get_running_loop().set_default_executor(
        ThreadPoolExecutor(setup.in_flight, thread_name_prefix="resolver")
    )
    async with Transport(_guard(setup), Budget(total=setup.total)) as transport:
        posts = _Posts(Authorizer(transport, SystemClock(), total=setup.total), writer)
        frames.write(writer, [])  # from now on it takes posts
        while (frame := await frames.read(reader)) is not None:
            posts.take(frames.HANDED.decode(frame))
        await posts.stop()


def _guard(setup: Setup) -> Guard:
    networks = tuple(ipaddress.ip_network(network) for network in setup.networks)
    return Guard(Profile(setup.profile), networks, frozenset(setup.hosts))


def main() -> None:
    """Post until the server closes its end, however it ended."""
    # Who stops the server by a signal to all of them lets it finish what is in flight.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with logs.writing("auto", "warning"), socket.socket(fileno=int(sys.argv[1])) as ours:
        try:
            uvloop.run(_serve(ours))
        except Exception as error:
            _log.error("sender_failed", exception=told(error))
            raise SystemExit(1) from None


if __name__ == "__main__":
    main()
