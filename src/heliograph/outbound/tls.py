"""Client identities and trust for outbound TLS (S5).

A context always checks the chain and the host name, and speaks nothing below TLS 1.2. An
identity may add roots and a client certificate; there is nothing that it could switch off.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from heliograph.model.configurations import TlsIdentity

MOST_PEM: Final = 64 * 1024
"""Characters of a PEM text: a chain, or some twenty authorities."""


_RECORD: Final = 16 * 1024
"""Bytes that one record holds at most."""


class BadIdentity(ValueError):
    """A client certificate, key or authority that cannot be used; the message says why."""


def check_identity(identity: TlsIdentity) -> None:
    """Check that a listener can be spoken to with an identity; its dates are not looked at.

    Raises:
        BadIdentity: (a ValueError) a text that cannot be read, or a key and a certificate
            that do not belong together. The message holds nothing of the key.
    """
    # OpenSSL refuses some that can be read: short keys, weak digests.
    _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), _read(identity))


def context(identity: TlsIdentity | None = None) -> ssl.SSLContext:
    """A context that no other identity shares. It reads the system's roots: some 20 ms.

    Raises:
        BadIdentity: as `check_identity` does.
    """
    material = None if identity is None else _read(identity)
    tls_context = ssl.create_default_context()
    tls_context.minimum_version = ssl.TLSVersion.TLSv1_2
    tls_context.set_alpn_protocols(["http/1.1"])
    if material is not None:
        _load(tls_context, material)
    return tls_context


class Secure:
    """The TLS of one connection: what goes out and what comes in, without the socket."""

    def __init__(self, tls_context: ssl.SSLContext, name: str) -> None:
        """`name` is whom the certificate must be for: a host name or an address."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = tls_context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    async def shake_hands(self, outgoing: socket.socket) -> None:
        """Come to an understanding with the other side of a connected socket.

        Raises:
            ssl.SSLError: there is none.
            ConnectionError: the other side has gone away.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                await loop.sock_sendall(outgoing, self.unsent())
                await asyncio.sleep(0)  # where something has come, sock_recv does not wait
                came = await loop.sock_recv(outgoing, _RECORD)
                if not came:
                    raise ConnectionError from None
                self._incoming.write(came)
            except ssl.SSLError:
                with suppress(OSError):  # the other side is told why, if it listens
                    outgoing.send(self.unsent())
                raise
            else:
                await loop.sock_sendall(outgoing, self.unsent())
                return

    def encrypt(self, plain: bytes | memoryview) -> bytes:
        """What to send for these bytes.

        Raises:
            ssl.SSLWantReadError: nothing yet; something must come first.
        """
        self._object.write(plain)
        return self.unsent()

    def decrypt(self, came: bytes) -> tuple[bytes, ssl.SSLError | None]:
        """What the other side has said with these bytes.

        Returns:
            The plain bytes, and why no more will come, where that is so: an alert, or
            `ssl.SSLZeroReturnError` for an orderly end.
        """
        self._incoming.write(came)
        plain = b""
        try:
            # Asked only where there is something: to be told that there is not costs more.
            while self._incoming.pending or self._object.pending():
                piece = self._object.read(_RECORD)
                if not piece:
                    return plain, ssl.SSLZeroReturnError()
                plain += piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            return plain, error
        return plain, None

    def unsent(self) -> bytes:
        """What TLS itself has to say; it is to be sent before anything else."""
        return self._outgoing.read()

    def goodbye(self) -> bytes:
        """What to send at an orderly end."""
        with suppress(ssl.SSLError):
            self._object.unwrap()
        return self.unsent()


@dataclass(frozen=True, slots=True)
class _Material:
    """An identity in the form that OpenSSL takes: written anew from what was understood."""

    pair: bytes | None
    authorities: str | None

    def __repr__(self) -> str:
        return "_Material(***)"


def _read(identity: TlsIdentity) -> _Material:
    authorities = None
    if identity.authorities is not None:
        certificates = _certificates(identity.authorities, "the certificate authorities")
        authorities = "".join(_pem(certificate).decode("ascii") for certificate in certificates)
    if identity.certificate is None and identity.key is None:
        return _Material(None, authorities)
    if identity.key is None:
        raise BadIdentity("the client certificate has no private key")
    if identity.certificate is None:
        raise BadIdentity("the private key has no client certificate")
    pair, _ = read_pair(identity.certificate, identity.key.reveal(), "the client certificate")
    return _Material(pair, authorities)


def read_pair(certificate: str, key: str, what: str) -> tuple[bytes, x509.Certificate]:
    """A certificate, maybe with its chain, and its private key, all PEM.

    Args:
        certificate: The certificate, and what its chain needs after it.
        key: Its private key, without a passphrase.
        what: What a message calls the certificate.

    Returns:
        Both written anew from what was understood, for `load_pair`; and the certificate.

    Raises:
        BadIdentity: (a ValueError) one cannot be read, or they do not belong together.
    """
    chain = _certificates(certificate, what)
    private = _key(key)
    try:
        certified = chain[0].public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise BadIdentity(f"{what} has a key of a kind that is not known") from None
    if _der(certified) != _der(private.public_key()):
        raise BadIdentity(
            f"the private key does not belong to {what}, which must come first in its chain"
        )
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return b"".join(map(_pem, chain)) + secret, chain[0]


def _der(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _certificates(text: str, what: str) -> list[x509.Certificate]:
    _check_length(text, what)
    if "PRIVATE KEY-----" in text:
        # It is stored and shown in the clear.
        raise BadIdentity(f"{what} must not hold a private key")
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise BadIdentity(
            f"{what} cannot be read: write PEM, from -----BEGIN CERTIFICATE----- to "
            "-----END CERTIFICATE-----"
        ) from None


def _key(text: str) -> PrivateKeyTypes:
    _check_length(text, "the private key")
    try:
        return load_pem_private_key(text.encode(), password=None)
    except TypeError:
        raise BadIdentity("the private key is encrypted: give it without a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadIdentity("the private key cannot be read: write PEM, such as PKCS #8") from None


def _check_length(text: str, what: str) -> None:
    if len(text) > MOST_PEM:
        raise BadIdentity(f"{what} must not be longer than {MOST_PEM:,} characters")


def _load(tls_context: ssl.SSLContext, material: _Material) -> None:
    if material.authorities is not None:
        authorities = material.authorities
        _tell(
            lambda: tls_context.load_verify_locations(cadata=authorities),
            "the certificate authorities",
        )
    if material.pair is not None:
        pair = material.pair
        load_pair(tls_context, pair, "the client certificate")


def load_pair(tls_context: ssl.SSLContext, pair: bytes, what: str) -> None:
    """Have a context show what `read_pair` gave.

    Raises:
        BadIdentity: (a ValueError) OpenSSL refuses it: a short key, a weak digest.
    """
    _tell(lambda: _load_pair(tls_context, pair), what)


def _load_pair(tls_context: ssl.SSLContext, pair: bytes) -> None:
    # `load_cert_chain` takes a file's name and nothing else. This file is memory of this
    # process: it has no name in any directory, is never on a disk, nobody else may open it,
    # and it is gone when it is closed.
    descriptor = os.memfd_create("heliograph", os.MFD_CLOEXEC)
    try:
        os.fchmod(descriptor, 0o600)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(pair)
        # Without the password OpenSSL would ask for one at the terminal.
        tls_context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=b"")
    finally:
        os.close(descriptor)


def _tell(load: Callable[[], None], what: str) -> None:
    try:
        load()
    except ssl.SSLError as error:
        reason = (error.reason or "unknown").replace("_", " ").lower()
        raise BadIdentity(f"{what} cannot be used: {reason}") from None
