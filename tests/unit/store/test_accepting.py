"""How accepts gather, take their turns, and are told when nothing is committed (R11, R23)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from heliograph.errors import StorageUnavailable
from heliograph.model.events import Accepted, Wanted
from heliograph.store.accepting import TURN, TURN_BYTES, GroupCommit, Submitted
from heliograph.store.verbs import PATIENCE
from tests.support import LoopTime, new_event, rounds


class Commits:
    """In place of the database: notes what is committed, and hangs or fails as it is told."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.hangs = asyncio.Event()
        self.hangs.set()
        self.breaks_together = False
        self.group = GroupCommit(self._commit, self._nobody_sends)

    async def _commit(self, batch: Sequence[Submitted]) -> Sequence[Sequence[Accepted]]:
        self.batches.append([one.account_id for one in batch])
        if self.breaks_together and len(batch) > 1:
            raise ValueError("one of them cannot be written")
        await self.hangs.wait()
        return [()] * len(batch)

    async def _nobody_sends(self) -> None:
        pass

    def submit(
        self, name: str, deliveries: int = 0, size: int = 0
    ) -> asyncio.Task[Sequence[Accepted]]:
        """One call, which asks for so many deliveries of a document of so many bytes."""
        verdicts = [Wanted(number) for number in range(deliveries)]
        event = replace(new_event(), document=bytes(size))
        submitted = Submitted(name, 1, [(event, verdicts)], notifies=True)
        return asyncio.create_task(self.group.submit(submitted))


def is_refused(call: asyncio.Task[Sequence[Accepted]]) -> bool:
    """Whether a call has been told by now that the storage does not answer."""
    return call.done() and isinstance(call.exception(), StorageUnavailable)


async def test_r11_who_stands_for_itself_after_a_batch_failed_is_told_in_time_as_well() -> None:
    commits, time = Commits(), LoopTime()
    commits.breaks_together = True
    commits.hangs.clear()
    calls = [commits.submit(name) for name in ("first", "second", "third")]
    await rounds()
    assert commits.batches == [["first", "second", "third"], ["first"]]
    await time.move(PATIENCE)
    assert [is_refused(call) for call in calls] == [True, True, True]
    commits.hangs.set()
    await commits.group.close()


async def test_r11_the_patience_of_who_waits_goes_on_where_its_turn_begins() -> None:
    commits, time = Commits(), LoopTime()
    commits.hangs.clear()
    first = commits.submit("first")
    await time.move(PATIENCE / 2)
    second = commits.submit("second")
    await time.move(PATIENCE / 2)
    assert is_refused(first)
    assert commits.batches == [["first"], ["second"]]
    assert not second.done()
    await time.move(PATIENCE / 2)
    assert is_refused(second)
    commits.hangs.set()
    await commits.group.close()


async def test_r11_what_others_commit_does_not_make_who_is_committed_wait_for_longer() -> None:
    commits, time = Commits(), LoopTime()
    commits.hangs.clear()
    before = commits.submit("before")
    await time.move(PATIENCE / 2)
    of_before, commits.hangs = commits.hangs, asyncio.Event()
    hangs = commits.submit("hangs")
    await time.move(PATIENCE / 2)
    assert commits.batches == [["before"], ["hangs"]]
    await time.move(PATIENCE / 4)
    of_before.set()  # of which nobody waits any more
    await time.move(PATIENCE / 4)
    assert [is_refused(call) for call in (before, hangs)] == [True, True]
    commits.hangs.set()
    await commits.group.close()


async def test_s17_who_has_much_to_write_has_a_turn_of_its_own() -> None:
    commits = Commits()
    sizes = {"before": 10, "much": TURN_BYTES, "behind": 10, "next": TURN_BYTES - 10}
    await asyncio.gather(*(commits.submit(name, size=size) for name, size in sizes.items()))
    assert commits.batches == [["before"], ["much"], ["behind", "next"]]
    await commits.group.close()


async def test_r23_no_turn_is_taken_for_those_that_were_told() -> None:
    commits, time = Commits(), LoopTime()
    commits.hangs.clear()
    calls = [commits.submit("first")]
    await rounds()
    calls.append(commits.submit("second", TURN))
    await rounds()
    await time.move(PATIENCE + 0.1)
    assert [is_refused(call) for call in calls] == [True, True]
    commits.hangs.set()
    await commits.group.close()
    assert commits.batches == [["first"]]


async def test_r23_those_that_were_told_take_no_part_of_a_turn() -> None:
    commits, time = Commits(), LoopTime()
    commits.hangs.clear()
    calls = [commits.submit("first")]
    await rounds()
    calls.append(commits.submit("second", TURN))
    await time.move(PATIENCE / 2)
    later = [commits.submit(name, 1) for name in ("third", "fourth")]
    await time.move(PATIENCE / 2 + 0.1)
    assert [is_refused(call) for call in calls] == [True, True]
    assert commits.batches == [["first"], ["third", "fourth"]]
    commits.hangs.set()
    assert await asyncio.gather(*later) == [(), ()]
    await commits.group.close()


async def test_what_was_submitted_is_committed_though_its_caller_is_gone() -> None:
    commits = Commits()
    commits.hangs.clear()
    commits.submit("first")
    await rounds()
    second = commits.submit("second")
    await rounds()
    second.cancel()
    await rounds()
    commits.hangs.set()
    await commits.group.close()
    assert commits.batches == [["first"], ["second"]]
