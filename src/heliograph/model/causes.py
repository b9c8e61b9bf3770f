"""Why something failed, in few enough words to count by: a table of rules. Pure, total, bounded.

An error of the failure log says a phase and a sentence, with the names, numbers and texts of that
one attempt. A cause keeps the phase and says what happened in words of `CAUSES`, which are all
that there are: a listener may answer what it likes, and makes no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Final

from heliograph.model.deliveries import PENDING, SKIPPED, Phase

WAITING: Final = "waiting"
"""The phase of what is listed before its first try (DocuSign)."""

UNKNOWN: Final = "unknown"
"""The phase, and what happened, where no error says it."""

OTHER: Final = "other"
"""What happened where no rule knows the words."""

_LONGEST: Final = 1_000
"""Characters of an error that are read."""


@dataclass(frozen=True, slots=True, order=True)
class Cause:
    """A phase, and what happened there; both are from `CAUSES`."""

    phase: str
    what: str

    def __str__(self) -> str:
        return f"{self.phase}: {self.what}"

    @classmethod
    def named(cls, text: str) -> Cause:
        """The cause that is written so; whether there is such a one `CAUSES` says."""
        phase, _, what = text.partition(": ")
        return cls(phase, what)


_TIMED_OUT: Final = "timed out"
_CLOSED: Final = "connection closed"
_RESET: Final = "connection reset"
_BROKE: Final = "exchange broke off"

_CERTIFICATE: Final = r"(the listener's|the server's) certificate "
_THEY: Final = r"(the listener|the server) "

_RULES: Final[Mapping[Phase, Sequence[tuple[str, str]]]] = {
    Phase.DNS: (
        (r"the host name was not resolved within ", _TIMED_OUT),
        (r"the host name \S+ does not exist or has no address", "name not found"),
        (r"the host name \S+ could not be resolved for now", "no DNS server answered"),
        (r"the host name \S+ could not be resolved", "name not resolved"),
    ),
    Phase.REFUSED_ADDRESS: (
        (r"\S+ leads to an address that the egress profile ", "blocked address"),
        (r"\S+ is a local name, which the egress profile ", "blocked name"),
        (r"\S+ is not a full host name", "blocked name"),
        (r"\S+ is [^,]+, which (every|the) egress profile ", "blocked address"),
        (r"port \d+ belongs to another protocol", "blocked port"),
        (r"", "unusable URL"),
    ),
    Phase.CONNECT: (
        (r"\S+ refused the connection", "connection refused"),
        (r"\S+ cannot be reached ", "host unreachable"),
        (r"no connection to \S+ within ", _TIMED_OUT),
        (r"no connection to \S+: timed out", _TIMED_OUT),
        (r"no connection to \S+: ", "no connection"),
    ),
    Phase.TLS: (
        (r"the TLS handshake did not end", _TIMED_OUT),
        (_CERTIFICATE + r"has expired", "certificate expired"),
        (_CERTIFICATE + r"is not valid yet", "certificate not valid yet"),
        (_CERTIFICATE + r"is self-signed", "certificate self-signed"),
        (_CERTIFICATE + r"comes from a CA whose key is too short", "certificate too weak"),
        (_CERTIFICATE + r"comes from a", "certificate of an unknown CA"),
        (_CERTIFICATE + r"has been revoked", "certificate revoked"),
        (_CERTIFICATE + r"is not meant for a server", "certificate not for servers"),
        (_CERTIFICATE + r"has a (key|signature) that is too", "certificate too weak"),
        (_CERTIFICATE + r"is not for the name ", "certificate for another name"),
        (_CERTIFICATE + r"was not accepted", "certificate not accepted"),
        (_THEY + r"does not speak TLS", "no TLS on this port"),
        (_THEY + r"(offers|accepts) only TLS below 1\.2", "TLS too old"),
        (_THEY + r"(does not know this host name|wants to be called)", "host name not known"),
        (_THEY + r"closed the connection", _CLOSED),
        (_THEY + r"reset the connection", _RESET),
        (
            _THEY + r"wants a client certificate, and cannot use",
            "client certificate not accepted",
        ),
        (_THEY + r"wants a client certificate", "client certificate wanted"),
        (r"no TLS parameters in common", "no TLS parameters in common"),
        (_THEY + r"does not trust the CA of the client", "client certificate not accepted"),
        (_THEY + r"says that the client certificate ", "client certificate not accepted"),
        (_THEY + r"did not accept the client certificate", "client certificate not accepted"),
        (_THEY + r"knows the client certificate", "client certificate not accepted"),
        (_THEY + r"could not verify the client", "client certificate not accepted"),
        (r"the client certificate is of a kind", "client certificate not accepted"),
        (r"requireMutualTls is true, and there is no", "no client certificate"),
        (r"requireMutualTls is true", "URL not https"),
        (r"the certificate authorities ", "certificate authorities unusable"),
        (r"the (client certificate|private key) ", "client certificate unusable"),
        (r"the TLS handshake failed", "handshake failed"),
    ),
    Phase.WRITE: (
        (_THEY + r"did not take the whole message", _TIMED_OUT),
        (_THEY + r"closed the connection", _CLOSED),
        (_THEY + r"reset the connection", _RESET),
        (r"the exchange failed", _BROKE),
    ),
    Phase.HEADERS: (
        (r"no answer within ", _TIMED_OUT),
        (_THEY + r"closed the connection", "answered nothing"),
        (_THEY + r"reset the connection", _RESET),
        (r"the answer's headers are longer", "answer too large"),
        (r"the answer has more than \d+ headers", "answer too large"),
        (r"the answer is not valid HTTP", "answer not HTTP"),
        (r"the process that sent it ended", "sender process ended"),
        (r"Heliograph stopped before the listener had answered", "stopped before an answer"),
        (r"the exchange failed", _BROKE),
    ),
    Phase.BODY: (
        (r"the answer's body did not end", _TIMED_OUT),
        (_THEY + r"closed the connection", _CLOSED),
        (_THEY + r"reset the connection", _RESET),
        (r"the answer is not valid HTTP", "answer not HTTP"),
        (r"the exchange failed", _BROKE),
    ),
    Phase.CLAIM: (
        (r"the configuration was deleted", "configuration deleted"),
        (r"the process ended \d+ times", "ended the process"),
        (r"the delivery cannot be prepared", "cannot be prepared"),
        (r"an internal error of Heliograph", "internal error"),
    ),
    Phase.RENDER: (
        (r"the message cannot be rendered", "message not rendered"),
        (r"a userName with a colon", "userName with a colon"),
    ),
}
"""What happened, by the beginning of the sentence; the first rule that matches counts."""

_SERVER: Final = r"(the listener answered 401, and )?the authorization server( at \S+)? "

_OF_TOKENS: Final = (
    (r"no answer within ", _TIMED_OUT),
    (r"includeOAuth is true, ", "no OAuth client"),
    (_SERVER + r"did not answer within ", _TIMED_OUT),
    (_SERVER + r"answered 2\d\d", "answer without a token"),
    (_SERVER + r"answered 4\d\d", "token refused"),
    (_SERVER + r"answered 5\d\d", "server error"),
    (_SERVER + r"answered ", "answer without a token"),
    (_SERVER + r"gave a token that ", "unusable token"),
)
_UNREACHABLE: Final = re.compile(_SERVER + r"gave no token: ([a-z ]+): ")

_OURS: Final = frozenset({Phase.CLAIM, Phase.RENDER})
"""Phases before anything is sent, which no server has a part in."""

_LISTED: Final = {
    PENDING: Cause(WAITING, "behind a failure"),
    SKIPPED: Cause(WAITING, "configuration paused"),
}
"""What is listed before its first try says so with no phase."""

_STATUSES: Final = frozenset(
    {int(status) for status in HTTPStatus if not 200 <= status <= 299}
    # What proxies and clouds answer, which RFC 9110 does not have.
    | {419, 420, 430, 440, 444, 449, 460, 463, 464, 494, 495, 496, 497, 498, 499}
    | {509, 520, 521, 522, 523, 524, 525, 526, 527, 529, 530, 561, 598, 599}
)
"""Each has a cause of its own; any other number shares one with its hundred."""

_STATUS: Final = re.compile(r"([0-9])[0-9]{2}(?![0-9])")

_PHASES: Final = {phase.value: phase for phase in Phase}


def cause_of(error: str | None) -> Cause:
    """The cause that an error of the failure log tells of, whatever its text."""
    return _cause_of(error[:_LONGEST]) if error else Cause(UNKNOWN, UNKNOWN)


@lru_cache(maxsize=256)  # a listing has few errors, and each of them often
def _cause_of(error: str) -> Cause:
    if (listed := _LISTED.get(error)) is not None:
        return listed
    name, _, text = error.partition(": ")
    phase = _PHASES.get(name)
    if phase is None:
        return Cause(UNKNOWN, UNKNOWN)
    if phase is Phase.STATUS:
        return Cause(name, _of_status(text))
    if phase is Phase.TOKEN:
        return Cause(name, _of_token(text))
    return Cause(name, _first(_rules_of(phase), text))


@cache
def _rules_of(phase: Phase) -> Sequence[tuple[re.Pattern[str], str]]:
    """The rules of a phase, compiled once it is needed: all of them would slow down every start."""
    rules = _OF_TOKENS if phase is Phase.TOKEN else _RULES[phase]
    return [(re.compile(pattern), what) for pattern, what in rules]


def _first(rules: Iterable[tuple[re.Pattern[str], str]], text: str) -> str:
    return next((what for pattern, what in rules if pattern.match(text)), OTHER)


def _of_status(text: str) -> str:
    found = _STATUS.match(text)
    if found is None:
        return OTHER
    return f"HTTP {found[0]}" if int(found[0]) in _STATUSES else f"HTTP {found[1]}xx"


def _of_token(text: str) -> str:
    """Why there was no token; where its server was not reached, what happened on the way there."""
    found = _UNREACHABLE.match(text)
    if found is None:
        return _first(_rules_of(Phase.TOKEN), text)
    phase = _PHASES.get(found[3])
    if phase not in _RULES or phase in _OURS:
        return OTHER
    # What the answer held is left out there, and so is what follows of the sentence.
    return f"server: {_first(_rules_of(phase), text[found.end() :])}"


def _all() -> Iterable[Cause]:
    yield Cause(UNKNOWN, UNKNOWN)
    yield from _LISTED.values()
    for phase, rules in _RULES.items():
        for what in (*(what for _, what in rules), OTHER):
            yield Cause(phase.value, what)
            if phase not in _OURS:
                yield Cause(Phase.TOKEN.value, f"server: {what}")
    for what in (*(what for _, what in _OF_TOKENS), OTHER):
        yield Cause(Phase.TOKEN.value, what)
    for status in _STATUSES:
        yield Cause(Phase.STATUS.value, f"HTTP {status}")
    for hundred in range(10):
        yield Cause(Phase.STATUS.value, f"HTTP {hundred}xx")
    yield Cause(Phase.STATUS.value, OTHER)


CAUSES: Final = frozenset(_all())
"""All causes that there are, and so all that a listener may have."""

PHASES: Final = tuple(dict.fromkeys([*_PHASES, WAITING, UNKNOWN]))
"""Every phase that a cause may have."""
