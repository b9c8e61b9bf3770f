"""A DNS server on loopback that misbehaves by name, and processes that ask no other one."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import struct
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, cast

from dnslib import CNAME, QTYPE, RCODE, RR, A, DNSRecord

from tests.chaos.host import lacks, run

ADDRESS: Final = f"127.44.{os.getpid() % 250}.{1 + os.getpid() // 250 % 250}"
"""One for each process of tests: the port is always that of DNS."""

METADATA: Final = "169.254.169.254"
"""An address that no profile admits; nothing is ever sent there."""

MANY: Final = 300
SLOW: Final = 10.0

BEHAVIOURS: Final = (
    *("good", "dead", "nxdomain", "servfail", "refused", "slow", "garbage", "empty"),
    *("truncated", "many", "many-one-bad", "bad", "cname", "cname-loop", "ttl-0"),
    "dead-first",
)

DEAD, FARTHER = "127.0.0.2", "127.0.0.77"
"""Of "dead-first". A resolver puts first what has more bits with 127.0.0.1 in common."""


class NameServer:
    """Answers for every name. `behaviours` are by name; `otherwise` holds for the rest."""

    def __init__(self) -> None:
        self.behaviours: dict[str, str] = {}
        self.otherwise = "good"
        self.asked: Counter[str] = Counter()
        """Questions for an address (A), by name."""
        self._late: set[asyncio.Task[None]] = set()

    def answer(self, question: bytes, *, tcp: bool) -> tuple[bytes | None, float]:
        """The answer, None for silence, and after how many seconds it comes."""
        asked = DNSRecord.parse(question)
        name = str(asked.q.qname).rstrip(".").lower()
        if asked.q.qtype == QTYPE.A:
            self.asked[name] += 1
        behaviour = self.behaviours.get(name, self.otherwise)
        made = asked.reply()
        match behaviour:
            case "dead":
                return None, 0.0
            case "garbage":
                return b"\xff" * 7, 0.0
            case "nxdomain":
                made.header.rcode = RCODE.NXDOMAIN
            case "servfail":
                made.header.rcode = RCODE.SERVFAIL
            case "refused":
                made.header.rcode = RCODE.REFUSED
            case "cname-loop":
                for one, other in ((name, f"loop.{name}"), (f"loop.{name}", name)):
                    made.add_answer(RR(one, QTYPE.CNAME, rdata=CNAME(other), ttl=60))
            case "truncated" if not tcp:
                made.header.tc = 1
            case "empty":
                pass
            case _ if asked.q.qtype == QTYPE.A:
                self._address(made, name, behaviour)
        packed = made.pack()
        if len(packed) > 512 and not tcp:  # RFC 1035, 4.2.1
            made.rr.clear()
            made.header.tc = 1
            packed = made.pack()
        return packed, SLOW if behaviour == "slow" else 0.0

    def _address(self, made: DNSRecord, name: str, behaviour: str) -> None:
        addresses = ["127.0.0.1"]
        if behaviour.startswith("many"):
            addresses += [f"127.1.{number // 250}.{number % 250}" for number in range(MANY - 1)]
        if behaviour == "many-one-bad":
            addresses[MANY // 2] = METADATA
        if behaviour == "dead-first":
            addresses = [DEAD, FARTHER]
        if behaviour == "bad":
            addresses = [METADATA]
        owner = name
        if behaviour == "cname":
            owner = f"real.{name}"
            made.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME(owner), ttl=60))
        ttl = 0 if behaviour == "ttl-0" else 60
        for address in addresses:
            made.add_answer(RR(owner, QTYPE.A, rdata=A(address), ttl=ttl))

    def later(
        self, seconds: float, packed: bytes, send: asyncio.DatagramTransport, to: object
    ) -> None:
        """Answer after a while, unless the server is gone then."""

        async def wait() -> None:
            await asyncio.sleep(seconds)
            if not send.is_closing():
                send.sendto(packed, to)  # type: ignore[arg-type]

        task = asyncio.get_running_loop().create_task(wait())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def by_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Questions on a connection, each after its length (RFC 1035, 4.2.2)."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                packed, _ = self.answer(await reader.readexactly(length), tcp=True)
                if packed is not None:
                    writer.write(struct.pack("!H", len(packed)) + packed)
                    await writer.drain()
        writer.close()

    def close(self) -> None:
        for task in self._late:
            task.cancel()


class _ByUdp(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        packed, seconds = self._server.answer(data, tcp=False)
        if packed is None:
            return
        if seconds:
            self._server.later(seconds, packed, self._transport, addr)
        else:
            self._transport.sendto(packed, addr)


@asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    """A name server on the port of DNS, of an address of loopback.

    Raises:
        OSError: this user may not, or another one runs.
    """
    made, loop = NameServer(), asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _ByUdp(made), local_addr=(ADDRESS, 53)
    )
    try:
        server = await asyncio.start_server(made.by_tcp, ADDRESS, 53)
        async with server:
            yield made
    finally:
        made.close()
        transport.close()


@functools.cache
def no_names() -> str:
    """Why a process cannot be given a name server of its own here; empty when it can."""
    if os.geteuid() != 0:
        return "the port of DNS, and a file system of one's own, need root"
    if reason := lacks("unshare", "mount"):
        return reason
    done = run("unshare", "--mount", "mount", "--bind", "/etc/hosts", "/etc/resolv.conf")
    return "" if done.returncode == 0 else f"no mount namespace: {done.stderr.strip()}"


def asking_it(folder: Path, *, patience: int = 1) -> Sequence[str]:
    """What goes before a command, so that its resolver (glibc's) asks only our server.

    Args:
        folder: Where the resolver's files are written.
        patience: Seconds that the resolver waits for an answer (resolv.conf(5)).
    """
    (folder / "resolv.conf").write_text(
        f"nameserver {ADDRESS}\noptions timeout:{patience} attempts:1\n"
    )
    (folder / "nsswitch.conf").write_text("hosts: files dns\n")
    binds = " && ".join(
        f"mount --bind '{folder}/{name}' /etc/{name}" for name in ("resolv.conf", "nsswitch.conf")
    )
    return ("unshare", "--mount", "sh", "-c", f'{binds} && exec "$@"', "sh")
