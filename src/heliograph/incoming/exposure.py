"""Who can reach the server, and whether it may be reached like that (S14).

On this machine alone anything goes. Beyond it tokens must not cross the network in the clear,
the emulator's egress profile must not lead others to this machine's own services, and the
administrator's token must be one that nobody guesses. Heliograph makes such tokens itself;
only who wrote credentials.json by hand can have another one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from heliograph.access.credentials_file import FILE_NAME, Credentials
from heliograph.egress import Profile
from heliograph.model.checks import Check
from heliograph.settings import Settings

ACCEPT: Final = "--i-accept-exposure"

SHORTEST_TOKEN: Final = 22
"""Characters: 128 random bits in base64."""

_FEWEST_LETTERS: Final = 10
"""Different characters of a token; of a random one hardly any has so few."""


class Exposed(ValueError):
    """The server would be reachable in a way that nobody has accepted; says what to do."""


def is_local(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback


def exposure_check(settings: Settings) -> Check:
    """What `settings` expose, and whether that is accepted."""
    if is_local(settings.host):
        return Check("exposure", True, f"only this machine reaches {settings.host}")
    where = f"{settings.host or 'every address'} is reached from other machines"
    dangers = _dangers(settings)
    if not dangers:
        return Check("exposure", True, where)
    exposed = f"{where}: {'; '.join(what for what, _ in dangers)}"
    if settings.i_accept_exposure:
        return Check("exposure", True, f"{exposed} (accepted)")
    mend = "; ".join(dict.fromkeys(how for _, how in dangers))
    return Check("exposure", False, exposed, f"{mend}; or start with {ACCEPT}")


def refuse_exposure(settings: Settings) -> None:
    """Raises Exposed where the check fails."""
    check = exposure_check(settings)
    if not check.passed:
        raise Exposed(f"{check.found}. To mend: {check.mend}.")


def _dangers(settings: Settings) -> Sequence[tuple[str, str]]:
    """What is wrong, and how to mend it."""
    dangers = []
    if not settings.tls_cert and not settings.trusted_proxies:
        dangers.append(
            (
                "tokens would cross the network in the clear",
                "give --tls-cert and --tls-key, or name the proxy with TLS before this server "
                "in --trusted-proxies, or listen on 127.0.0.1",
            )
        )
    if settings.egress == Profile.EMULATOR.value:
        dangers.append(
            (
                "as the emulator it posts to this machine's own services for whoever may "
                "configure it",
                "choose --egress public or private, or listen on 127.0.0.1",
            )
        )
    if _has_weak_token(settings):
        dangers.append(
            (
                f"the token in {FILE_NAME} can be guessed",
                f"have Heliograph make another one: `heliograph tokens add`, and put it into "
                f"{FILE_NAME}",
            )
        )
    return dangers


def _has_weak_token(settings: Settings) -> bool:
    try:
        token = Credentials.read(settings.data_dir).access_token.reveal()
    except FileNotFoundError:
        return False  # the first start makes one
    return len(token) < SHORTEST_TOKEN or len(set(token)) < _FEWEST_LETTERS
