"""How several nodes behind one port share what comes: here they are tasks, with a socket each."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from heliograph.incoming.crowd import Crowd, Turn
from tests.busy import hang


class Node:
    """Takes connections and keeps them."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self.turn = Turn(crowd, number)
        self.kept: list[socket.socket] = []

    async def run(self, listening: socket.socket) -> None:
        self.turn.has(0)
        with listening.dup() as own:
            own.setblocking(False)
            while True:
                connection, address = await self.turn.take(own)
                assert address == "127.0.0.1"
                self.kept.append(connection)
                self.turn.has(len(self.kept))


@asynccontextmanager
async def taking(listening: socket.socket, *nodes: Node) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(node.run(listening)) for node in nodes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for node in nodes:
            for connection in node.kept:
                connection.close()


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as opened:
        yield opened


@contextlib.contextmanager
def connections(listening: socket.socket, count: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(listening.getsockname()))
        yield


async def until_kept(count: int, *nodes: Node) -> None:
    async with hang(20):
        while sum(len(node.kept) for node in nodes) < count:
            await asyncio.sleep(0)


async def test_what_comes_at_once_is_shared_evenly(listening: socket.socket) -> None:
    crowd = Crowd(3)
    nodes = [Node(crowd, number) for number in (1, 2, 3)]
    with connections(listening, 60):
        async with taking(listening, *nodes):
            await until_kept(60, *nodes)
            assert {len(node.kept) for node in nodes} <= set(range(17, 24))


async def test_who_has_few_takes_what_comes_until_it_has_as_many(
    listening: socket.socket,
) -> None:
    crowd = Crowd(2)
    first, second = Node(crowd, 1), Node(crowd, 2)
    async with taking(listening, first):
        with connections(listening, 20):
            await until_kept(20, first)  # there is nobody to leave them to
            async with taking(listening, second):
                with connections(listening, 12):
                    await until_kept(32, first, second)
                    assert len(second.kept) == 12


async def test_a_node_that_takes_nothing_holds_up_the_others_for_a_moment_and_not_each_time(
    listening: socket.socket,
) -> None:
    crowd = Crowd(2)
    node, still = Node(crowd, 1), Turn(crowd, 2)
    still.has(0)
    loop = asyncio.get_running_loop()
    with connections(listening, 40):
        async with taking(listening, node):
            began = loop.time()
            await until_kept(40, node)
            assert loop.time() - began < 1  # 37 times 50 ms would be two seconds
            still.leave()
