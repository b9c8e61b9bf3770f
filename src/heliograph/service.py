"""The composition root: opens, wires, runs and closes the parts."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
import signal
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import structlog

from heliograph import processors
from heliograph.access.credentials_file import first_account
from heliograph.access.sign_in import SignIn
from heliograph.api.contract.operation import Operation
from heliograph.api.contract.routing import Route
from heliograph.api.relaying import Relaying
from heliograph.api.sign_in.callers import Callers
from heliograph.api.web import operations_of, web
from heliograph.clock import Clock
from heliograph.console.front import Console, signpost
from heliograph.delivery.attempt import Sender
from heliograph.delivery.disabling import Tell, watch_listeners
from heliograph.delivery.dispatcher import Capacity, Dispatcher
from heliograph.delivery.incidents import watch_incidents
from heliograph.delivery.jobs import run_jobs
from heliograph.delivery.lease import LeaseKeeper, follow_hints, take_over
from heliograph.delivery.publisher import Publisher
from heliograph.delivery.retention import retain, retain_audit, retain_relayed
from heliograph.delivery.signals import Signals
from heliograph.delivery.timekeeping import watch_clock
from heliograph.delivery.verbatim import Verbatim
from heliograph.egress import Guard, Profile
from heliograph.errors import StorageBroken
from heliograph.incoming.address import PublicAddress, base_uri_of
from heliograph.incoming.bounds import bounds_from
from heliograph.incoming.certificate import ServerCertificate
from heliograph.incoming.crowd import Turn
from heliograph.incoming.door import Server, bound_socket, uvicorn_config
from heliograph.incoming.exposure import refuse_exposure
from heliograph.model.configurations import ScheduleName
from heliograph.model.fidelity import Fidelity
from heliograph.outbound.alerts import AlertHook
from heliograph.outbound.authorizer import Authorizer
from heliograph.outbound.transport import Budget, Transport
from heliograph.senders.handing import handing
from heliograph.settings import Settings
from heliograph.store import Store
from heliograph.store.opening import open_store
from heliograph.watch import Observer
from heliograph.watch.siblings import Siblings
from heliograph.watch.watching import Watch, watching

EXIT_STORAGE: Final = 74
"""Exit status after a failed read or write of the database (sysexits: EX_IOERR)."""

EXIT_HARD_STOP: Final = 130
"""Exit status after a second stop signal."""

_BACKLOG: Final = 2048

_UNASKED_SENDERS: Final = 3
"""Sender processes unless another number is given: more would wait for the one that hands over."""

_LONGEST_NUMBER: Final = 1_000
"""Digits: a body with a longer integer is refused (S17)."""

_HOST: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Place:
    """Where one of several nodes behind one port runs: see `cli/processes.py`.

    Args:
        number: From 1; names its lock and its lease.
        listening: The socket of the port, which all of them have.
        watched: A pipe that ends with the process that watches over them.
        answers: A pipe that tells it, by one byte, that this node answers.
        log_turn: A file whose lock is the turn to write to the log.
        siblings: The others, to ask for what they count.
        turn: When to take a connection.
        replaces: The exit status of the process that was in this place before, if one was.
    """

    number: int
    listening: socket.socket
    watched: int
    answers: int
    log_turn: int
    siblings: Siblings
    turn: Turn
    replaces: int | None = None

    def tell_that_it_answers(self) -> None:
        """Let the process that watches know."""
        os.write(self.answers, b"1")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers; `place` is None where it is the only one behind its port."""

    base_uri: str
    settings: Settings
    store: Store
    signals: Signals
    stop: Callable[[], None]
    stopped: asyncio.Event
    certificate: ServerCertificate | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Ground:
    """What a server that is about to answer lends to something that is added to it."""

    base_uri: str
    settings: Settings
    store: Store
    signals: Signals
    guard: Guard
    fidelity: Fidelity
    observer: Observer


class Addition(Protocol):
    """Something that answers beside the API, and is no part of it (`cli/commands/emulator.py`)."""

    def operations(self) -> Sequence[Operation]:
        """Its operations, on the server's accounts and tokens."""
        ...

    def routes(self) -> Sequence[Route]:
        """Its routes beside them."""
        ...

    async def run(self, stopped: asyncio.Event) -> None:
        """What it does by itself, until the stop."""
        ...


Adding = Callable[[Ground], contextlib.AbstractAsyncContextManager[Addition]]


