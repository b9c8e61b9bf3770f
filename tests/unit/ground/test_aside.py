"""Work beside the event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from heliograph.aside import BEARABLE, aside


async def test_s17_what_is_large_is_done_beside_the_loop_and_what_is_small_at_once() -> None:
    here = threading.get_ident()
    assert await aside(BEARABLE, threading.get_ident) == here
    assert await aside(BEARABLE + 1, threading.get_ident) != here


async def test_s17_the_loop_turns_while_large_work_is_done() -> None:
    turned = threading.Event()
    asyncio.get_running_loop().call_soon(turned.set)
    assert await aside(BEARABLE + 1, lambda: turned.wait(60))


@pytest.mark.parametrize("size", [0, BEARABLE + 1])
async def test_what_the_work_raises_is_raised(size: int) -> None:
    def broken() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await aside(size, broken)
