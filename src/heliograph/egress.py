"""Where Heliograph may connect to: URL grammar, ports, host names and address tables (S1).

Pure: nothing here resolves a name or opens a socket. The grammar comes first because URL
parsers and resolvers disagree about odd spellings (`0x7f.1`, full-width digits, a tab in
the name) and each of those has been made to mean 127.0.0.1 somewhere. The address tables
are our own because those of Python's `ipaddress` admit some of what is refused here and
change between its patch releases.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, Literal

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

URL_LENGTH: Final = 4096
"""Characters, which are ASCII: the longest URL that is accepted (DocuSign: 4,096 bytes)."""

# The Fetch standard's "bad port" list (https://fetch.spec.whatwg.org/#port-blocking) and,
# in the last line, three stores that take plain-text commands and would obey a POST.
# fmt: off
_BAD_PORTS: Final = frozenset((
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389,
    427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636,
    989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665,
    6666, 6667, 6668, 6669, 6679, 6697, 10080,
    6379, 11211, 27017,
))

# Last labels that never mean a public host: RFC 6761, 6762, 7686, 8375, 9476, and the names
# that offices and routers made their own (ICANN keeps them out of the root for that reason).
_LOCAL_SUFFIXES: Final = frozenset((
    "localhost", "local", "internal", "intranet", "private", "lan", "home", "corp",
    "localdomain", "arpa", "onion", "test", "invalid", "alt",
))
# fmt: on

_FORBIDDEN: Final = re.compile(r'[^!-~]|[\\<>"{}|^`#]')
_START: Final = re.compile(r"(https?)://([^/?]*)", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:]+))(?::([0-9]+))?")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
# Underscores are no host name characters but do occur, except in a top-level domain.
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_LAST_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_AFTER_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")
"""Path and query by RFC 3986; a fragment has no place in what is saved here."""

_ACE: Final = "xn--"
_NO_TEXT: Final = ("Cc", "Co", "Cs", "Zl", "Zp", "Zs")
"""Categories of Unicode: controls, private signs, halves of pairs, blanks."""
# What the WHATWG host parser, and glibc, would read as a part of an IPv4 address.
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


def _ranges(*rows: tuple[str, str]) -> tuple[tuple[Network, str], ...]:
    return tuple((ip_network(cidr), what) for cidr, what in rows)


# Never, whatever a profile names: an operator who opens 100.64.0.0/10 or fd00::/8 for a
# listener did not mean the credentials service of the cloud inside it. IPv6 addresses that
# carry an IPv4 address are here too: the inner address would be reached unchecked, and each
# has one plain spelling.
_NEVER: Final = _ranges(
    ("0.0.0.0/8", "an unspecified address"),
    ("169.254.0.0/16", "a link-local or metadata address"),
    ("100.100.100.200/32", "a metadata address"),
    ("168.63.129.16/32", "a metadata address"),
    ("192.0.0.192/32", "a metadata address"),
    ("224.0.0.0/4", "a multicast address"),
    ("240.0.0.0/4", "a reserved or broadcast address"),
    ("::/128", "an unspecified address"),
    ("fe80::/10", "a link-local address"),
    ("ff00::/8", "a multicast address"),
    ("fd00:ec2::/32", "a metadata address"),
    ("fd20:ce::254/128", "a metadata address"),
    ("fd00:42::42/128", "a metadata address"),
    ("::ffff:0:0/96", "an IPv4-mapped address"),
    ("::ffff:0:0:0/96", "an IPv4-translated address"),
    ("64:ff9b::/96", "a NAT64 address"),
    ("64:ff9b:1::/48", "a NAT64 address"),
    ("2002::/16", "a 6to4 address"),
    ("2001::/32", "a Teredo address"),
)
_OF_THIS_MACHINE: Final = "a loopback address"
_LOOPBACK: Final = _ranges(
    ("127.0.0.0/8", _OF_THIS_MACHINE),
    ("::1/128", _OF_THIS_MACHINE),
)
# `::/96`, the IPv4-compatible form, holds `::1`, so loopback must be looked at before it.
_COMPATIBLE: Final = _ranges(("::/96", "an IPv4-compatible address"))
# IANA's special-purpose registries (RFC 6890 and its updates) as of 2026.
_NOT_PUBLIC: Final = _ranges(
    ("10.0.0.0/8", "a private address"),
    ("100.64.0.0/10", "a carrier's shared address"),
    ("172.16.0.0/12", "a private address"),
    ("192.0.0.0/24", "a protocol assignment"),
    ("192.0.2.0/24", "a documentation address"),
    ("192.88.99.0/24", "a 6to4 relay address"),
    ("192.168.0.0/16", "a private address"),
    ("198.18.0.0/15", "a benchmarking address"),
    ("198.51.100.0/24", "a documentation address"),
    ("203.0.113.0/24", "a documentation address"),
    ("2001::/23", "a protocol assignment"),
    ("2001:db8::/32", "a documentation address"),
    ("3fff::/20", "a documentation address"),
)
_UNICAST_V6: Final = IPv6Network("2000::/3")


class Profile(StrEnum):
    """How far outbound connections may go; the operator chooses, never a tenant."""

    PUBLIC = "public"
    PRIVATE = "private"
    EMULATOR = "emulator"


Kind = Literal["url", "port", "addr"]


class Refused(ValueError):
    """The guard says no; the message says why and what to do.

    `kind` is "url" (grammar or host name), "port" or "addr".
    """

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Final = kind


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads: `host` is in lower case, an IPv6 literal without its brackets."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules of one profile.

    `networks` and `hosts` count in the `private` profile only. A host named there may have
    any name (one label, or a local suffix); the addresses it resolves to must still be
    public or in one of `networks`.
    """

    profile: Profile
    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    def check_url(self, url: str) -> Target:
        """Check a URL's grammar, host name, port and literal address, in this order.

        A name's addresses are not known here: each DNS answer goes to `check_address`.

        Raises:
            Refused: the URL may not be used.
        """
        scheme, literal, name, port_text = _split(url)
        if literal is not None:
            address: Address | None = _ipv6(literal)
            host = literal.lower()
        else:
            host = name.lower()
            address = _ipv4(host)
            if address is None:
                self._check_name(host)
        port = _port(port_text, scheme)
        if address is not None:
            self._check(address)
        return Target(scheme, host, port)

    def check_new_url(self, url: str) -> Target:
        """Check a URL that is to be saved: as `check_url`, and that it is a URI by RFC 3986.

        Not asked of what is stored: that was saved when less was asked, and is delivered to.

        Raises:
            Refused: the URL may not be used.
        """
        target = self.check_url(url)
        after_host = _START.sub("", url, count=1)
        if (at := wrong_in(after_host)) is not None:
            at += len(url) - len(after_host)
            raise Refused(
                "url",
                f"the URL has the character {url[at]!a} at position {at + 1}; percent-encode it, "
                "and let two hexadecimal digits follow each %.",
            )
        if (label := broken_label(target.host)) is not None:
            raise Refused("url", f"{label} of the host name stands for no text in punycode.")
        return target

    def check_address(self, address: str) -> None:
        """Check an address as text: a DNS answer, or what is about to be connected to.

        Raises:
            Refused: of kind "addr"; also for a zone id (`fe80::1%eth0`) and for text that
                is no address in its one strict spelling.
        """
        parsed: Address
        try:
            if ":" in address:
                if "%" in address:
                    raise ValueError
                parsed = IPv6Address(address)
            else:
                parsed = IPv4Address(address)
        except ValueError:
            raise Refused("addr", "this is not a plain IPv4 or IPv6 address.") from None
        self._check(parsed)

    def _check(self, address: Address) -> None:
        if (what := _found(address, _NEVER)) is not None:
            raise Refused(
                "addr",
                f"{address} is {what}, which every egress profile refuses; use the listener's "
                "public address.",
            )
        if (what := self._objection(address)) is not None:
            raise Refused(
                "addr",
                f"{address} is {what}, which the egress profile {self.profile} refuses; "
                f"use the listener's public address{self._remedy(what)}.",
            )

    def _objection(self, address: Address) -> str | None:
        """Why this profile refuses an address, in words; None when it does not."""
        if (what := _found(address, _LOOPBACK)) is not None:
            allowed = self.profile is Profile.EMULATOR or self._is_named(address)
            return None if allowed else what
        if (what := _found(address, _COMPATIBLE)) is not None:
            return what
        if self._is_named(address):
            return None
        if (what := _found(address, _NOT_PUBLIC)) is not None:
            return what
        if isinstance(address, IPv6Address) and address not in _UNICAST_V6:
            return "not a global unicast address"
        return None

    def _is_named(self, address: Address) -> bool:
        return self.profile is Profile.PRIVATE and any(
            address in network for network in self.networks
        )

    def _check_name(self, host: str) -> None:
        labels = host.split(".")
        _check_ldh(host, labels)
        if self.profile is Profile.PRIVATE and host in self.hosts:
            return
        if self.profile is Profile.EMULATOR and labels[-1] == "localhost":
            return
        if len(labels) == 1:
            raise Refused(
                "url",
                f"{host} is not a full host name; write it with its domain, such as "
                f"{host}.example.com{self._remedy(host)}.",
            )
        if labels[-1] in _LOCAL_SUFFIXES:
            raise Refused(
                "url",
                f"{host} is a local name, which the egress profile {self.profile} refuses; "
                f"use the listener's public name{self._remedy(host)}.",
            )

    def _remedy(self, what: str) -> str:
        """`what` is the host, or what its address is."""
        if self.profile is Profile.EMULATOR:
            return " or localhost"
        if what in (_OF_THIS_MACHINE, "localhost"):
            return ", or serve with --egress emulator to develop on this machine"
        return ", or ask the operator to admit it with the egress profile private"


