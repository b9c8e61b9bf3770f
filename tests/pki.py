"""Certificate authorities that live for one test, and listeners that speak TLS as OpenSSL does.

asyncio's own servers close without an alert when a handshake fails, so these have blocking
sockets on threads.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from heliograph.model.accounts import Secret
from heliograph.model.configurations import TlsIdentity
from tests.scripted import OK

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, PEM."""

    certificate: str
    key: str

    def identity(self, authorities: str | None = None) -> TlsIdentity:
        return TlsIdentity(self.certificate, Secret(self.key), authorities)


class Authority:
    """Signs certificates."""

    def __init__(self, name: str = "Test CA") -> None:
        self.name = name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._signed(name, self.key, (-9, 9), ca=True)

    def pair(self, name: str, *, days: tuple[int, int] = (-9, 9), key: Key | None = None) -> Pair:
        """A certificate for `name`, valid between these days from now."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        made = self._signed(name, key, days)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Pair(made, pem.decode())

    def _signed(self, name: str, key: Key, days: tuple[int, int], *, ca: bool = False) -> str:
        subject, issuer = (
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
            for common in (name, self.name)
        )
        now, serial = datetime.now(UTC), x509.random_serial_number()
        builder = (
            x509.CertificateBuilder(issuer, subject, key.public_key(), serial)
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
            .add_extension(x509.BasicConstraints(ca, None), True)
        )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def serving(
    pair: Pair,
    directory: Path,
    *,
    clients: Authority | None = None,
    must: bool = True,
    version: ssl.TLSVersion | None = None,
) -> ssl.SSLContext:
    """A listener's TLS; with `clients` it asks for their certificates, and `must` have them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    file = directory / "pair.pem"
    file.write_text(pair.certificate + pair.key)
    context.load_cert_chain(file)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED if must else ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=clients.certificate)
    if version is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            context.minimum_version = context.maximum_version = version
    return context


@dataclass
class Seen:
    """What a listener saw: the client's name for each connection, and each request."""

    port: int = 0
    clients: list[str | None] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/hook"


@contextlib.contextmanager
def secured(tls: ssl.SSLContext, answer: bytes = OK) -> Iterator[Seen]:
    """A listener that gives the same answer to every request."""
    seen = Seen()

    def serve(connection: socket.socket) -> None:
        with connection.dup() as below:
            try:
                with tls.wrap_socket(connection, server_side=True) as secure:
                    seen.clients.append(_name(secure))
                    while request := _request(secure):
                        seen.requests.append(request)
                        secure.sendall(answer)
            except OSError:
                # The alert is on its way: closing with something unread would overtake it.
                with contextlib.suppress(OSError):
                    while below.recv(65536):
                        pass

    with _accepting(serve) as seen.port:
        yield seen


@contextlib.contextmanager
def resetting() -> Iterator[int]:
    """A port on which every connection is reset after its first bytes."""

    def reset(connection: socket.socket) -> None:
        with connection:
            connection.recv(9)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with _accepting(reset) as port:
        yield port


@contextlib.contextmanager
def _accepting(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    running: list[threading.Thread] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                running.append(threading.Thread(target=serve, args=(connection,)))
                running[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)  # ends `accept`
            for thread in (accepting, *running):
                thread.join()


def _name(secure: ssl.SSLSocket) -> str | None:
    certificate = secure.getpeercert()
    if not certificate:
        return None
    names = certificate["subjectAltName"]
    assert isinstance(names, tuple)
    return str(names[0][1])


def _request(secure: ssl.SSLSocket) -> bytes:
    """One request, or nothing at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = secure.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < size:
        body += secure.recv(65536)
    return head + b"\r\n\r\n" + body
