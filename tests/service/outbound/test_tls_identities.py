"""TLS identities against real listeners: what is told, what is offered, what is kept apart."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from heliograph.model.accounts import Secret
from heliograph.model.configurations import TlsIdentity
from heliograph.model.deliveries import Answer, Fault, Phase
from heliograph.outbound import tls
from heliograph.outbound.pools import Hasty, Pool, Pools
from heliograph.outbound.transport import Budget, Transport
from tests.busy import hang
from tests.pki import Authority, Pair, resetting, secured, serving
from tests.scripted import BODY, EMULATOR, HEADERS, fault, keep_answering, listening

Run = Callable[[Coroutine[Any, Any, Answer | Fault]], Answer | Fault]

both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])

ROOTED = Authority("Trusted by the system")
OWN = Authority("A company's own")
CLIENTS = Authority("Of clients")
SELF = Authority("localhost")


@pytest.fixture(autouse=True)
def system_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system trusts one authority and no other."""
    file = tmp_path / "system.pem"
    file.write_text(ROOTED.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))


async def post(url: str, identity: TlsIdentity | None = None) -> Answer | Fault:
    async with Transport(EMULATOR, Budget()) as transport:
        return await transport.post(url, HEADERS, BODY, identity)


BAD: dict[str, tuple[Pair, str]] = {
    "expired": (
        ROOTED.pair("localhost", days=(-9, -1)),
        "the listener's certificate has expired",
    ),
    "not yet valid": (
        ROOTED.pair("localhost", days=(1, 9)),
        "the listener's certificate is not valid yet",
    ),
    "wrong host": (
        ROOTED.pair("hooks.example.org"),
        "the listener's certificate is not for the name localhost",
    ),
    "self-signed": (
        SELF.pair("localhost", key=SELF.key),
        "the listener's certificate is self-signed",
    ),
    "unknown CA": (
        OWN.pair("localhost"),
        "the listener's certificate comes from an unknown CA, or the listener does not send "
        "the intermediate certificate",
    ),
}


@both_loops
@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("identity", [None, CLIENTS.pair("a").identity(CLIENTS.certificate)])
def test_s5_f18_a_listener_whose_certificate_does_not_hold_gets_nothing(
    case: str, run: Run, identity: TlsIdentity | None, tmp_path: Path
) -> None:
    pair, what = BAD[case]
    with secured(serving(pair, tmp_path)) as listener:
        assert fault(run(post(listener.url, identity))) == (Phase.TLS, what)
    assert listener.requests == []


@both_loops
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_s5_f18_tls_below_1_2_is_refused(version: ssl.TLSVersion, run: Run, tmp_path: Path) -> None:
    with secured(serving(ROOTED.pair("localhost"), tmp_path, version=version)) as listener:
        what = "the listener accepts only TLS below 1.2"
        assert fault(run(post(listener.url))) == (Phase.TLS, what)
    assert listener.requests == []


@both_loops
def test_s5_f18_a_reset_during_the_handshake_is_told(run: Run) -> None:
    with resetting() as port:
        what = "the listener reset the connection during the TLS handshake"
        assert fault(run(post(f"https://localhost:{port}/"))) == (Phase.TLS, what)