def _split(url: str) -> tuple[str, str | None, str, str | None]:
    """The scheme, the IPv6 literal or None, the host name or IPv4 text, the port's text."""
    if len(url) > URL_LENGTH:
        raise Refused("url", f"the URL is longer than {URL_LENGTH:,} characters; shorten it.")
    if (bad := _FORBIDDEN.search(url)) is not None:
        raise Refused(
            "url",
            f"the URL has the character {bad.group()!a} at position {bad.start() + 1}; "
            "percent-encode it, leave a fragment out, and write a host name in its xn-- form.",
        )
    start = _START.match(url)
    if start is None:
        raise Refused("url", "the URL must begin with https:// or http:// and a host.")
    authority = start.group(2)
    if "@" in authority:
        raise Refused("url", "the URL holds a user name; leave out all before and with the @.")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise Refused(
            "url",
            "the URL's host must be a name, an IPv4 address or an IPv6 address in brackets, "
            "and may be followed by a colon and a port number.",
        )
    literal, name, port = parts.groups()
    return start.group(1).lower(), literal, name or "", port


def _port(text: str | None, scheme: str) -> int:
    if text is None:
        return 443 if scheme == "https" else 80
    if _PORT.fullmatch(text) is None or int(text) > 65535:
        raise Refused("url", "the URL's port must be 1 to 65535 without a leading zero.")
    port = int(text)
    if port in _BAD_PORTS:
        raise Refused(
            "port",
            f"port {port} belongs to another protocol than HTTP; let the listener use 443 or "
            "another port that browsers accept.",
        )
    return port


