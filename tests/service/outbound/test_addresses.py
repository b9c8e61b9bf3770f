"""All addresses of a name are vetted, and then tried in turn (S1, RFC 8305)."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from typing import Any

import pytest
import uvloop

from heliograph.egress import Guard, Profile, Refused
from heliograph.model.configurations import TlsIdentity
from heliograph.model.deliveries import Answer, Fault, Phase
from heliograph.outbound.transport import Budget, Transport
from tests.pki import Authority, serving
from tests.scripted import BODY, EMULATOR, HEADERS, PUBLIC, Names, fault

NAME = "hooks.example.org"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

Run = Callable[[Coroutine[Any, Any, None]], None]
both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


class Taken:
    """What a listener got: connections, and whole requests."""

    def __init__(self, port: int) -> None:
        self.port, self.connections, self.requests = port, 0, 0


@asynccontextmanager
async def listening_at(address: str, tls: Any = None) -> AsyncIterator[Taken]:
    """A listener at one address of this machine."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.connections += 1
        with closing(writer):
            if (await reader.read(65536)).endswith(BODY):
                taken.requests += 1
                writer.write(OK)

    server = await asyncio.start_server(connected, address, 0, ssl=tls)
    taken = Taken(server.sockets[0].getsockname()[1])
    async with server:
        yield taken


@contextmanager
def silent(port: int, *addresses: str) -> Iterator[None]:
    """At these addresses nobody takes a connection, or refuses one: the backlog is full."""
    with ExitStack() as open_:
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            full = open_.enter_context(closing(socket.socket(family)))
            full.bind((address, port))
            full.listen(0)
            open_.enter_context(closing(socket.create_connection((address, port))))
        yield


async def post(
    taken: Taken, answers: Sequence[str], *, guard: Guard = EMULATOR, connect: float = 10.0
) -> Answer | Fault:
    names = Names({NAME: answers})
    async with Transport(guard, Budget(connect=connect), names) as transport:
        return await transport.post(f"http://{NAME}:{taken.port}/", HEADERS, BODY)


@both_loops
@pytest.mark.parametrize(
    "dead",
    [["127.0.0.9"], ["::1"], ["127.0.0.9", "::1", "127.0.0.10"]],
    ids=["IPv4", "IPv6", "several"],
)
@pytest.mark.parametrize("how", ["refuses", "is silent"])
def test_s1_a_dead_first_address_costs_no_message(run: Run, dead: list[str], how: str) -> None:
    async def main() -> None:
        async with listening_at("127.0.0.1") as taken:
            with silent(taken.port, *(dead if how == "is silent" else ())):
                came_back = await post(taken, [*dead, "127.0.0.1"])
        assert isinstance(came_back, Answer), came_back
        assert (came_back.status, taken.connections, taken.requests) == (200, 1, 1)

    run(main())


@pytest.mark.parametrize("answers", [["::1", "127.0.0.1"], ["127.0.0.1", "::1"]])
async def test_s1_a_listener_of_one_family_is_reached_whatever_comes_first(
    answers: list[str],
) -> None:
    for address in ("127.0.0.1", "::1"):
        async with listening_at(address) as taken:
            came_back = await post(taken, answers)
        assert isinstance(came_back, Answer), came_back
        assert taken.requests == 1


async def test_s1_where_several_answer_one_gets_the_request() -> None:
    async with listening_at("127.0.0.1") as one:
        other = socket.create_server(("127.0.0.2", one.port))
        with closing(other):
            came_back = await post(one, ["127.0.0.1", "127.0.0.2"])
            other.setblocking(False)
            with pytest.raises(BlockingIOError):
                other.accept()
    assert isinstance(came_back, Answer)
    assert (one.connections, one.requests) == (1, 1)


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_s1_one_forbidden_answer_among_several_refuses_the_name(place: int) -> None:
    answers = ["127.0.0.9", "127.0.0.1"]
    answers.insert(place, "169.254.169.254")
    async with listening_at("127.0.0.1") as taken:
        phase, what = fault(await post(taken, answers))
    assert phase is Phase.REFUSED_ADDRESS
    assert not any(address in what for address in answers)
    assert taken.connections == 0


