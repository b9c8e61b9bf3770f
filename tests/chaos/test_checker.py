"""The checker sees each fault that is planted: a checker that cannot proves nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.checker import Dump, Lapse, Verdict, check, in_flight

Line = dict[str, Any]
A, B = ("a", "1"), ("b", "1")


def published() -> list[Line]:
    """Two events of one envelope, both accepted."""
    return [
        {"kind": kind, "event": event, "envelope": "e", "sequence": sequence}
        for sequence, event in enumerate("ab")
        for kind in ("intent", "ok")
    ]


def got(event: str, status: int = 200, **over: Any) -> Line:
    return {
        "event": event,
        "envelope": "e",
        "sequence": "abc".index(event),
        "configuration": "1",
        "status": status,
        "signature": True,
        "digest": event,
        **over,
    }


def database(received: list[Line], **states: str) -> Dump:
    """What a database would say that logged all of it; `states` replace those of deliveries."""
    found = {"a": "delivered", "b": "delivered", **states}
    return Dump(
        [(event, "1", state) for event, state in found.items()],
        [
            (line["event"], "1", "delivered" if line["status"] < 300 else "failed")
            for line in received
        ],
        failures=[(event, "1") for event, state in found.items() if state == "failed"],
    )


def judge(received: list[Line], dump: Dump | None = None, **given: Any) -> Verdict:
    return check(
        given.pop("lines", published()),
        received,
        configurations=["1"],
        dump=dump or database(received),
        **given,
    )


def test_a_run_in_which_all_arrived_is_sound() -> None:
    verdict = judge([got("a"), got("b")])
    assert verdict.sound, verdict.problems()
    assert (verdict.accepted, verdict.delivered, verdict.duplicates) == (2, 2, 0)


def test_a_failure_is_not_a_loss() -> None:
    received = [got("a"), got("b", 500)]
    assert judge(received, database(received, b="failed")).sound


def test_a_cancelled_delivery_is_not_a_loss() -> None:
    received = [got("a"), got("b", 500)]
    assert judge(received, database(received, b="cancelled")).sound


@pytest.mark.parametrize("received", [[got("a")], [got("a"), got("b", 500)]])
def test_a_planted_loss_is_seen(received: list[Line]) -> None:
    assert judge(received).lost == {B}


def test_a_planted_duplicate_is_counted_and_judged_by_its_bound() -> None:
    verdict = judge([got("a"), got("b"), got("b"), got("b")])
    assert verdict.duplicates == 2
    assert verdict.sound
    assert verdict.problems(bound=2) == []
    assert verdict.problems(bound=1) == ["duplicates: 2 where 1 were in flight"]


def test_a_duplicate_is_excused_by_an_attempt_of_its_delivery_that_ended_without_an_answer() -> (
    None
):
    received = [got("a"), got("b"), got("b"), got("b")]
    deliveries = database(received).deliveries
    attempts = [("a", "1", "delivered"), ("b", "1", "delivered"), *[("b", "1", "failed")] * 2]
    verdict = judge(received, Dump(deliveries, attempts, unanswered=[B, B]))
    assert (verdict.duplicates, verdict.problems(bound=0)) == (2, [])
    logged = [*attempts[:3], ("b", "1", "delivered"), ("a", "1", "failed")]
    verdict = judge(received, Dump(deliveries, logged, unanswered=[B, A]))
    assert verdict.problems(bound=0) == ["duplicates: 1 where 0 were in flight"]


def test_a_message_that_was_taken_and_whose_attempt_says_otherwise_is_seen() -> None:
    received = [got("a"), got("b"), got("b")]
    deliveries = database(received).deliveries
    for outcome, untrue in (("failed", {B}), ("unknown", set())):
        attempts = [("a", "1", "delivered"), ("b", "1", outcome), ("b", "1", "delivered")]
        assert judge(received, Dump(deliveries, attempts)).untrue == untrue


def test_what_an_error_of_our_own_broke_off_tells_of_no_answer_and_excuses_no_duplicate() -> None:
    received = [got("a"), got("b"), got("b")]
    deliveries = database(received).deliveries
    attempts = [("a", "1", "delivered"), ("b", "1", "failed"), ("b", "1", "delivered")]
    verdict = judge(received, Dump(deliveries, attempts, broken_off=[B]))
    assert verdict.problems(bound=0) == ["duplicates: 1 where 0 were in flight"]


def fault(start: int, end: int, **noted: Any) -> Line:
    return {"kind": "cut", "start_ns": start * 10**9, "end_ns": end * 10**9, **noted}


def lapse(at: int, deliveries: int, node: str = "node-1") -> Lapse:
    return Lapse(at * 10**9, node, deliveries)


@pytest.mark.parametrize(
    ("faults", "lapses", "counted"),
    [
        ([], [lapse(5, 3)], 3),
        ([fault(4, 6)], [lapse(5, 3)], 3),  # of what cannot take a lease away
        ([fault(4, 6, node="node-1", in_flight=4)], [lapse(5, 3)], 4),
        ([fault(4, 6, node="node-1", in_flight=2)], [lapse(5, 3), lapse(8, 1)], 4),
        ([fault(4, 6, node="node-1", in_flight=4)], [lapse(5, 3, "node-2")], 7),
        ([fault(4, 6, node="node-1", in_flight=4)], [lapse(3, 3), lapse(11, 1)], 8),
        ([fault(4, 6, in_flight=4), fault(5, 7, in_flight=1)], [lapse(5, 3)], 5),
    ],
)
def test_r3_a_lapse_of_a_lease_is_a_fault_and_is_counted_once(
    faults: list[Line], lapses: list[Lapse], counted: int
) -> None:
    assert in_flight(faults, lapses, lease_seconds=4.0) == counted


def test_an_event_that_nobody_published_is_seen() -> None:
    assert judge([got("a"), got("b"), got("c")]).unexpected == {("c", "1")}


def test_an_intent_without_an_answer_may_arrive_or_not() -> None:
    lines = published()[:3]
    for received in ([got("a")], [got("a"), got("b")]):
        assert judge(received, lines=lines).sound


def test_a_phantom_success_is_seen() -> None:
    received = [got("a"), got("b", 500)]
    dump = database([got("a"), got("b")])
    assert judge(received, dump).phantom == {B}


def test_a_request_without_an_attempt_is_seen() -> None:
    received = [got("a"), got("b"), got("b")]
    assert judge(received, database(received[:2])).unlogged == {B}


@pytest.mark.parametrize("state", ["waiting", "held", "in_flight"])
def test_a_delivery_that_ended_silently_is_seen(state: str) -> None:
    received = [got("a")]
    assert judge(received, database(received, b=state)).silent == {B}


def test_a_delivery_whose_row_is_gone_is_seen() -> None:
    received = [got("a"), got("b")]
    dump = Dump([("a", "1", "delivered")], database(received).attempts)
    assert judge(received, dump).silent == {B}


def test_a_later_event_before_an_earlier_one_is_seen() -> None:
    assert judge([got("b"), got("a")]).reordered == {B}
    # Sent while the first one was still to be tried again.
    assert judge([got("a", 500), got("b"), got("a")]).reordered == {B}
    # Sending the earlier one once more is a duplicate, and in order.
    assert judge([got("a"), got("b"), got("a")]).reordered == frozenset()


def test_a_parked_delivery_holds_up_nothing() -> None:
    received = [got("a", 500), got("b"), got("a")]
    dump = database(received)
    unknown = [("a", "1", "unknown")] * 3
    assert judge(received, Dump(dump.deliveries, [*dump.attempts, *unknown])).sound


def test_a_delivery_with_two_rows_is_settled_twice() -> None:
    dump = database([got("a"), got("b")])
    twice = Dump([*dump.deliveries, ("b", "1", "failed")], dump.attempts)
    assert judge([got("a"), got("b")], twice).settled_twice == {B}


def settled(kind: str, epoch: int, effect: bool = True) -> Line:
    return {"kind": kind, "delivery": "7", "epoch": epoch, "attempt": epoch, "effect": effect}


@pytest.mark.parametrize(
    ("settles", "seen"),
    [
        ([settled("claim", 1), settled("settle", 1)], False),
        ([settled("claim", 1), settled("claim", 2), settled("settle", 1, False)], False),
        ([settled("claim", 1), settled("claim", 2), settled("settle", 1)], True),
        ([settled("claim", 2), settled("claim", 1), settled("settle", 2)], False),
        ([settled("claim", 1), settled("settle", 1), settled("settle", 1)], True),
    ],
)
def test_a_settlement_by_an_older_claim_is_seen(settles: list[Line], seen: bool) -> None:
    received = [got("a"), got("b")]
    assert bool(judge(received, settles=settles).settled_twice) is seen


def test_a_bad_signature_and_a_changed_body_are_seen() -> None:
    assert judge([got("a"), got("b", signature=False)]).problems() == ["bad_signatures: 1"]
    changed = judge([got("a"), got("b", 500), got("b", digest="other")])
    assert changed.changed_bodies == {B}


def test_an_orphan_is_seen() -> None:
    dump = database([got("a"), got("b")])
    orphaned = Dump(dump.deliveries, dump.attempts, ["in flight for a node that is gone"])
    verdict = judge([got("a"), got("b")], orphaned)
    assert verdict.problems() == ["orphans: 1 (in flight for a node that is gone)"]
