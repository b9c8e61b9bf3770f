"""HTTPS: the server's own certificate, what is wrong with one, renewing it, and every client."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path

import docusign_esign
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from heliograph.access.credentials_file import Credentials
from heliograph.errors import UnsafeStorage
from heliograph.incoming import dev_certificate
from heliograph.incoming.certificate import ServerCertificate
from heliograph.settings import Settings
from tests.cost import Stopwatch
from tests.pki import Authority
from tests.process import Server, everything, started, statuses

PLAIN = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def heliograph(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "heliograph.cli", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


def tls_options(folder: Path) -> tuple[str, ...]:
    return ("--tls-cert", f"{folder}/server.pem", "--tls-key", f"{folder}/server.key")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("https")
    dev_certificate.issue(folder)
    with started(folder, *tls_options(folder), "--head-timeout", "1") as running:
        yield running


@pytest.fixture
def folder(server: Server) -> Path:
    return server.log.parent


def test_credentials_name_https_and_the_authority_and_every_kind_of_call_works(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = Credentials.read(folder / "data")
    assert credentials.base_uri.startswith("https://127.0.0.1:")
    assert credentials.ca_cert == folder / "ca.pem"
    assert server.call("GET", "failures").status == 200
    with warnings.catch_warnings(action="ignore"):
        monkeypatch.setattr(docusign_esign.Configuration(), "ssl_ca_cert", str(folder / "ca.pem"))
        client = docusign_esign.ApiClient(host=f"{credentials.base_uri}/restapi")
        client.set_default_header("Authorization", f"Bearer {server.token}")
        listed = docusign_esign.ConnectApi(client).list_event_failure_logs(credentials.account_id)
    assert listed.total_records == "0"


@pytest.mark.parametrize(
    "words",
    [
        ("configurations", "list"),
        ("logs", "list"),
        ("failures", "list"),
        ("client-certificate", "delete", "--yes"),
        ("hmac-keys", "list"),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_the_commands_find_a_server_with_https_by_its_data_directory(
    folder: Path, words: tuple[str, ...]
) -> None:
    done = heliograph(*words, "--data-dir", folder / "data")
    # On a file system in memory doctor says no, but not of the server.
    assert done.returncode in (0, 4) or (words == ("doctor",) and "ready at https" in done.stdout)


def test_the_commands_take_an_authority_and_say_when_they_need_one(
    server: Server, folder: Path, tmp_path: Path
) -> None:
    given = {
        "HELIOGRAPH_BASE_URI": server.credentials.base_uri,
        "HELIOGRAPH_ACCOUNT_ID": server.credentials.account_id,
        "HELIOGRAPH_ACCESS_TOKEN": server.token,
    }
    listing = ("configurations", "list", "--json")
    untrusted = heliograph(*listing, **given)
    assert untrusted.returncode == 3
    assert "is not trusted" in untrusted.stderr
    assert "--ca-cert" in untrusted.stderr
    assert heliograph(*listing, **given, HELIOGRAPH_CA_CERT=str(folder / "ca.pem")).returncode == 0
    assert heliograph(*listing, "--ca-cert", folder / "ca.pem", **given).returncode == 0
    (tmp_path / "none.pem").write_text("nothing")
    for wrong in (tmp_path / "none.pem", tmp_path / "missing.pem"):
        told = heliograph(*listing, "--ca-cert", wrong, **given)
        assert told.returncode == 2
        assert wrong.name in told.stderr


def test_nothing_below_tls_1_2_is_spoken(server: Server, folder: Path) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(folder / "ca.pem")
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with server.open() as connection, pytest.raises(ssl.SSLError):
        old.wrap_socket(connection, server_hostname="127.0.0.1")
    assert server.answers


@pytest.mark.parametrize("sent", [b"", PLAIN, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_s13_a_handshake_that_stops_or_is_none_is_given_up(server: Server, sent: bytes) -> None:
    watch = Stopwatch(server.process.pid)
    with server.open() as connection:
        connection.sendall(sent)
        assert statuses(everything(connection)) == []
    assert watch.seconds < 6
    assert server.answers


def test_s13_handshakes_that_are_not_over_count_as_connections(tmp_path: Path) -> None:
    dev_certificate.issue(tmp_path)
    options = (*tls_options(tmp_path), "--connections-per-address", "10")
    with started(tmp_path, *options) as server:
        idle = [server.open("127.0.0.2") for _ in range(30)]
        assert [everything(one) for one in idle[10:]] == [b""] * 20
        assert server.answers
        for one in idle:
            one.close()


def fingerprint(server: Server) -> bytes:
    assert server.trust is not None
    with (
        server.open() as connection,
        server.trust.wrap_socket(connection, server_hostname="127.0.0.1") as secure,
    ):
        return secure.getpeercert(True) or b""


def test_r15_a_client_that_keeps_its_connection_open_does_not_hold_up_a_stop(
    tmp_path: Path,
) -> None:
    dev_certificate.issue(tmp_path)
    with started(tmp_path, *tls_options(tmp_path), "--grace", "30") as server:
        assert server.trust is not None
        with (
            server.open() as plain,
            server.trust.wrap_socket(plain, server_hostname="127.0.0.1") as idle,
        ):
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert idle.recv(65536).startswith(b"HTTP/1.1 200 ")
            began = time.monotonic()
            server.process.terminate()
            assert server.process.wait(20) == 0  # the client does not end TLS on its side
            assert time.monotonic() - began < 15


def test_s14_sighup_takes_a_renewed_certificate_and_keeps_the_old_one_if_it_is_bad(
    tmp_path: Path,
) -> None:
    dev_certificate.issue(tmp_path)
    with started(tmp_path, *tls_options(tmp_path)) as server:
        first = fingerprint(server)
        assert server.trust is not None
        with (
            server.open() as raw,
            server.trust.wrap_socket(raw, server_hostname="127.0.0.1") as kept,
        ):
            assert not dev_certificate.issue(tmp_path).new_authority
            server.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 10
            while fingerprint(server) == first:
                assert time.monotonic() < deadline
            second = fingerprint(server)
            kept.sendall(PLAIN)
            assert statuses(everything(kept)) == [200]
        (tmp_path / "server.pem").write_text("nothing")
        server.process.send_signal(signal.SIGHUP)
        while "certificate_not_renewed" not in server.log.read_text():
            assert time.monotonic() < deadline
        assert fingerprint(server) == second


def _missing(folder: Path) -> None:
    (folder / "server.pem").unlink()


def _missing_key(folder: Path) -> None:
    (folder / "server.key").unlink()


def _not_pem(folder: Path) -> None:
    (folder / "server.pem").write_bytes(b"\x30\x82\x01")


def _key_not_pem(folder: Path) -> None:
    (folder / "server.key").write_bytes(b"\x30\x82\x01")


def _other_key(folder: Path) -> None:
    other = Authority().pair("localhost")
    (folder / "server.key").write_text(other.key)


def _encrypted_key(folder: Path) -> None:
    key = load_pem_private_key((folder / "server.key").read_bytes(), None)
    secret = BestAvailableEncryption(b"canary-passphrase")
    (folder / "server.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret)
    )


def _key_in_the_certificate(folder: Path) -> None:
    key = (folder / "server.key").read_text()
    (folder / "server.pem").write_text(key + (folder / "server.pem").read_text())


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_missing, r"server\.pem cannot be read: No such file"),
        (_missing_key, r"server\.key cannot be read: No such file"),
        (_not_pem, "the certificate cannot be read: write PEM"),
        (_key_not_pem, "the private key cannot be read: write PEM"),
        (_other_key, "the private key does not belong to the certificate"),
        (_encrypted_key, "the private key is encrypted"),
        (_key_in_the_certificate, "must not hold a private key"),
    ],
)
def test_s14_start_says_what_is_wrong_with_a_certificate(
    tmp_path: Path, spoil: object, told: str
) -> None:
    dev_certificate.issue(tmp_path)
    assert callable(spoil)
    spoil(tmp_path)
    settings = Settings(tls_cert=f"{tmp_path}/server.pem", tls_key=f"{tmp_path}/server.key")
    with pytest.raises(ValueError, match=told):
        ServerCertificate.named(settings)


def test_s14_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    dev_certificate.issue(tmp_path)
    (tmp_path / "server.key").chmod(0o644)
    with pytest.raises(UnsafeStorage, match=r"chmod 600 .*server\.key"):
        ServerCertificate(tmp_path / "server.pem", tmp_path / "server.key")
    ended = heliograph("serve", "--data-dir", tmp_path / "data", *tls_options(tmp_path))
    assert ended.returncode == 5
    assert "chmod 600" in ended.stderr


def test_s10_browsers_are_told_to_stay_with_https_but_not_for_localhost(
    server: Server, tmp_path: Path
) -> None:
    own = server.call("GET", "/healthz")
    assert own.headers["X-Content-Type-Options"] == "nosniff"
    assert "Strict-Transport-Security" not in own.headers
    authority = Authority()
    pair = authority.pair("hg.test")
    (tmp_path / "server.pem").write_text(pair.certificate)
    (tmp_path / "server.key").write_text(pair.key)
    (tmp_path / "server.key").chmod(0o600)
    (tmp_path / "ca.pem").write_text(authority.certificate)
    with started(tmp_path, *tls_options(tmp_path)) as named:
        assert named.trust is not None
        plain = socket.create_connection(("127.0.0.1", named.address[1]), 20)
        with named.trust.wrap_socket(plain, server_hostname="hg.test") as connection:
            connection.sendall(PLAIN)
            assert b"strict-transport-security: max-age=31536000\r\n" in everything(connection)


def test_half_a_certificate_is_a_wrong_setting(tmp_path: Path) -> None:
    ended = heliograph("serve", "--data-dir", tmp_path / "data", "--tls-cert", "server.pem")
    assert ended.returncode == 2
    assert "give both, or none" in ended.stderr


@pytest.mark.parametrize(
    ("hosts", "bound", "found"),
    [
        ((), "127.0.0.1", "127.0.0.1"),
        ((), "::1", "::1"),
        ((), "0.0.0.0", "localhost"),  # noqa: S104
        (("hg.test",), "hg.test", "hg.test"),
    ],
)
def test_clients_are_given_a_name_that_the_certificate_has(
    tmp_path: Path, hosts: tuple[str, ...], bound: str, found: str
) -> None:
    made = dev_certificate.issue(tmp_path, hosts)
    assert ServerCertificate(made.certificate, made.key).host(bound) == found


def test_a_certificate_of_one_name_gives_that_name(tmp_path: Path) -> None:
    pair = Authority().pair("events.example.com")
    (tmp_path / "server.pem").write_text(pair.certificate)
    (tmp_path / "server.key").write_text(pair.key)
    (tmp_path / "server.key").chmod(0o600)
    found = ServerCertificate(tmp_path / "server.pem", tmp_path / "server.key")
    assert found.host("::") == "events.example.com"
    assert found.authority is None
    (tmp_path / "ca.pem").write_text(Authority("Another").certificate)
    assert found.authority is None


def test_dev_cert_makes_what_strict_clients_take_and_renews_without_a_new_authority(
    tmp_path: Path,
) -> None:
    words = ("dev-cert", "--folder", tmp_path, "--host", "hg.test", "--host", "10.1.2.3", "--json")
    first = json.loads(heliograph(*words).stdout)
    authority = (tmp_path / "ca.pem").read_bytes()
    second = json.loads(heliograph(*words).stdout)
    assert (first["newAuthority"], second["newAuthority"]) == (True, False)
    assert (tmp_path / "ca.pem").read_bytes() == authority
    assert second["hosts"] == ["localhost", "127.0.0.1", "::1", "hg.test", "10.1.2.3"]
    for name in ("ca.key", "server.key"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    leaf = x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes())
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    told = heliograph("dev-cert", "--folder", tmp_path).stdout
    for word in ("--tls-cert", "NODE_EXTRA_CA_CERTS=", "--cacert", "ssl_ca_cert"):
        assert word in told


def test_dev_cert_says_what_it_cannot_use(tmp_path: Path) -> None:
    assert "a name in ASCII" in heliograph("dev-cert", "--folder", tmp_path, "--host", "ü").stderr
    dev_certificate.issue(tmp_path)
    (tmp_path / "ca.key").unlink()
    with pytest.raises(ValueError, match="only one of"):
        dev_certificate.issue(tmp_path)
    (tmp_path / "ca.key").write_bytes((tmp_path / "server.key").read_bytes())
    with pytest.raises(ValueError, match="is not the key of"):
        dev_certificate.issue(tmp_path)
    (tmp_path / "ca.key").write_text("nothing")
    with pytest.raises(ValueError, match="cannot be read"):
        dev_certificate.issue(tmp_path)


def test_curl_and_the_standard_library_trust_the_authority(server: Server, folder: Path) -> None:
    port = server.address[1]
    trust = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    trust.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    for host in ("localhost", "127.0.0.1"):
        url = f"https://{host}:{port}/healthz"
        with urllib.request.urlopen(url, context=trust) as answer:
            assert answer.status == 200
