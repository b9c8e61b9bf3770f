"""The state machine of an envelope: who is told what, in which order, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.emulator.course import Course, names
from heliograph.emulator.definition import Draft
from heliograph.emulator.envelope import Envelope
from heliograph.errors import (
    ApiError,
    EnvelopeNotVoidable,
    EnvelopeStatusRefused,
    InvalidRecipientEmail,
    RecipientOutOfSequence,
)
from heliograph.wire.samples.stories import STORIES

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
SENDER = {"userName": "Ada", "userId": "u-1", "email": "ada@example.com"}
WANTED: Mapping[str, Any] = {
    "emailSubject": "Lease",
    "documents": [{"documentId": "1", "name": "Lease.pdf"}],
    "recipients": {
        "signers": [
            {"name": name, "email": f"{name}@example.com", "recipientId": n, "routingOrder": n}
            for n, name in (("1", "grace"), ("2", "alan"))
        ]
    },
}


def drafted(**more: Any) -> Envelope:
    draft = Draft("account", SENDER, NOW)
    draft.take({**WANTED, **more}, lambda _: pytest.fail("no template"))
    return draft.envelope


def signer(course: Course, number: int) -> dict[str, Any]:
    found = course.envelope.recipient(str(number))
    assert found is not None
    return found


def test_the_signing_of_two_is_told_as_the_story_of_the_samples() -> None:
    course = Course(drafted(), NOW)
    course.create()
    course.send()
    for number in (1, 2):
        course.view(signer(course, number))
        course.complete(signer(course, number), {})
    assert names(course.happened) == [step.event for step in STORIES["signing-of-two"].steps]


def test_a_decline_is_told_as_the_story_of_the_samples() -> None:
    course = Course(drafted(), NOW)
    course.create()
    course.send()
    course.complete(signer(course, 1), {})
    course.decline(signer(course, 2), "no")
    assert names(course.happened) == [step.event for step in STORIES["decline"].steps]


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        (lambda one: one.void("why"), EnvelopeNotVoidable),
        (lambda one: one.resend(), EnvelopeStatusRefused),
        (lambda one: one.correct(), EnvelopeStatusRefused),
        (lambda one: one.view(signer(one, 1)), EnvelopeStatusRefused),
    ],
)
def test_what_takes_an_envelope_under_way_is_refused_to_a_draft(
    act: Callable[[Course], None], refusal: type[ApiError]
) -> None:
    with pytest.raises(refusal):
        act(Course(drafted(), NOW))


def test_who_comes_second_waits_and_who_has_signed_does_not_again() -> None:
    course = Course(drafted(), NOW)
    course.send()
    with pytest.raises(RecipientOutOfSequence):
        course.view(signer(course, 2))
    course.complete(signer(course, 1), {})
    with pytest.raises(RecipientOutOfSequence):
        course.complete(signer(course, 1), {})
    with pytest.raises(EnvelopeStatusRefused):
        course.send()


def test_a_recipient_without_an_email_is_refused() -> None:
    with pytest.raises(InvalidRecipientEmail):
        drafted(recipients={"signers": [{"name": "Grace", "recipientId": "1"}]})


def test_time_voids_what_has_expired_and_nothing_else() -> None:
    envelope = drafted()
    Course(envelope, NOW).send()
    assert envelope.due_at() == NOW + timedelta(days=120)
    early = Course(envelope, NOW + timedelta(days=119))
    early.pass_time()
    assert early.happened == []
    late = Course(envelope, NOW + timedelta(days=120))
    late.pass_time()
    assert names(late.happened) == ["envelope-voided"]
    assert envelope.due_at() is None


ACTIONS: Mapping[str, Callable[[Course, int], None]] = {
    "send": lambda one, _: one.send(),
    "view": lambda one, n: one.view(signer(one, n)),
    "complete": lambda one, n: one.complete(signer(one, n), {}),
    "decline": lambda one, n: one.decline(signer(one, n), "no"),
    "later": lambda one, n: one.finish_later(signer(one, n)),
    "void": lambda one, _: one.void("why"),
    "resend": lambda one, _: one.resend(),
    "correct": lambda one, _: one.correct(),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(ACTIONS)), st.sampled_from([1, 2])), max_size=12))
def test_whatever_is_tried_an_envelope_ends_once_and_is_told_of_nothing_after(
    tried: list[tuple[str, int]],
) -> None:
    course = Course(drafted(), NOW)
    course.create()
    for name, number in tried:
        before = len(course.happened)
        try:
            ACTIONS[name](course, number)
        except ApiError:
            assert len(course.happened) == before
    told = names(course.happened)
    ends = [one for one in told if one.endswith(("-completed", "-declined", "-voided"))]
    ended = [one for one in ends if one.startswith("envelope-")]
    assert len(ended) <= 1
    assert not ended or told[-1] == ended[0]
    assert told.count("envelope-sent") <= 1
    summary = course.happened[-1]["data"]["envelopeSummary"]
    assert summary["status"] == course.envelope.status
