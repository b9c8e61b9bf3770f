"""A listener that makes its own records of TLS 1.3 (RFC 8446), also those that bring no data.

OpenSSL shakes hands for it, and leaves the secret from which its keys follow in a key log.
"""

from __future__ import annotations

import contextlib
import hmac
import itertools
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from heliograph.model.configurations import TlsIdentity
from tests.pki import Authority, serving
from tests.scripted import BODY, threaded

_HANDSHAKE: Final = 22
_DATA: Final = 23
_TICKET: Final = b"\4\0\0\x8e" + b"\0\0\1\0" + b"age+" + b"\0" + b"\0\x81" + b"t" * 129 + b"\0\0"
"""NewSessionTicket: what follows is 142 bytes long, of which 129 are the ticket."""

TICKETS: Final = 16_000 // len(_TICKET)
"""As many as one record holds."""


class Wire:
    """One connection to the listener, on which the handshake is over."""

    def __init__(self, connection: socket.socket, tls: ssl.SSLContext) -> None:
        self.connection = connection
        self._incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._secure = tls.wrap_bio(self._incoming, outgoing, server_side=True)
        while True:
            try:
                self._secure.do_handshake()
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                self._incoming.write(connection.recv(65536))
            else:
                break
        connection.sendall(outgoing.read())
        assert self._secure.cipher() == ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)
        log = Path(tls.keylog_filename).read_text().splitlines()
        (*_, secret) = [line for line in log if line.startswith("SERVER_TRAFFIC_SECRET_0")]
        self._renew(bytes.fromhex(secret.split()[2]))

    def take(self) -> None:
        """Read one whole request."""
        came = b""
        while not came.endswith(BODY):
            try:
                came += self._secure.read(65536)
            except ssl.SSLWantReadError:
                self._incoming.write(self.connection.recv(65536))

    def data(self, said: bytes) -> bytes:
        """A record that brings data."""
        return self._record(said, _DATA)

    def tickets(self, number: int = TICKETS) -> bytes:
        """A record of so many tickets to resume the session with, which nobody has asked for."""
        return self._record(_TICKET * number, _HANDSHAKE)

    def key_updates(self, number: int, *, requested: bool = False) -> bytes:
        """Records after each of which new keys count; the other side's too, if `requested`."""
        made = b""
        for _ in range(number):
            made += self._record(bytes((24, 0, 0, 1, requested)), _HANDSHAKE)
            self._renew(self._expanded(b"traffic upd", 48))
        return made

    def _renew(self, secret: bytes) -> None:
        self._secret = secret
        self._key = AESGCM(self._expanded(b"key", 32))
        self._nonce = int.from_bytes(self._expanded(b"iv", 12))
        self._numbers = itertools.count()

    def _expanded(self, label: bytes, length: int) -> bytes:
        """HKDF-Expand-Label (7.1); no length here is above that of one digest."""
        label = b"tls13 " + label
        wanted = bytes((0, length, len(label))) + label + b"\0\1"
        return hmac.digest(self._secret, wanted, "sha384")[:length]

    def _record(self, content: bytes, kind: int) -> bytes:
        plain = content + bytes((kind,))
        head = b"\x17\3\3" + (len(plain) + 16).to_bytes(2, "big")
        nonce = (self._nonce ^ next(self._numbers)).to_bytes(12)
        return head + self._key.encrypt(nonce, plain, head)


@contextlib.contextmanager
def recording(folder: Path, *serve: Callable[[Wire], None]) -> Iterator[tuple[str, TlsIdentity]]:
    """A listener that serves one connection after the other, each in its way; gives its URL and
    whom to trust."""
    authority = Authority()
    tls = serving(authority.pair("localhost"), folder, version=ssl.TLSVersion.TLSv1_3)
    tls.num_tickets = 0  # OpenSSL makes no records after those of the handshake
    tls.keylog_filename = str(folder / "keys")

    def accept(listening: socket.socket) -> None:
        listening.settimeout(20)
        for one in serve:
            with contextlib.suppress(OSError), listening.accept()[0] as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                one(Wire(connection, tls))

    with threaded(accept) as url:
        trusted = TlsIdentity(None, None, authority.certificate)
        yield url.replace("http://127.0.0.1", "https://localhost"), trusted