def _ipv6(literal: str) -> IPv6Address:
    try:
        return IPv6Address(literal)
    except ValueError:
        raise Refused(
            "url", f"[{literal}] is not an IPv6 address; write it as in [2001:db8::1]."
        ) from None


def _ipv4(host: str) -> IPv4Address | None:
    """The address that a host is; None when it is a name."""
    if _NUMBER.fullmatch(host.rpartition(".")[2]) is None:
        return None
    try:
        return IPv4Address(host)
    except ValueError:
        raise Refused(
            "url",
            f"{host} is neither a host name nor an IPv4 address; write an address as four "
            "decimal numbers of 0 to 255 without leading zeros.",
        ) from None


def _check_ldh(host: str, labels: Sequence[str]) -> None:
    well_formed = (
        len(host) <= 253
        and all(_LABEL.fullmatch(label) for label in labels)
        and _LAST_LABEL.fullmatch(labels[-1]) is not None
    )
    if not well_formed:
        raise Refused(
            "url",
            f"{host} is not a host name; write letters, digits and hyphens between single "
            "dots, without a dot at the end.",
        )


def _found(address: Address, ranges: Sequence[tuple[Network, str]]) -> str | None:
    return next((what for network, what in ranges if address in network), None)


def wrong_in(path_and_query: str) -> int | None:
    """The place of the first sign that no path and query has, or None."""
    found = _AFTER_HOST.match(path_and_query)
    end = 0 if found is None else found.end()
    return end if end < len(path_and_query) else None


def is_name(host: str) -> bool:
    """Whether a host in small letters is a name of letters, digits, hyphens and underscores."""
    return len(host) <= 253 and all(map(_LABEL.fullmatch, host.split(".")))


def broken_label(host: str) -> str | None:
    """The first label that begins as one in punycode and stands for no text (RFC 5891), or None."""
    return next((label for label in host.lower().split(".") if _is_broken(label)), None)


def _is_broken(label: str) -> bool:
    if not label.startswith(_ACE):
        return False
    encoded = label.removeprefix(_ACE)
    try:
        text = encoded.encode("ascii").decode("punycode")
        again = text.encode("punycode").decode("ascii")
    except (UnicodeError, ValueError, OverflowError):
        return True
    return (
        text.isascii()
        or again != encoded
        or text != text.lower()
        or not unicodedata.is_normalized("NFC", text)
        or any(unicodedata.category(sign) in _NO_TEXT for sign in text)
    )
