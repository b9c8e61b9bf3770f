"""A seeded event loop in virtual time: the same seed gives the same run.

What is ready runs in an order that the seed shuffles. When nothing is ready, time jumps to
the next timer. Each callback belongs to an `Owner` (a simulated process, found in the
callback's context) which can be frozen: what is its own then waits while others go on.

Timers are of two kinds. *Beats* (leases, looks for dead nodes, hints) come again and again
without an effect while all is well. When `idle` says so, hours until the next other timer are
skipped, and the beats of those hours with them: `skipped` seconds in all.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, TypeVar

T = TypeVar("T")

_MARGIN: Final = 0.5
"""Seconds before a timer at which skipping ends."""

_TURN: Final = 1e-6
"""Seconds that a turn takes: whoever waits until a time is not woken for ever before it."""

_MOST_TURNS: Final = 20_000
"""Turns without waiting for a timer after which the loop is taken for a hot one."""


class Deadlock(AssertionError):
    """Nothing is ready and no timer is set, and the run is not over."""


class HotLoop(AssertionError):
    """Time stands still because something never waits."""


class Owner:
    """A simulated process, as the loop sees it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.frozen = False
        self.dead = False
        self.backlog: list[asyncio.Handle] = []
        # A dict, for the order of a set of tasks follows their addresses.
        self.tasks: dict[asyncio.Task[Any], None] = {}


OWNER: ContextVar[Owner | None] = ContextVar("OWNER", default=None)

_Timer = tuple[float, int, Owner | None, asyncio.TimerHandle]


class SimulatedLoop(asyncio.BaseEventLoop):
    """An event loop without selectors, threads or real time."""

    def __init__(self, seed: int | str) -> None:
        super().__init__()
        self._random = random.Random(f"loop {seed}")
        self._now = 0.0
        self._runnable: list[tuple[Owner | None, asyncio.Handle]] = []
        self._timers: list[_Timer] = []
        self._beats: list[_Timer] = []
        self._count = 0
        self._turns_at_now = 0
        self._next_is_beat = False
        self.skipped = 0.0
        self.turns = 0
        self.idle: Callable[[], bool] = lambda: False
        self.problems: list[str] = []
        self.tasks: dict[asyncio.Task[Any], None] = {}

    # ------------------------------------------------------------------- what asyncio asks

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        chosen = copy_context() if context is None else context
        handle = asyncio.Handle(callback, args, self, chosen)
        self._runnable.append((chosen.get(OWNER), handle))
        return handle

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        chosen = copy_context() if context is None else context
        handle = asyncio.TimerHandle(when, callback, args, self, chosen)
        self._count += 1
        if self._next_is_beat:
            self._next_is_beat = False
            beat = (when - self.skipped, self._count, chosen.get(OWNER), handle)
            heapq.heappush(self._beats, beat)
        else:
            heapq.heappush(self._timers, (when, self._count, chosen.get(OWNER), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are passed over when their time comes."""

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        task = asyncio.Task(coro, loop=self, name=None, context=context)
        owner = OWNER.get() if context is None else context.get(OWNER)
        self.tasks[task] = None
        task.add_done_callback(lambda done: self.tasks.pop(done, None), context=Context())
        if owner is not None:
            owner.tasks[task] = None
            task.add_done_callback(lambda done: owner.tasks.pop(done, None), context=Context())
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.problems.append(f"{context.get('message')}: {context.get('exception')!r}")

    def run_until_complete(self, future: Any) -> Any:
        task = asyncio.ensure_future(future, loop=self)
        asyncio._set_running_loop(self)
        try:
            while not task.done():
                self._turn()
                if self.problems:
                    raise AssertionError(self.problems[0])
        finally:
            asyncio._set_running_loop(None)
        return task.result()

    # ------------------------------------------------------------------------ our own verbs

    @property
    def beat_time(self) -> float:
        """Seconds that were not skipped: what beats and leases are measured with."""
        return self._now - self.skipped

    def beat_next(self) -> None:
        """The next timer that is set is a beat."""
        self._next_is_beat = True

    def thaw(self, owner: Owner) -> None:
        """Let a frozen owner go on, with all that came up meanwhile."""
        owner.frozen = False
        self._runnable += [(owner, handle) for handle in owner.backlog]
        owner.backlog.clear()

    def abandon(self) -> None:
        """Cancel every task and let it end: a run that failed leaves nothing behind."""
        asyncio._set_running_loop(self)
        try:
            for _ in range(1_000):
                for task in list(self.tasks):
                    task.cancel()
                if not self._runnable:
                    break
                self._turn()
        finally:
            asyncio._set_running_loop(None)

    # ----------------------------------------------------------------------------- turning

    def _turn(self) -> None:
        if not self._runnable:
            self._advance()
        batch, self._runnable = self._runnable, []
        if len(batch) > 1:
            self._random.shuffle(batch)
        for owner, handle in batch:
            if owner is not None and owner.frozen:
                owner.backlog.append(handle)
            elif not handle.cancelled():
                handle._run()
        self.turns += 1
        self._turns_at_now += 1
        self._now += _TURN
        if self._turns_at_now > _MOST_TURNS:
            raise HotLoop(f"nothing waited in {_MOST_TURNS} turns until {self._now:.3f}")

    def _advance(self) -> None:
        """Move time to the next timer, and make ready what is due then."""
        for timers in (self._timers, self._beats):
            while timers and timers[0][3].cancelled():
                heapq.heappop(timers)
        if not self._timers and not self._beats:
            raise Deadlock(f"nothing is left to do at {self._now:.3f}")
        if self._timers:
            free = self._timers[0][0] - self._now - _MARGIN
            if self._beats and free > 0 and self.idle():
                self.skipped += free
                self._now += free
        candidates = [self._timers[0][0]] if self._timers else []
        candidates += [self._beats[0][0] + self.skipped] if self._beats else []
        upcoming = min(candidates)
        self._now = max(self._now, upcoming)
        self._turns_at_now = 0
        self._make_ready(self._timers, 0.0)
        self._make_ready(self._beats, self.skipped)

    def _make_ready(self, timers: list[_Timer], shift: float) -> None:
        # A beat that skipping moved may be off by the last digit of a float.
        while timers and timers[0][0] + shift <= self._now + 1e-9:
            _, _, owner, handle = heapq.heappop(timers)
            self._runnable.append((owner, handle))
