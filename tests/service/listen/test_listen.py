"""`heliograph listen` as a process of its own: what it shows, verifies, keeps, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from heliograph.cli import main
from heliograph.egress import Guard, Profile
from heliograph.listen import zoo
from heliograph.listen.messages import summarise
from heliograph.listen.requests import Request
from heliograph.model.accounts import HmacKey, Secret
from heliograph.model.deliveries import Answer
from heliograph.outbound.transport import Budget, Transport
from heliograph.plain import harmless
from heliograph.wire.messages import signing
from tests.busy import hang
from tests.listener import LoopbackListener

COMMAND = (sys.executable, "-m", "heliograph.cli", "listen", "--port", "0")
JSON = ("Content-Type", "application/json; charset=utf-8")
SIM = {
    "event": "envelope-completed",
    "retryCount": 2,
    "configurationId": 7,
    "data": {
        "envelopeId": "e-1",
        "envelopeSummary": {"status": "completed", "emailSubject": "Lease of 12 Harbour Street"},
    },
}
LEGACY = """<?xml version="1.0" encoding="utf-8"?>
<DocuSignEnvelopeInformation xmlns="http://www.docusign.net/API/3.0"><EnvelopeStatus>
<RecipientStatuses><RecipientStatus><Status>Sent</Status><Subject>no</Subject></RecipientStatus>
</RecipientStatuses><TimeGenerated>2026-11-23T09:00:00</TimeGenerated><EnvelopeID>e-2</EnvelopeID>
<Subject>Offer &amp; contract</Subject><Status>Completed</Status></EnvelopeStatus>
<DocumentPDFs/></DocuSignEnvelopeInformation>"""
SOAP = (
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
    f"<DocuSignConnectUpdate>{LEGACY.partition('?>')[2]}</DocuSignConnectUpdate>"
    "</soap:Body></soap:Envelope>"
)
ESCAPE = "\x1b]0;owned\x07\x1b[2J\u009b31m\u202e\r\x08\x7f"


@dataclass
class Listening:
    """A running command: what it says line by line, and a way to post to it."""

    process: asyncio.subprocess.Process
    url: str
    first: list[str]

    async def line(self) -> str:
        assert self.process.stdout is not None
        async with hang(20):
            return (await self.process.stdout.readline()).decode().rstrip("\n")

    async def json(self) -> Any:
        return json.loads(await self.line())

    async def post(self, body: bytes, keys: Sequence[str] = (), *headers: tuple[str, str]) -> int:
        made = [HmacKey(str(n), Secret(key), datetime.now(UTC)) for n, key in enumerate(keys, 1)]
        signed = signing.headers(made, body)
        async with Transport(Guard(Profile.EMULATOR), Budget(total=20)) as transport:
            came_back = await transport.post(self.url, [*(headers or [JSON]), *signed], body)
        assert isinstance(came_back, Answer), came_back
        return came_back.status

    async def end(self, number: signal.Signals = signal.SIGTERM) -> str:
        """End it with a signal; gives what it said last."""
        self.process.send_signal(number)
        async with hang(20):
            said, _ = await self.process.communicate()
        assert self.process.returncode == 0
        return said.decode()


@asynccontextmanager
async def listen(*arguments: str) -> AsyncIterator[Listening]:
    process = await asyncio.create_subprocess_exec(*COMMAND, *arguments, stdout=subprocess.PIPE)
    found = Listening(process, "", [])
    try:
        if "--json" in arguments:
            found.url = (await found.json())["url"]
        else:
            found.first = [await found.line() for _ in range(6)]
            found.url = found.first[0].rpartition(" ")[2]
        yield found
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def sim(**over: Any) -> bytes:
    return json.dumps({**SIM, **over}).encode()


async def test_the_first_lines_tell_the_url_and_what_to_run_next() -> None:
    async with listen() as listener:
        assert listener.first[0].startswith("Heliograph ")
        assert listener.url.startswith("http://127.0.0.1:")
        told = "\n".join(listener.first)
        assert f"heliograph configurations create --name listener --url {listener.url}" in told
        assert "heliograph serve --egress emulator" in told
        assert "give --key" in told
        assert await listener.end() == "0 messages.\n"


async def test_a_message_is_shown_with_what_it_is_about() -> None:
    async with listen("--key", "s3cret") as listener:
        assert await listener.post(sim(), ["s3cret"]) == 200
        first, second = await listener.line(), await listener.line()
        assert first[2] == first[5] == ":"
        assert first[10:] == "envelope-completed  e-1  Lease of 12 Harbour Street"
        assert second.strip() == (
            f"retry 2, configuration 7, {len(sim())} bytes of json, "
            "signed by key 1 (X-DocuSign-Signature-1)"
        )
        assert await listener.end() == "1 message: 1 signed by a given key.\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_a_count_even_while_connections_are_open(
    number: signal.Signals,
) -> None:
    async with listen("--key", "right") as listener:
        await listener.post(sim(), ["right"])
        await listener.post(sim(), ["wrong"])
        await listener.post(sim())
        port = int(listener.url.rstrip("/").rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nh")
        said = await listener.end(number)
        writer.close()
    summary = said.splitlines()[-1]
    assert summary == "3 messages: 1 signed by a given key, 1 with a WRONG SIGNATURE, 1 unsigned."


FIVE = ["one", "two", "three", "four", "five"]


@pytest.mark.parametrize(
    ("given", "used", "verdict", "found"),
    [
        (["a"], ["a"], "matched", [1]),
        (["a"], ["b"], "none matched", [None]),
        (["a"], [], "unsigned", []),
        ([], ["a", "b"], "unchecked", [None, None]),
        (["old", "new"], ["new"], "matched", [2]),
        (["new"], ["old", "new"], "matched", [None, 1]),
        (FIVE, FIVE, "matched", [1, 2, 3, 4, 5]),
        (FIVE, FIVE[::-1], "matched", [5, 4, 3, 2, 1]),
        (FIVE, ["six"], "none matched", [None]),
    ],
)
async def test_every_signature_is_held_against_every_key(
    given: list[str], used: list[str], verdict: str, found: list[int | None], tmp_path: Path
) -> None:
    file = tmp_path / "keys.txt"
    file.write_text("\ufeff" + "\r\n\n".join(given) + "\n", encoding="utf-8")
    async with listen("--json", "--key-file", str(file)) as listener:
        await listener.post(sim(), used)
        told = await listener.json()
        ended = json.loads(await listener.end())
    assert told["signature"] == {
        "verdict": verdict,
        "keys": [key for key in found if key],
        "headers": [
            {"name": f"X-DocuSign-Signature-{number}", "key": key}
            for number, key in enumerate(found, 1)
        ],
    }
    assert ended["signatures"][verdict] == 1


@pytest.mark.parametrize("spoil", ["body", "text"])
async def test_a_signature_is_over_exactly_the_bytes_that_came(spoil: str) -> None:
    ((_, _), (name, text)) = signing.headers([HmacKey("1", Secret("a"), datetime.now(UTC))], sim())
    async with listen("--json", "--key", "a") as listener:
        body = sim() + b" " if spoil == "body" else sim()
        text = text if spoil == "body" else text.swapcase()
        await listener.post(body, [], JSON, (name, text))
        assert (await listener.json())["signature"]["verdict"] == "none matched"


async def test_json_is_one_object_a_line() -> None:
    async with listen("--json", "--key", "a") as listener:
        before = datetime.now(UTC)
        await listener.post(sim(), ["a"])
        told = await listener.json()
        ended = json.loads(await listener.end())
    assert before <= datetime.fromisoformat(told.pop("time")) <= datetime.now(UTC)
    del told["signature"]
    assert told == {
        "kind": "message",
        "method": "POST",
        "target": "/",
        "format": "json",
        "event": "envelope-completed",
        "envelopeId": "e-1",
        "subject": "Lease of 12 Harbour Street",
        "retryCount": "2",
        "configurationId": "7",
        "contentType": JSON[1],
        "bytes": len(sim()),
        "saved": None,
    }
    assert ended == {
        "kind": "summary",
        "messages": 1,
        "signatures": {"matched": 1, "none matched": 0, "unsigned": 0, "unchecked": 0},
    }


def request(body: bytes) -> Request:
    return Request(datetime.now(UTC), "POST", "/", (), body)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (LEGACY.encode(), ("xml", "envelope-completed", "e-2", "Offer & contract")),
        (SOAP.encode(), ("soap", "envelope-completed", "e-2", "Offer & contract")),
        (LEGACY.partition("?>")[2].encode("utf-8-sig"),
         ("xml", "envelope-completed", "e-2", "Offer & contract")),
        (b'{"envelopeId":"e","status":"sent","emailSubject":"s"}',
         ("json aggregate", "envelope-sent", "e", "s")),
        (b'\xef\xbb\xbf {"event":"e"}', ("json", "e", None, None)),
        (b'{"event":1,"data":[],"retryCount":true}', ("json", "1", None, None)),
        (b'{"event":{"a":1},"data":{"envelopeSummary":"x"}}', ("json", None, None, None)),
    ],
)  # fmt: skip
def test_every_format_of_a_message_is_summarised(
    body: bytes, found: tuple[str | None, ...]
) -> None:
    told = summarise(request(body))
    assert (told.format, told.event, told.envelope_id, told.subject) == found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\xff",
        b"{",
        b"[1]",
        b'{"a":1}',
        b'{"event":' + b"[" * 100_000,
        b'{"event":' + b"9" * 10_000 + b"}",
        b'{"event":"\\ud800"}',
        b'{"event":"\xff"}',
        b"<",
        b"<a/>",
        b"<a>" * 100_000,
        b"<DocuSignEnvelopeInformation/>",
        LEGACY.encode()[:300],
        b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    ],
)
def test_anything_else_is_other(body: bytes) -> None:
    assert summarise(request(body)).format == "other"


def test_no_entity_of_a_message_is_resolved(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    body = LEGACY.partition("?>")[2].replace("Offer &amp; contract", "&x;")
    document = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]>{body}'
    assert "hidden" not in str(summarise(request(document.encode())))


@pytest.mark.parametrize("as_json", [False, True])
async def test_s12_hostile_text_is_only_text(as_json: bool) -> None:
    data = {"envelopeId": ESCAPE, "envelopeSummary": {"emailSubject": f"{ESCAPE}\nfake line"}}
    bodies = [
        (sim(event=f"a{ESCAPE}", data=data, retryCount=ESCAPE, configurationId=ESCAPE), JSON),
        (LEGACY.replace("Offer", "\u202e\u009b31m").encode(), ("Content-Type", "text/xml")),
        (ESCAPE.encode(), ("Content-Type", "a\u009b31m\u202e")),
    ]
    async with listen(*(["--json"] if as_json else [])) as listener:
        for body, header in bodies:
            assert await listener.post(body, [], header) == 200
        said = await listener.end()
    assert len(said.splitlines()) == (4 if as_json else 7)
    assert all(harmless(line) == line for line in said.split("\n"))
    if as_json:
        assert json.loads(said.splitlines()[0])["envelopeId"] == ESCAPE


async def test_each_body_is_kept_under_a_number_and_never_over_another(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "000007.json").write_text("mine")
    (folder / "notes.txt").write_text("mine")
    async with listen("--save", str(folder), "--json") as listener:
        for body in (sim(event="../../x"), LEGACY.encode(), b"\0\xff", b""):
            await listener.post(body)
        saved = [(await listener.json())["saved"] for _ in range(4)]
        await listener.end()
    names = ["000008.json", "000009.xml", "000010.bin", "000011.bin"]
    assert saved == [str(folder / name) for name in names]
    kept = [(folder / name).read_bytes() for name in names]
    assert kept == [sim(event="../../x"), LEGACY.encode(), b"\0\xff", b""]
    assert (folder / "000007.json").read_text() == "mine"
    assert len(list(folder.iterdir())) == 6


async def test_chunks_and_expect_are_read_and_what_is_no_http_is_answered_400() -> None:
    async with listen("--json", "--key", "a") as listener:
        port = int(listener.url.rstrip("/").rpartition(":")[2])

        async def ask(data: bytes, until: bytes) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(data)
            async with hang(20):
                answer = await reader.readuntil(until)
            writer.close()
            return answer

        head = b"POST /x HTTP/1.1\r\nHost: a\r\n"
        chunks = b"3;e=1\r\nabc\r\n2\r\nde\r\n0\r\nT: y\r\n\r\n"
        answer = await ask(
            head + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n" + chunks,
            b"Length: 0\r\n\r\n",
        )
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
        told = await listener.json()
        assert (told["bytes"], told["format"], told["target"]) == (5, "other", "/x")
        for bad, status in (
            (b"\x16\x03\x01\r\n\r\n", 400),
            (head + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
            (head + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            (head + b"Content-Length: -1\r\n\r\n", 400),
            (head + b"Content-Length: 999999999999999999999\r\n\r\n", 413),
            (head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
            (head + b"X : y\r\n\r\n", 400),
            (head + b"X: " + b"y" * 200_000, 431),
        ):
            assert (await ask(bad, b"\r\n")).split()[1] == str(status).encode()
            assert (await listener.json())["text"].startswith(f"Answered {status}: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--behaviour", "nothing"], "There is no behaviour 'nothing'."),
        (["--behaviour", "reset", "--variant", "x"], "reset has no variant 'x'"),
        (["--variant", "x"], "accept has no variant 'x'; it has: none."),
        (["--behaviour", "publish-back"], "publish-back needs --publish-to"),
        (["--retry-after", "a\r\nb"], "--retry-after must be printable ASCII"),
        (["--key", ""], "An HMAC key must not be empty"),
        (["--forward-to", "http://10.0.0.1/"], "--forward-to: "),
        (["--forward-to", "http://127.0.0.1:3000/", "--behaviour", "reset"], "stands without"),
        (["--port", "3000", "--forward-to", "http://localhost:3000/x"], "leads back"),
        (["--host", "192.0.2.1"], "Cannot listen on 192.0.2.1:0"),
    ],
)
def test_a_mistake_is_told_and_ends_with_status_2(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(main, ["listen", "--port", "0", *arguments])
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(main, ["listen", "--port", str(port)])
    assert done.exit_code == 2
    assert f"Another program listens on 127.0.0.1:{port}." in done.stderr


def test_the_list_has_every_behaviour_and_variant() -> None:
    lines = CliRunner().invoke(main, ["listen", "--list"]).output.splitlines()
    for one in zoo.BEHAVIOURS.values():
        assert f"{one.name}  {one.about}" in lines
        for name, about in one.variants.items():
            assert any(line.split() == ["--variant", name, *about.split()] for line in lines)


async def test_a_behaviour_is_played_and_what_came_is_shown() -> None:
    arguments = ("--behaviour", "status", "--variant", "429", "--retry-after", "30")
    async with listen(*arguments) as listener:
        assert "status: Answers with the status of its variant" in listener.first[1]
        assert await listener.post(sim()) == 429
        assert "envelope-completed" in await listener.line()


async def test_a_connection_of_which_nothing_is_read_is_told() -> None:
    async with listen("--behaviour", "accept-no-read", "--json") as listener:
        port = int(listener.url.rstrip("/").rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await listener.json())["text"] == "A connection came."
        writer.close()
        await listener.end()


async def test_a_message_is_handed_on_as_it_came_and_the_answer_goes_back(
    listener: LoopbackListener,
) -> None:
    to = ("--forward-to", f"{listener.base}/hook")
    async with listen("--key", "s3cret", *to) as between:
        assert "Behaviour   forward: Hands each message on" in "\n".join(between.first)
        credentials = ("Authorization", "Basic YTpi")
        assert await between.post(sim(), ["s3cret"], JSON, credentials) == 200
        shown = [await between.line() for _ in range(3)]
        assert "signed by key 1" in shown[1]
        assert shown[2].strip().startswith("handed on: 200 OK, after 0.")
        (received,) = listener.received
        assert (received.path, received.body) == ("/hook", sim())
        assert received.header("Authorization") == "Basic YTpi"
        right = signing.signature(Secret("s3cret"), sim())
        assert received.header("X-DocuSign-Signature-1") == right
        listener.status = 500
        assert await between.post(sim()) == 500
        assert "handed on: 500" in [await between.line() for _ in range(3)][2]
        assert await between.end() == "2 messages: 1 signed by a given key, 1 unsigned.\n"


async def test_where_the_other_listener_answers_nothing_that_is_a_bad_gateway() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with listen("--json", "--forward-to", f"http://127.0.0.1:{port}/") as between:
        assert await between.post(sim()) == 502
        assert (await between.json())["kind"] == "message"
        told = await between.json()
        assert (told["kind"], told["envelopeId"], told["status"]) == ("forwarded", "e-1", None)
        assert "refused the connection" in told["error"]
        reader, writer = await asyncio.open_connection("127.0.0.1", int(between.url[17:-1]))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with hang(20):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
