"""Outbound HTTP against real sockets on loopback: budgets, phases, redirects, the guard."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from aiohttp.abc import ResolveResult

from heliograph.egress import Guard, Profile, Target
from heliograph.model.configurations import TlsIdentity
from heliograph.model.deliveries import Answer, Fault, Phase
from heliograph.outbound.transport import Budget, Transport
from tests.pki import Authority
from tests.scripted import (
    BODY,
    EMULATOR,
    HEADERS,
    OK,
    PUBLIC,
    Listener,
    Names,
    Peer,
    Script,
    fault,
    hang,
    keep_answering,
    listening,
    post,
    says,
    threaded,
)


async def test_an_answer_comes_back_with_its_status_headers_and_body() -> None:
    head = b"HTTP/1.1 418 I'm a \xfeteapot\r\nContent-Length: 3\r\n"
    head += b"X-One: \xc3\xa9\xff\r\nx-ONE: b\r\n\r\n"
    async with listening(says(head + b"pot")) as listener:
        came_back = await post(listener.url)
    assert came_back == Answer(
        418,
        "I'm a \\xfeteapot",
        (("Content-Length", "3"), ("X-One", "é\\xff"), ("x-ONE", "b")),
        b"pot",
    )


async def test_s1_the_url_and_the_headers_go_out_verbatim_and_nothing_is_added() -> None:
    path = "/a/../b//./%7e%0d%0aX:1;c=[d]@e:f?x=%2B+y&&z=$'()*!,~&q=/?"
    async with listening(says(OK)) as listener:
        await post(f"http://127.0.0.1:{listener.port}{path}")
    ((head, body),) = listener.requests
    assert body == BODY
    assert head.split("\r\n") == [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{listener.port}",
        *[f"{name}: {value}" for name, value in HEADERS],
        f"Content-Length: {len(BODY)}",
        "",
        "",
    ]


@pytest.mark.parametrize("size", [0, 70_000, 3_000_000])
async def test_a_message_of_any_size_arrives_whole(size: int) -> None:
    async with listening(says(OK)) as listener:
        came_back = await post(listener.url, body=b"x" * size)
    assert isinstance(came_back, Answer)
    assert listener.requests[0][1] == b"x" * size


class Blind(Guard):
    """A guard whose first look sees nothing, to show that the last look stands alone."""

    def check_url(self, url: str) -> Target:
        parts = urlsplit(url)
        return Target(parts.scheme, parts.hostname or "", parts.port or 80)


@pytest.mark.parametrize("guard", [PUBLIC, Blind(Profile.PUBLIC)])
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[fe80::1]"])
async def test_s1_the_public_profile_refuses_loopback_at_the_url_and_at_connect(
    guard: Guard, host: str
) -> None:
    async with listening(keep_answering) as listener:
        phase, what = fault(await post(f"http://{host}:{listener.port}/", guard=guard))
    assert phase is Phase.REFUSED_ADDRESS
    assert "egress profile" in what
    assert listener.connections == 0


class Elsewhere(Guard):
    """A guard that finds another target in a URL than anybody else would."""

    def check_url(self, url: str) -> Target:
        return replace(super().check_url(url), host="b.example.org")


async def test_s1_what_the_guard_has_vetted_is_what_is_connected_to() -> None:
    names = Names({"a.example.org": ["127.0.0.1"], "b.example.org": ["127.0.0.1"]})
    async with listening(says(OK)) as listener:
        url = f"http://a.example.org:{listener.port}/"
        came_back = await post(url, guard=Elsewhere(Profile.EMULATOR), resolver=names)
    assert isinstance(came_back, Answer), came_back
    assert names.asked == ["b.example.org"]


async def test_s1_a_proxy_of_the_environment_gets_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening(says(OK)) as proxy, listening(says(OK)) as listener:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv(name.lower(), proxy.url)
        came_back = await post(listener.url)
    assert isinstance(came_back, Answer)
    assert (len(proxy.requests), len(listener.requests)) == (0, 1)


@pytest.mark.parametrize(
    "answers", [["127.0.0.1"], ["93.184.216.34", "10.0.0.7"], ["::ffff:1.1.1.1"], ["fe80::1%lo"]]
)
async def test_s1_one_refused_dns_answer_refuses_the_name(answers: list[str]) -> None:
    async with listening(keep_answering) as listener:
        resolver = Names({"hooks.example.org": answers})
        url = f"http://hooks.example.org:{listener.port}/"
        phase, what = fault(await post(url, guard=PUBLIC, resolver=resolver))
    assert phase is Phase.REFUSED_ADDRESS
    assert what.startswith("hooks.example.org leads to an address that the egress profile public")
    assert not any(answer in what for answer in answers)
    assert listener.connections == 0


async def test_s1_a_dns_answer_that_changes_after_the_check_is_refused_before_connect() -> None:
    class Turncoat(dict[str, object]):
        """Shows a public address once, and then loopback."""

        addresses = ("93.184.216.34", "127.0.0.1", "127.0.0.1").__iter__()

        def __getitem__(self, name: str) -> object:
            return next(self.addresses) if name == "host" else super().__getitem__(name)

    class Rebinding(Names):
        def result(self, host: str, address: str, port: int) -> ResolveResult:
            return Turncoat(super().result(host, address, port))  # type: ignore[return-value]

    async with listening(keep_answering) as listener:
        resolver = Rebinding({"hooks.example.org": ["93.184.216.34"]})
        url = f"http://hooks.example.org:{listener.port}/"
        phase, what = fault(await post(url, guard=PUBLIC, resolver=resolver))
    assert phase is Phase.REFUSED_ADDRESS
    assert "127.0.0.1" not in what
    assert listener.connections == 0


async def test_s1_the_vetted_answers_are_pinned_and_the_port_is_the_urls() -> None:
    class WrongPort(Names):
        def result(self, host: str, address: str, port: int) -> ResolveResult:
            return super().result(host, address, 22)

    # The listener is on 127.0.0.1 only: from another answer there is no way to it.
    resolver = WrongPort({"a.example.org": ["127.0.0.1"], "b.example.org": ["127.0.0.9"]})
    async with listening(keep_answering) as listener:
        port = listener.port
        assert isinstance(await post(f"http://a.example.org:{port}/", resolver=resolver), Answer)
        phase, _ = fault(await post(f"http://b.example.org:{port}/", resolver=resolver))
    assert phase is Phase.CONNECT
    assert listener.connections == 1
    assert resolver.asked == ["a.example.org", "b.example.org"], "one look-up an attempt"


@pytest.mark.parametrize("name", ["localhost", "Shop.Localhost"])
async def test_s1_localhost_is_this_machine_in_the_emulator_without_dns(name: str) -> None:
    async with listening(says(OK)) as listener:
        resolver = Names({})
        came_back = await post(f"http://{name}:{listener.port}/", resolver=resolver)
    assert isinstance(came_back, Answer)
    assert resolver.asked == []


async def test_s2_a_redirect_is_an_answer_and_is_never_followed() -> None:
    async with listening(keep_answering) as other:
        for status in (301, 302, 303, 307, 308):
            head = f"HTTP/1.1 {status} Go\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n"
            async with listening(says(head.encode())) as listener:
                came_back = await post(listener.url)
            assert isinstance(came_back, Answer)
            assert came_back.status == status
            assert ("Location", other.url) in came_back.headers
    assert other.connections == 0


async def test_s3_an_endless_body_is_cut_at_the_budget_and_memory_stays_flat() -> None:
    def flood(listening: socket.socket) -> None:
        piece = b"x" * 65536
        for _ in range(2):
            with listening.accept()[0] as connection, contextlib.suppress(ConnectionError):
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
                while True:  # ends when the other side has closed the connection
                    connection.sendall(piece)

    # A thread with plain sockets allocates nothing, so that only our side is measured.
    with threaded(flood) as url:
        async with Transport(EMULATOR, Budget()) as transport:
            await transport.post(url, HEADERS, BODY)  # what only the first post allocates
            tracemalloc.start()
            came_back = await transport.post(url, HEADERS, BODY)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert isinstance(came_back, Answer)
    assert came_back.body == b"x" * 16 * 1024
    assert peak < 256 * 1024


@pytest.mark.parametrize("size", [16 * 1024, 16 * 1024 + 1, 64 * 1024, 64 * 1024 + 1])
async def test_s3_a_body_is_read_to_its_end_or_to_the_budget_and_no_further(size: int) -> None:
    # Above the budget the rest of the body never comes, and is not waited for.
    declared = size if size <= 64 * 1024 else 10 * size
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {declared}\r\n\r\n".encode()
    async with listening(says(head + b"y" * size, then=hang)) as listener:
        came_back = await post(listener.url, budget=Budget(total=5))
        await listener.ended.wait()
    assert isinstance(came_back, Answer)
    assert came_back.body == b"y" * min(size, 16 * 1024)


@pytest.mark.parametrize(
    "piece", [b"1;" + b"e" * 4000 + b"\r\nz\r\n", b"1\r\nz\r\n"], ids=["extensions", "framing"]
)
async def test_s3_chunk_framing_counts_too(piece: bytes) -> None:
    async def flood(listener: Listener, peer: Peer) -> None:
        while True:
            await peer.send(piece * 10)

    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with listening(says(head, then=flood)) as listener:
        came_back = await post(listener.url)
        await listener.ended.wait()
    assert isinstance(came_back, Answer)
    assert set(came_back.body) == {ord("z")}


async def test_s3_a_gzip_body_is_kept_as_it_was_sent() -> None:
    packed = gzip.compress(b"\0" * 1_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    async with listening(says(head.encode() + packed)) as listener:
        came_back = await post(listener.url)
    assert isinstance(came_back, Answer)
    assert came_back.body == packed


MANY = b"".join(b"X-%d: y\r\n" % number for number in range(101))


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\n" + MANY + b"Content-Length: 0\r\n\r\n", 100),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 40_000, 0),
        (b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 6000 + b"\r\n") * 7, 5),
    ],
    ids=["count", "one", "sum"],
)
async def test_s3_of_a_head_above_its_bounds_the_rest_is_not_read(head: bytes, kept: int) -> None:
    async with listening(says(head, then=hang)) as listener:
        came_back = await post(listener.url)
        await listener.ended.wait()
    assert isinstance(came_back, Answer), came_back
    assert (came_back.status, len(came_back.headers)) == (200, kept)


async def test_s3_interim_answers_are_bounded() -> None:
    async with listening(says(b"HTTP/1.1 103 Early\r\n\r\n" * 3000, then=hang)) as listener:
        phase, said = fault(await post(listener.url))
        await listener.ended.wait()
    assert phase is Phase.HEADERS
    assert "longer than 32768 bytes" in said


async def test_s3_a_head_within_the_budget_and_interim_answers_pass() -> None:
    head = b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 70000\r\n"
    wide = (b"X: " + b"y" * 6000 + b"\r\n") * 5
    async with listening(says(head + wide + b"\r\n" + b"z" * 70_000, then=hang)) as listener:
        came_back = await post(listener.url)
    assert isinstance(came_back, Answer)
    assert (came_back.status, len(came_back.headers), len(came_back.body)) == (200, 6, 16 * 1024)


async def test_s3_cookies_are_never_sent_back() -> None:
    async def bakes(listener: Listener, peer: Peer) -> None:
        while True:
            await listener.take(peer)
            await peer.send(
                b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
            )

    async with listening(bakes) as listener, Transport(EMULATOR, Budget()) as transport:
        for _ in range(2):
            await transport.post(listener.url, HEADERS, BODY)
    assert len(listener.requests) == 2
    assert not any("cookie" in head.lower() for head, _ in listener.requests)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "hooks.example.org"])
async def test_a_refused_connection_is_a_connect_fault_without_a_resolved_address(
    host: str,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    resolver = Names({"hooks.example.org": ["127.0.0.1"]})
    came_back = await post(f"http://{host}:{port}/", resolver=resolver)
    what = f"{host}:{port} refused the connection: nothing listens there"
    assert fault(came_back) == (Phase.CONNECT, what)


async def test_a_connection_that_is_not_taken_in_time_is_a_connect_fault() -> None:
    with closing(socket.socket()) as full, closing(socket.socket()) as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting.connect(("127.0.0.1", port))  # the backlog's only place
        url = f"http://127.0.0.1:{port}/"
        phase, what = fault(await post(url, budget=Budget(connect=0.2)))
    assert (phase, what) == (Phase.CONNECT, f"no connection to 127.0.0.1:{port} within 0.2 s")


@pytest.mark.parametrize(
    ("error", "what", "ours"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "does not exist or has no address", False),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "no DNS server answered", True),
        (OSError("10.0.0.53 is down"), "could not be resolved", False),
        ((), "does not exist or has no address", False),
    ],
)
async def test_r9_f17_a_name_that_does_not_resolve_is_a_dns_fault(
    error: Exception | tuple[()], what: str, ours: bool
) -> None:
    resolver = Names({"hooks.example.org": error})
    came_back = await post("https://hooks.example.org/", guard=PUBLIC, resolver=resolver)
    phase, said = fault(came_back)
    assert isinstance(came_back, Fault)
    assert (phase, came_back.ours) == (Phase.DNS, ours)
    assert said.startswith("the host name hooks.example.org ")
    assert said.endswith(what)


async def test_s3_the_time_to_connect_ends_with_that_for_everything() -> None:
    """What an identity brings is read in a thread, and for a second none is free."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    identity = TlsIdentity(None, None, Authority().certificate)
    budget = Budget(total=2.0, connect=1.9)
    async with listening(hang) as listener, Transport(EMULATOR, budget) as transport:
        busy = loop.run_in_executor(None, time.sleep, 1.0)
        begun = loop.time()
        url = listener.url.replace("http:", "https:")
        came_back = await transport.post(url, HEADERS, BODY, identity)
        took = loop.time() - begun
        await busy
    assert fault(came_back) == (Phase.TLS, "the TLS handshake did not end within 2 s")
    assert took < 2.8