def guard_from(settings: Settings) -> Guard:
    """The egress guard that the operator chose.

    Raises:
        ValueError: an unknown profile.
    """
    networks, hosts = [], set()
    for item in filter(None, (part.strip() for part in settings.egress_allow.split(","))):
        try:
            networks.append(ipaddress.ip_network(item))
        except ValueError:
            if not _HOST.fullmatch(item):
                raise ValueError(
                    f"--egress-allow takes CIDRs and host names, not {item!r}."
                ) from None
            hosts.add(item.lower())
    return Guard(Profile(settings.egress), tuple(networks), frozenset(hosts))


def senders_from(settings: Settings, *, alone: bool) -> int:
    """How many sender processes there may be; `alone`: no other node answers on the same port."""
    if settings.senders != "auto":
        return int(settings.senders)
    return min(_UNASKED_SENDERS, processors.usable() - 1) if alone else 0


def fidelity_from(settings: Settings) -> Fidelity:
    """The profile that the operator chose, or what the egress profile makes of `auto`."""
    if settings.fidelity != "auto":
        return Fidelity(settings.fidelity)
    return Fidelity.DOCUSIGN if settings.egress == Profile.EMULATOR else Fidelity.RELAXED


@contextlib.asynccontextmanager
async def running(
    settings: Settings,
    clock: Clock | None = None,
    *,
    api: bool = True,
    place: Place | None = None,
    adding: Adding | None = None,
) -> AsyncIterator[Running]:
    """Run a server until the block is left or `stop` is called; then stop it gracefully.

    Args:
        settings: What to run with.
        clock: None stands for the machine's, or on PostgreSQL the database's.
        api: False for a node that only sends: it answers about its health and nothing else.
        place: Where it runs, if other nodes answer on its port too.
        adding: Makes what answers beside the API, if something does.

    Raises:
        UnsafeStorage: the storage cannot keep the promises (R18), another process has it
            (R20), or others may read the certificate's key.
        StorageUnavailable: no PostgreSQL answers.
        OSError: the address is taken.
        ValueError: a setting or the certificate cannot be used, or the server would be exposed
            in a way that nobody has accepted (S14).
    """
    guard = guard_from(settings)
    if api:
        refuse_exposure(settings)
    certificate = ServerCertificate.named(settings)
    # Names are resolved in these threads: one for each attempt, so that a name whose DNS
    # hangs delays nobody else's (R7).
    asyncio.get_running_loop().set_default_executor(
        ThreadPoolExecutor(settings.in_flight, thread_name_prefix="resolver")
    )
    # To read a number takes the square of its length, on whatever thread, and holds up all.
    sys.set_int_max_str_digits(_LONGEST_NUMBER)
    bound = bound_socket(settings) if place is None else place.listening
    with contextlib.closing(bound) as listening:
        base_uri = base_uri_of(settings.host, listening.getsockname()[1], certificate)
        async with (
            open_store(settings, clock, 1 if place is None else place.number) as store,
            Transport(guard, Budget(total=settings.attempt_timeout)) as transport,
            handing(
                Authorizer(transport, store.clock, total=settings.attempt_timeout),
                guard,
                store.clock,
                most=senders_from(settings, alone=place is None),
                total=settings.attempt_timeout,
                in_flight=settings.in_flight,
            ) as hands,
            watching(settings, store, None if place is None else place.siblings) as watch,
            contextlib.AsyncExitStack() as open_until,
        ):
            if api:
                authority = None if certificate is None else certificate.authority
                await first_account(store, settings.data_dir, base_uri, authority)
            signals = Signals()
            alerts = AlertHook(settings.alert_url, transport)
            dispatcher = _dispatcher(settings, store, hands, signals, watch, alerts.tell)
            sign_in = SignIn(store, settings.processes or 1)
            public = PublicAddress(settings, base_uri, certificate) if api else None
            operations = (
                []
                if public is None
                else operations_of(
                    *(store, signals, guard, watch, hands.here, sign_in),
                    fidelity_from(settings),
                    public.base_uri,
                    ZoneInfo(settings.time_zone),
                )
            )

            relaying = Relaying(
                *(store, Publisher(store, signals), watch.observer),
                *(settings.data_dir, settings.relay_mib * 2**20),
            )
            ground = Ground(
                *(base_uri if public is None else public.base_uri, settings, store, signals, guard),
                *(fidelity_from(settings), watch.observer),
            )
            addition = (
                None if adding is None else await open_until.enter_async_context(adding(ground))
            )
            more = [*relaying.routes(), *(() if addition is None else addition.routes())]

            def beside(callers: Callers) -> Sequence[Route]:
                if public is None or not settings.console:
                    return [signpost(console=False), *more]
                pages = Console(store, operations, sign_in, callers, public, watch.observer)
                return [signpost(console=True), *pages.routes(), *more]

            server = Server(
                uvicorn_config(
                    web(
                        *(settings, store, operations, watch, sign_in, public, beside),
                        () if addition is None else addition.operations(),
                    ),
                    *(settings, certificate),
                ),
                listening,
                bounds_from(settings),
                certificate,
                watch.turned_away,
                None if place is None else place.turn,
            )
            stopped = asyncio.Event()

            def stop() -> None:
                server.should_exit = True
                signals.stop_following()
                dispatcher.stop()
                stopped.set()

            # From here the kernel takes connections; uvicorn answers them once it runs.
            listening.listen(_BACKLOG)
            async with asyncio.TaskGroup() as parts:
                parts.create_task(server.serve())
                parts.create_task(_send(settings, store, signals, dispatcher, stopped))
                watching_over = watch_listeners(
                    store, alerts.tell, store.clock, stopped, days=settings.disable_after
                )
                parts.create_task(watching_over)
                parts.create_task(watch_incidents(store, alerts.tell, store.clock, stopped))
                if addition is not None:
                    parts.create_task(addition.run(stopped))
                try:
                    yield Running(
                        *(base_uri, settings, store, signals, stop, stopped, certificate, place)
                    )
                finally:
                    stop()


