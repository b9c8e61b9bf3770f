"""Plays checks against a listener, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from heliograph.verify.crafting import World
from heliograph.verify.judging import judge
from heliograph.verify.plays import Came, Check, Kind, Need, Outcome, Sending, Verdict
from heliograph.verify.sending import Patience, Sender

_POLL: Final = 0.05
"""Seconds between two looks at the probe."""


class Unreachable(Exception):
    """The listener gives no answer at all; the message says why."""


class NoCount(Exception):
    """The probe tells no number."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Which listener is judged, how, and by what it is held.

    `probe` tells how many side effects there were, `within` is what an answer may take, and
    `settle` for how long a count must stay to be believed (both seconds).
    """

    url: str
    world: World
    probe: str | None = None
    within: float = 5.0
    settle: float = 0.2


def why_not(check: Check, trial: Trial) -> Need | None:
    """What a check lacks to be played."""
    for need in check.needs:
        missing = trial.probe is None if need is Need.PROBE else trial.world.lacks(need)
        if missing:
            return need
    return None


async def run(trial: Trial, checks: Sequence[Check]) -> AsyncIterator[Verdict]:
    """The verdict on each check, in this order, as soon as it is known.

    Raises:
        Unreachable: the listener answers nothing.
        NoCount: the probe does not either.
        egress.Refused: the guard admits one of their URLs not.
    """
    patience = Patience(3 * trial.within, trial.world.scale.slow)
    async with Sender(trial.url, patience) as sender:
        first = await sender.send(Sending(trial.world.post()))
        if first.status is None:
            raise Unreachable(first.why)
        if trial.probe is not None and await sender.count(trial.probe) is None:
            raise NoCount(trial.probe)
        for check in checks:
            if (need := why_not(check, trial)) is not None:
                yield Verdict(check, Outcome.SKIPPED, need.value)
            else:
                yield await _played(check, trial, sender)


async def _played(check: Check, trial: Trial, sender: Sender) -> Verdict:
    loop = asyncio.get_running_loop()
    began = loop.time()
    play = await asyncio.to_thread(check.play, trial.world)  # 30 MB take a while to sign
    for step in play.prelude:
        await _all(step, sender)
    counter = None
    if check.kind is Kind.ONCE and trial.probe is not None:
        counter = _Counter(trial.probe, trial, sender)
    before = None if counter is None else await counter.settled()
    came = [await _all(step, sender) for step in play.steps]
    effects = None if counter is None else await counter.since(before, play.effects[0])
    verdict = judge(
        check,
        play,
        came,
        effects=effects,
        within=trial.within,
        seconds=loop.time() - began,
    )
    return _doubted(verdict, came)


def _doubted(verdict: Verdict, came: Sequence[Sequence[Came]]) -> Verdict:
    """With what was answered, where side effects are missing: it may say why."""
    if verdict.check.kind is not Kind.ONCE or verdict.outcome is not Outcome.FAILED:
        return verdict
    last = came[-1][-1]
    return replace(verdict, said=f"{verdict.said}; the last message: {last}")


async def _all(step: Sequence[Sending], sender: Sender) -> list[Came]:
    return list(await asyncio.gather(*map(sender.send, step)))


class _Counter:
    """How often the listener has acted, by its probe."""

    def __init__(self, probe: str, trial: Trial, sender: Sender) -> None:
        self._probe = probe
        self._trial = trial
        self._sender = sender

    async def settled(self) -> int | None:
        """The count, once it has stayed the same for a while."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._trial.within
        count = await self._sender.count(self._probe)
        while True:
            await asyncio.sleep(self._trial.settle)
            again = await self._sender.count(self._probe)
            if again == count or loop.time() > until:
                return again
            count = again

    async def since(self, before: int | None, least: int) -> int | None:
        """How many side effects there were: as soon as there are the least, or what there is in
        the time of an answer."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._trial.within
        while before is not None and loop.time() < until:
            count = await self._sender.count(self._probe)
            if count is not None and count - before >= least:
                break
            await asyncio.sleep(_POLL)
        after = await self.settled()
        return None if before is None or after is None else after - before
