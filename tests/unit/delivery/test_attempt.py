"""One attempt: what is sent, with whose means, and what is made of what comes back."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import heliograph
from heliograph.delivery.attempt import Renderings, attempt, compose, interrupted, message_id
from heliograph.delivery.retry import Schedule, judge
from heliograph.model.accounts import Account, HmacKey, Secret
from heliograph.model.configurations import ClientCredentials, ConnectConfiguration, ScheduleName
from heliograph.model.deliveries import (
    Answer,
    Claim,
    Delivered,
    Fault,
    Gathered,
    GaveUp,
    Interrupted,
    Phase,
    Proofs,
    RetryAt,
)
from heliograph.model.events import Event
from heliograph.watch import tracing
from heliograph.wire.messages import json_sim, signing
from tests.support import ACCOUNT, START, ManualClock, published, wanted_configuration

OK = Answer(200, "OK", (), b"")
BROKEN = Answer(500, "Internal Server Error", (), b"")
KEYS = (HmacKey("k1", signing.new_secret(), START),)
PEM = "-----BEGIN CERTIFICATE-----\nQ0VSVA==\n-----END CERTIFICATE-----\n"
PAIR = (PEM, Secret("KEY"))
SOAP: dict[str, Any] = {"useSoapInterface": "true", "includeCertSoapHeader": "true"}
EVENT = Event(ACCOUNT, "event-1", "envelope-sent", "env-1", START, json.dumps(published()).encode())


@dataclass
class Listener:
    """Answers in place of the network, two seconds later, and remembers how it was asked."""

    clock: ManualClock
    answer: Answer | Fault = OK
    leap: timedelta = timedelta()
    asked: tuple[Any, ...] = ()
    last: bool | None = None

    async def post(
        self,
        configuration: ConnectConfiguration,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        proofs: Proofs,
        *,
        last: bool,
    ) -> Answer | Fault:
        self.asked = (configuration, dict(headers), body, proofs)
        self.last = last
        self.clock.move(2)
        self.clock.jump(self.leap.total_seconds())
        return self.answer


def claimed(event: Event = EVENT, **fields: Any) -> Claim:
    configuration = wanted_configuration(connect_id=7, **fields)
    return Claim(
        delivery_id=1,
        attempt_id=33,
        epoch=1,
        number=5,
        schedule_number=3,
        schedule_started_at=START - timedelta(hours=1),
        seed=42,
        event=event,
        configuration=configuration,
        proofs=Proofs(KEYS),
    )


async def test_an_attempt_sends_the_signed_message_with_the_means_of_its_claim(
    clock: ManualClock,
) -> None:
    oauth = ClientCredentials("https://issuer.example.com/", "client", Secret("secret"))
    proofs = Proofs(KEYS, PAIR, oauth)
    claim = replace(claimed(**SOAP), proofs=proofs)
    listener = Listener(clock)
    clock.move(60)  # a clock is never at its beginning
    began = clock.now()
    done = await attempt(claim, listener, clock, ScheduleName.STANDARD)
    expected = compose(EVENT, claim.configuration, proofs, number=5, attempt_id=33, at=began)
    assert listener.asked == (
        claim.configuration,
        dict(expected.headers),
        expected.body,
        proofs,
    )
    assert (done.claim, done.outcome, done.answer) == (claim, Delivered(), OK)
    assert b"Q0VSVA==" in expected.body
    assert (done.started_at, done.seconds) == (began, 2.0)


async def test_an_attempt_of_a_gathered_message_sends_the_newest_event(clock: ManualClock) -> None:
    newest = replace(EVENT, event_id="event-2", name="envelope-completed")
    listener = Listener(clock)
    claim = replace(claimed(), gathered=Gathered(newest, 2))
    await attempt(claim, listener, clock, ScheduleName.STANDARD)
    assert listener.asked[1]["webhook-id"] == message_id(newest, 7)


async def test_an_attempt_tells_times_in_the_zone_that_is_shared(clock: ManualClock) -> None:
    listener = Listener(clock)
    claim = claimed(eventData={"format": "xml"})
    shared = Renderings(ZoneInfo("Asia/Kolkata"))
    await attempt(claim, listener, clock, ScheduleName.STANDARD, shared)
    assert b"<TimeGenerated>2026-11-23T14:30:00" in listener.asked[2]


async def test_fidelity_message_for_each_recipient_is_the_attempts_own(clock: ManualClock) -> None:
    listener = Listener(clock)
    claim = replace(claimed(), recipient="user-2")
    await attempt(claim, listener, clock, ScheduleName.STANDARD)
    _, headers, body, _ = listener.asked
    assert json.loads(body)["data"]["userId"] == "user-2"
    assert headers["webhook-id"] == message_id(EVENT, 7, "user-2")


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (BROKEN, BROKEN),
        (Fault(Phase.BODY, "cut off", BROKEN), BROKEN),
        (Fault(Phase.CONNECT, "refused"), None),
        (Fault(Phase.DNS, "no DNS server answered", ours=True), None),
    ],
)
async def test_what_came_back_is_judged_at_its_time_and_kept(
    clock: ManualClock, answer: Answer | Fault, kept: Answer | None
) -> None:
    claim, listener = claimed(), Listener(clock, answer)
    done = await attempt(claim, listener, clock, ScheduleName.STANDARD)
    assert done.answer == kept
    assert done.outcome == judge(
        answer,
        number=3,
        started_at=START - timedelta(hours=1),
        seed=42,
        now=START + timedelta(seconds=2),
        uncounted=2,
    )


class WrongMachine(ManualClock):
    """The clock of a machine that is an hour behind the time that is believed."""

    def machine(self) -> datetime:
        return self.now() - timedelta(hours=1)


async def test_r9_a_listeners_date_is_compared_with_the_machines_clock() -> None:
    clock = WrongMachine()
    asked = format_datetime(clock.machine() + timedelta(seconds=602), usegmt=True)
    listener = Listener(clock, replace(BROKEN, headers=(("Retry-After", asked),)))
    done = await attempt(claimed(), listener, clock, ScheduleName.STANDARD)
    assert isinstance(done.outcome, RetryAt)
    assert done.outcome.when == START + timedelta(seconds=602)


@pytest.mark.parametrize("leap", [timedelta(), timedelta(days=20)])
@pytest.mark.parametrize(("horizon", "outcome"), [(3606.9, GaveUp), (3607.0, RetryAt)])
async def test_r9_r22_a_leap_of_the_clock_during_an_attempt_takes_nothing_of_the_horizon(
    clock: ManualClock, leap: timedelta, horizon: float, outcome: type
) -> None:
    # The attempt ends 3602 seconds after its schedule began, and the next is due 5 later.
    schedule = Schedule(first=5, factor=1, ceiling=5, horizon=horizon, jitter=0)
    done = await attempt(claimed(), Listener(clock, BROKEN, leap), clock, schedule)
    assert isinstance(done.outcome, outcome)


async def test_an_attempt_follows_the_schedule_of_the_server_or_of_the_configuration(
    clock: ManualClock,
) -> None:
    due = []
    own: dict[str, Any] = {"retrySchedule": ["60", "60", "7"]}
    for fields in ({}, own):
        listener, began = Listener(clock, BROKEN), clock.now()
        done = await attempt(claimed(**fields), listener, clock, Schedule.of((60.0, 60.0, 9.0)))
        assert isinstance(done.outcome, RetryAt)
        due.append((done.outcome.when - began).total_seconds() - 2)
    assert due == [9.0, 7.0]


async def test_r17_what_cannot_be_rendered_is_given_up_and_sends_nothing(
    clock: ManualClock,
) -> None:
    listener = Listener(clock)
    claim = claimed(replace(EVENT, document=b"no JSON"))
    done = await attempt(claim, listener, clock, ScheduleName.STANDARD)
    assert listener.asked == ()
    assert isinstance(done.outcome, GaveUp)
    assert done.outcome.why.phase is Phase.RENDER
    assert done.outcome.why.what.startswith("the message cannot be rendered: ")
    assert (done.claim, done.answer, done.started_at, done.seconds) == (claim, None, START, 0.0)


def test_r5_r15_a_cut_off_attempt_is_told_as_unknown(clock: ManualClock) -> None:
    claim = claimed()
    done = interrupted(claim, clock)
    assert isinstance(done.outcome, Interrupted)
    assert str(done.outcome.why) == ("headers: Heliograph stopped before the listener had answered")
    assert (done.claim, done.answer, done.started_at, done.seconds) == (claim, None, START, 0.0)


def test_each_post_says_who_sends_it_and_which_attempt_it_is() -> None:
    configuration = wanted_configuration(connect_id=7)
    event = replace(EVENT, document=json.dumps(published(heliographHops=3)).encode())
    post = compose(event, configuration, Proofs(KEYS), number=2, attempt_id=33, at=START)
    assert json.loads(post.body)["retryCount"] == 1
    headers = dict(post.headers)
    assert headers["User-Agent"] == f"Heliograph/{heliograph.__version__}"
    assert headers["Accept"] == "*/*"
    assert headers[json_sim.HOPS_HEADER] == "4"
    assert headers["traceparent"] == tracing.of_attempt(ACCOUNT, "event-1", 33).header
    assert dict(signing.headers(KEYS, post.body)).items() <= headers.items()
    assert len(headers) == len(post.headers)


@pytest.mark.parametrize(
    "shape", [{}, {"deliveryMode": "aggregate"}, {"eventData": {"format": "xml"}}, SOAP]
)
def test_fidelity_account_id_header_is_the_same_in_every_format(shape: dict[str, Any]) -> None:
    configuration = wanted_configuration(connect_id=7, **shape)
    post = compose(EVENT, configuration, Proofs(), number=1, attempt_id=33, at=START)
    assert dict(post.headers)["X-DocuSign-AccountId"] == ACCOUNT


def test_fidelity_sender_account_as_custom_fields_of_who_asks_for_it() -> None:
    asks = wanted_configuration(connect_id=7, includeSenderAccountasCustomField="true")
    proofs = Proofs(account=Account(ACCOUNT, 1001, "Navy"))
    post = compose(EVENT, asks, proofs, number=1, attempt_id=33, at=START)
    assert b"Navy" in post.body


def test_a_message_keeps_its_id_after_an_update_of_heliograph() -> None:
    # Pasted from another process: listeners tell repeats by it.
    assert message_id(EVENT, 7) == "msg_f937c5d6b7b9585d85481366dd0939e7"


@given(
    event_id=st.text(st.characters(exclude_categories=["Cs"])), recipient=st.none() | st.text("ab")
)
def test_a_messages_id_is_a_uuid_of_its_name(event_id: str, recipient: str | None) -> None:
    event = replace(EVENT, event_id=event_id)
    name = "\n".join([ACCOUNT, event_id, "7", *([] if recipient is None else [recipient])])
    namespace = uuid.UUID("0b8e2f0e-64b7-4c1f-9d6d-6a7a3f1f9c55")
    assert message_id(event, 7, recipient) == f"msg_{uuid.uuid5(namespace, name).hex}"
