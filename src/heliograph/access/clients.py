"""Who counts as one client where connections, wrong tokens and failed sign-ins are counted."""

from __future__ import annotations

import ipaddress
from typing import Final

_LONGEST_ADDRESS: Final = 64


def client_of(address: str) -> str:
    """Who counts as one client: an IPv4 address, or the /64 that one IPv6 user has."""
    if ":" not in address and "%" not in address:  # IPv4 as it is, or what a proxy wrote
        return address[:_LONGEST_ADDRESS]
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:_LONGEST_ADDRESS]  # what a proxy wrote
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
