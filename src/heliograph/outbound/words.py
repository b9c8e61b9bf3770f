"""What a fault of the transport says: one plain sentence about what happened, and where.

No text here names the address that a host name stands for, or holds anything of a request.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from typing import Final

from heliograph.egress import Profile, Target
from heliograph.model.deliveries import Phase
from heliograph.outbound.answers import HEAD_TOO_LONG, TOO_MANY_FIELDS

NO_HTTP: Final = "the answer is not valid HTTP"
"""Begins a text that quotes what the other side sent."""


def refused(host: str, profile: Profile) -> str:
    """The guard refuses where a name leads."""
    return (
        f"{host} leads to an address that the egress profile {profile} refuses; give the name "
        "a public address, or ask the operator to admit the network"
    )


_SLOW: Final = {
    Phase.DNS: "the host name was not resolved",
    Phase.CONNECT: "no connection",
    Phase.TLS: "the TLS handshake did not end",
    Phase.WRITE: "the listener did not take the whole message",
    Phase.HEADERS: "no answer",
    Phase.BODY: "the answer's body did not end",
}


def too_slow(phase: Phase, target: Target, seconds: float) -> str:
    """The time was over."""
    to = f" to {_place(target)}" if phase is Phase.CONNECT else ""
    return f"{_SLOW[phase]}{to} within {seconds:g} s"


_LOST: Final = {
    Phase.TLS: "during the TLS handshake",
    Phase.WRITE: "while the message was being sent",
    Phase.HEADERS: "before answering",
    Phase.BODY: "within the answer's body",
}


def lost(phase: Phase, cause: BaseException, *, reused: bool) -> str:
    """The connection ended too early; `reused` when it had carried a message before."""
    if phase not in _LOST:
        return f"the exchange failed ({type(cause).__name__})"
    did = "reset" if getattr(cause, "errno", None) == errno.ECONNRESET else "closed"
    # A hint at an idle timeout on the other side (see transport.py's docstring).
    kept = ", which was kept from an earlier message," if reused else ""
    return f"the listener {did} the connection{kept} {_LOST[phase]}"


def unconnected(cause: BaseException, target: Target) -> str:
    """No connection was made."""
    # Never the error's own text: it names the address that a host name stands for.
    code = getattr(cause, "errno", None)
    if code == errno.ECONNREFUSED:
        return f"{_place(target)} refused the connection: nothing listens there"
    if code in {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return f"{_place(target)} cannot be reached ({os.strerror(code)})"
    if code == errno.ETIMEDOUT:
        return f"no connection to {_place(target)}: timed out"
    text = os.strerror(code) if code else type(cause).__name__
    return f"no connection to {_place(target)}: {text}"


def unresolved(cause: BaseException, host: str) -> str:
    """The host name has no address that could be found."""
    code = getattr(cause, "errno", None)
    if code in {socket.EAI_NONAME, socket.EAI_NODATA}:
        return f"the host name {host} does not exist or has no address"
    if code == socket.EAI_AGAIN:
        return f"the host name {host} could not be resolved for now: no DNS server answered"
    return f"the host name {host} could not be resolved"


# No route, no descriptor, no port, no memory: another listener would fare the same.
_OURS: Final = frozenset(
    {
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EADDRNOTAVAIL,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
    }
)
_DNS_OURS: Final = frozenset({socket.EAI_AGAIN, socket.EAI_SYSTEM, socket.EAI_MEMORY})


def is_ours(phase: Phase, cause: BaseException) -> bool:
    """Whether our own DNS, network or descriptors failed, and not the listener (R9).

    A resolver says the same of its own trouble and of a name server that is down for a
    while; that too is no reason to use up a listener's schedule.
    """
    code = getattr(cause, "errno", None)
    if phase is Phase.DNS:
        return code in _DNS_OURS
    return phase is Phase.CONNECT and code in _OURS


def malformed(message: str, *, header_bytes: int, headers: int) -> str:
    """The answer is not what HTTP allows, or its head is above the budget of these figures."""
    if message == HEAD_TOO_LONG:
        return f"the answer's headers are longer than {header_bytes} bytes"
    if message == TOO_MANY_FIELDS:
        return f"the answer has more than {headers} headers"
    return f"{NO_HTTP}: {message[:200]}"


# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_CERTIFICATE: Final = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed",
    19: "comes from a CA that is not trusted (the chain ends in an unknown root)",
    20: "comes from an unknown CA, or the listener does not send the intermediate certificate",
    21: "comes from an unknown CA, or the listener does not send the intermediate certificate",
    23: "has been revoked",
    26: "is not meant for a server",
    66: "has a key that is too short",
    67: "comes from a CA whose key is too short",
    68: "has a signature that is too weak",
}
_NAME_MISMATCHES: Final = frozenset({62, 64})
_HANDSHAKE: Final = {
    "WRONG_VERSION_NUMBER": "the listener does not speak TLS on this port; should the URL be http?",
    "UNSUPPORTED_PROTOCOL": "the listener offers only TLS below 1.2",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the listener accepts only TLS below 1.2",
    "TLSV1_UNRECOGNIZED_NAME": "the listener does not know this host name",
    "UNEXPECTED_EOF_WHILE_READING": "the listener closed the connection during the TLS handshake",
}
_WANTED: Final = "the listener wants a client certificate"
# Alerts about our side, when none was given. They come after our part of a TLS 1.3
# handshake, so the message may be on its way; the listener has not taken it.
_NONE_GIVEN: Final = {
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "no TLS parameters in common, or the listener wants a "
    "client certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _WANTED,
    "SSLV3_ALERT_BAD_CERTIFICATE": _WANTED,  # older Java, of an empty chain
}
_NOT_ACCEPTED: Final = {
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "no TLS parameters in common, or the listener did not "
    "accept the client certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": f"{_WANTED}, and cannot use the one it was given",
    "TLSV1_ALERT_UNKNOWN_CA": "the listener does not trust the CA of the client certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the listener says that the client certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "the listener says that the client certificate is revoked",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the listener did not accept the client certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the listener did not accept the client certificate",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "the client certificate is of a kind that the "
    "listener does not accept: its purpose, or the type of its key",
    "TLSV1_ALERT_ACCESS_DENIED": "the listener knows the client certificate and denies it access",
    "TLSV1_ALERT_DECRYPT_ERROR": "the listener could not verify the client certificate's signature",
}


_ADDRESS: Final = re.compile(r"[0-9.]+|.*:.*")
"""A target's host that is no name; the guard lets no name end in a number."""


def handshake(error: ssl.SSLError, target: Target, *, offered: bool) -> str:
    """TLS failed; `offered` when there was a client certificate to give."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _NAME_MISMATCHES:
            return f"the listener's certificate is not for the name {target.host}"
        what = _CERTIFICATE.get(error.verify_code)
        if what is not None:
            return f"the listener's certificate {what}"
        return f"the listener's certificate was not accepted: {error.verify_message}"
    reason = error.reason or "UNKNOWN"
    if reason == "TLSV1_UNRECOGNIZED_NAME" and _ADDRESS.fullmatch(target.host):
        # RFC 6066, 3: an address is never sent as a server name.
        return "the listener wants to be called by its host name, and the URL has an address"
    known = _HANDSHAKE | (_NOT_ACCEPTED if offered else _NONE_GIVEN)
    return known.get(reason, f"the TLS handshake failed: {reason.replace('_', ' ').lower()}")


def _place(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{host}:{target.port}"
