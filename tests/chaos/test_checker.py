"""The checker sees each fault that is planted: a checker that cannot proves nothing."""

from __future__ import annotations

from typing import Any

from tests.chaos.checker import Verdict, check


def sent(envelope: str, kind: str) -> dict[str, Any]:
    return {"kind": kind, "envelope": envelope}


def got(envelope: str, status: int = 200, **over: Any) -> dict[str, Any]:
    return {
        "envelope": envelope,
        "configuration": "1",
        "status": status,
        "signature": True,
        "digest": "d",
        **over,
    }


def judge(
    received: list[dict[str, Any]],
    failures: list[tuple[str, str]] | None = None,
    logged: list[tuple[str, str]] | None = None,
) -> Verdict:
    published = [sent("a", "intent"), sent("a", "ok"), sent("b", "intent"), sent("b", "ok")]
    took = [(line["envelope"], "1") for line in received if line["status"] < 300]
    return check(
        published,
        received,
        configurations=["1"],
        failures=failures or [],
        logged=took if logged is None else logged,
    )


def test_a_run_in_which_all_arrived_is_sound() -> None:
    verdict = judge([got("a"), got("b")])
    assert verdict.sound
    assert (verdict.accepted, verdict.delivered, verdict.duplicates) == (2, 2, 0)


def test_a_failure_is_not_a_loss() -> None:
    assert judge([got("a"), got("b", 500)], failures=[("b", "1")]).sound


def test_a_planted_loss_is_seen() -> None:
    assert judge([got("a")]).lost == {("b", "1")}
    assert judge([got("a"), got("b", 500)]).lost == {("b", "1")}


def test_a_planted_duplicate_is_counted() -> None:
    assert judge([got("a"), got("b"), got("b"), got("b")]).duplicates == 2


def test_an_event_that_nobody_published_is_seen() -> None:
    assert judge([got("a"), got("b"), got("c")]).unexpected == {("c", "1")}


def test_an_intent_without_an_answer_may_arrive_or_not() -> None:
    published = [sent("a", "intent")]
    for received in ([], [got("a")]):
        logged = [("a", "1")] if received else []
        assert check(published, received, configurations=["1"], failures=[], logged=logged).sound


def test_a_phantom_success_is_seen() -> None:
    verdict = judge([got("a"), got("b", 500)], [("b", "1")], logged=[("a", "1"), ("b", "1")])
    assert verdict.phantom == {("b", "1")}


def test_a_delivery_without_an_attempt_is_seen() -> None:
    assert judge([got("a"), got("b")], logged=[("a", "1")]).unlogged == {("b", "1")}


def test_a_bad_signature_and_a_changed_body_are_seen() -> None:
    assert judge([got("a"), got("b", signature=False)]).bad_signatures == 1
    changed = judge([got("a"), got("b", 500), got("b", digest="other")])
    assert changed.changed_bodies == {("b", "1")}