@pytest.mark.parametrize("budget", [Budget(connect=0.1), Budget(total=0.1)])
async def test_r9_f17_a_resolver_that_says_nothing_is_a_fault_of_our_own(budget: Budget) -> None:
    class Silent(Names):
        async def resolve(self, *_: object) -> list[ResolveResult]:
            await asyncio.Event().wait()
            return []

    url = "https://hooks.example.org/"
    came_back = await post(url, guard=PUBLIC, budget=budget, resolver=Silent({}))
    assert fault(came_back) == (Phase.DNS, "the host name was not resolved within 0.1 s")
    assert isinstance(came_back, Fault)
    assert came_back.ours


async def deaf(listener: Listener, peer: Peer) -> None:
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.Event().wait()


async def leaves(listener: Listener, peer: Peer) -> None:
    await peer.reader.readuntil(b"\r\n\r\n")


async def hello(listener: Listener, peer: Peer) -> None:
    await peer.send(b"HTTP/1.1 400 No\r\n\r\n")


async def once(listener: Listener, peer: Peer) -> None:
    await peer.reader.read(9)


HALF = b"HTTP/1.1 200 OK\r\nX: "
FAULTS: dict[str, tuple[Script, Budget, Phase, str]] = {
    "deaf": (deaf, Budget(total=0.4), Phase.WRITE, "not take the whole message within 0.4 s"),
    "leaves": (leaves, Budget(), Phase.WRITE, "while the message was being sent"),
    "silent": (says(b"", then=hang), Budget(total=0.2), Phase.HEADERS, "no answer within 0.2 s"),
    "stops": (says(HALF, then=hang), Budget(total=0.2), Phase.HEADERS, "no answer within 0.2 s"),
    "closes": (says(b""), Budget(), Phase.HEADERS, "closed the connection before answering"),
    "cuts": (says(HALF), Budget(), Phase.HEADERS, "closed the connection before answering"),
    "tls silent": (hang, Budget(connect=0.2), Phase.TLS, "handshake did not end within 0.2 s"),
    "tls plain": (hello, Budget(), Phase.TLS, "does not speak TLS"),
    "tls closes": (once, Budget(), Phase.TLS, "closed the connection during the TLS handshake"),
}


