"""Every behaviour of a listener that one may meet, and what the real transport records of it.

The behaviours are those of `heliograph listen`; the page docs/how-to/test-a-listener.md says
for each what is recorded, and is held to what is recorded here.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from heliograph.delivery.retry import RETRY_AFTER_CEILING, explain, judge, says_gone
from heliograph.egress import Guard, Profile
from heliograph.listen import zoo
from heliograph.listen.behaviour import Parameters
from heliograph.listen.listener import listening
from heliograph.listen.publishing import publishing
from heliograph.listen.requests import Request
from heliograph.model.accounts import Secret
from heliograph.model.deliveries import Answer, Delivered, Fault, RetryAt
from heliograph.outbound.transport import Budget, Transport
from tests.busy import hang
from tests.listener import LoopbackListener
from tests.server import Client
from tests.support import published

ROOT = Path(__file__).parents[3]
EMULATOR = Guard(Profile.EMULATOR)
HEADERS = (("Content-Type", "application/json"),)
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

AMPLE = Budget(total=20.0)
"""For what must not take its time: a test of it that does fails."""

BRIEF = Budget(total=0.6)
"""For what takes all the time there is."""

GROUPS = (
    "accept-no-read",
    "accept-close",
    "reset",
    "refuse",
    "slow-headers",
    "endless-headers",
    "many-headers",
    "long-header",
    "control-characters",
    "no-status-line",
    "http-0-9",
    "http2-preface",
    "endless-continue",
    "upgrade",
    "no-content-body",
    "wrong-content-length",
    "bad-chunks",
    "huge-body",
    "gzip-bomb",
    "slow-body",
    "stale-connection",
    "pipelined-answer",
    "late-answer",
    "redirect",
    "status",
    "set-cookie",
    "flapping",
    "nth-try",
    "publish-back",
    "hostile-body",
)


@dataclass(frozen=True)
class Case:
    """What one behaviour comes to: what is recorded, and the status where there was an answer.

    `shows` is what the kept answer has of what makes the behaviour, where its status is not
    enough to tell it from any other.
    """

    name: str
    variant: str | None
    recorded: str
    status: int | None = None
    seconds: float | None = 0.05
    budget: Budget = AMPLE
    shows: str = ""

    def __str__(self) -> str:
        pause = "" if self.seconds else "-at-once"
        return f"{self.name}{f'-{self.variant}' if self.variant else ''}{pause}"


NOT_HTTP = "headers: the answer is not valid HTTP: "
BAD_LINE = f"{NOT_HTTP}Bad status line: Expected HTTP/, RTSP/ or ICE/: "
SETTINGS = repr(b"\0\0\0\4\0\0\0\0\0")
SIZE = "body: the answer is not valid HTTP: Invalid character in chunk size: b'zz'"
OVERFLOW = "body: the answer is not valid HTTP: Chunk size overflow: b'" + "f" * 32 + "'"
TOO_LONG = "headers: the answer's headers are longer than 32768 bytes"
MUST = "the listener must answer 200 to 299"

CASES = (
    Case("accept", None, "delivered", 200),
    Case("accept-no-read", None, "headers: no answer within {total} s", budget=BRIEF),
    Case(
        "accept-close",
        "after-request",
        "headers: the listener closed the connection before answering",
    ),
    Case(
        "reset", "after-request", "headers: the listener reset the connection before answering"
    ),
    Case(
        "refuse",
        None,
        "connect: 127.0.0.1:{port} refused the connection: nothing listens there",
    ),
    Case("stale-connection", "idle", "delivered", 200, shows="keep-alive"),
    Case("stale-connection", "at-next-write", "delivered", 200, shows="keep-alive"),
    Case("slow-headers", None, "headers: no answer within {total} s", budget=BRIEF),
    Case("endless-headers", None, "delivered", 200, shows="X-"),
    Case("many-headers", None, "delivered", 200, shows="X-99"),
    Case("long-header", None, "delivered", 200, shows="headers=()"),
    Case("control-characters", "nul", "delivered", 200, shows=r"a\x00b"),
    Case("control-characters", "cr", "delivered", 200, shows=r"a\rb"),
    Case("no-status-line", None, f"{BAD_LINE}b'Content-Type: text/plain'"),
    Case("http-0-9", None, f"{BAD_LINE}b'<html>ok</html>\\n'"),
    Case("http2-preface", "settings", f"{BAD_LINE}{SETTINGS}"),
    Case("http2-preface", "client", f"{BAD_LINE}b'PRI * HTTP/2.0'"),
    Case("endless-continue", None, TOO_LONG),
    Case("upgrade", None, f"status: 101 Switching Protocols: {MUST}", 101),
    Case("no-content-body", None, "delivered", 204),
    Case("no-content-body", None, "delivered", 204, seconds=None),
    Case("wrong-content-length", "short", "delivered", 200, shows="b'ok'"),
    Case("wrong-content-length", "short", "delivered", 200, seconds=None),
    Case(
        "wrong-content-length",
        "long",
        "body: the listener closed the connection within the answer's body",
        200,
    ),
    Case("wrong-content-length", "negative", "delivered", 200, shows="-1"),
    Case("wrong-content-length", "two", "delivered", 200, shows="('Content-Length', '3')"),
    Case("bad-chunks", "endless", "delivered", 200, shows="z" * 16 * 1024),
    Case("bad-chunks", "bad-size", SIZE, 200, budget=BRIEF),
    Case("bad-chunks", "bad-size", SIZE, 200, seconds=None),
    Case("bad-chunks", "overflowing-size", OVERFLOW, 200, budget=BRIEF),
    Case("bad-chunks", "overflowing-size", OVERFLOW, 200, seconds=None),
    Case("bad-chunks", "long-extension", "delivered", 200, shows="chunked"),
    Case("bad-chunks", "endless-trailer", "body: the answer has more than 100 headers", 200),
    Case("bad-chunks", "endless-trailer", "body: the answer has more than 100 headers", 200,
         seconds=None),
    Case("huge-body", None, "delivered", 200, shows="x" * 16 * 1024),
    Case("gzip-bomb", None, "delivered", 200, shows=r"b'\x1f\x8b"),
    Case("slow-body", None, "body: the answer's body did not end within {total} s", 200,
         budget=BRIEF),
    Case("pipelined-answer", "together", f"status: 500 Internal Server Error: {MUST}", 500),
    Case("pipelined-answer", "later", f"status: 500 Internal Server Error: {MUST}", 500),
    Case("late-answer", None, "delivered", 200),
    Case("redirect", "self", "status: 307 Temporary Redirect: redirect to "
         "http://127.0.0.1:{port}/hook is not followed", 307),
    Case("redirect", "loop", "status: 307 Temporary Redirect: redirect to "
         "http://127.0.0.1:{port}/a is not followed", 307),
    Case("redirect", "metadata", "status: 307 Temporary Redirect: redirect to "
         "http://169.254.169.254/latest/meta-data/ is not followed", 307),
    Case("status", "401", f"status: 401 Unauthorized: {MUST}", 401),
    Case("status", "407", f"status: 407 Proxy Authentication Required: {MUST}", 407),
    Case("status", "410", f"status: 410 Gone: {MUST}", 410),
    Case("status", "413", f"status: 413 Content Too Large: {MUST}", 413),
    Case("status", "421", f"status: 421 Misdirected Request: {MUST}", 421),
    Case("status", "429", f"status: 429 Too Many Requests: {MUST}", 429),
    Case("set-cookie", None, "delivered", 200, shows="session=secret"),
    Case("flapping", None, "delivered", 200),
    Case("nth-try", None, f"status: 500 Internal Server Error: {MUST}", 500),
    Case("publish-back", None, f"status: 502 Bad Gateway: {MUST}", 502),
    *(
        Case(
            "hostile-body", variant, f"status: 500 Internal Server Error: {MUST}", 500, shows=shows
        )
        for variant, shows in (
            ("script", "</script>"),
            ("html", "<form"),
            ("ansi", r"\x1b[2J"),
            ("binary", r"\xfe\xff\x00"),
            ("huge", "All work"),
        )
    ),
)  # fmt: skip

RACING = (("accept-close", "at-once"), ("reset", "at-once"))
"""Where it is chance how far our message came before the connection was gone."""


def test_every_behaviour_that_was_asked_for_is_there_and_has_its_case() -> None:
    assert len(set(GROUPS)) == 30
    assert sorted(one.name for one in zoo.ODD) == sorted(GROUPS)
    wanted = {
        (one.name, variant)
        for one in zoo.BEHAVIOURS.values()
        for variant in (one.variants or (None,))
    }
    assert {(case.name, case.variant) for case in CASES} | set(RACING) == wanted


def recorded(came_back: Answer | Fault) -> str:
    """What the failure log says, or that the message was delivered."""
    outcome = judge(came_back, number=1, started_at=NOW, seed=1, now=NOW)
    return "delivered" if isinstance(outcome, Delivered) else str(explain(came_back))


def answer_of(came_back: Answer | Fault) -> Answer | None:
    return came_back if isinstance(came_back, Answer) else came_back.answer


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=str(case)) for case in CASES],
)
async def test_s3_r5_what_each_behaviour_comes_to_is_recorded_exactly(case: Case) -> None:
    listener = zoo.make(case.name, case.variant, Parameters(seconds=case.seconds))
    async with listening(listener), Transport(EMULATOR, case.budget) as transport:
        async with hang(10):
            came_back = await transport.post(f"{listener.base_url}/hook", HEADERS, b'{"a":1}')
        if listener.requests:  # no request is sent twice (R3), not even to a new address (S2)
            assert listener.requests == 1
    port = listener.base_url.rpartition(":")[2]
    expected = case.recorded.format(port=port, total=f"{case.budget.total:g}")
    assert recorded(came_back) == expected
    answer = answer_of(came_back)
    assert (answer and answer.status) == case.status
    if answer is not None:
        assert len(answer.body) <= 16 * 1024
        assert case.shows in str(answer)
        assert sum(len(name) + len(text) for name, text in answer.headers) <= 32 * 1024


@pytest.mark.parametrize(("name", "variant"), RACING)
async def test_a_connection_that_is_cut_at_once_is_a_fault(name: str, variant: str) -> None:
    async with zoo.listening(name, variant) as url, Transport(EMULATOR, AMPLE) as transport:
        came_back = await transport.post(url, HEADERS, b"{}")
    assert isinstance(came_back, Fault)
    assert came_back.phase.value in ("write", "headers")
    assert came_back.answer is None
    assert any(
        came_back.what == f"the listener {did} the connection {when}"
        for did in ("closed", "reset")
        for when in ("before answering", "while the message was being sent")
    )


async def test_a_large_message_that_is_not_read_is_a_write_fault() -> None:
    async with (
        zoo.listening("accept-no-read") as url,
        Transport(EMULATOR, BRIEF) as transport,
    ):
        came_back = await transport.post(url, HEADERS, b"x" * 30_000_000)
    expected = "write: the listener did not take the whole message within 0.6 s"
    assert recorded(came_back) == expected


async def test_r5_an_answer_at_99_percent_of_the_time_counts() -> None:
    # A machine that stood still for the last hundredth says nothing: then it is asked again.
    budget = Budget(total=4.0)
    async with (
        zoo.listening("late-answer", parameters=Parameters(seconds=3.96)) as url,
        Transport(EMULATOR, budget) as transport,
    ):
        for _ in range(3):
            began = time.monotonic()
            came_back = await transport.post(url, HEADERS, b"{}")
            assert time.monotonic() - began > 3.9
            if isinstance(came_back, Answer):
                break
            assert recorded(came_back) == "headers: no answer within 4 s"
    assert recorded(came_back) == "delivered"


async def test_an_answer_that_is_too_late_does_not_count() -> None:
    async with (
        zoo.listening("late-answer", parameters=Parameters(seconds=60)) as url,
        Transport(EMULATOR, BRIEF) as transport,
    ):
        came_back = await transport.post(url, HEADERS, b"{}")
    assert recorded(came_back) == "headers: no answer within 0.6 s"


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("huge-body", None),
        ("gzip-bomb", None),
        ("endless-headers", None),
        ("endless-continue", None),
        ("long-header", None),
        ("bad-chunks", "endless"),
        ("bad-chunks", "long-extension"),
        ("hostile-body", "huge"),
    ],
)
async def test_s3_memory_stays_flat_whatever_is_sent(name: str, variant: str | None) -> None:
    # The listener is a process of its own, so that only our side is measured.
    chosen = ("--behaviour", name, *(("--variant", variant) if variant else ()))
    async with heliograph_listen(*chosen) as url, Transport(EMULATOR, AMPLE) as transport:
        await transport.post(url, HEADERS, b"{}")  # what only the first post allocates
        tracemalloc.start()
        try:
            for _ in range(5):
                await transport.post(url, HEADERS, b"{}")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    # S3's 256 KiB, and the 256 KiB that asyncio allocates for a moment to read the command's lines.
    assert peak < 512 * 1024


@asynccontextmanager
async def heliograph_listen(*arguments: str) -> AsyncIterator[str]:
    """The command on a free port; gives the URL that it tells."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "heliograph.cli", "listen", "--port", "0", "--json"),
        *arguments,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    yield json.loads(await process.stdout.readline())["url"]
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0


