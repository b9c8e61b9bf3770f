"""The composition root: the only place that names adapters and puts the parts together."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from heliograph import doctor
from heliograph.api.connect import Connect
from heliograph.api.contract import application
from heliograph.api.intake import Intake
from heliograph.clock import Clock, SystemClock
from heliograph.credentials import first_account
from heliograph.dispatcher import Dispatcher, Limits
from heliograph.egress import Guard, Profile
from heliograph.errors import StorageBroken, StorageUnavailable
from heliograph.keyring import KeyRing
from heliograph.maintenance import heartbeat
from heliograph.publisher import Publisher
from heliograph.republish import Republisher
from heliograph.settings import Settings
from heliograph.signals import Signals
from heliograph.store import Store
from heliograph.store.sqlite import SqliteStore
from heliograph.transport import Budget, Transport

EXIT_STORAGE: Final = 74
"""Exit status after a failed read or write of the database (sysexits: EX_IOERR)."""

EXIT_HARD_STOP: Final = 130
"""Exit status after a second stop signal."""

DATABASE: Final = "heliograph.db"

_BACKLOG: Final = 2048

_HOST: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    base_uri: str
    settings: Settings
    store: Store
    signals: Signals
    stop: Callable[[], None]
    stopped: asyncio.Event


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


@contextlib.asynccontextmanager
async def running(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Running]:
    """Run a server until the block is left or `stop` is called; then stop it gracefully.

    Raises:
        UnsafeStorage: the storage cannot keep the promises (R18), or another process has
            it (R20).
        OSError: the address is taken.
    """
    clock = clock or SystemClock()
    guard = guard_from(settings)
    # Names are resolved in these threads: one for each attempt, so that a name whose DNS
    # hangs delays nobody else's (R7).
    asyncio.get_running_loop().set_default_executor(
        ThreadPoolExecutor(settings.in_flight, thread_name_prefix="resolver")
    )
    data_dir = settings.data_dir
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for failed in doctor.refuse_unsafe(
        doctor.storage_checks(data_dir), accept_data_loss=settings.i_accept_data_loss
    ):
        _log.warning("unsafe_storage", check=failed.name, found=failed.found, mend=failed.mend)
    listening = _listen(settings)
    base_uri = _base_uri(settings.host, listening.getsockname()[1])
    try:
        new = not (data_dir / DATABASE).exists()
        keyring = KeyRing.load(data_dir / "master.key", make=new)
        store = await SqliteStore.open(data_dir / DATABASE, keyring, clock)
    except BaseException:
        listening.close()
        raise
    try:
        await first_account(store, data_dir, base_uri)
        budget = Budget(total=settings.attempt_timeout)
        async with Transport(guard, budget) as transport:
            signals = Signals()
            limits = Limits(settings.in_flight, settings.per_configuration)
            dispatcher = Dispatcher(store, transport, store.clock, signals, limits)
            web = _web(store, signals, guard)
            server = _Server(_uvicorn_config(web, settings))
            stopped = asyncio.Event()

            def stop() -> None:
                server.should_exit = True
                dispatcher.stop()
                stopped.set()

            # From here the kernel takes connections; uvicorn answers them once it runs.
            listening.listen(_BACKLOG)
            async with asyncio.TaskGroup() as parts:
                parts.create_task(server.serve(sockets=[listening]))
                parts.create_task(dispatcher.run(settings.grace))
                parts.create_task(heartbeat(store, store.clock, stopped))
                try:
                    yield Running(base_uri, settings, store, signals, stop, stopped)
                finally:
                    stop()
    finally:
        listening.close()
        await store.close()


async def serve(settings: Settings, announce: Callable[[Running], None]) -> None:
    """Run a server until SIGTERM or SIGINT; a second signal stops hard (R15)."""
    try:
        async with running(settings) as server:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, _stop_or_exit, server)
            announce(server)
            await server.stopped.wait()
    except* StorageBroken as group:
        # After a failed flush later commits may falsely succeed: only a new process may
        # go on (F12).
        _log.critical("storage_broken", error=str(group.exceptions[0]))
        os._exit(EXIT_STORAGE)


def _stop_or_exit(server: Running) -> None:
    if server.stopped.is_set():
        os._exit(EXIT_HARD_STOP)
    server.stop()


class _Server(uvicorn.Server):
    """Signals belong to `serve`, not to uvicorn."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


def _web(store: Store, signals: Signals, guard: Guard) -> Starlette:
    publisher = Publisher(store, signals)
    connect = Connect(store, Republisher(store, store.clock, signals), guard, signals)

    async def alive(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(_: Request) -> Response:
        try:
            await store.ready()
        except (StorageUnavailable, StorageBroken) as problem:
            return JSONResponse({"status": "not ready", "reason": str(problem)}, 503)
        return JSONResponse({"status": "ready"})

    return application(
        [*Intake(publisher).operations(), *connect.operations()],
        store.principal,
        [Route("/healthz", alive), Route("/readyz", ready)],
    )


def _uvicorn_config(web: Starlette, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        web,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(settings.grace)),
    )


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError:
        listening.close()
        raise
    return listening


def _base_uri(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
