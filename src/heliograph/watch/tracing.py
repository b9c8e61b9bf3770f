"""W3C trace context: what callers send us, and what listeners get with each attempt.

A stored event carries no trace, so its trace id follows from the event itself: every attempt
of an event, on every node and after every restart, belongs to one trace. A caller's trace is
another one; the log names both where the event is accepted.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

_HEADER: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_LONGEST: Final = 512


@dataclass(frozen=True, slots=True)
class Trace:
    """A place in a trace: ids in lower-case hexadecimal, as the header has them."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @property
    def header(self) -> str:
        """The value of `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


def read(header: str | None) -> Trace | None:
    """The trace of a `traceparent` header; None where there is none that can be used.

    Source: W3C Trace Context, 3.2.2 and 4.3: a bad header is ignored, a newer version is read
    as far as it is known.
    """
    if header is None or len(header) > _LONGEST:
        return None
    match = _HEADER.fullmatch(header.strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not (trace_id.strip("0")):
        return None
    if not span_id.strip("0"):
        return None
    return Trace(trace_id, span_id, bool(int(flags, 16) & 1))


def of_event(account_id: str, event_id: str) -> Trace:
    """The trace of an event, at the place where it was accepted."""
    text = _digest(account_id, event_id)
    return Trace(text[:32], text[32:48])


def of_attempt(account_id: str, event_id: str, attempt_id: int) -> Trace:
    """The place of one attempt in the trace of its event."""
    trace_id = _digest(account_id, event_id)[:32]
    span = hashlib.sha256(f"{trace_id}\n{attempt_id}".encode())
    return Trace(trace_id, span.hexdigest()[:16])


def _digest(account_id: str, event_id: str) -> str:
    text = f"{account_id}\n{event_id}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()
