"""Where clients find this server, and what it may be called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from heliograph.egress import Profile
from heliograph.incoming.certificate import ServerCertificate
from heliograph.settings import Settings

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """Where clients find this server; `listens` is how those of this machine call it."""

    settings: Settings
    listens: str
    certificate: ServerCertificate | None

    @property
    def base_uri(self) -> str:
        """Where clients are told that it is."""
        return self.settings.public_url or self.listens

    @property
    def secure(self) -> bool:
        """Whether clients come over HTTPS."""
        return self.base_uri.startswith("https:")

    def audiences(self) -> frozenset[str]:
        """What an assertion's `aud` may be: the host and port of this server, never what a
        request says that it is called (J3). The certificate may have changed."""
        if self.settings.public_url:
            return _with_default_port({urlsplit(self.settings.public_url).netloc})
        url = urlsplit(self.listens)
        host = self.settings.host
        hosts = {url.netloc.rpartition(":")[0], f"[{host}]" if ":" in host else host}
        if self.certificate is not None:
            hosts |= {name for name in self.certificate.hosts if "*" not in name}
        elif host in _LOOPBACK:
            hosts.add("localhost")
        return _with_default_port({f"{name}:{url.port}" for name in hosts})

    @property
    def once(self) -> bool:
        """Whether an assertion brings one token, and no more (J7)."""
        chosen = self.settings.assertions
        if chosen == "auto":
            return self.settings.egress != Profile.EMULATOR
        return chosen == "once"


def _with_default_port(hosts: set[str]) -> frozenset[str]:
    return frozenset(hosts | {host.removesuffix(":443") for host in hosts})


def base_uri_of(host: str, port: int, certificate: ServerCertificate | None) -> str:
    """How this machine's clients call a server that listens on `host` and `port`."""
    scheme = "http"
    if certificate is not None:
        scheme, host = "https", certificate.host(host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
