"""S11: what becomes of hostile XML at the real API, what it costs, and that it opens nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from heliograph.wire.codec import MOST_NODES
from tests.cost import measured
from tests.hostile_xml import HARMLESS, REFUSED, wrapped
from tests.process import Server, started

LIMIT = 2**20
URL = "<urlToPublishTo>http://127.0.0.1:4999/</urlToPublishTo>"
END = "</connectCustomConfiguration>"
FILTER = "<connectFailureFilter><envelopeIds><envelopeId>a</envelopeId>{}</envelopeIds>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(tmp_path_factory.mktemp("xml"), "--no-metrics") as running:
        running.call("POST", "", wrapped(URL), Content_Type="application/xml")
        yield running


@pytest.mark.parametrize("name", REFUSED)
def test_s11_hostile_xml_is_refused_cheaply(server: Server, name: str) -> None:
    body = REFUSED[name]
    reply, cost = measured(
        server.process.pid,
        len(body),
        lambda: server.call("POST", "", body, Content_Type="application/xml"),
    )
    code = "REQUEST_ENTITY_TOO_LARGE" if len(body) > LIMIT else "INVALID_REQUEST_BODY"
    assert (reply.status, reply.error) == (413 if len(body) > LIMIT else 400, code)
    assert len(reply.body) < 1000
    assert cost.within(len(body)), cost
    assert server.answers


@pytest.mark.parametrize("name", HARMLESS)
def test_s11_odd_xml_means_what_it_says(server: Server, name: str) -> None:
    body, expected = HARMLESS[name]
    encoding = "utf-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    text = body.decode(encoding)
    if name == "the most elements":
        text = text.replace("<a/>", "", 1)  # makes room for the URL
    sent = text.replace(END, URL + END).encode(encoding)
    reply = server.call("POST", "", sent, Content_Type="application/xml")
    if len(sent) > LIMIT:
        assert reply.status == 413
        return
    assert reply.status == 201, reply.body[:300]
    shown = server.call("GET", reply.json["connectId"]).json["configurations"][0]
    assert shown.get("name") == expected.name
    assert shown.get("userName") == expected.user_name


@pytest.mark.parametrize(
    ("inside", "status"),
    [
        ("", 200),
        ("<!-- x --><?x y?><envelopeId><![CDATA[b]]></envelopeId>", 200),
        ("<envelopeId>&x;</envelopeId>", 400),
        ("<a>" * 70 + "</a>" * 70, 400),
        ("<envelopeId/>" * MOST_NODES, 400),
    ],
    ids=["plain", "odd", "unknown entity", "deep", "many"],
)
def test_s11_the_same_holds_for_the_body_of_a_retry(
    server: Server, inside: str, status: int
) -> None:
    body = (FILTER.format(inside) + "</connectFailureFilter>").encode()
    reply = server.call("PUT", "envelopes/retry_queue", body, Content_Type="text/xml")
    assert reply.status == status, reply.body[:300]


def test_publish_takes_no_xml(server: Server) -> None:
    reply = server.call("POST", "events", wrapped(URL), Content_Type="application/xml")
    assert (reply.status, reply.error) == (415, "INVALID_CONTENT_TYPE")


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_s11_no_xml_makes_the_server_open_a_file_or_a_socket(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "evil.dtd").write_text('<!ENTITY x "canary">')
    bodies = [body for body in REFUSED.values() if len(body) <= LIMIT]
    bodies += [
        wrapped("<name>&x;</name>", before.format((tmp_path / "evil.dtd").as_uri()))
        for before in (
            '<!DOCTYPE x [<!ENTITY x SYSTEM "{}">]>',
            '<!DOCTYPE x SYSTEM "{}">',
            '<!DOCTYPE x [<!ENTITY % p SYSTEM "{}"> %p;]>',
            '<?xml-stylesheet href="{}"?>',
        )
    ]
    log = tmp_path / "calls"
    with _tracing(server, log):
        for body in bodies:
            reply = server.call("POST", "", body, Content_Type="application/xml")
            assert reply.status == 400
            assert b"canary" not in reply.body
    calls = log.read_text()
    assert len(re.findall(r"\baccept4?\(", calls)) >= len(bodies)  # it did see the calls
    # Beside the calls it follows the machine's clock, and a reader may open the database. A thread
    # that finds the heap in use asks how many processors there are, to have one of its own.
    mine = ("/proc/", "/sys/devices/system/cpu/online", f"{server.log.parent}/data/")
    own = re.compile(rf'openat\(AT_FDCWD, "(?:{"|".join(map(re.escape, mine))})')
    opened = re.findall(r"\b(?:open|openat|openat2|socket|connect)\(.*", calls)
    assert [call for call in opened if not own.match(call)] == []


class _tracing:  # noqa: N801 (a context manager)
    """Writes the system calls of a server that open something to a file."""

    def __init__(self, server: Server, log: Path) -> None:
        self._pid, self._log = server.process.pid, log

    def __enter__(self) -> None:
        calls = "open,openat,openat2,socket,connect,accept,accept4"
        self._strace = subprocess.Popen(
            ["strace", "-f", "-e", f"trace={calls}", "-o", self._log, "-p", str(self._pid)],  # noqa: S607
            stderr=subprocess.PIPE,
        )
        assert self._strace.stderr is not None
        assert b"attached" in self._strace.stderr.readline()
        deadline = time.monotonic() + 10
        while not self._log.exists():
            assert time.monotonic() < deadline

    def __exit__(self, *_: object) -> None:
        self._strace.terminate()
        self._strace.wait(10)
        assert self._strace.stderr is not None
        self._strace.stderr.close()
