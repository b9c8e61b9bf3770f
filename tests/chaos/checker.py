"""Compares the ledgers with what the server says: pure, and tested with planted faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """What a run came to. Everything but `duplicates` within its bound must be empty.

    lost: accepted (event, configuration) pairs that neither arrived nor are failures.
    unexpected: pairs that arrived and were never published.
    phantom: deliveries that the log calls delivered and the listener never answered 2xx.
    unlogged: 2xx that the listener gave and no attempt stands for.
    duplicates: pairs that the listener answered 2xx more than once, counted.
    """

    accepted: int
    delivered: int
    lost: frozenset[tuple[str, str]]
    unexpected: frozenset[tuple[str, str]]
    phantom: frozenset[tuple[str, str]]
    unlogged: frozenset[tuple[str, str]]
    bad_signatures: int
    changed_bodies: frozenset[tuple[str, str]]
    duplicates: int

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong, duplicates apart: their bound is the run's to know."""
        return not (
            self.lost
            or self.unexpected
            or self.phantom
            or self.unlogged
            or self.bad_signatures
            or self.changed_bodies
        )


def check(
    published: Iterable[dict[str, Any]],
    received: Iterable[dict[str, Any]],
    *,
    configurations: Sequence[str],
    failures: Iterable[tuple[str, str]],
    logged: Iterable[tuple[str, str]],
) -> Verdict:
    """Judge a run.

    Args:
        published: The publisher's ledger: `intent` lines with an envelope, `ok` lines with
            the envelopes that were accepted.
        received: The listener's ledger: envelope, configuration, status, signature, digest.
        configurations: The ids that every event was for.
        failures: (envelope, configuration) of the open failures at the end.
        logged: (envelope, configuration) of each attempt that the log calls delivered.
    """
    intended: set[str] = set()
    accepted: set[str] = set()
    for line in published:
        (accepted if line["kind"] == "ok" else intended).add(line["envelope"])
    took: Counter[tuple[str, str]] = Counter()
    arrived: set[tuple[str, str]] = set()
    changed: set[tuple[str, str]] = set()
    bodies: dict[tuple[str, str], str] = {}
    bad = 0
    for line in received:
        pair = (line["envelope"], line["configuration"])
        arrived.add(pair)
        bad += not line["signature"]
        if bodies.setdefault(pair, line["digest"]) != line["digest"]:
            changed.add(pair)
        if 200 <= line["status"] <= 299:
            took[pair] += 1
    wanted = {(envelope, one) for envelope in accepted for one in configurations}
    said = set(logged)
    return Verdict(
        accepted=len(accepted),
        delivered=len(took),
        lost=frozenset(wanted - set(took) - set(failures)),
        unexpected=frozenset(pair for pair in arrived if pair[0] not in intended),
        phantom=frozenset(said - set(took)),
        unlogged=frozenset(set(took) - said),
        bad_signatures=bad,
        changed_bodies=frozenset(changed),
        duplicates=sum(count - 1 for count in took.values()),
    )
