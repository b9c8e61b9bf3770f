"""Every error that the failure log may show has a cause, and there are only so many."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heliograph.delivery.retry import explain
from heliograph.egress import Guard, Profile, Refused, Target
from heliograph.model.accounts import Secret
from heliograph.model.causes import CAUSES, OTHER, UNKNOWN, WAITING, Cause, cause_of
from heliograph.model.configurations import ClientCredentials, TlsIdentity
from heliograph.model.deliveries import PENDING, SKIPPED, Answer, Fault, Phase
from heliograph.outbound import tls, tokens, words
from heliograph.outbound.answers import HEAD_TOO_LONG, TOO_MANY_FIELDS
from heliograph.senders import handing
from heliograph.store import rows
from tests import naughty

TARGET = Target("https", "listener.example.com", 8443)
SIX = Target("https", "2001:db8::1", 443)


def what(phase: Phase, text: str) -> str:
    """What happened in a phase, by its sentence."""
    cause = cause_of(str(explain(Fault(phase, text))))
    assert cause.phase == phase
    assert cause in CAUSES
    return cause.what


@pytest.mark.parametrize("phase", words._SLOW)
@pytest.mark.parametrize("target", [TARGET, SIX])
def test_what_takes_too_long_has_timed_out(phase: Phase, target: Target) -> None:
    assert what(phase, words.too_slow(phase, target, 10)) == "timed out"


@pytest.mark.parametrize("reused", [True, False])
@pytest.mark.parametrize("phase", words._LOST)
def test_a_connection_that_ends_was_closed_or_reset(phase: Phase, reused: bool) -> None:
    closed, reset = ConnectionError(), OSError(errno.ECONNRESET, "x")
    answered = "answered nothing" if phase is Phase.HEADERS else "connection closed"
    assert what(phase, words.lost(phase, closed, reused=reused)) == answered
    assert what(phase, words.lost(phase, reset, reused=reused)) == "connection reset"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.ECONNREFUSED, "connection refused"),
        (errno.EHOSTUNREACH, "host unreachable"),
        (errno.ENETUNREACH, "host unreachable"),
        (errno.ETIMEDOUT, "timed out"),
        (errno.EMFILE, "no connection"),
        (None, "no connection"),
    ],
)
@pytest.mark.parametrize("target", [TARGET, SIX])
def test_no_connection_says_why(code: int | None, expected: str, target: Target) -> None:
    error = OSError() if code is None else OSError(code, os.strerror(code))
    assert what(Phase.CONNECT, words.unconnected(error, target)) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (socket.EAI_NONAME, "name not found"),
        (socket.EAI_AGAIN, "no DNS server answered"),
        (socket.EAI_FAIL, "name not resolved"),
    ],
)
def test_a_name_without_an_address_says_why(code: int, expected: str) -> None:
    assert what(Phase.DNS, words.unresolved(socket.gaierror(code, "x"), TARGET.host)) == expected


def handshake(error: ssl.SSLError, *, offered: bool) -> str:
    return what(Phase.TLS, words.handshake(error, TARGET, offered=offered))


def unverified(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = code, "of this kind 42"
    return error


def test_every_certificate_that_is_not_accepted_has_a_cause() -> None:
    expected = {
        9: "certificate not valid yet",
        10: "certificate expired",
        18: "certificate self-signed",
        19: "certificate of an unknown CA",
        20: "certificate of an unknown CA",
        21: "certificate of an unknown CA",
        23: "certificate revoked",
        26: "certificate not for servers",
        62: "certificate for another name",
        64: "certificate for another name",
        66: "certificate too weak",
        67: "certificate too weak",
        68: "certificate too weak",
        99: "certificate not accepted",
    }
    assert set(words._CERTIFICATE) | words._NAME_MISMATCHES == expected.keys() - {99}
    found = {code: handshake(unverified(code), offered=False) for code in expected}
    assert found == expected


@pytest.mark.parametrize("offered", [True, False])
def test_every_alert_has_a_cause(offered: bool) -> None:
    known = words._HANDSHAKE | (words._NOT_ACCEPTED if offered else words._NONE_GIVEN)
    for reason in known:
        error = ssl.SSLError()
        error.reason = reason
        assert handshake(error, offered=offered) not in {OTHER, "handshake failed"}, reason
    error = ssl.SSLError()
    error.reason = "LIBRARY_HAS_NO_CIPHERS_17"
    assert handshake(error, offered=offered) == "handshake failed"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://169.254.169.254/latest", "blocked address"),
        ("http://[::1]/", "blocked address"),
        ("https://10.1.2.3/", "blocked address"),
        ("https://intranet/", "blocked name"),
        ("https://printer.local/", "blocked name"),
        ("https://listener.example.com:22/", "blocked port"),
        ("https://a b.example.com/", "unusable URL"),
        ("ftp://listener.example.com/", "unusable URL"),
        ("https://user@listener.example.com/", "unusable URL"),
        ("https://1.2.3.999/", "unusable URL"),
        ("https://listener.example.com:99999/", "unusable URL"),
        ("https://[::g]/", "unusable URL"),
    ],
)
def test_what_the_guard_refuses_says_what_of_it(url: str, expected: str) -> None:
    with pytest.raises(Refused) as refused:
        Guard(Profile.PUBLIC).check_url(url)
    assert what(Phase.REFUSED_ADDRESS, str(refused.value)) == expected


def test_a_name_that_leads_to_a_blocked_address_says_so() -> None:
    text = words.refused(TARGET.host, Profile.PUBLIC)
    assert what(Phase.REFUSED_ADDRESS, text) == "blocked address"


@pytest.mark.parametrize("phase", [Phase.HEADERS, Phase.BODY])
@pytest.mark.parametrize("said", ["Bad status line: b'certificate has expired'", "head too long 9"])
def test_what_a_listener_says_instead_of_http_changes_no_cause(phase: Phase, said: str) -> None:
    assert what(phase, words.malformed(said, header_bytes=1, headers=2)) == "answer not HTTP"


def test_an_answer_above_its_bounds_is_too_large() -> None:
    for message in (HEAD_TOO_LONG, TOO_MANY_FIELDS):
        text = words.malformed(message, header_bytes=32768, headers=100)
        assert what(Phase.HEADERS, text) == "answer too large"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(503, "HTTP 503"), (302, "HTTP 302"), (520, "HTTP 520"), (799, "HTTP 7xx"), (418, "HTTP 418")],
)
def test_an_answer_is_counted_by_its_status_alone(status: int, expected: str) -> None:
    answer = Answer(status, "No 4711 of 8000", (("Location", "https://evil/: timed out"),), b"")
    assert cause_of(str(explain(answer))) == Cause("status", expected)


@pytest.mark.parametrize("certificate", [None, "no PEM", "-----BEGIN PRIVATE KEY-----"])
def test_a_certificate_that_cannot_be_used_says_whose_it_is(certificate: str | None) -> None:
    with pytest.raises(tls.BadIdentity) as bad:
        tls.check_identity(TlsIdentity(certificate, Secret("no key"), None))
    assert what(Phase.TLS, str(bad.value)) == "client certificate unusable"
    with pytest.raises(tls.BadIdentity) as bad:
        tls.check_identity(TlsIdentity(None, None, certificate or "x"))
    assert what(Phase.TLS, str(bad.value)) == "certificate authorities unusable"


CLIENT = ClientCredentials("https://auth.example.com:99/token?secret", "me", Secret("s"))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (tokens._fault(CLIENT, "did not answer within 30 s"), "timed out"),
        (tokens._read(CLIENT, Answer(401, "", (), b'{"error":"bad"}'), 0), "token refused"),
        (tokens._read(CLIENT, Answer(503, "", (), b""), 0), "server error"),
        (tokens._read(CLIENT, Answer(302, "", (), b""), 0), "answer without a token"),
        (tokens._read(CLIENT, Answer(200, "", (), b"[]"), 0), "answer without a token"),
        (tokens._read(CLIENT, Answer(200, "", (), b"{}"), 0), "answer without a token"),
        (
            tokens._read(CLIENT, Answer(200, "", (), b'{"access_token":" "}'), 0),
            "unusable token",
        ),
        (tokens._unreachable(CLIENT, Fault(Phase.TLS, "nobody says this")), "server: other"),
        (
            tokens._unreachable(CLIENT, Fault(Phase.TLS, "the listener's certificate has expired")),
            "server: certificate expired",
        ),
        (
            tokens._unreachable(CLIENT, Fault(Phase.HEADERS, "the answer is not valid HTTP: b'x'")),
            "server: answer not HTTP",
        ),
        (
            tokens._unreachable(
                CLIENT, Fault(Phase.REFUSED_ADDRESS, words.refused("x.example", Profile.PUBLIC))
            ),
            "server: blocked address",
        ),
    ],
)
@pytest.mark.parametrize("again", ["", "the listener answered 401, and "])
def test_a_token_that_did_not_come_says_why(fault: Fault, expected: str, again: str) -> None:
    assert what(Phase.TOKEN, again + fault.what) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (str(explain(handing._GONE)), "headers: sender process ended"),
        (
            "headers: Heliograph stopped before the listener had answered",
            "headers: stopped before an answer",
        ),
        (rows.DELETED, "claim: configuration deleted"),
        (rows.POISON, "claim: ended the process"),
        ("claim: the delivery cannot be prepared: KeyError('x')", "claim: cannot be prepared"),
        (
            "claim: an internal error of Heliograph; its log has the details",
            "claim: internal error",
        ),
        ("render: the message cannot be rendered: ValueError('7')", "render: message not rendered"),
        ("render: a userName with a colon cannot be sent", "render: userName with a colon"),
        ("tls: the private key does not belong to the client", "tls: client certificate unusable"),
        ("tls: requireMutualTls is true, and there is no client", "tls: no client certificate"),
        ("tls: requireMutualTls is true, and the listener's URL", "tls: URL not https"),
        ("token: includeOAuth is true, customParameters, and the", "token: no OAuth client"),
        ("token: no answer within 100 s, of which the access token", "token: timed out"),
        ("headers: no answer within 100 s, of which the access token", "headers: timed out"),
        (PENDING, "waiting: behind a failure"),
        (SKIPPED, "waiting: configuration paused"),
        (None, "unknown: unknown"),
        ("", "unknown: unknown"),
        ("the process ended before the outcome was known", "unknown: unknown"),
    ],
)
def test_what_else_is_listed_has_a_cause(error: str | None, expected: str) -> None:
    assert str(cause_of(error)) == expected


@given(st.sampled_from([*Phase, "nowhere"]), st.text())
@example(Phase.STATUS, "\u0665\u0660\u0663 Service")  # digits, and none of a status
@example(Phase.TOKEN, "the authorization server at x gave no token: token: ")
@example(Phase.TOKEN, "the authorization server at x gave no token: claim: ")
@example(Phase.TOKEN, "the authorization server " * 10_000)
@example(Phase.CONNECT, "no connection to " + "a" * 100_000)
def test_whatever_is_said_there_are_no_other_causes(phase: str, text: str) -> None:
    assert cause_of(f"{phase}: {text}") in CAUSES


@pytest.mark.parametrize("text", naughty.STRINGS)
def test_an_awkward_text_makes_no_cause_of_its_own(text: str) -> None:
    for phase in Phase:
        assert cause_of(f"{phase.value}: {text}") in CAUSES
    assert cause_of(text) in CAUSES


def test_there_are_few_causes_and_each_is_short() -> None:
    assert len(CAUSES) < 250
    assert {cause.phase for cause in CAUSES} == {
        *(phase.value for phase in Phase),
        WAITING,
        UNKNOWN,
    }
    assert max(len(str(cause)) for cause in CAUSES) < 60
    assert all(str(cause).isascii() and ": " in str(cause) for cause in CAUSES)
