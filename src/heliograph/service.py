"""The composition root: the only place that names adapters and puts the parts together."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
import signal
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from heliograph.access.credentials_file import first_account
from heliograph.access.grants import Grants
from heliograph.access.limits import CallLimits, Rules
from heliograph.access.sign_in import SignIn
from heliograph.api.applications import Applications
from heliograph.api.connect import Connect
from heliograph.api.connect_oauth import ConnectOAuth
from heliograph.api.contract import reference
from heliograph.api.contract.callers import Callers
from heliograph.api.contract.operation import Operation, application
from heliograph.api.historical import Historical
from heliograph.api.intake import Intake
from heliograph.api.listeners import Listeners
from heliograph.api.mobile_notifiers import MobileNotifiers
from heliograph.api.people import People
from heliograph.api.sign_in.consent import ConsentPages
from heliograph.api.sign_in.legacy import LegacySignIn
from heliograph.api.sign_in.oauth import OAuth, Place
from heliograph.api.tokens import Tokens
from heliograph.clock import Clock, SystemClock
from heliograph.delivery.attempt import Sender
from heliograph.delivery.disabling import watch_listeners
from heliograph.delivery.dispatcher import Dispatcher, Limits
from heliograph.delivery.maintenance import LeaseKeeper, follow_hints, retain, take_over
from heliograph.delivery.publisher import Publisher
from heliograph.delivery.republish import Republisher
from heliograph.delivery.signals import Signals
from heliograph.egress import Guard, Profile
from heliograph.errors import StorageBroken, UnsafeStorage
from heliograph.incoming.bounds import bounds_from
from heliograph.incoming.certificate import ServerCertificate
from heliograph.incoming.door import Server
from heliograph.incoming.exposure import refuse_exposure
from heliograph.incoming.protocol import NO_SNIFFING, GuardedProtocol
from heliograph.model.configurations import ScheduleName
from heliograph.outbound.alerts import AlertHook
from heliograph.outbound.authorizer import Authorizer
from heliograph.outbound.transport import Budget, Transport
from heliograph.settings import Settings
from heliograph.store import Store
from heliograph.store.file_lock import FileLock
from heliograph.store.keyring import KeyRing
from heliograph.store.sqlite import doctor
from heliograph.store.sqlite.store import SqliteStore
from heliograph.watch.metrics import CONTENT_TYPE, Metrics
from heliograph.watch.watching import Watch, watching

EXIT_STORAGE: Final = 74
"""Exit status after a failed read or write of the database (sysexits: EX_IOERR)."""

EXIT_HARD_STOP: Final = 130
"""Exit status after a second stop signal."""

DATABASE: Final = "heliograph.db"

NODE_ID: Final = "node-id"
"""File of a data directory on PostgreSQL that names the node."""

_ONLY_HTTPS: Final = ("Strict-Transport-Security", "max-age=31536000")
"""HSTS, of a year (RFC 6797)."""

_BACKLOG: Final = 2048

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")

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
    certificate: ServerCertificate | None = None


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
async def open_store(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Store]:
    """The storage that the settings name, closed with the block.

    Raises:
        UnsafeStorage: the storage cannot keep the promises (R18), or another process has
            it (R20).
        StorageUnavailable: no PostgreSQL answers.
    """
    data_dir = settings.data_dir
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.database_url:
        store: Store
        lock = FileLock(data_dir / "node.lock")
        try:
            store = await _open_postgres(settings, clock)
        except BaseException:
            lock.release()
            raise
    else:
        lock = None
        store = await _open_sqlite(settings, clock or SystemClock())
    try:
        yield store
    finally:
        await store.close()
        if lock is not None:
            lock.release()


async def _open_sqlite(settings: Settings, clock: Clock) -> Store:
    data_dir = settings.data_dir
    for failed in doctor.refuse_unsafe(
        doctor.storage_checks(data_dir), accept_data_loss=settings.i_accept_data_loss
    ):
        _log.warning("unsafe_storage", check=failed.name, found=failed.found, mend=failed.mend)
    database = data_dir / DATABASE
    keyring = KeyRing.load(data_dir / "master.key", make=not database.exists())
    return await SqliteStore.open(database, keyring, clock, adopt=settings.adopt)


async def _open_postgres(settings: Settings, clock: Clock | None) -> Store:
    # A server on SQLite need not wait for the driver to be imported.
    from heliograph.store.postgres.store import PostgresStore  # noqa: PLC0415

    key = settings.data_dir / "master.key"
    node_id = settings.data_dir / NODE_ID
    if not node_id.exists():
        node_id.write_text(str(uuid.uuid4()), encoding="ascii")
    if not key.exists() and not await PostgresStore.is_new(settings.database_url):
        raise UnsafeStorage(
            f"{key} is missing, and the database has secrets sealed with it: copy master.key "
            "from a node that runs."
        )
    return await PostgresStore.open(
        settings.database_url,
        KeyRing.load(key),
        clock,
        instance=node_id.read_text(encoding="ascii"),
        lease=settings.lease,
        accept_data_loss=settings.i_accept_data_loss,
    )


@contextlib.asynccontextmanager
async def running(
    settings: Settings, clock: Clock | None = None, *, api: bool = True
) -> AsyncIterator[Running]:
    """Run a server until the block is left or `stop` is called; then stop it gracefully.

    Args:
        settings: What to run with.
        clock: None stands for the machine's, or on PostgreSQL the database's.
        api: False for a node that only sends: it answers about its health and nothing else.

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
    with contextlib.closing(_listen(settings)) as listening:
        base_uri = _base_uri(settings.host, listening.getsockname()[1], certificate)
        async with (
            open_store(settings, clock) as store,
            Transport(guard, Budget(total=settings.attempt_timeout)) as transport,
            watching(settings, store) as watch,
        ):
            if api:
                authority = None if certificate is None else certificate.authority
                await first_account(store, settings.data_dir, base_uri, authority)
            signals = Signals()
            limits = Limits(
                settings.in_flight, settings.per_configuration, ScheduleName(settings.schedule)
            )
            sender = Authorizer(transport, store.clock, total=settings.attempt_timeout)
            alerts = AlertHook(settings.alert_url, transport)
            dispatcher = Dispatcher(
                *(store, sender, store.clock, signals, limits, watch.observer, alerts.tell)
            )
            if watch.metrics is not None:
                watch.metrics.watch_in_flight(lambda: dispatcher.in_flight)
            sign_in = SignIn(store)
            operations = operations_of(store, signals, guard, watch, sender, sign_in) if api else []
            public = _Public(settings, base_uri, certificate) if api else None
            server = Server(
                _uvicorn_config(
                    _web(settings, store, operations, watch, sign_in, public), settings, certificate
                ),
                listening,
                bounds_from(settings),
                certificate,
                watch.turned_away,
            )
            stopped = asyncio.Event()

            def stop() -> None:
                server.should_exit = True
                dispatcher.stop()
                stopped.set()

            # From here the kernel takes connections; uvicorn answers them once it runs.
            listening.listen(_BACKLOG)
            async with asyncio.TaskGroup() as parts:
                parts.create_task(server.serve())
                parts.create_task(_send(settings, store, signals, dispatcher, stopped))
                watching_over = watch_listeners(
                    *(store, alerts.tell, store.clock, stopped, settings.disable_after)
                )
                parts.create_task(watching_over)
                try:
                    yield Running(base_uri, settings, store, signals, stop, stopped, certificate)
                finally:
                    stop()


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
        parts.create_task(take_over(store, signals, clock, stopped, lease))
        parts.create_task(retain(store, clock, stopped, settings.keep_logs))
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
    settings: Settings, announce: Callable[[Running], None], *, api: bool = True
) -> None:
    """Run a server until SIGTERM or SIGINT; a second signal stops hard (R15)."""
    try:
        async with running(settings, api=api) as server:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, _stop_or_exit, server)
            if server.certificate is not None:
                loop.add_signal_handler(signal.SIGHUP, server.certificate.reload)
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