async def test_s3_cookies_are_kept_from_every_later_request() -> None:
    came: list[Request] = []
    async with (
        zoo.listening("set-cookie", on_request=came.append) as url,
        Transport(EMULATOR, AMPLE) as transport,
    ):
        for _ in range(3):
            assert recorded(await transport.post(url, HEADERS, b"{}")) == "delivered"
    assert len(came) == 3
    assert not any(request.header("Cookie") for request in came)


@pytest.mark.parametrize("variant", ["self", "loop", "metadata"])
async def test_s2_a_redirect_is_never_followed(variant: str) -> None:
    came: list[Request] = []
    async with (
        zoo.listening("redirect", variant, on_request=came.append) as url,
        Transport(EMULATOR, AMPLE) as transport,
    ):
        for _ in range(3):
            came_back = await transport.post(f"{url}/hook", HEADERS, b"{}")
            assert isinstance(came_back, Answer)
    assert [(one.method, one.target) for one in came] == [("POST", "/hook")] * 3


async def test_s2_an_upgrade_is_not_taken_and_its_connection_not_used_again() -> None:
    listener = zoo.make("upgrade")
    async with listening(listener), Transport(EMULATOR, AMPLE) as transport:
        for number in (1, 2):
            came_back = await transport.post(listener.base_url, HEADERS, b"{}")
            assert isinstance(came_back, Answer)
            assert (came_back.status, came_back.body) == (101, b"")
            await listener.marked("closed", times=number)  # by us: it would have gone on
    assert listener.connections == 2