def _dispatcher(
    settings: Settings, store: Store, sender: Sender, signals: Signals, watch: Watch, tell: Tell
) -> Dispatcher:
    dispatcher = Dispatcher(
        store,
        sender,
        store.clock,
        signals,
        Capacity(
            settings.in_flight,
            settings.per_configuration,
            settings.in_flight_mib * 2**20,
            nodes=settings.processes or 1,
        ),
        schedule=ScheduleName(settings.schedule),
        zone=ZoneInfo(settings.time_zone),
        verbatim=Verbatim(store.relays, settings.data_dir),
        observer=watch.observer,
        tell=tell,
    )
    if watch.metrics is not None:
        watch.metrics.watch_in_flight(
            lambda: dispatcher.in_flight, lambda: dispatcher.bytes_in_flight
        )
    return dispatcher


async def _send(
    settings: Settings,
    store: Store,
    signals: Signals,
    dispatcher: Dispatcher,
    stopped: asyncio.Event,
) -> None:
    """Dispatch until the stop, and keep the lease until the last settlement is written (R8)."""
    clock, lease, settled = store.clock, settings.lease, asyncio.Event()
    async with asyncio.TaskGroup() as parts:
        keeper = LeaseKeeper(store, dispatcher, clock, lease, shared=bool(settings.database_url))
        parts.create_task(keeper.run(settled))
        parts.create_task(take_over(store, clock, stopped, lease))
        parts.create_task(watch_clock(clock, stopped))
        parts.create_task(retain(store, clock, stopped, settings.keep_logs))
        parts.create_task(retain_audit(store, clock, stopped, settings.keep_audit))
        parts.create_task(retain_relayed(store, clock, stopped))
        # Nobody else runs jobs on an SQLite file: after a crash they go on at once.
        runner = str(uuid.uuid4()) if settings.database_url else "server"
        parts.create_task(run_jobs(store, clock, stopped, runner))
        hints = parts.create_task(follow_hints(store, signals, stopped))
        try:
            if settings.no_dispatch:
                await stopped.wait()
            else:
                await dispatcher.run(settings.grace)
        finally:
            hints.cancel()
            settled.set()


async def serve(
    settings: Settings,
    announce: Callable[[Running], None],
    *,
    api: bool = True,
    place: Place | None = None,
    clock: Clock | None = None,
    adding: Adding | None = None,
) -> None:
    """Run a server until SIGTERM, SIGINT or SIGQUIT; a second one stops hard (R15).

    Where others answer on its port, the process that watches over them says what is hard; without
    it the server stops in order, as nobody could stop it any more.
    """
    try:
        async with running(settings, clock, api=api, place=place, adding=adding) as server:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
                loop.add_signal_handler(number, _stop_or_exit, server)
            if place is not None:
                loop.add_reader(place.watched, _stop_unwatched, server, place.watched)
            announce(server)
            await server.stopped.wait()
    except* StorageBroken as group:
        # After a failed flush later commits may falsely succeed: only a new process may
        # go on (F12).
        _log.critical("storage_broken", error=str(group.exceptions[0]))
        os._exit(EXIT_STORAGE)


def _stop_or_exit(server: Running) -> None:
    if not server.stopped.is_set():
        server.stop()
    elif server.place is None:
        os._exit(EXIT_HARD_STOP)


def _stop_unwatched(server: Running, watched: int) -> None:
    asyncio.get_running_loop().remove_reader(watched)
    _log.error("unwatched", reason="the process that watches over the nodes is gone")
    _stop_or_exit(server)
