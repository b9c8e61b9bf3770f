"""One question asked once, and work that goes on when nobody waits for it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from heliograph.sharing import Shared, to_the_end


class Asked:
    """A question that is answered, or fails, when the test says so."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> str:
        self.begun += 1
        try:
            return await asyncio.shield(self.answer)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def turns() -> None:
    """Let everything that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


def asking(
    shared: Shared[str, str], question: Callable[[], Coroutine[Any, Any, str]], many: int
) -> list[asyncio.Task[str]]:
    return [asyncio.create_task(shared.ask("key", question)) for _ in range(many)]


async def test_who_asks_the_same_meanwhile_shares_the_answer_and_then_nothing_is_kept() -> None:
    shared, question = Shared[str, str](), Asked()
    waiting = asking(shared, question, 5)
    await turns()
    question.answer.set_result("yes")
    assert await asyncio.gather(*waiting) == ["yes"] * 5
    assert (question.begun, len(shared)) == (1, 0)
    assert await shared.ask("key", question) == "yes"
    assert (question.begun, len(shared)) == (2, 0)


async def test_different_questions_are_asked_side_by_side() -> None:
    shared, one, two = Shared[str, str](), Asked(), Asked()
    first, second = (
        asyncio.create_task(shared.ask(key, question))
        for key, question in (("one", one), ("two", two))
    )
    await turns()
    assert len(shared) == 2
    two.answer.set_result("two")
    assert await second == "two"
    assert not first.done()
    one.answer.set_result("one")
    assert await first == "one"


async def test_one_who_is_cancelled_leaves_the_answer_to_the_others() -> None:
    shared, question = Shared[str, str](), Asked()
    first, *others = asking(shared, question, 3)
    await turns()
    first.cancel()
    await turns()
    assert first.cancelled()
    question.answer.set_result("yes")
    assert await asyncio.gather(*others) == ["yes"] * 2
    assert (question.begun, question.cancelled) == (1, 0)


async def test_an_error_goes_to_all_who_asked_and_the_next_asks_anew() -> None:
    shared, question = Shared[str, str](), Asked()
    waiting = asking(shared, question, 3)
    await turns()
    question.answer.set_exception(OSError("no"))
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(error) for error in told] == ["no"] * 3
    again = Asked()
    again.answer.set_result("yes")
    assert await shared.ask("key", again) == "yes"


async def test_a_question_that_nobody_waits_for_ends_and_is_not_joined() -> None:
    shared, question = Shared[str, str](), Asked()
    waiting = asking(shared, question, 2)
    await turns()
    for one in waiting:
        one.cancel()
    again = asking(shared, question, 1)
    await turns()
    assert (question.begun, question.cancelled, len(shared)) == (2, 1, 1)
    question.answer.set_result("yes")
    assert await again[0] == "yes"


async def test_what_is_forgotten_still_answers_who_waits_and_nobody_after() -> None:
    shared, before, after = Shared[str, str](), Asked(), Asked()
    old = asking(shared, before, 2)
    await turns()
    shared.forget()
    new = asking(shared, after, 2)
    await turns()
    before.answer.set_result("before")
    assert await asyncio.gather(*old) == ["before"] * 2
    assert len(shared) == 1, "the end of the old question does not take the new one away"
    after.answer.set_result("after")
    assert await asyncio.gather(*new) == ["after"] * 2


async def test_a_failure_that_nobody_waits_for_is_no_complaint_of_the_event_loop() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    gate = asyncio.Event()

    async def fails() -> None:
        try:
            await gate.wait()
        finally:
            raise OSError("no")

    for waits in (Shared[str, None]().ask("key", fails), to_the_end(fails(), lambda: None)):
        waiting = asyncio.create_task(waits)
        await turns()
        waiting.cancel()
        await turns()
        assert waiting.cancelled()
    gate.set()
    await turns()
    del waiting
    gc.collect()
    await turns()
    assert complaints == []


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("leaves", [False, True])
async def test_work_goes_to_its_end_and_is_told_once_whatever_happens(
    fails: bool, leaves: bool
) -> None:
    told: list[str] = []
    question = Asked()

    async def caller() -> str:
        try:
            return await to_the_end(question(), lambda: told.append("ended"))
        finally:
            told.append("caller")

    calling = asyncio.create_task(caller())
    await turns()
    if leaves:
        calling.cancel()
        await turns()
        assert (told, question.cancelled) == (["caller"], 0)
    if fails:
        question.answer.set_exception(OSError("no"))
    else:
        question.answer.set_result("yes")
    await turns()
    assert told == (["caller", "ended"] if leaves else ["ended", "caller"])
    if leaves:
        assert calling.cancelled()
    elif fails:
        with pytest.raises(OSError, match="no"):
            await calling
    else:
        assert await calling == "yes"
