"""The outbound guard's rules (S1): grammar, ports, names, addresses, profiles."""

from __future__ import annotations

import string
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from unicodedata import normalize
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from heliograph.egress import Guard, Profile, Refused, Target, broken_label, is_name

PUBLIC = Guard(Profile.PUBLIC)
EMULATOR = Guard(Profile.EMULATOR)
PRIVATE = Guard(
    Profile.PRIVATE,
    tuple(
        ip_network(cidr)
        for cidr in ("10.20.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fd00::/8", "fe80::/10")
    ),
    frozenset({"crm", "hooks.corp"}),
)

NO_V4 = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24
    224.0.0.0/4 240.0.0.0/4 168.63.129.16/32
"""
NO_V6 = """
    ::/128 ::1/128 ::/96 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64
    2001::/23 2001:db8::/32 2002::/16 3fff::/20 4000::/3 5f00::/16 fc00::/7 fe80::/10 fec0::/10
    ff00::/8
"""

BESIDE = """
    1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
    168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0
    191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0
    198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0
    223.255.255.255 2000:: 2001:200:: 2001:db7:ffff:: 2001:db9:: 2003:: 3ffe:ffff::
    3fff:1000:: 2606:4700::1
"""
NOT_NAMED = """
    10.19.255.255 10.21.0.1 192.168.0.1 127.0.0.1 ::1 168.63.129.16 2001:db8::1
"""
NEVER = """
    0.0.0.0 169.254.169.254 169.254.0.1 100.100.100.200 168.63.129.16 224.0.0.1 239.1.1.1
    255.255.255.255 :: fe80::1 fe80::a9fe:a9fe ff02::1 fd00:ec2::23 fd00:ec2::254 fd20:ce::254
    fd00:42::42 ::ffff:10.0.0.1
"""
NO_ADDRESS = """
    hooks.example.org 127.1 1.1.1.01 0x1.1.1.1 \uff11.1.1.1 [2a00::1] 2a00::1%eth0 fe80::1%1
    2a00::1% ::ffff:8.8.8.8 1.1.1.1:80 2a00:::1
"""
LOCAL = """
    localhost local internal intranet private lan home corp localdomain home.arpa arpa onion
    test invalid alt
"""
HERE = """
    http://localhost:3000/ http://LocalHost/ https://shop.localhost/ http://[::1]:81/
    http://127.0.0.1:8080/ http://127.255.255.255/ https://hooks.example.org/
