"""How accepts gather, take their turns, and are told when nothing is committed (R11, R23)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from heliograph.errors import ConfigurationsChanged, StorageUnavailable
from heliograph.model.events import Accepted, Wanted
from heliograph.store import accepting
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
        self.refuses: dict[str, Exception] = {}
        self.sends: list[int] = []
        """How many batches there had been each time that sending had its turn."""
        self.group = GroupCommit(self._commit, self._send)

    async def _commit(self, batch: Sequence[Submitted]) -> Sequence[Sequence[Accepted] | Exception]:
        self.batches.append([one.account_id for one in batch])
        if self.breaks_together and len(batch) > 1:
            raise ValueError("one of them cannot be written")
        await self.hangs.wait()
        return [self.refuses.get(one.account_id, ()) for one in batch]

    async def _send(self) -> None:
        self.sends.append(len(self.batches))

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
    assert "unknown" in str(first.exception())
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
    # Of what was not begun it is known that it is not stored.
    assert ["unknown" in str(call.exception()) for call in calls] == [True, False]
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


async def test_r23_sending_has_its_turn_after_each_transaction() -> None:
    commits = Commits()
    await asyncio.gather(*(commits.submit(name, TURN) for name in ("first", "second")))
    await commits.group.close()
    assert (len(commits.batches), commits.sends) == (2, [1, 2])


async def test_one_that_is_refused_is_told_so_alone() -> None:
    commits = Commits()
    commits.refuses["second"] = ConfigurationsChanged()
    calls = [commits.submit(name) for name in ("first", "second", "third")]
    told = await asyncio.gather(*calls, return_exceptions=True)
    assert told == [(), commits.refuses["second"], ()]
    assert len(commits.batches) == 1
    await commits.group.close()


async def test_those_that_cannot_be_written_together_are_written_one_by_one() -> None:
    commits = Commits()
    commits.breaks_together = True
    calls = [commits.submit(name) for name in ("first", "second", "third")]
    assert await asyncio.gather(*calls) == [(), (), ()]
    assert commits.batches[1:] == [["first"], ["second"], ["third"]]
    await commits.group.close()


async def test_r11_where_the_storage_does_not_answer_nobody_is_tried_again() -> None:
    batches = list[int]()

    async def commit(batch: Sequence[Submitted]) -> Sequence[Sequence[Accepted]]:
        batches.append(len(batch))
        raise StorageUnavailable("away")

    async def send() -> None:
        """Nothing is sent."""

    group = GroupCommit(commit, send)
    submitted = Submitted("one", 1, [], notifies=False)
    told = await asyncio.gather(*(group.submit(submitted) for _ in "ab"), return_exceptions=True)
    assert [str(one) for one in told] == ["away", "away"]
    assert batches == [2]
    await group.close()


async def test_s17_a_transaction_has_so_many_calls_and_so_many_hang_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accepting, "_MOST_CALLS", 2)
    monkeypatch.setattr(accepting, "_MOST_BATCHES", 2)
    commits, time = Commits(), LoopTime()
    commits.hangs.clear()
    calls = [commits.submit(name) for name in ("first", "second", "third")]
    await rounds()
    assert commits.batches == [["first", "second"]]
    await time.move(PATIENCE / 2)
    calls.append(commits.submit("fourth"))
    await time.move(PATIENCE / 2)
    assert [is_refused(call) for call in calls] == [True, True, True, False]
    assert commits.batches[1:] == [["fourth"]]
    await time.move(PATIENCE / 4)
    late = commits.submit("late")
    await time.move(PATIENCE * 3 / 4)
    assert (len(commits.batches), late.done()) == (2, False)
    commits.hangs.set()
    assert await late == ()
    await commits.group.close()
