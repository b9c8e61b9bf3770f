"""The emulator's own operations: set its clock ahead, forget all envelopes. DocuSign has none."""

from __future__ import annotations

from collections.abc import Sequence

from heliograph.api.contract.operation import Call, Operation
from heliograph.api.contract.response import Response
from heliograph.emulator.calls import ACCOUNT, answer, body, changes
from heliograph.emulator.clock import AdvancingClock
from heliograph.emulator.desk import Desk
from heliograph.emulator.durations import seconds
from heliograph.emulator.views import Views
from heliograph.wire import dates


class Controls:
    """The clock is the whole server's; what is forgotten is the account's."""

    def __init__(self, desk: Desk, views: Views, clock: AdvancingClock) -> None:
        self._desk = desk
        self._views = views
        self._clock = clock

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        return [
            changes(
                "advance_clock",
                "POST",
                f"{ACCOUNT}/emulator/clock",
                self._advance,
                "Sets the clock ahead; what is due by then happens before this is answered.",
            ),
            changes(
                "reset_emulator",
                "POST",
                f"{ACCOUNT}/emulator/reset",
                self._reset,
                "Forgets every envelope and template of the account.",
            ),
        ]

    async def _advance(self, call: Call) -> Response:
        self._clock.advance(seconds(str(body(call).get("advance") or "")))
        await self._desk.pass_time()
        return answer({"now": dates.render(self._clock.now())})

    async def _reset(self, call: Call) -> Response:
        self._views.reset(call.account_id)
        return answer({"forgotten": str(self._desk.cabinet.reset(call.account_id))})