async def test_r3_the_post_after_a_close_on_an_idle_connection_succeeds() -> None:
    listener = zoo.make("stale-connection", "idle")
    async with listening(listener), Transport(EMULATOR, AMPLE) as transport:
        for number in range(1, 21):
            came_back = await transport.post(listener.base_url, HEADERS, b"{}")
            assert recorded(came_back) == "delivered"
            await listener.marked("closed", times=number)
    assert listener.requests == 20


async def test_r3_a_close_at_our_write_costs_one_attempt_and_no_second_post() -> None:
    listener = zoo.make("stale-connection", "at-next-write")
    async with listening(listener), Transport(EMULATOR, AMPLE) as transport:
        said = [recorded(await transport.post(listener.base_url, HEADERS, b"{}")) for _ in range(3)]
    lost = (
        "headers: the listener closed the connection, which was kept from an earlier message, "
        "before answering"
    )
    assert said == ["delivered", lost, "delivered"]
    assert (listener.requests, listener.connections) == (3, 2)


async def test_r5_a_second_answer_in_the_same_packet_is_nobodys() -> None:
    listener = zoo.make("pipelined-answer", "together")
    async with listening(listener), Transport(EMULATOR, AMPLE) as transport:
        for _ in range(3):
            came_back = await transport.post(listener.base_url, HEADERS, b"{}")
            assert isinstance(came_back, Answer)
            assert (came_back.status, came_back.body) == (500, b"first")
    assert listener.requests == 3