def operations_of(
    store: Store, signals: Signals, guard: Guard, watch: Watch, sender: Sender, sign_in: SignIn
) -> Sequence[Operation]:
    """Every operation of the API: routes, OpenAPI document and page are made from this list."""
    publisher = Publisher(store, signals)
    connect = Connect(store, Republisher(store, store.clock, signals), guard, signals)
    return [
        *Intake(publisher, guard, watch.observer).operations(),
        *connect.operations(),
        *ConnectOAuth(store, guard).operations(),
        *Listeners(store, sender).operations(),
        *Historical(store, guard, signals).operations(),
        *MobileNotifiers().operations(),
        *People(store).operations(),
        *Tokens(store).operations(),
        *Applications(store, sign_in).operations(),
    ]


@dataclass(frozen=True, slots=True)
class _Public:
    """How clients call this server."""

    settings: Settings
    base_uri: str
    certificate: ServerCertificate | None

    @property
    def place(self) -> Place:
        return Place(self.settings.public_url or self.base_uri)

    def audiences(self) -> frozenset[str]:
        """What an assertion's `aud` may be: the host and port of this server, never what a
        request says that it is called (J3). The certificate may have changed."""
        if self.settings.public_url:
            return _with_default_port({urlsplit(self.settings.public_url).netloc})
        url = urlsplit(self.base_uri)
        host = self.settings.host
        hosts = {url.netloc.rpartition(":")[0], f"[{host}]" if ":" in host else host}
        if self.certificate is not None:
            hosts |= {name for name in self.certificate.hosts if "*" not in name}
        elif host in _LOOPBACK:
            hosts.add("localhost")
        return _with_default_port({f"{name}:{url.port}" for name in hosts})

    @property
    def once(self) -> bool:
        """Whether an assertion brings one token, and no more (J7)."""
        chosen = self.settings.assertions
        if chosen == "auto":
            return self.settings.egress != Profile.EMULATOR
        return chosen == "once"


