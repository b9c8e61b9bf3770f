"""What the server shows its clients: a certificate and its key, from two files (S14)."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from heliograph.errors import UnsafeStorage
from heliograph.outbound import tls
from heliograph.settings import Settings

AUTHORITY: Final = "ca.pem"
"""A file beside the certificate: clients on this machine trust it where it is the issuer."""

_SOON: Final = timedelta(days=14)

_WHAT: Final = "the certificate"

_log = structlog.get_logger()


class BadCertificate(ValueError):
    """A certificate or key that no server can run with; the message names the file and says why."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    context: ssl.SSLContext
    leaf: x509.Certificate


class ServerCertificate:
    """A certificate that can be renewed while connections go on with the old one."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read the files.

        Raises:
            BadCertificate: (a ValueError) one of them cannot be used.
            UnsafeStorage: others may read the key.
        """
        self._certificate = certificate
        self._key = key
        self._loaded = self._load()

    @classmethod
    def named(cls, settings: Settings) -> Self | None:
        """The certificate of the settings, None for plain HTTP; raises as the constructor."""
        if bool(settings.tls_cert) != bool(settings.tls_key):
            raise BadCertificate("--tls-cert and --tls-key go together: give both, or none.")
        if not settings.tls_cert:
            return None
        return cls(Path(settings.tls_cert), Path(settings.tls_key))

    @property
    def context(self) -> ssl.SSLContext:
        """What the next connection is met with."""
        return self._loaded.context

    def reload(self) -> None:
        """Read the files again; what cannot be used is logged, and the old ones go on."""
        try:
            self._loaded = self._load()
        except (BadCertificate, UnsafeStorage, OSError) as problem:
            _log.error("certificate_not_renewed", error=str(problem))
        else:
            _log.info("certificate_renewed", expires=self._loaded.leaf.not_valid_after_utc)

    @property
    def hosts(self) -> Sequence[str]:
        """Every name and address that the certificate is for, as a URL writes them."""
        names, addresses = _names(self._loaded.leaf)
        return [*names, *(f"[{address}]" if ":" in address else address for address in addresses)]

    def host(self, bound: str) -> str:
        """The name under which a client on this machine finds the server.

        Args:
            bound: The address that the server listens on.
        """
        names, addresses = _names(self._loaded.leaf)
        if bound in addresses or bound in names:
            return bound
        if "localhost" in names:
            return "localhost"
        plain = [name for name in names if "*" not in name]
        return [*plain, *addresses, bound][0]

    @property
    def is_for_development(self) -> bool:
        """Whether it names localhost: what a browser is told to remember of that name holds for
        every other program on the machine too."""
        return "localhost" in _names(self._loaded.leaf)[0]

    @property
    def authority(self) -> Path | None:
        """`ca.pem` beside the certificate, where it has issued it."""
        path = self._certificate.absolute().with_name(AUTHORITY)
        try:
            authority = x509.load_pem_x509_certificate(path.read_bytes())
            self._loaded.leaf.verify_directly_issued_by(authority)
        except (OSError, ValueError, TypeError, InvalidSignature):
            return None
        return path

    def _load(self) -> _Loaded:
        certificate, key = _text(self._certificate), _text(self._key)
        if self._key.stat().st_mode & 0o007:
            raise UnsafeStorage(f"{self._key} can be read by others: run `chmod 600 {self._key}`.")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            pair, leaf = tls.read_pair(certificate, key, _WHAT)
            tls.load_pair(context, pair, _WHAT)
        except tls.BadIdentity as problem:
            raise BadCertificate(
                f"{self._certificate} and {self._key} cannot be used: {problem}."
            ) from None
        _check_dates(self._certificate, leaf)
        return _Loaded(context, leaf)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise BadCertificate(f"{path} cannot be read: {error.strerror}.") from None


def _check_dates(path: Path, leaf: x509.Certificate) -> None:
    """A certificate whose time is over is shown all the same: its clients say what they miss."""
    now, ends = datetime.now(UTC), leaf.not_valid_after_utc
    if ends < now:
        _log.warning("certificate_expired", file=str(path), expired=ends.isoformat())
    elif ends < now + _SOON:
        _log.warning("certificate_expires_soon", file=str(path), expires=ends.isoformat())


def _names(leaf: x509.Certificate) -> tuple[Sequence[str], Sequence[str]]:
    """The DNS names and the addresses of a certificate."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return (), ()
    addresses = names.get_values_for_type(x509.IPAddress)
    return (
        names.get_values_for_type(x509.DNSName),
        [str(address) for address in addresses if not isinstance(address, ipaddress.IPv4Network)],
    )