async def test_r5_a_second_answer_that_comes_when_nobody_asks_is_nobodys() -> None:
    listener = zoo.make("pipelined-answer", "later", Parameters(seconds=0.05))
    async with listening(listener), Transport(EMULATOR, AMPLE) as transport:
        for number in range(1, 4):
            came_back = await transport.post(listener.base_url, HEADERS, b"{}")
            assert isinstance(came_back, Answer)
            assert (came_back.status, came_back.body) == (500, b"first")
            await listener.marked("second answer", times=number)
            for _ in range(10):  # turns of the loop: what has arrived is read
                await asyncio.sleep(0)


async def test_flapping_answers_200_and_500_in_turns() -> None:
    async with zoo.listening("flapping") as url, Transport(EMULATOR, AMPLE) as transport:
        found = [await transport.post(url, HEADERS, b"{}") for _ in range(4)]
    assert [one.status for one in found if isinstance(one, Answer)] == [200, 500, 200, 500]


async def test_nth_try_counts_the_tries_of_each_message_apart() -> None:
    parameters = Parameters(tries=2)
    bodies = [
        b'{"event":"a","retryCount":0}',
        b'{"event":"b","retryCount":0}',
        b'{"event":"a","retryCount":1}',
        b"<legacy/>",
        b'{"event":"b","retryCount":1}',
        b"<legacy/>",
    ]
    async with (
        zoo.listening("nth-try", parameters=parameters) as url,
        Transport(EMULATOR, AMPLE) as transport,
    ):
        found = [await transport.post(url, HEADERS, body) for body in bodies]
    statuses = [one.status for one in found if isinstance(one, Answer)]
    assert statuses == [500, 500, 200, 500, 200, 200]