@pytest.mark.parametrize("case", FAULTS)
async def test_a_fault_has_the_phase_it_happened_in(case: str) -> None:
    script, budget, phase, what = FAULTS[case]
    # Only those that are to block us in writing need a message larger than all buffers.
    body = b"x" * (30_000_000 if phase is Phase.WRITE else 9)
    async with listening(script) as listener:
        url = listener.tls_url if phase is Phase.TLS else listener.url
        found, said = fault(await post(url, budget=budget, body=body))
        assert found is phase
        assert what in said


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x0a",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"Content-Length: 0\r\n\r\n",
    ],
)
async def test_an_answer_that_is_no_http_is_a_headers_fault(data: bytes) -> None:
    async with listening(says(data, then=hang)) as listener:
        phase, what = fault(await post(listener.url))
    assert phase is Phase.HEADERS
    assert what.startswith("the answer is not valid HTTP: ")
    assert what.isascii()
    assert what.isprintable()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 99\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n9\r\n",
    ],
)
async def test_a_body_that_is_cut_short_is_a_body_fault_with_what_came(head: bytes) -> None:
    async with listening(says(head)) as listener:
        came_back = await post(listener.url)
    assert isinstance(came_back, Fault)
    assert came_back.phase is Phase.BODY
    assert came_back.what == "the listener closed the connection within the answer's body"
    assert came_back.answer is not None
    assert (came_back.answer.status, came_back.answer.headers[0]) == (200, ("X", "y"))
    assert came_back.answer.body == b"half"


