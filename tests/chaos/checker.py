"""Compares the ledgers with the database at the end: pure, and tested with planted faults."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

Pair = tuple[str, str]
"""An event id and a configuration's id: one delivery."""

PARKED_AFTER = 3
"""Attempts that ended with the process, after which a delivery is a failure (R17)."""


@dataclass(frozen=True)
class Dump:
    """What the database says when a run is over and everything is healed.

    deliveries: every delivery with its state.
    attempts: every attempt's delivery with its outcome.
    orphans: the problems that the audit view shows.
    failures: the open failures.
    unanswered: the delivery of each attempt that failed before the listener's answer had come,
        such as those that took too long: the listener may have taken the message, and gets it
        again.
    broken_off: the delivery of each attempt that an error of our own ended, at any point of it: it
        says of no answer that it knows it. It excuses no duplicate.
    """

    deliveries: Sequence[tuple[str, str, str]] = ()
    attempts: Sequence[tuple[str, str, str]] = ()
    orphans: Sequence[str] = ()
    failures: Sequence[Pair] = ()
    unanswered: Sequence[Pair] = ()
    broken_off: Sequence[Pair] = ()


@dataclass(frozen=True)
class Verdict:
    """What a run came to. Everything but `duplicates` within their bound must be empty.

    lost: accepted deliveries that neither arrived nor are failures nor were cancelled.
    unexpected: deliveries that arrived and were never published.
    phantom: the database says delivered, and the listener did not answer 2xx that often.
    unlogged: requests that the listener saw and no attempt stands for.
    untrue: the listener answered 2xx, and an attempt says that it knows of another answer.
    silent: accepted deliveries that ended in nothing by name, or still wait after healing.
    reordered: the first sending came before an earlier event of the envelope had been
        answered 2xx or was a failure.
    settled_twice: a delivery ended twice, or by a claim that was not the newest one.
    duplicates: 2xx answers beyond the first of each delivery.
    excused: those of them for which an attempt of that delivery ended without an answer.
    """

    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    lost: frozenset[Pair] = frozenset()
    unexpected: frozenset[Pair] = frozenset()
    phantom: frozenset[Pair] = frozenset()
    unlogged: frozenset[Pair] = frozenset()
    untrue: frozenset[Pair] = frozenset()
    silent: frozenset[Pair] = frozenset()
    reordered: frozenset[Pair] = frozenset()
    settled_twice: frozenset[Pair] = frozenset()
    changed_bodies: frozenset[Pair] = frozenset()
    orphans: tuple[str, ...] = ()
    bad_signatures: int = 0
    duplicates: int = 0
    excused: int = 0

    def problems(self, bound: int | None = None) -> list[str]:
        """What is wrong, a sentence each; `bound` is how many duplicates faults may have made."""
        found = []
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, frozenset | tuple) and value:
                first = ", ".join(str(each) for each in sorted(value)[:3])
                found.append(f"{one.name}: {len(value)} ({first})")
        if self.bad_signatures:
            found.append(f"bad_signatures: {self.bad_signatures}")
        made = self.duplicates - self.excused
        if bound is not None and made > bound:
            found.append(f"duplicates: {made} where {bound} were in flight")
        return found

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong, duplicates apart: their bound is the run's to know."""
        return not self.problems()


@dataclass
class _Seen:
    """The listener's ledger, read once."""

    took: Counter[Pair] = field(default_factory=Counter)
    requests: Counter[Pair] = field(default_factory=Counter)
    changed: set[Pair] = field(default_factory=set)
    reordered: set[Pair] = field(default_factory=set)
    bad: int = 0


def check(
    published: Iterable[dict[str, Any]],
    received: Iterable[dict[str, Any]],
    *,
    configurations: Sequence[str],
    dump: Dump,
    settles: Iterable[dict[str, Any]] = (),
) -> Verdict:
    """Judge a run.

    Args:
        published: The publisher's ledger: `intent` lines with event, envelope and sequence,
            and an `ok` line for each event that was accepted.
        received: The listener's ledger, in the order of arrival: event, envelope, sequence,
            configuration, status, signature, digest.
        configurations: The ids that every event was for.
        dump: What the database says at the end.
        settles: `claim` and `settle` lines of an observed store, in their order.
    """
    intended, accepted = _published(published)
    ends = _ends(dump)
    parked = {pair for pair, count in _outcomes(dump, "unknown").items() if count >= PARKED_AFTER}
    seen = _read(received, accepted, set(configurations), parked)
    listed = set(dump.failures)
    wanted = {(event, one) for event in accepted for one in configurations}
    attempts = Counter((event, connect) for event, connect, _ in dump.attempts)
    delivered, unanswered = _outcomes(dump, "delivered"), Counter(dump.unanswered)
    may_have = delivered + unanswered + Counter(dump.broken_off) + _outcomes(dump, "unknown")
    cancelled = {pair for pair, states in ends.items() if "cancelled" in states}
    ended = set(delivered) | listed | cancelled
    twice = {pair for pair, states in ends.items() if len(states) > 1}
    return Verdict(
        accepted=len(accepted),
        delivered=len(seen.took),
        failed=len(listed),
        lost=frozenset(wanted - set(seen.took) - listed - cancelled),
        unexpected=frozenset(pair for pair in seen.requests if pair[0] not in intended),
        phantom=frozenset(pair for pair, count in delivered.items() if count > seen.took[pair]),
        unlogged=frozenset(pair for pair, count in seen.requests.items() if count > attempts[pair]),
        silent=frozenset(pair for pair in wanted if pair not in ended or not ends.get(pair)),
        reordered=frozenset(seen.reordered),
        untrue=frozenset(pair for pair, count in seen.took.items() if count > may_have[pair]),
        settled_twice=frozenset(twice | _stale(settles)),
        changed_bodies=frozenset(seen.changed),
        orphans=tuple(dump.orphans),
        bad_signatures=seen.bad,
        duplicates=sum(count - 1 for count in seen.took.values()),
        excused=sum(min(count - 1, unanswered[pair]) for pair, count in seen.took.items()),
    )