"""


def verdict(guard: Guard, url: str) -> str:
    """What the guard says of a URL, in one word."""
    try:
        guard.check_url(url)
    except Refused as refusal:
        return refusal.kind
    return "allow"


def admits(guard: Guard, address: str) -> bool:
    """Whether the guard lets an address be connected to."""
    try:
        guard.check_address(address)
    except Refused as refusal:
        return {"addr": False}[refusal.kind]
    return True


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://hooks.example.org", Target("https", "hooks.example.org", 443)),
        ("http://hooks.example.org?x=1", Target("http", "hooks.example.org", 80)),
        ("HtTpS://HOOKS.example.Org:8443/A", Target("https", "hooks.example.org", 8443)),
        ("https://1.1.1.1:65535/", Target("https", "1.1.1.1", 65535)),
        ("https://[2A00:1450::68]/", Target("https", "2a00:1450::68", 443)),
        ("https://[2a00:1450::68]:444/", Target("https", "2a00:1450::68", 444)),
        ("https://x_1.hooks-2.example.org/", Target("https", "x_1.hooks-2.example.org", 443)),
        ("https://0x7f.example.cafe/", Target("https", "0x7f.example.cafe", 443)),
        ("https://h.xn--p1ai/?to=http://a@b:1/[c]", Target("https", "h.xn--p1ai", 443)),
        ("https://local.example.org/", Target("https", "local.example.org", 443)),
    ],
)
def test_s1_a_plain_public_url_leads_where_it_says(url: str, target: Target) -> None:
    assert PUBLIC.check_url(url) == target


@pytest.mark.parametrize("mark", [*'\\<>"{}|^`# \t\r\n\x00\x7f', "é", "\uff0f", "\u200b", "\ud800"])
@pytest.mark.parametrize("where", ["http://a{}b.example.org/", "http://a.example.org/x{}y", "{}"])
def test_s1_characters_that_parsers_read_differently_are_refused(mark: str, where: str) -> None:
    assert verdict(EMULATOR, where.replace("{}", mark)) == "url"


@pytest.mark.parametrize(
    "url",
    [
        # no absolute http URL
        *("", "/hook", "hooks.example.org", "//hooks.example.org/", "http:hooks.example.org"),
        *("http:/hooks.example.org/", "http:///hooks.example.org/", "http://", "http://?a"),
        *("ftp://hooks.example.org/", "file:///etc/passwd", "wss://hooks.example.org/"),
        # user names and percent signs before the path
        *("http://user@hooks.example.org/", "http://u:p@hooks.example.org/", "http://@h.org/"),
        *("http://hooks%2eexample.org/", "http://1.1.1.1%2f.example.org/"),
        # ports
        *("http://h.example.org:/", "http://h.example.org:0/", "http://h.example.org:080/"),
        *("http://h.example.org:65536/", "http://h.example.org:+80/", "http://h.example.org:8a/"),
        *("http://h.example.org:80:80/", "http://:80/", "http://h.example.org:99999999999/"),
        # brackets
        *("http://[::1/", "http://::1/", "http://[]/", "http://[1.1.1.1]/", "http://[v7.a]/"),
        *("http://[2a00::1%25eth0]/", "http://[2a00::1%eth0]/", "http://[2a00::1]x/"),
        *("http://x[2a00::1]/", "http://[2a00::1::2]/", "http://[2a00::1]:/"),
        # numbers that resolvers read as addresses
        *("http://2130706433/", "http://0x7f000001/", "http://0x/", "http://127.1/"),
        *("http://1.1.1/", "http://01.1.1.1/", "http://1.1.1.256/", "http://1.1.1.1.1/"),
        *("http://1.1.1.1./", "http://1.1.1.0x1/", "http://hooks.example.42/"),
        *("http://hooks.example.0X2A/",),
        # names that are no full LDH names
        *("http://hooks/", "http://hooks..example.org/", "http://.example.org/"),
        *("http://example.org./", "http://-a.example.org/", "http://a-.example.org/"),
        *("http://a.example._org/", "http://a+b.example.org/", "http://a,b.example.org/"),
        *(f"http://{'a' * 64}.example.org/", f"http://{'a.' * 127}org/"),
    ],
)
def test_s1_urls_outside_the_grammar_are_refused(url: str) -> None:
    assert verdict(PUBLIC, url) == "url"
    assert verdict(PRIVATE, url) == "url"


def test_fidelity_urls_of_4096_bytes_s1_and_no_more() -> None:
    start = "https://hooks.example.org/"
    assert verdict(PUBLIC, start + "a" * (4096 - len(start))) == "allow"
    assert verdict(PUBLIC, start + "a" * (4097 - len(start))) == "url"


@pytest.mark.parametrize("suffix", LOCAL.split())
def test_s1_local_names_are_refused_when_they_are_saved(suffix: str) -> None:
    assert verdict(PUBLIC, f"https://hooks.example.{suffix.upper()}/") == "url"
    assert verdict(PUBLIC, f"https://{suffix}/") == "url"
    assert verdict(PUBLIC, f"https://{suffix}.example.org/") == "allow"


@pytest.mark.parametrize(
    "port", [1, 7, 22, 25, 53, 110, 143, 465, 587, 993, 2049, 4190, 6000, 6379, 6667, 6679, 6697]
)
def test_s1_ports_of_other_protocols_are_refused(port: int) -> None:
    assert verdict(PUBLIC, f"http://hooks.example.org:{port}/") == "port"
    assert verdict(EMULATOR, f"http://127.0.0.1:{port}/") == "port"


@pytest.mark.parametrize("port", [10080, 11211, 27017, 5060, 1720])
def test_s1_high_ports_of_other_protocols_are_refused(port: int) -> None:
    assert verdict(PUBLIC, f"https://hooks.example.org:{port}/") == "port"


@pytest.mark.parametrize("port", [80, 81, 443, 3000, 5000, 8000, 8080, 8443, 9000, 65535])
def test_s1_usual_web_ports_are_admitted(port: int) -> None:
    assert verdict(PUBLIC, f"https://hooks.example.org:{port}/") == "allow"


@pytest.mark.parametrize("cidr", (NO_V4 + NO_V6).split())
def test_s1_both_ends_of_a_refused_range_are_refused(cidr: str) -> None:
    network = ip_network(cidr)
    for address in (network.network_address, network.broadcast_address):
        assert not admits(PUBLIC, str(address))
        literal = f"[{address}]" if network.version == 6 else str(address)
        assert verdict(PUBLIC, f"https://{literal}/hook") == "addr"


@pytest.mark.parametrize("address", BESIDE.split())
def test_s1_addresses_beside_a_refused_range_are_admitted(address: str) -> None:
    assert admits(PUBLIC, address)


@pytest.mark.parametrize("text", ["", " 1.1.1.1", *NO_ADDRESS.split()])
def test_s1_text_that_is_no_plain_address_is_refused_as_a_dns_answer(text: str) -> None:
    assert not admits(PUBLIC, text)
    assert not admits(EMULATOR, text)


@given(st.sampled_from(NO_V4.split()), st.integers(0, 2**32 - 1))
def test_s1_a_refused_ipv4_address_is_refused_in_every_embedding(cidr: str, seed: int) -> None:
    network = IPv4Network(cidr)
    inner = int(network.network_address) + seed % network.num_addresses
    everything = Guard(Profile.PRIVATE, (ip_network("::/0"),))
    assert not admits(PUBLIC, str(IPv4Address(inner)))
    for outer in (
        inner,  # IPv4-compatible
        0xFFFF << 32 | inner,  # mapped
        0xFFFF << 48 | inner,  # translated
        0x64FF9B << 96 | inner,  # NAT64
        0x64FF9B_0001 << 80 | inner,  # NAT64 of the local network
        0x2002 << 112 | inner << 80 | 1,  # 6to4
        0x2001_0000 << 96 | 0xFFFFFFFF ^ inner,  # Teredo
    ):
        address = IPv6Address(outer)
        assert not admits(PUBLIC, str(address))
        assert not admits(PUBLIC, address.exploded)
        assert verdict(PUBLIC, f"http://[{address}]/") == "addr"
        if outer != 1:  # ::1 is loopback, which an operator may name
            assert not admits(everything, str(address))


@given(st.sampled_from(["::/8", "2002::/16", "64:ff9b::/32"]), st.integers(0, 2**128 - 1))
def test_s1_ranges_that_carry_ipv4_are_refused_whatever_they_carry(cidr: str, seed: int) -> None:
    network = IPv6Network(cidr)
    address = IPv6Address(int(network.network_address) + seed % network.num_addresses)
    assert not admits(PUBLIC, str(address))
    assert verdict(PUBLIC, f"https://[{address}]:8443/") == "addr"


@pytest.mark.parametrize("address", ["10.20.0.1", "100.64.0.1", "fd12::1", "1.1.1.1", "2a00::1"])
def test_s1_the_private_profile_admits_the_networks_that_the_operator_names(address: str) -> None:
    assert admits(PRIVATE, address)


@pytest.mark.parametrize("address", (NOT_NAMED + NEVER).split())
def test_s1_the_private_profile_admits_nothing_else(address: str) -> None:
    assert not admits(PRIVATE, address)


@pytest.mark.parametrize("address", NEVER.split())
def test_s1_no_named_network_opens_metadata_link_local_or_multicast(address: str) -> None:
    everything = Guard(Profile.PRIVATE, (ip_network("0.0.0.0/0"), ip_network("::/0")))
    assert not admits(everything, address)
    assert admits(everything, "10.0.0.1")
    assert admits(everything, "fd12::1")
    assert admits(everything, "127.0.0.1")


def test_s1_the_private_profile_admits_the_host_names_that_the_operator_names() -> None:
    assert verdict(PRIVATE, "http://CRM/hook") == "allow"
    assert verdict(PRIVATE, "http://hooks.corp/hook") == "allow"
    assert verdict(PRIVATE, "http://a.hooks.corp/hook") == "url"
    assert verdict(PRIVATE, "http://erp/hook") == "url"
    assert verdict(PRIVATE, "http://crm:22/hook") == "port"


@pytest.mark.parametrize("profile", [Profile.PUBLIC, Profile.EMULATOR])
def test_s1_named_networks_and_hosts_count_in_the_private_profile_only(profile: Profile) -> None:
    guard = Guard(profile, PRIVATE.networks, PRIVATE.hosts)
    assert not admits(guard, "10.20.0.1")
    assert verdict(guard, "http://crm/") == "url"


@pytest.mark.parametrize("url", HERE.split())
def test_s1_the_emulator_profile_admits_this_machine(url: str) -> None:
    assert verdict(EMULATOR, url) == "allow"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://10.0.0.1/", "addr"),
        ("http://192.168.1.1/", "addr"),
        ("http://[fd12::1]/", "addr"),
        ("http://[::ffff:127.0.0.1]/", "addr"),
        ("http://[::2]/", "addr"),
        ("http://0.0.0.0/", "addr"),
        ("http://169.254.169.254/", "addr"),
        ("http://127.1/", "url"),
        ("http://localhost./", "url"),
        ("http://ip6-localhost/", "url"),
        ("http://localhost.localdomain/", "url"),
        ("http://printer/", "url"),
    ],
)
def test_s1_the_emulator_profile_admits_no_other_private_place(url: str, kind: str) -> None:
    assert verdict(EMULATOR, url) == kind


@pytest.mark.parametrize(
    ("guard", "url", "advice"),
    [
        (PUBLIC, "http://10.0.0.1/", "10.0.0.1 is a private address"),
        (PUBLIC, "http://10.0.0.1/", "ask the operator"),
        (
            *(PUBLIC, "http://127.0.0.1/"),
            r"address, or serve with --egress emulator to develop on this machine\.$",
        ),
        (PUBLIC, "http://[::1]/", "or serve with --egress emulator"),
        (PUBLIC, "http://localhost/", "or serve with --egress emulator"),
        (EMULATOR, "http://printer/", "or localhost"),
        (PUBLIC, "http://hooks.example.org:25/", "let the listener use 443"),
        (PUBLIC, "http://hooks.example.org/#x", "leave a fragment out"),
        (PUBLIC, "http://169.254.169.254/", "every egress profile refuses"),
    ],
)
def test_s1_a_refusal_says_what_is_wrong_and_what_to_do(
    guard: Guard, url: str, advice: str
) -> None:
    with pytest.raises(Refused, match=advice):
        guard.check_url(url)


# Drawn as whole pieces: text drawn by the character costs ten times as much, and says less.
ASK = ", or ask the operator to admit it with the egress profile private."
PUBLIC_ADDRESS = "which the egress profile public refuses; use the listener's public address"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "https://x.example.com/" + "a" * 4096,
            "the URL is longer than 4,096 characters; shorten it.",
        ),
        (
            "https://a.example.com/\u00e4",
            "the URL has the character '\\xe4' at position 23; percent-encode it, leave a fragment "
            "out, and write a host name in its xn-- form.",
        ),
        ("ftp://example.com/", "the URL must begin with https:// or http:// and a host."),
        (
            "https://me@example.com/",
            "the URL holds a user name; leave out all before and with the @.",
        ),
        (
            "https://a:b:c/",
            "the URL's host must be a name, an IPv4 address or an IPv6 address in brackets, and "
            "may be followed by a colon and a port number.",
        ),
        (
            "https://example.com:0443/",
            "the URL's port must be 1 to 65535 without a leading zero.",
        ),
        (
            "https://example.com:22/",
            "port 22 belongs to another protocol than HTTP; let the listener use 443 or another "
            "port that browsers accept.",
        ),
        (
            "https://256.0.0.1/",
            "256.0.0.1 is neither a host name nor an IPv4 address; write an address as four "
            "decimal numbers of 0 to 255 without leading zeros.",
        ),
        ("https://[1:2]/", "[1:2] is not an IPv6 address; write it as in [2001:db8::1]."),
        (
            "https://-a.example.com/",
            "-a.example.com is not a host name; write letters, digits and hyphens between single "
            "dots, without a dot at the end.",
        ),
        (
            "https://crm/",
            "crm is not a full host name; write it with its domain, such as crm.example.com" + ASK,
        ),
        (
            "https://crm.corp/",
            "crm.corp is a local name, which the egress profile public refuses; use the "
            "listener's public name" + ASK,
        ),
        ("https://10.0.0.1/", f"10.0.0.1 is a private address, {PUBLIC_ADDRESS}{ASK}"),
        ("https://[4000::1]/", f"4000::1 is not a global unicast address, {PUBLIC_ADDRESS}{ASK}"),
        (
            "https://169.254.0.1/",
            "169.254.0.1 is a link-local or metadata address, which every egress profile refuses; "
            "use the listener's public address.",
        ),
    ],
)
def test_s1_each_refusal_reads_as_a_person_is_meant_to_read_it(url: str, said: str) -> None:
    with pytest.raises(Refused) as caught:
        PUBLIC.check_url(url)
    assert str(caught.value) == said


def test_s1_the_emulator_profile_names_localhost_as_the_way_out() -> None:
    with pytest.raises(Refused) as caught:
        EMULATOR.check_url("https://crm.corp/")
    assert str(caught.value) == (
        "crm.corp is a local name, which the egress profile emulator refuses; use the listener's "
        "public name or localhost."
    )


def test_s1_a_dns_answer_that_is_no_address_is_told_so() -> None:
    with pytest.raises(Refused, match=r"^this is not a plain IPv4 or IPv6 address\.$"):
        PUBLIC.check_address("010.0.0.1")


def test_s1_a_host_name_has_253_characters_at_most() -> None:
    longest = ".".join(["a" * 60] * 3 + ["b" * 58, "example.com"])
    assert len(longest) == 253
    assert PUBLIC.check_url(f"https://{longest}/").host == longest
    assert verdict(PUBLIC, f"https://a{longest}/") == "url"


PLAIN_URLS = (
    "https://hooks.example.org/connect",
    "HTTP://A.b-c.example.co:8080/x?y=z",
    "http://1.1.1.1/",
    "https://[2a00:1450::68]:8443/a",
)
PIECES = (
    *string.ascii_lowercase[:7],
    *string.digits,
    *string.punctuation,
    *string.whitespace,
    *("http", "https", "HTTP", "://", ":/", "//", "[::1]", "[2a00::1]", "127.0.0.1", "1.1.1.1"),
    *("0x7f", "017", "localhost", "example.org", ".org", "..", "%2f", "%00", "xn--", ":80", ":080"),
    *("\u3002", "\uff0e", "\uff11", "\xad", "\u200b", "\u212a", "\u017f", "\u2488", "\x00", "\x7f"),
)


def put(url: str, changes: list[tuple[int, int, str]]) -> str:
    for place, taken, piece in changes:
        at = place % (len(url) + 1)
        url = url[:at] + piece + url[at + taken :]
    return url


ANY_URL = st.one_of(
    st.builds(
        put,
        st.sampled_from(PLAIN_URLS),
        st.lists(
            st.tuples(st.integers(0, 40), st.integers(0, 3), st.sampled_from(PIECES)),
            min_size=1,
            max_size=3,
        ),
    ),
    st.lists(st.sampled_from(PIECES), max_size=9).map(lambda some: "http://" + "".join(some)),
)


@given(ANY_URL)
@example("https://hooks.example.org/")
@example("HTTPS://Hooks.Example.org:8443?a@b:c/[d]")
@example("http://[2A00::68]:8080")
@example("http://1.1.1.1//@10.0.0.1:80/")
def test_s1_what_is_admitted_means_the_same_to_every_parser(url: str) -> None:
    try:
        target = PUBLIC.check_url(url)
    except Refused:
        return
    theirs, plain = URL(url, encoded=True), urlsplit(url)
    default = {"http": 80, "https": 443}[plain.scheme]
    assert (plain.scheme, plain.hostname, plain.port or default) == (
        target.scheme,
        target.host,
        target.port,
    )
    assert theirs.raw_host is not None
    assert (theirs.scheme, theirs.raw_host.lower(), theirs.port) == (
        target.scheme,
        target.host,
        target.port,
    )
    assert theirs.user is None
    assert theirs.password is None


# ------------------------------------------------------------------------------ what is saved


@pytest.mark.parametrize(
    "url",
    [
        "https://h.example.org/%7e/a%2Fb?c=%C3%A9",
        "https://h.example.org?x=/?",
        "https://h.example.org:8443/a;b,c!$&'()*+=@:-._~",
        "https://xn--bcher-kva.example.org/",
        "https://XN--Bcher-KVA.example.org/",
        "https://xn--ls8h.la/",  # signs that IDNA 2008 has not, but registries have
        "https://r1---a.example.org/",
        "https://xn--p1ai.xn--p1ai/",
    ],
)
def test_s1_a_uri_may_be_saved(url: str) -> None:
    assert PUBLIC.check_new_url(url) == PUBLIC.check_url(url)


@pytest.mark.parametrize(
    "after",
    [
        *("/%zz", "/%", "/a%", "/%4", "/%4/", "/%G0", "/%%20", "/?%", "/?a=%u0041", "?%2", "/%-1"),
        *("/[a]", "/?a[]=1", "/a[", "/]", "/?to=http://[a]"),
    ],
)
def test_s1_what_is_no_uri_by_rfc_3986_is_not_saved_and_is_delivered_to_where_it_was(
    after: str,
) -> None:
    url = f"https://hooks.example.org{after}"
    with pytest.raises(Refused, match="percent-encode") as refused:
        PUBLIC.check_new_url(url)
    assert refused.value.kind == "url"
    assert verdict(PUBLIC, url) == "allow"


def test_s1_a_sign_that_no_uri_has_is_told_with_its_place_in_the_whole_url() -> None:
    url = "https://hooks.example.org:8443/a%zz"
    with pytest.raises(Refused) as refused:
        PUBLIC.check_new_url(url)
    assert str(refused.value) == (
        f"the URL has the character '%' at position {url.index('%') + 1}; percent-encode it, and "
        "let two hexadecimal digits follow each %."
    )


@pytest.mark.parametrize(
    ("host", "name"),
    [
        *(("crm", True), ("a.b-c.x_1.example", True), ("a..b", False), ("", False), ("a.", False)),
        *(("-a.example", False), ("a b.example", False), ("[::1]", False)),
        *((f"{'a.' * 126}a", True), (f"{'a.' * 126}ab", False), (f"{'a' * 64}.example", False)),
    ],
)
def test_a_host_name_is_labels_between_single_dots_and_has_253_characters_at_most(
    host: str, name: bool
) -> None:
    assert is_name(host) is name


def test_a_label_that_is_ascii_in_disguise_is_broken_also_where_no_host_could_have_it() -> None:
    assert broken_label("a.XN--abc-.example.org") == "xn--abc-"
    assert broken_label("a.xn--bcher-kva.example.org") is None


@pytest.mark.parametrize(
    "label",
    [
        # Nothing, no punycode, ASCII in disguise, another spelling, an overflow.
        *("xn--", "xn---", "xn--0", "xn--a", "xn--abc-", "xn--abc", "xn--zzzzzz99999999"),
        *("xn--a-0", "XN--0", "xn--bcher-kva0", "xn--99999999"),
        # A capital letter, a combining mark apart, a blank, half of a pair.
        *("xn--bcher-2pa", "xn--e-xbb", "xn--a-4ba", "xn--a-9fn", "xn--a-rc4g"),
    ],
)
@pytest.mark.parametrize("host", ["{}.example.org", "a.{}.example.org", "example.{}"])
def test_s1_a_name_in_punycode_that_stands_for_no_text_is_not_saved(label: str, host: str) -> None:
    with pytest.raises(Refused, match=r"punycode|not a host name") as refused:
        PUBLIC.check_new_url(f"https://{host.format(label)}/")
    assert refused.value.kind == "url"


@given(st.text(st.characters(min_codepoint=0xA1, categories=["Ll", "Lo"]), min_size=1, max_size=6))
def test_s1_whatever_letters_were_encoded_may_be_saved(text: str) -> None:
    text = normalize("NFC", text).lower()
    label = "xn--" + text.encode("punycode").decode()
    if normalize("NFC", text) == text and text == text.lower() and len(label) <= 63:
        assert PUBLIC.check_new_url(f"https://{label}.example.org/")