def named(directory: Path, knows: set[str | None]) -> ssl.SSLContext:
    """A listener that answers those alone who call it by one of these names (SNI)."""

    def called(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> int | None:
        return None if name in knows else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context = serving(ROOTED.pair("localhost"), directory)
    context.sni_callback = called
    return context


@both_loops
def test_s5_f18_a_listener_is_called_by_the_name_of_its_url(run: Run, tmp_path: Path) -> None:
    with secured(named(tmp_path, {"localhost"})) as listener:
        assert isinstance(run(post(listener.url)), Answer)
        by_address = listener.url.replace("localhost", "127.0.0.1")
        what = "the listener wants to be called by its host name, and the URL has an address"
        assert fault(run(post(by_address))) == (Phase.TLS, what)
    with secured(named(tmp_path, {"hooks.example.org"})) as other:
        what = "the listener does not know this host name"
        assert fault(run(post(other.url))) == (Phase.TLS, what)


async def test_s5_f18_a_listener_that_renegotiates_in_tls_1_2_gets_its_message(
    tmp_path: Path,
) -> None:
    # As IIS does to ask for a client certificate. Python's own servers cannot begin it.
    pair, file = ROOTED.pair("localhost"), tmp_path / "server.pem"
    file.write_text(pair.certificate + pair.key)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = await asyncio.create_subprocess_exec(
        *("openssl", "s_server", "-tls1_2", "-accept", str(port), "-cert", str(file)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        async with hang(30):
            await server.stdout.readuntil(b"ACCEPT")
            posting = asyncio.create_task(post(f"https://localhost:{port}/"))
            await server.stdout.readuntil(BODY)
            server.stdin.write(b"R\n")  # begin a handshake within the connection
            await server.stdout.readuntil(b"SSL_do_handshake -> 1")
            server.stdin.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            answer = await posting
    finally:
        server.kill()
        await server.wait()
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (200, b"ok")


TLS_12, TLS_13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
NO_CA = "the listener does not trust the CA of the client certificate"
OVER = "the listener says that the client certificate has expired"
NOT_ACCEPTED = "the listener did not accept the client certificate"
UNWELCOME: dict[str, tuple[TlsIdentity | None, ssl.TLSVersion, str]] = {
    "none, 1.2": (
        None,
        TLS_12,
        "no TLS parameters in common, or the listener wants a client certificate",
    ),
    "none, 1.3": (None, TLS_13, "the listener wants a client certificate"),
    "another CA's, 1.2": (OWN.pair("a").identity(), TLS_12, NO_CA),
    "another CA's, 1.3": (OWN.pair("a").identity(), TLS_13, NO_CA),
    "expired, 1.2": (CLIENTS.pair("a", days=(-9, -1)).identity(), TLS_12, OVER),
    "expired, 1.3": (CLIENTS.pair("a", days=(-9, -1)).identity(), TLS_13, OVER),
    "not yet valid": (CLIENTS.pair("a", days=(1, 9)).identity(), TLS_13, NOT_ACCEPTED),
}


@both_loops
@pytest.mark.parametrize("case", UNWELCOME)
def test_s5_f18_a_listener_that_does_not_get_the_client_certificate_it_wants_is_told_of(
    case: str, run: Run, tmp_path: Path
) -> None:
    identity, version, what = UNWELCOME[case]
    context = serving(ROOTED.pair("localhost"), tmp_path, clients=CLIENTS, version=version)
    with secured(context) as listener:
        for _ in range(6):  # in TLS 1.3 the alert meets the message at different points
            assert fault(run(post(listener.url, identity))) == (Phase.TLS, what)
    assert listener.requests == []


@both_loops
@pytest.mark.parametrize("size", [70_000, 3_000_000])
def test_a_message_of_any_size_arrives_whole_over_tls(run: Run, size: int, tmp_path: Path) -> None:
    async def sent(url: str) -> Answer | Fault:
        async with Transport(EMULATOR, Budget()) as transport:
            await transport.post(url, HEADERS, (b"head", b"x" * size))
            return await transport.post(url, HEADERS, b"y" * size)

    with secured(serving(ROOTED.pair("localhost"), tmp_path)) as listener:
        assert isinstance(run(sent(listener.url)), Answer)
    assert [request.rpartition(b"\r\n\r\n")[2] for request in listener.requests] == [
        b"head" + b"x" * size,
        b"y" * size,
    ]
    assert len(listener.clients) == 1, "over one connection"


@both_loops
def test_s5_mutual_tls_is_accepted(run: Run, tmp_path: Path) -> None:
    context = serving(ROOTED.pair("localhost"), tmp_path, clients=CLIENTS)
    with secured(context) as listener:
        assert isinstance(run(post(listener.url, CLIENTS.pair("acme").identity())), Answer)
    assert listener.clients == ["acme"]


async def test_s5_no_connection_serves_two_identities(tmp_path: Path) -> None:
    one, two = CLIENTS.pair("one").identity(), CLIENTS.pair("two").identity()
    same = TlsIdentity(one.certificate, one.key, None)
    context = serving(ROOTED.pair("localhost"), tmp_path, clients=CLIENTS, must=False)
    with secured(context) as listener:
        async with Transport(EMULATOR, Budget()) as transport:
            nobody = TlsIdentity(None, None, None)
            for identity in (one, two, None, same, two, None, nobody):
                came_back = await transport.post(listener.url, HEADERS, BODY, identity)
                assert isinstance(came_back, Answer)
    assert listener.clients == ["one", "two", None], "each kept its own connection"
    assert len(listener.requests) == 7


async def test_s5_added_authorities_count_for_their_identity_alone(tmp_path: Path) -> None:
    trusting = TlsIdentity(None, None, OWN.certificate)
    other = TlsIdentity(None, None, CLIENTS.certificate)
    with secured(serving(OWN.pair("localhost"), tmp_path)) as listener:
        async with Transport(EMULATOR, Budget()) as transport:
            for identity in (trusting, other, None, trusting):
                came_back = await transport.post(listener.url, HEADERS, BODY, identity)
                assert isinstance(came_back, Answer) == (identity is trusting)
                if identity is not trusting:
                    assert fault(came_back) == (Phase.TLS, BAD["unknown CA"][1])


async def test_s5_added_authorities_take_no_root_away_and_loosen_no_check(tmp_path: Path) -> None:
    identity = TlsIdentity(None, None, CLIENTS.certificate + OWN.certificate)
    with secured(serving(ROOTED.pair("localhost"), tmp_path)) as listener:
        assert isinstance(await post(listener.url, identity), Answer)
    with secured(serving(OWN.pair("hooks.example.org"), tmp_path)) as listener:
        assert fault(await post(listener.url, identity))[1] == BAD["wrong host"][1]
    context = tls.context(identity)
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


async def test_s5_an_http_url_has_no_use_for_an_identity() -> None:
    async with listening(keep_answering) as listener, Transport(EMULATOR, Budget()) as transport:
        broken = TlsIdentity("no certificate", Secret("no key"), None)
        for identity in (broken, None):
            came_back = await transport.post(listener.url, HEADERS, BODY, identity)
            assert isinstance(came_back, Answer)
    assert listener.connections == 1


def pools(most: int = 64) -> tuple[Pools, list[Pool]]:
    made: list[Pool] = []

    def make(context: ssl.SSLContext) -> Pool:
        made.append(Pool(context, Hasty(time.monotonic)))
        return made[-1]

    return Pools(make, most), made


def identities(count: int) -> list[TlsIdentity]:
    return [TlsIdentity(None, None, Authority().certificate) for _ in range(count)]


async def test_r13_pools_are_bounded_and_the_one_idle_for_longest_is_closed() -> None:
    one, two, three = identities(3)
    kept, made = pools(most=2)
    for identity in (one, two, one, three):
        async with kept.of(identity):
            pass
    assert [pool.closed for pool in made] == [False, True, False]
    assert len(kept) == 2
    kept.close()
    assert all(pool.closed for pool in made)


async def test_r13_a_pool_in_use_is_not_closed_however_many_there_are() -> None:
    one, two, three = identities(3)
    kept, made = pools(most=1)
    async with kept.of(one), kept.of(two), kept.of(three):
        assert not any(pool.closed for pool in made)
    assert [pool.closed for pool in made] == [False, True, True]
    kept.close()


async def test_s5_posts_that_begin_together_share_the_pool_of_their_identity() -> None:
    (identity,) = identities(1)
    kept, made = pools()

    async def use() -> Pool:
        async with kept.of(identity) as pool:
            return pool

    first, *others = [asyncio.create_task(use()) for _ in range(9)]
    await asyncio.sleep(0)
    first.cancel()  # who leaves does not take the pool along
    assert len(set(await asyncio.gather(*others))) == len(made) == 1
    kept.close()


def pkcs8(key: rsa.RSAPrivateKey, password: bytes) -> str:
    encryption = BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


PAIR, OTHER = CLIENTS.pair("a"), CLIENTS.pair("b")
CRLF_PAIR = Pair(PAIR.certificate.replace("\n", "\r\n"), PAIR.key.replace("\n", "\r\n"))
UNUSABLE: dict[str, tuple[TlsIdentity, str]] = {
    "not a pair": (
        Pair(PAIR.certificate, OTHER.key).identity(),
        "the private key does not belong to the client certificate, which must come first in "
        "its chain",
    ),
    "the chain in the wrong order": (
        Pair(CLIENTS.certificate + PAIR.certificate, PAIR.key).identity(),
        "the private key does not belong to the client certificate, which must come first in "
        "its chain",
    ),
    "a certificate alone": (
        TlsIdentity(PAIR.certificate, None, None),
        "the client certificate has no private key",
    ),
    "a key alone": (
        TlsIdentity(None, Secret(PAIR.key), None),
        "the private key has no client certificate",
    ),
    "no certificate": (
        Pair("hello", PAIR.key).identity(),
        "the client certificate cannot be read: write PEM, from -----BEGIN CERTIFICATE----- "
        "to -----END CERTIFICATE-----",
    ),
    "no key": (
        Pair(PAIR.certificate, PAIR.certificate).identity(),
        "the private key cannot be read: write PEM, such as PKCS #8",
    ),
    "an encrypted key": (
        Pair(PAIR.certificate, pkcs8(rsa.generate_private_key(65537, 2048), b"x")).identity(),
        "the private key is encrypted: give it without a passphrase",
    ),
    "a key among the certificates": (
        Pair(PAIR.certificate + PAIR.key, PAIR.key).identity(),
        "the client certificate must not hold a private key",
    ),
    "no authorities": (
        TlsIdentity(None, None, ""),
        "the certificate authorities cannot be read: write PEM, from -----BEGIN CERTIFICATE----- "
        "to -----END CERTIFICATE-----",
    ),
    "a key among the authorities": (
        TlsIdentity(None, None, OWN.certificate + OTHER.key),
        "the certificate authorities must not hold a private key",
    ),
    "too long": (
        TlsIdentity(None, None, OWN.certificate * 200),
        "the certificate authorities must not be longer than 65,536 characters",
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
async def test_s5_f18_an_identity_that_cannot_be_used_is_told_when_saved_and_when_sent(
    case: str,
) -> None:
    identity, what = UNUSABLE[case]
    with pytest.raises(ValueError, match=re.escape(what)) as caught:
        tls.check_identity(identity)
    assert str(caught.value) == what
    assert fault(await post("https://localhost:4443/", identity)) == (Phase.TLS, what)


@pytest.mark.parametrize(
    "identity",
    [
        PAIR.identity(),
        PAIR.identity(OWN.certificate),
        CRLF_PAIR.identity(),
        Pair(PAIR.certificate + CLIENTS.certificate, "Comment\n" + PAIR.key).identity(),
        TlsIdentity(None, None, "A comment\n" + OWN.certificate + OWN.certificate),
        TlsIdentity(None, None, None),
    ],
)
def test_s5_what_can_be_used_is_accepted_and_leaves_no_file_open(identity: TlsIdentity) -> None:
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 (names, not paths)
    tls.check_identity(identity)
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


def test_s5_a_key_that_openssl_finds_too_short_is_refused_when_saved() -> None:
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 (that it is short is the point)
    identity = CLIENTS.pair("a", key=short).identity()
    with pytest.raises(ValueError, match="client certificate cannot be used: ee key too small"):
        tls.check_identity(identity)


canaries = st.text().map(lambda text: f"CANARY-{text}")


@given(
    st.none() | st.sampled_from([PAIR.certificate, OTHER.certificate, "---"]) | st.text(),
    st.none() | st.sampled_from([PAIR.key, PAIR.key[:150], PAIR.key[:-40]]) | canaries,
    st.none() | st.sampled_from([OWN.certificate, OWN.certificate[:-9]]) | st.text(),
)
def test_s7_any_texts_are_accepted_or_told_without_the_key(
    certificate: str | None, key: str | None, authorities: str | None
) -> None:
    identity = TlsIdentity(certificate, None if key is None else Secret(key), authorities)
    said = ""
    try:
        tls.check_identity(identity)
    except tls.BadIdentity as error:
        said = repr(error)
    assert "CANARY" not in f"{said} {identity!r}"
    assert PAIR.key.splitlines()[1] not in f"{said} {identity!r}"


def test_s7_a_key_is_not_in_what_is_made_of_it() -> None:
    assert PAIR.key.splitlines()[1] not in repr(tls._read(PAIR.identity()))
