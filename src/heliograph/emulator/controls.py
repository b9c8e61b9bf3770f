"""The emulator's own operations: set its clock ahead, forget all envelopes. DocuSign has none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from heliograph.api.contract.operation import Call, Operation
from heliograph.api.contract.response import Response
from heliograph.emulator.calls import ACCOUNT, answer, body, changes
from heliograph.emulator.clock import AdvancingClock
from heliograph.emulator.desk import Desk
from heliograph.emulator.views import Views
from heliograph.errors import InvalidParameter
from heliograph.wire import dates

_UNITS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"([0-9]{1,7}) ?([a-z]+)", re.ASCII)
_MOST: Final = 3 * 366 * 86_400


def seconds(text: str) -> int:
    """A duration: `90s`, `5 m`, `25h`, `3d`. Raises InvalidParameter."""
    found = _DURATION.fullmatch(text.strip().lower())
    unit = _UNITS.get(found[2]) if found else None
    if found is None or unit is None or not 0 < int(found[1]) * unit <= _MOST:
        raise InvalidParameter(
            f"advance cannot be {text[:40]!r}: write it like 90s, 5m, 25h or 3d, three years at "
            "most."
        )
    return int(found[1]) * unit


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