async def test_s1_the_last_look_refuses_the_name_for_one_address_too() -> None:
    class Forgetful(Guard):
        """Refuses an address once it has been vetted with all others."""

        vetted: set[str] = set()  # noqa: RUF012 (of one instance)

        def check_address(self, address: str) -> None:
            if address in self.vetted and address == "127.0.0.9":
                raise Refused("addr", "it has changed")
            self.vetted.add(address)

    async with listening_at("127.0.0.1") as taken:
        answers = ["127.0.0.8", "127.0.0.9", "127.0.0.1"]
        phase, _ = fault(await post(taken, answers, guard=Forgetful(Profile.EMULATOR)))
    assert phase is Phase.REFUSED_ADDRESS
    assert taken.connections == 0


async def test_s1_no_address_of_a_name_in_the_public_profile_may_be_loopback() -> None:
    async with listening_at("127.0.0.1") as taken:
        phase, _ = fault(await post(taken, ["93.184.216.34", "127.0.0.1"], guard=PUBLIC))
    assert phase is Phase.REFUSED_ADDRESS
    assert taken.connections == 0


async def test_addresses_that_all_fail_are_one_connect_fault_of_the_listener() -> None:
    async with listening_at("127.0.0.1") as taken:
        gone = taken
    came_back = await post(gone, ["127.0.0.9", "127.0.0.1"])
    what = f"{NAME}:{gone.port} refused the connection: nothing listens there"
    assert fault(came_back) == (Phase.CONNECT, what)
    came_back = await post(gone, ["::1", "127.0.0.1"])
    assert isinstance(came_back, Fault)
    assert (came_back.phase, came_back.ours) == (Phase.CONNECT, False)
    assert came_back.what.startswith(f"{NAME}:{gone.port} refused the connection")


async def test_addresses_are_tried_within_the_time_to_connect() -> None:
    async with listening_at("127.0.0.1") as taken:
        gone = taken
    with silent(gone.port, "127.0.0.9"):
        phase, what = fault(await post(gone, ["127.0.0.9", "127.0.0.1"], connect=0.6))
    assert (phase, what) == (Phase.CONNECT, f"no connection to {NAME}:{gone.port} within 0.6 s")


async def test_three_hundred_dead_addresses_are_each_tried_once() -> None:
    class Counting(Guard):
        looked: int = 0

        def check_address(self, address: str) -> None:
            type(self).looked += 1

    async with listening_at("127.0.0.1") as taken:
        gone = taken
    answers = [f"127.1.{number // 250}.{number % 250}" for number in range(300)]
    phase, _ = fault(await post(gone, answers, guard=Counting(Profile.EMULATOR)))
    assert phase is Phase.CONNECT
    assert Counting.looked == 2 * 300, "once with all others, and once before it is dialled"


@both_loops
@pytest.mark.parametrize("how", ["says nothing", "closes"])
def test_s5_an_address_where_nobody_speaks_tls_costs_no_message(
    run: Run, how: str, tmp_path: Any
) -> None:
    authority = Authority()
    tls = serving(authority.pair(NAME), tmp_path)

    async def main() -> None:
        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with closing(writer):
                await reader.read(-1 if how == "says nothing" else 9)

        async with listening_at("127.0.0.1", tls) as taken:
            names = Names({NAME: ["127.0.0.9", "127.0.0.1"]})
            async with (
                await asyncio.start_server(mute, "127.0.0.9", taken.port),
                Transport(EMULATOR, Budget(connect=4.0), names) as transport,
            ):
                url = f"https://{NAME}:{taken.port}/"
                identity = TlsIdentity(None, None, authority.certificate)
                came_back = await transport.post(url, HEADERS, BODY, identity)
        assert isinstance(came_back, Answer), came_back
        assert taken.requests == 1

    run(main())


@both_loops
def test_r7_names_are_resolved_beside_each_other_whatever_the_loop(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as the executor has threads: a name whose DNS is silent delays nobody else's."""
    together, passed = threading.Barrier(8), []

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        passed.append(together.wait(20.0))
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(8))
        async with Transport(EMULATOR, Budget(connect=30.0)) as transport:
            came = await asyncio.gather(
                *(transport.post(f"http://{n}.example.org/", HEADERS, BODY) for n in range(8))
            )
        assert [fault(one)[0] for one in came] == [Phase.DNS] * 8
        assert sorted(passed) == list(range(8))

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    run(main())