def _with_default_port(hosts: set[str]) -> frozenset[str]:
    return frozenset(hosts | {one.removesuffix(":443") for one in hosts})


def _web(
    settings: Settings,
    store: Store,
    operations: Sequence[Operation],
    watch: Watch,
    sign_in: SignIn,
    public: _Public | None,
) -> Starlette:
    async def alive(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(_: Request) -> Response:
        await store.ready()
        return JSONResponse({"status": "ready"})

    routes = [Route("/healthz", alive), Route("/readyz", ready)]
    if watch.metrics is not None:
        routes.append(Route("/metrics", _shown(watch.metrics)))
    rules = Rules(
        settings.hourly_limit, settings.burst_limit, settings.token_limit, settings.refused_limit
    )
    limits = CallLimits(rules, lambda: store.clock.now().timestamp())
    callers = Callers(
        store, limits, LegacySignIn(store, sign_in) if settings.legacy_header else None
    )
    if public is not None:
        routes += reference.routes(operations, public.place.base_uri)
        grants = Grants(store, public.audiences, public.once)
        routes += OAuth(store, callers, grants, public.place, watch.observer).routes()
        routes += ConsentPages(store, sign_in, public.place, watch.observer).routes()
    return application(operations, callers.of, routes, watch.observer, limits)


def _shown(metrics: Metrics) -> Callable[[Request], Awaitable[Response]]:
    async def show(_: Request) -> Response:
        return Response(await metrics.scrape(), media_type=CONTENT_TYPE)

    return show


def _uvicorn_config(
    web: Starlette, settings: Settings, certificate: ServerCertificate | None
) -> uvicorn.Config:
    headers = [NO_SNIFFING]
    if certificate is not None and not certificate.is_for_development:
        headers.append(_ONLY_HTTPS)
    return uvicorn.Config(
        web,
        loop="none",
        http=GuardedProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        headers=headers,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=max(1, round(settings.grace)),
    )


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named, or asyncio's own loop leaves Nagle's algorithm on: an answer whose body follows
    # its headers then waits 40 ms for the caller's delayed acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError:
        listening.close()
        raise
    return listening


def _base_uri(host: str, port: int, certificate: ServerCertificate | None) -> str:
    scheme = "http"
    if certificate is not None:
        scheme, host = "https", certificate.host(host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