async def test_s3_a_body_that_drips_is_a_body_fault_at_the_total_time() -> None:
    async def drip(listener: Listener, peer: Peer) -> None:
        while True:
            await peer.send(b".")
            await asyncio.sleep(0)  # a turn of the loop, not a length of time

    head = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"
    budget = Budget(total=0.2, body_bytes=999_999_999, stored_bytes=4)
    async with listening(says(head, then=drip)) as listener:
        came_back = await post(listener.url, budget=budget)
    assert isinstance(came_back, Fault)
    assert came_back.what == "the answer's body did not end within 0.2 s"
    assert came_back.phase is Phase.BODY
    assert came_back.answer is not None
    assert came_back.answer.body == b"...."


async def test_an_answer_that_comes_before_the_whole_message_is_taken_counts() -> None:
    async def early(listener: Listener, peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await peer.reader.read()

    async with listening(early) as listener, Transport(EMULATOR, Budget()) as transport:
        for _ in range(2):
            came_back = await transport.post(listener.url, HEADERS, b"x" * 30_000_000)
            assert isinstance(came_back, Answer)
            assert came_back.status == 413
    assert listener.connections == 2, "a half-sent message leaves no connection to use again"


async def test_r15_a_cancelled_post_ends_at_once_and_closes_the_connection() -> None:
    async def silent(listener: Listener, peer: Peer) -> None:
        await listener.take(peer)
        await hang(listener, peer)

    async with listening(silent) as listener, Transport(EMULATOR, Budget()) as transport:
        sending = asyncio.ensure_future(transport.post(listener.url, HEADERS, BODY))
        await listener.asked.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await listener.ended.wait()


async def test_r3_a_message_that_a_kept_connection_swallowed_is_not_sent_again() -> None:
    async def swallows_the_second(listener: Listener, peer: Peer) -> None:
        await listener.take(peer)
        await peer.send(OK)
        await listener.take(peer)

    async with (
        listening(swallows_the_second) as listener,
        Transport(EMULATOR, Budget()) as transport,
    ):
        assert isinstance(await transport.post(listener.url, HEADERS, BODY), Answer)
        phase, what = fault(await transport.post(listener.url, HEADERS, BODY))
    assert phase is Phase.HEADERS
    assert what == (
        "the listener closed the connection, which was kept from an earlier message, "
        "before answering"
    )
    assert len(listener.requests) == 2


async def test_r3_a_close_that_our_loop_has_not_seen_yet_costs_no_attempt() -> None:
    may_close, closed = threading.Event(), threading.Event()

    def serve(listening: socket.socket) -> None:
        for _ in range(2):
            with listening.accept()[0] as connection:
                while not connection.recv(65536).endswith(BODY):
                    pass
                connection.sendall(OK)
                may_close.wait()
            closed.set()

    with threaded(serve) as url:
        async with Transport(EMULATOR, Budget()) as transport:
            assert isinstance(await transport.post(url, HEADERS, BODY), Answer)
            may_close.set()
            closed.wait()  # blocks the loop on purpose: it cannot read the close
            assert isinstance(await transport.post(url, HEADERS, BODY), Answer)


# ------------------------------------------------------------------------------ S5: TLS