@dataclass(frozen=True)
class Lapse:
    """A node could not renew its lease and gave up its sends, so many deliveries."""

    ns: int
    node: str
    deliveries: int


def in_flight(
    faults: Iterable[dict[str, Any]], lapses: Iterable[Lapse], lease_seconds: float
) -> int:
    """How many deliveries were in flight at all faults together (R3).

    A lapse is a fault whoever made it, a nemesis or a machine with too much to do. It is not
    counted again where a fault of that node, or of all nodes, says what was in flight.

    Args:
        faults: The nemesis' ledger: `start_ns`, `end_ns`, and where they are known `node` and
            `in_flight`.
        lapses: What the nodes have logged.
        lease_seconds: How long after its end a fault still shows.
    """
    left, total = list(lapses), 0
    for one in faults:
        if "in_flight" not in one:
            continue
        until = one["end_ns"] + int(lease_seconds * 1e9)
        its = [
            lapse
            for lapse in left
            if one["start_ns"] <= lapse.ns <= until and one.get("node") in (None, lapse.node)
        ]
        left = [lapse for lapse in left if lapse not in its]
        total += max(one["in_flight"], sum(lapse.deliveries for lapse in its))
    return total + sum(lapse.deliveries for lapse in left)


def _published(lines: Iterable[dict[str, Any]]) -> tuple[set[str], dict[str, tuple[str, int]]]:
    intended: dict[str, tuple[str, int]] = {}
    accepted: dict[str, tuple[str, int]] = {}
    for line in lines:
        if line["kind"] == "intent":
            intended[line["event"]] = (line["envelope"], line["sequence"])
        elif line["kind"] == "ok":
            accepted[line["event"]] = intended[line["event"]]
    return set(intended), accepted


def _ends(dump: Dump) -> Mapping[Pair, list[str]]:
    ends: dict[Pair, list[str]] = defaultdict(list)
    for event, connect, state in dump.deliveries:
        ends[event, connect].append(state)
    return ends


def _outcomes(dump: Dump, outcome: str) -> Counter[Pair]:
    return Counter((event, connect) for event, connect, one in dump.attempts if one == outcome)


def _read(
    received: Iterable[dict[str, Any]],
    accepted: Mapping[str, tuple[str, int]],
    configurations: set[str],
    parked: set[Pair],
) -> _Seen:
    """Read the listener's ledger; a parked delivery holds up nothing after it (R6, R17).

    Of other configurations it is not known from which event on they were there.
    """
    of_envelope: dict[str, dict[int, str]] = defaultdict(dict)
    for event, (envelope, sequence) in accepted.items():
        of_envelope[envelope][sequence] = event
    seen, bodies = _Seen(), dict[Pair, str]()
    for line in received:
        connect = line["configuration"]
        pair = (line["event"], connect)
        if pair not in seen.requests and connect in configurations:
            for sequence, event in of_envelope[line["envelope"]].items():
                earlier = (event, connect)
                late = sequence < line["sequence"] and earlier not in seen.took
                if late and earlier not in parked:
                    seen.reordered.add(pair)
        seen.requests[pair] += 1
        seen.bad += not line["signature"]
        if bodies.setdefault(pair, line["digest"]) != line["digest"]:
            seen.changed.add(pair)
        if 200 <= line["status"] <= 299:
            seen.took[pair] += 1
    return seen


def _stale(settles: Iterable[dict[str, Any]]) -> set[Pair]:
    """Settlements that took effect after another one, or although a newer claim was there."""
    # Attempts are numbered in the order of the claims; a node that stands still just after a
    # claim writes its line late.
    newest: dict[str, int] = {}
    stale: set[Pair] = set()
    settled: set[tuple[str, int, int]] = set()
    for line in settles:
        delivery, claim = line["delivery"], (line["epoch"], line["attempt"])
        if line["kind"] == "claim":
            newest[delivery] = max(newest.get(delivery, 0), line["attempt"])
        elif line["effect"]:
            if newest.get(delivery, 0) > line["attempt"] or (delivery, *claim) in settled:
                stale.add((delivery, str(line["attempt"])))
            settled.add((delivery, *claim))
    return stale
