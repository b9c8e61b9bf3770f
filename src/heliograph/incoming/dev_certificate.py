"""A local certificate authority and a server certificate, to develop with over HTTPS."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from heliograph import files
from heliograph.incoming.certificate import AUTHORITY

ALWAYS: Final = ("localhost", "127.0.0.1", "::1")
"""The names of every certificate."""

DAYS: Final = 365

_AUTHORITY_DAYS: Final = 3650
_SKEW: Final = timedelta(hours=1)
"""A client's clock may be slow."""

_NAME: Final = re.compile(r"(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


class CannotIssue(ValueError):
    """No certificate can be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Issued:
    """The files, and whether the authority is new."""

    authority: Path
    certificate: Path
    key: Path
    hosts: tuple[str, ...]
    expires: datetime
    new_authority: bool


def issue(folder: Path, hosts: Sequence[str] = (), days: int = DAYS) -> Issued:
    """Make a server certificate in a folder, and the authority that signs it if there is none.

    Args:
        folder: Where the files are; the keys get mode 0600.
        hosts: Further names and addresses of the server.
        days: How long the certificate is valid.

    Raises:
        CannotIssue: (a ValueError) a host that is none, or an authority that cannot sign.
        OSError: a file cannot be read or written.
    """
    names = tuple(dict.fromkeys((*ALWAYS, *hosts)))
    alternatives = [_alternative(name) for name in names]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = datetime.now(UTC).replace(microsecond=0)
    authority, key, new = _authority(folder, now)
    expires = now + timedelta(days=days)
    if expires > authority.not_valid_after_utc:
        raise CannotIssue(
            f"{folder / AUTHORITY} ends on {authority.not_valid_after_utc:%Y-%m-%d}: delete it to "
            "have a new one made."
        )
    own = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder("Heliograph on this machine", authority.subject, own.public_key(), now, expires)
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(x509.SubjectAlternativeName(alternatives), False)
        .add_extension(_usage(signs=False), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    issued = Issued(
        authority=folder / AUTHORITY,
        certificate=folder / "server.pem",
        key=folder / "server.key",
        hosts=names,
        expires=expires,
        new_authority=new,
    )
    pair = {issued.key: _key_pem(own), issued.certificate: certificate.public_bytes(Encoding.PEM)}
    with files.room(issued.key) as room:
        _write(room, pair)
        for path in pair:
            room.replace(path.name)
        room.flush()
    return issued


def _authority(
    folder: Path, now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey, bool]:
    path, key_path = folder / AUTHORITY, folder / "ca.key"
    with files.room(path, again=True) as room:
        found = {each.name for each in (path, key_path) if each.exists()}
        if len(found) == 2:
            return *_known(path, key_path), False
        if found - room.placed_before:
            raise CannotIssue(f"{folder} has only one of {path.name} and {key_path.name}.")
        certificate, key = _new_authority(now)
        pair = {key_path: _key_pem(key), path: certificate.public_bytes(Encoding.PEM)}
        _write(room, pair)
        for each in pair:
            room.place(each.name)
        room.flush()
    return certificate, key, True


def _known(path: Path, key_path: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        key = load_pem_private_key(key_path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise CannotIssue(f"The authority in {path.parent} cannot be read: {error}.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != (
        certificate.public_key()
    ):
        raise CannotIssue(f"{key_path} is not the key of {path}.")
    return certificate, key


def _new_authority(now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = f"Heliograph development CA {now:%Y-%m-%d %H:%M:%S}"
    ends = now + timedelta(days=_AUTHORITY_DAYS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        _builder(name, subject, key.public_key(), now, ends)
        .add_extension(x509.BasicConstraints(True, 0), True)
        .add_extension(_usage(signs=True), True)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _write(room: files.Room, texts: Mapping[Path, bytes]) -> None:
    for path, text in texts.items():
        with room.new(path.name, 0o600 if path.suffix == ".key" else 0o644) as file:
            file.write(text)


def _builder(
    name: str,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    expires: datetime,
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(expires)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not _NAME.fullmatch(host):
            raise CannotIssue(
                f"A host is a name in ASCII or an address, such as hg.test, not {host!r}."
            ) from None
        return x509.DNSName(host)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