CEILING = NOW + timedelta(seconds=RETRY_AFTER_CEILING)


@pytest.mark.parametrize("status", ["401", "407", "410", "413", "421", "429"])
@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("0", None),
        ("-1", None),
        ("3600", NOW + timedelta(hours=1)),
        ("1000000000000", CEILING),
        ("1e12", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", CEILING),
        ('soon; please, "later"', None),
    ],
)
async def test_r9_every_status_with_every_retry_after_leads_to_a_bounded_next_try(
    status: str, text: str, asked: datetime | None
) -> None:
    parameters = Parameters(retry_after=text)
    async with (
        zoo.listening("status", status, parameters) as url,
        Transport(EMULATOR, AMPLE) as transport,
    ):
        came_back = await transport.post(url, HEADERS, b"{}")
    assert isinstance(came_back, Answer)
    assert came_back.status == int(status)
    assert ("Retry-After", text) in came_back.headers
    assert says_gone(came_back) is (status == "410")
    outcome = judge(came_back, number=1, started_at=NOW, seed=1, now=NOW)
    assert isinstance(outcome, RetryAt)
    if asked is None:
        assert outcome.when < NOW + timedelta(seconds=10)
    else:
        assert outcome.when == asked


async def test_publish_back_publishes_the_message_as_it_came(
    listener: LoopbackListener,
) -> None:
    body = b'{"event":"envelope-sent","data":{"envelopeId":"e-1"}}'
    headers = (*HEADERS, ("X-Kept", "yes"), ("Authorization", "Basic abc"))
    async with publishing(f"{listener.base}/events", Secret("token")) as publish:
        parameters = Parameters(publish=publish)
        async with (
            zoo.listening("publish-back", parameters=parameters) as url,
            Transport(EMULATOR, AMPLE) as transport,
        ):
            said = []
            for listener.status in (202, 508):
                said.append(await transport.post(url, headers, body))
    assert [one.status for one in said if isinstance(one, Answer)] == [200, 502]
    received = listener.received[0]
    assert (received.path, received.body) == ("/events", body)
    assert received.header("X-Kept") == "yes"
    given = [text for name, text in received.headers if name.lower() == "authorization"]
    assert given == ["Bearer token"], "what the listener was sent is not passed on"


async def test_s15_publish_back_to_the_server_that_sent_it_ends_after_five_rounds(
    api: Client,
) -> None:
    ended = asyncio.Event()
    said: list[int] = []
    token = api.credentials.access_token
    async with publishing(f"{api.server.base_uri}{api.connect}/events", token) as publish:

        async def noted(request: Request) -> int:
            said.append(await publish(request))
            if said[-1] != 202:
                ended.set()
            return said[-1]

        parameters = Parameters(publish=noted)
        async with zoo.listening("publish-back", parameters=parameters) as url:
            await api.configure(url)
            await api.call("POST", "events", published())
            async with hang(20):
                await ended.wait()
    assert said == [202, 202, 202, 202, 508]


@pytest.mark.parametrize("name", GROUPS)
async def test_the_how_to_says_what_is_recorded(name: str) -> None:
    page = (ROOT / "docs" / "how-to" / "test-a-listener.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith(f"| `{name}`")]
    for case in CASES:
        if case.name == name:
            (row,) = [one for one in rows if case.variant is None or f"`{case.variant}`" in one]
            expected = case.recorded.format(port=9000, total="100")
            assert expected in row


def test_s14_the_server_does_not_contain_the_listener() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "import heliograph.cli.commands.serve, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = found.stdout.split()
    assert "heliograph.service" in loaded
    assert not [one for one in loaded if one.startswith("heliograph.listen.")]
    assert not {"heliograph.listen", "heliograph.verify"} & set(loaded)
