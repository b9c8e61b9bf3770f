"""The HTTP face put together: every operation, the pages, health and metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from zoneinfo import ZoneInfo

from heliograph.access.grants import Grants
from heliograph.access.limits import CallLimits, Rules
from heliograph.access.sign_in import SignIn
from heliograph.access.throttle import TokenGuesses
from heliograph.api.accounts import Accounts
from heliograph.api.applications import Applications
from heliograph.api.audit import Audit
from heliograph.api.configurations import Configurations
from heliograph.api.connect_oauth import ConnectOAuth
from heliograph.api.contract import reference
from heliograph.api.contract.following import Followers
from heliograph.api.contract.operation import Operation, application, page
from heliograph.api.contract.request import Request
from heliograph.api.contract.response import Response, in_json
from heliograph.api.contract.routing import Route, Routes
from heliograph.api.failures import Failures
from heliograph.api.groups import Groups
from heliograph.api.historical import Historical
from heliograph.api.hmac_keys import HmacKeys
from heliograph.api.incidents import Incidents
from heliograph.api.included_users import IncludedUsers
from heliograph.api.intake import Intake
from heliograph.api.listeners import Listeners
from heliograph.api.mobile_notifiers import MobileNotifiers
from heliograph.api.published import Published
from heliograph.api.relays import Relays
from heliograph.api.republish_jobs import RepublishJobs
from heliograph.api.resends import Resends
from heliograph.api.sign_in.callers import Callers
from heliograph.api.sign_in.consent import ConsentPages
from heliograph.api.sign_in.legacy import LegacySignIn
from heliograph.api.sign_in.oauth import OAuth
from heliograph.api.throughput import Throughputs
from heliograph.api.tokens import Tokens
from heliograph.api.users import Users
from heliograph.delivery.publisher import Publisher
from heliograph.delivery.republish import Republisher
from heliograph.delivery.signals import Signals
from heliograph.egress import Guard
from heliograph.incoming.address import PublicAddress
from heliograph.model.fidelity import Fidelity
from heliograph.outbound.authorizer import Authorizer
from heliograph.settings import Settings
from heliograph.store import Store
from heliograph.watch.metrics import CONTENT_TYPE, Metrics
from heliograph.watch.watching import Watch
from heliograph.wire.messages.legacy_times import UTC_ZONE


def operations_of(
    store: Store,
    signals: Signals,
    guard: Guard,
    watch: Watch,
    sender: Authorizer,
    sign_in: SignIn,
    fidelity: Fidelity,
    base_uri: str,
    zone: ZoneInfo = UTC_ZONE,
) -> Sequence[Operation]:
    """Every operation of the API: routes, OpenAPI document and page are made from this list.

    `base_uri` is where clients are told that this server is; `zone` is for messages that are sent
    as a test, or shown.
    """
    publisher = Publisher(store, signals)
    republisher = Republisher(store, store.clock, signals)
    followers = Followers(signals, store.clock)
    return [
        *Intake(store, publisher, guard, fidelity, watch.observer).operations(),
        *Published(store, publisher, followers, zone).operations(),
        *Configurations(store, publisher, guard, fidelity).operations(),
        *Failures(store, republisher, followers, zone).operations(),
        *Resends(store, republisher).operations(),
        *RepublishJobs(store).operations(),
        *Incidents(store).operations(),
        *Throughputs(store).operations(),
        *HmacKeys(store).operations(),
        *ConnectOAuth(store, guard, sender).operations(),
        *Relays(store, base_uri).operations(),
        *Listeners(store, sender, zone).operations(),
        *Historical(store, guard, fidelity).operations(),
        *MobileNotifiers().operations(),
        *Accounts(store, base_uri).operations(),
        *Users(store).operations(),
        *Groups(store).operations(),
        *IncludedUsers(store).operations(),
        *Tokens(store).operations(),
        *Applications(store, sign_in).operations(),
        *Audit(store).operations(),
    ]


def web(
    settings: Settings,
    store: Store,
    operations: Sequence[Operation],
    watch: Watch,
    sign_in: SignIn,
    public: PublicAddress | None,
    beside: Callable[[Callers], Sequence[Route]] = lambda _: (),
    added: Sequence[Operation] = (),
) -> Routes:
    """The application that answers; `public` None: a node that only sends tells its health.

    `beside` makes the routes of what stands on the API, of who may call it; `added` are operations
    that are no part of it, and in no document of it."""

    async def alive(_: Request) -> Response:
        return in_json({"status": "alive"})

    async def ready(_: Request) -> Response:
        await store.ready()
        return in_json({"status": "ready"})

    routes = [page("/healthz", alive), page("/readyz", ready)]
    if watch.metrics is not None:
        routes.append(page("/metrics", _shown(watch.metrics)))

    def now() -> float:
        return store.clock.now().timestamp()

    limits = CallLimits(
        Rules(settings.hourly_limit, settings.burst_limit, settings.token_limit), now
    )
    callers = Callers(
        store,
        TokenGuesses(settings.refused_limit, now),
        LegacySignIn(store, sign_in) if settings.legacy_header else None,
    )
    if public is not None:
        routes += reference.routes(operations, public.base_uri)
        grants = Grants(store, public.audiences, public.once, settings.processes or 1)
        routes += OAuth(store, callers, grants, public, watch.observer).routes()
        routes += ConsentPages(store, sign_in, public, watch.observer).routes()
        routes += beside(callers)
    return application([*operations, *added], callers.of, routes, watch.observer, limits)


def _shown(metrics: Metrics) -> Callable[[Request], Awaitable[Response]]:
    async def show(_: Request) -> Response:
        return Response(await metrics.scrape(), media_type=CONTENT_TYPE)

    return show
