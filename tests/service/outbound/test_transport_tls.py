"""Outbound TLS against real listeners: what is verified, and how a refusal is told (S5)."""

from __future__ import annotations

import ssl
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from heliograph.model.deliveries import Answer, Phase
from heliograph.outbound.transport import Budget, Transport
from tests.scripted import (
    BODY,
    EMULATOR,
    HEADERS,
    fault,
    keep_answering,
    listening,
    post,
)


class Authority:
    """A certificate authority that lives for one test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.write("ca.pem", self.certificate("Test CA", self.key, days=1, ca=True))

    def serving(self, name: str, *, days: int = 1, self_signed: bool = False) -> ssl.SSLContext:
        """A listener's TLS; the certificate is valid until so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        self.key = key if self_signed else self.key
        issuer = name if self_signed else "Test CA"
        pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(
            self.write("leaf.pem", self.certificate(name, key, days=days, issuer=issuer)),
            self.write("leaf.key", key.private_bytes(*pem, serialization.NoEncryption())),
        )
        return context

    def write(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(content)
        return path

    def certificate(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        *,
        days: int,
        issuer: str = "Test CA",
        ca: bool = False,
    ) -> bytes:
        subject, by = (
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
            for common in (name, issuer)
        )
        builder = (
            x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - timedelta(days=9))
            .not_valid_after(datetime.now(UTC) + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
            .add_extension(x509.BasicConstraints(ca, None), True)
        )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return Authority(tmp_path)


async def test_s5_a_trusted_listener_gets_messages_over_one_tls_connection(
    authority: Authority,
) -> None:
    tls = authority.serving("localhost")
    async with listening(keep_answering, tls) as listener, Transport(EMULATOR, Budget()) as ours:
        for _ in range(3):
            assert isinstance(await ours.post(listener.tls_url, HEADERS, BODY), Answer)
    assert listener.connections == 1


@pytest.mark.parametrize(
    ("name", "days", "self_signed", "what"),
    [
        ("localhost", -1, False, "has expired"),
        ("hooks.example.org", 1, False, "is not for the name localhost"),
        ("localhost", 1, True, "is self-signed"),
    ],
)
async def test_s5_a_bad_certificate_is_a_tls_fault_that_says_what_is_wrong(
    authority: Authority, name: str, days: int, self_signed: bool, what: str
) -> None:
    tls = authority.serving(name, days=days, self_signed=self_signed)
    async with listening(keep_answering, tls) as listener:
        phase, said = fault(await post(listener.tls_url))
    assert (phase, said) == (Phase.TLS, f"the listener's certificate {what}")
    assert listener.requests == []


async def test_s5_an_unknown_authority_is_a_tls_fault(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with listening(keep_answering, authority.serving("localhost")) as listener:
        phase, what = fault(await post(listener.tls_url))
    assert phase is Phase.TLS
    assert "comes from an unknown CA" in what


async def test_s5_tls_below_1_2_is_refused(authority: Authority) -> None:
    tls = authority.serving("localhost")
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        tls.minimum_version, tls.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    async with listening(keep_answering, tls) as listener:
        phase, what = fault(await post(listener.tls_url))
    assert phase is Phase.TLS
    assert "TLS" in what
    assert listener.requests == []
