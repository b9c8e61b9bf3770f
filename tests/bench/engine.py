"""What an engine alone takes for an event: `uv run python -m tests.bench.engine --help`.

Accept, claim and settle of a store in this process, without HTTP: a call for each event, those of a
round at once, as publishers do, and then one claim and one settle; or, where accepts hand over what
can be sent at once, no claim. Shown is the processor time of
this process for an event, threads included; a PostgreSQL server's own is not in it. Of some
readings the least counts: what else runs on the machine only adds.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import uvloop

from heliograph.delivery.matching import match_all
from heliograph.model.accounts import Account
from heliograph.model.deliveries import Claim, Delivered
from heliograph.model.events import NewEvent
from heliograph.settings import Settings
from heliograph.store import Store
from heliograph.store.opening import open_store
from tests.bench import command
from tests.support import ACCOUNT, new_event, settled, wanted_configuration
from tests.taking import Sending

_READINGS: Final = 5

_NAMES: Final = tuple(f"envelope-{end}" for end in ("sent", "delivered", "completed", "voided"))
"""Each is wanted by a configuration of its own."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Microseconds of processor time for an event."""

    engine: str
    events_of_a_round: int
    accept: float
    claim: float
    settle: float

    @property
    def event(self) -> float:
        """All three."""
        return self.accept + self.claim + self.settle


class Engine:
    """A store with some configurations, each event wanted by one of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._count = 0

    async def prepare(self) -> None:
        """Make the account and its configurations."""
        await self._store.create_account(Account(ACCOUNT, 1, "First"))
        for name in _NAMES:
            await self._store.create_configuration(wanted_configuration(events=[name]))

    async def round(self, size: int, *, handing_over: bool) -> tuple[float, float, float]:
        """Seconds of processor time of accepting, claiming and settling so many events."""
        sending = Sending(self._store)
        if not handing_over:
            self._store.hand_to(None)
        events = [self._event() for _ in range(size)]
        known = await self._store.configurations(ACCOUNT)
        matched = [(event, match_all(known.all, event, known.groups)) for event in events]
        began = time.process_time()
        await asyncio.gather(
            *(self._store.accept(ACCOUNT, known.version, [one]) for one in matched)
        )
        accepted = time.process_time()
        claims: Sequence[Claim] = sending.taken
        if not handing_over:
            claims = (await self._store.claim(size, size)).claims
        claimed = time.process_time()
        await self._store.settle([settled(claim, Delivered()) for claim in claims])
        return accepted - began, claimed - accepted, time.process_time() - claimed

    def _event(self) -> NewEvent:
        self._count += 1
        name = _NAMES[self._count % len(_NAMES)]
        return new_event(name, f"env-{self._count}", f"event-{self._count}")


async def measured(settings: Settings, size: int, rounds: int, *, handing_over: bool) -> Figures:
    """The least of some readings of so many rounds."""
    async with open_store(settings) as store:
        engine = Engine(store)
        await engine.prepare()
        await engine.round(size, handing_over=handing_over)
        readings = []
        for _ in range(_READINGS):
            taken = [await engine.round(size, handing_over=handing_over) for _ in range(rounds)]
            readings.append([sum(part) / rounds / size * 1e6 for part in zip(*taken, strict=True)])
    least = [min(part) for part in zip(*readings, strict=True)]
    return Figures("postgres" if settings.database_url else "sqlite", size, *least)


def table(found: Figures) -> str:
    """The figures for a person."""
    rows = (("accept", found.accept), ("claim", found.claim), ("settle", found.settle))
    lines = [f"  {name:<8}{figure:7.1f} µs" for name, figure in (*rows, ("event", found.event))]
    return "\n".join([f"{found.engine}, {found.events_of_a_round} at once", *lines])


def main() -> None:
    parser = command.parser("engine", __doc__)
    parser.add_argument("--size", type=int, default=64, help="events of a round")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of a reading")
    parser.add_argument("--handing-over", action="store_true", help="accepts hand over")
    given = parser.parse_args()
    with command.place(given) as (folder, options):
        url = dict(zip(options[::2], options[1::2], strict=True)).get("--database-url", "")
        settings = Settings(data_dir=folder, database_url=url, i_accept_data_loss=True)
        found = uvloop.run(
            measured(settings, given.size, given.rounds, handing_over=given.handing_over)
        )
    print(json.dumps(asdict(found), indent=2) if given.json else table(found))  # noqa: T201


if __name__ == "__main__":
    main()
