"""What one client may take of the server (S13)."""

from __future__ import annotations

import ipaddress
import resource
from dataclasses import dataclass
from typing import Final

import structlog

from heliograph.settings import Settings

MOST_HEAD: Final = 16 * 1024
"""Bytes of a request's first line and headers."""

MOST_TOLD: Final = 1000
"""Characters of log about an exception of the door's: whoever finds a way to one can take it
again and again."""

_OTHER_DESCRIPTORS: Final = 128
"""The database, the log, resolver threads' sockets, connections that are one too many, and the
like."""

_OF_AN_ATTEMPT: Final = 2
"""Its connection, and the descriptor by which an early answer is read once that is closed."""

_FEWEST_CONNECTIONS: Final = 16

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Bounds:
    """Times are seconds."""

    head_timeout: float
    body_timeout: float
    idle_timeout: float
    connections: int
    connections_per_address: int
    proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()


def bounds_from(settings: Settings) -> Bounds:
    """The bounds that the settings ask for, as far as the process has descriptors for them."""
    return Bounds(
        settings.head_timeout,
        settings.body_timeout,
        settings.idle_timeout,
        _affordable(settings.connections, settings.in_flight),
        settings.connections_per_address,
        proxies_from(settings),
    )


def proxies_from(
    settings: Settings,
) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """The networks of `trusted_proxies`.

    Raises:
        ValueError: one of them is neither an address nor a network.
    """
    parts = (part.strip() for part in settings.trusted_proxies.split(","))
    try:
        return tuple(ipaddress.ip_network(part) for part in parts if part)
    except ValueError as error:
        raise ValueError(f"--trusted-proxies takes addresses and CIDRs: {error}.") from None


def _affordable(wanted: int, in_flight: int) -> int:
    """How many connections fit beside the attempts; raises the soft limit where it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    others = _OF_AN_ATTEMPT * in_flight + _OTHER_DESCRIPTORS
    needed = wanted + others
    if hard == resource.RLIM_INFINITY or hard >= needed:
        if soft != resource.RLIM_INFINITY and soft < needed:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        return wanted
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    affordable = min(wanted, max(_FEWEST_CONNECTIONS, hard - others))
    _log.warning("few_descriptors", limit=hard, connections=affordable, wanted=wanted)
    return affordable
