"""The emulator put together: what it adds to a server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from heliograph.api.contract.operation import Operation
from heliograph.api.contract.routing import Route
from heliograph.delivery.publisher import Publisher
from heliograph.emulator.cabinet import Cabinet
from heliograph.emulator.clock import AdvancingClock
from heliograph.emulator.controls import Controls
from heliograph.emulator.desk import Desk
from heliograph.emulator.envelopes import Envelopes
from heliograph.emulator.further import Further
from heliograph.emulator.quickstart import Quickstart, prepared
from heliograph.emulator.scenario import NOBODY, Scenario
from heliograph.emulator.signing import Signing
from heliograph.emulator.view_calls import ViewCalls
from heliograph.emulator.views import Views
from heliograph.service import Adding, Ground


class Emulator:
    """What answers and happens beside the server."""

    def __init__(
        self,
        ground: Ground,
        cabinet: Cabinet,
        clock: AdvancingClock,
        scenario: Scenario = NOBODY,
    ) -> None:
        store = ground.store
        publisher = Publisher(store, ground.signals)
        self._desk = Desk(store, cabinet, publisher, ground.guard, ground.fidelity, scenario)
        views = Views()
        self._signing = Signing(self._desk, views, store.clock, ground.observer)
        self._parts = (
            Envelopes(self._desk),
            ViewCalls(self._desk, views, store.clock, ground.base_uri),
            Further(self._desk),
            Controls(self._desk, views, clock),
        )

    def operations(self) -> Sequence[Operation]:
        """Every operation of the emulator."""
        return [one for part in self._parts for one in part.operations()]

    def routes(self) -> Sequence[Route]:
        """The signing page."""
        return self._signing.routes()

    async def run(self, stopped: asyncio.Event) -> None:
        """Let happen what is due, until the stop."""
        await self._desk.run(stopped)


def adding(
    clock: AdvancingClock,
    tell: Callable[[Quickstart], None] = lambda _: None,
    scenario: Scenario = NOBODY,
) -> Adding:
    """What a server whose time is this clock's is run with; `tell` gets who may sign in."""

    @contextlib.asynccontextmanager
    async def opened(ground: Ground) -> AsyncIterator[Emulator]:
        data_dir = ground.settings.data_dir
        tell(await prepared(ground.store, data_dir, ground.base_uri))
        cabinet = Cabinet(data_dir)
        try:
            yield Emulator(ground, cabinet, clock, scenario)
        finally:
            cabinet.close()

    return opened
