"""Incidents: whatever is called, in whatever order, they count what the failure log lists."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
)

from heliograph.delivery.ramp import as_wanted
from heliograph.model.accounts import Account
from heliograph.model.audit import Action, AuditQuery, Detail
from heliograph.model.causes import Cause
from heliograph.model.deliveries import (
    Claim,
    Delivered,
    GaveUp,
    Interrupted,
    Outcome,
    Phase,
    RetryAt,
    Why,
)
from heliograph.model.incidents import Envelopes, IncidentQuery, IncidentState, Turn
from heliograph.model.logs import LogQuery
from heliograph.model.republishing import Care, JobState, NewRepublishJob, Source
from heliograph.store import Store
from heliograph.store.historical import Wish
from tests.contract.tables import change
from tests.contract.traffic import Traffic
from tests.contract.walks import ENGINES, Walk, run_walks, walk_limit
from tests.support import (
    ACCOUNT,
    OTHER_ACCOUNT,
    ManualClock,
    accept,
    claim_all,
    new_event,
    settled,
    wanted_configuration,
)

ENVELOPES = st.sampled_from(["env-a", "env-b", "env-c"])
WHYS = (
    Why(Phase.STATUS, "503 Service Unavailable: the listener must answer 200 to 299"),
    Why(Phase.STATUS, "500 Internal Server Error: the listener must answer 200 to 299"),
    Why(Phase.TLS, "the listener's certificate has expired"),
    Why(Phase.CONNECT, "10.0.0.9:443 refused the connection: nothing listens there"),
)
SHAPES: tuple[dict[str, Any], ...] = (
    {},
    {"deliveryOrder": "none"},
    {"deliveryOrder": "configuration"},
    {"deliveryMode": "aggregate"},
)


async def scanned(store: Store, account_id: str = ACCOUNT) -> Counter[tuple[int, Cause | None]]:
    """What incidents should count: the failure log, read from end to end."""
    page = await store.failures(account_id, LogQuery(), 10_000)
    return Counter((entry.connect_id, entry.cause) for entry in page.entries)


async def counted(store: Store, account_id: str = ACCOUNT) -> Counter[tuple[int, Cause | None]]:
    """What incidents count."""
    query = IncidentQuery(IncidentState.OPEN)
    page = await store.incidents.page(account_id, query, 1_000)
    assert page.next_cursor is None
    assert all(one.failures > 0 and one.account_id == account_id for one in page.entries)
    return Counter({(one.connect_id, one.cause): one.failures for one in page.entries})


async def forget_causes(store: Store) -> None:
    """Leave the deliveries as an older version would have written them."""
    await change(store, "update delivery set phase = null, what = null")


class Calls(Walk):
    """Random calls of every verb that may change a failure."""

    def __init__(self) -> None:
        super().__init__()
        self.run(self.store.create_account(Account(ACCOUNT, 1, "First")))
        self.run(self.store.create_account(Account(OTHER_ACCOUNT, 2, "Other")))
        self.ids: list[int] = []
        self.claims: list[Claim] = []
        for shape in SHAPES:
            self.configure(shape)
        other = wanted_configuration(OTHER_ACCOUNT)
        self.run(self.store.create_configuration(other))

    def configure(self, shape: dict[str, Any]) -> None:
        made = self.run(self.store.create_configuration(wanted_configuration(**shape)))
        self.ids.append(made.connect_id)

    @rule(envelope=ENVELOPES)
    def publish(self, envelope: str) -> None:
        event = new_event(envelope_id=envelope, event_id=f"event-{next(self.numbers)}")
        self.run(accept(self.store, event))
        self.run(accept(self.store, event, account_id=OTHER_ACCOUNT))

    @rule()
    def claim(self) -> None:
        self.claims += self.run(claim_all(self.store))

    @precondition(lambda self: self.claims)
    @rule(seed=st.integers(0, 2**16))
    def settle(self, seed: int) -> None:
        chance = random.Random(seed)
        chosen = chance.sample(self.claims, chance.randint(1, len(self.claims)))
        self.claims = [one for one in self.claims if one not in chosen]
        done = [settled(one, self.outcome(chance), self.clock.now()) for one in chosen]
        self.run(self.store.settle(done))

    def outcome(self, chance: random.Random) -> Outcome:
        why, later = chance.choice(WHYS), self.clock.now() + timedelta(seconds=60)
        outcomes: tuple[Outcome, ...] = (
            Delivered(),
            GaveUp(why),
            RetryAt(later, why),
            RetryAt(later, why, counts=False),
            Interrupted(why),
        )
        return chance.choice(outcomes)

    @rule(seconds=st.sampled_from([1, 61]))
    def pass_time(self, seconds: int) -> None:
        self.clock.move(seconds)

    @precondition(lambda self: self.ids)
    @rule(
        data=st.data(),
        change=st.sampled_from(["pausePublish", "allowEnvelopePublish", "neither"]),
    )
    def change(self, data: st.DataObject, change: str) -> None:
        connect_id = data.draw(st.sampled_from(self.ids))
        fields = {"pausePublish": "true"} if change == "pausePublish" else {}
        if change == "allowEnvelopePublish":
            fields = {change: "false"}
        wanted = wanted_configuration(connect_id=connect_id, **fields)
        self.run(self.store.update_configuration(wanted))

    @precondition(lambda self: len(self.ids) > 1)
    @rule(data=st.data())
    def delete_configuration(self, data: st.DataObject) -> None:
        connect_id = data.draw(st.sampled_from(self.ids))
        self.ids.remove(connect_id)
        self.run(self.store.delete_configuration(ACCOUNT, connect_id))
        self.configure({})

    @rule(data=st.data())
    def listener_is_down(self, data: st.DataObject) -> None:
        connect_id = data.draw(st.sampled_from(self.ids))
        until = self.clock.now() + timedelta(seconds=30)
        self.run(self.store.queue_behind(ACCOUNT, connect_id, until))

    @rule(data=st.data())
    def listener_is_up(self, data: st.DataObject) -> None:
        self.run(self.store.hasten(ACCOUNT, data.draw(st.sampled_from(self.ids))))

    @rule(envelope=ENVELOPES, everything=st.booleans())
    def republish(self, envelope: str, everything: bool) -> None:
        if everything:
            self.run(self.store.requeue_failures(ACCOUNT, LogQuery()))
        else:
            self.run(self.store.requeue_envelopes(ACCOUNT, [envelope]))

    @rule(envelope=ENVELOPES)
    def resend(self, envelope: str) -> None:
        self.run(self.store.resend_envelopes(ACCOUNT, [envelope], "ada"))

    @rule(envelope=ENVELOPES, one=st.booleans())
    def delete(self, envelope: str, one: bool) -> None:
        query = LogQuery(envelope_id=envelope)
        if not one:
            self.run(self.store.delete_failures(ACCOUNT, query, "ada"))
            return
        listed = self.run(self.store.failures(ACCOUNT, query, 1)).entries
        for entry in listed:
            assert entry.failure_id is not None
            self.run(self.store.delete_failure(ACCOUNT, entry.failure_id, "ada"))

    @rule(of=st.sampled_from(Source), most=st.integers(1, 3), cancelled=st.booleans())
    def run_a_job(self, of: Source, most: int, cancelled: bool) -> None:
        wanted = NewRepublishJob(of, LogQuery(), "ada", Care())
        job = self.run(self.store.republishing.start(ACCOUNT, wanted))
        assert self.run(self.store.republishing.ask(job, most, job.paced_at))
        if cancelled:
            cancelling = partial(as_wanted, wanted=JobState.CANCELLED, who="ada", now=job.paced_at)
            self.run(self.store.republishing.change(ACCOUNT, job.job_id, cancelling))

    @rule()
    def resend_of_the_log(self) -> None:
        for entry in self.run(self.store.logs(ACCOUNT, LogQuery(), 1)).entries:
            assert entry.log_id is not None
            self.run(self.store.resend_log(ACCOUNT, entry.log_id, "ada"))

    @rule(envelope=ENVELOPES, cancelled=st.booleans())
    def publish_the_past(self, envelope: str, cancelled: bool) -> None:
        name = f"past-{next(self.numbers)}"
        wish = Wish(name, wanted_configuration(), (envelope,), "ada")
        self.run(self.store.historical.submit(wish))
        if cancelled:
            self.run(self.store.historical.cancel(ACCOUNT, name, "ada"))

    @rule()
    def retire(self) -> None:
        self.run(self.store.retire(self.clock.now()))

    @rule()
    def tend(self) -> None:
        self.run(self.store.incidents.tend())

    @rule()
    def older_version(self) -> None:
        """What a node wrote that knew no causes is given them."""
        self.run(forget_causes(self.store))
        assert all(str(cause) == "unknown: unknown" for _, cause in self.run(counted(self.store)))
        while self.run(self.store.incidents.name_causes()):
            pass

    @rule()
    def crash(self) -> None:
        self.run(self.store.close())
        self.claims = []
        self.store = self.run(self.open(self.clock))

    @invariant()
    def incidents_count_what_is_listed(self) -> None:
        for account_id in (ACCOUNT, OTHER_ACCOUNT):
            expected = self.run(scanned(self.store, account_id))
            assert self.run(counted(self.store, account_id)) == expected


@walk_limit
@pytest.mark.parametrize("engine", ENGINES)
def test_whatever_is_called_incidents_count_what_the_failure_log_lists(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run_walks(Calls, engine, request, tmp_path)


def failing(claim: Claim, why: Why, at: Any) -> Any:
    return settled(claim, RetryAt(at + timedelta(seconds=60), why), at)


async def told(store: Store) -> list[tuple[Turn, int]]:
    """What is to be told now, and how many failures each incident has."""
    return [(news.turn, news.incident.failures) for news in await store.incidents.tend()]


async def test_one_opens_grows_tenfold_and_closes_and_each_is_told_once(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure(deliveryOrder="none")
    await traffic.publish(envelope_id="env-1")
    (claim,) = await traffic.claim_all()
    await store.settle([failing(claim, WHYS[0], clock.now())])
    (news,) = await store.incidents.tend()
    assert (news.turn, news.incident.failures) == (Turn.OPENED, 1)
    assert news.incident.cause == Cause("status", "HTTP 503")
    assert news.incident.config_name == "crm"
    assert await told(store) == []

    for number in range(9):
        await traffic.publish(envelope_id=f"more-{number}")
    claims = await traffic.claim_all()
    await store.settle([failing(one, WHYS[0], clock.now()) for one in claims[:8]])
    assert await told(store) == []
    await store.settle([failing(claims[8], WHYS[0], clock.now())])
    assert await told(store) == [(Turn.GREW, 10)]
    assert await told(store) == []

    clock.move(61)
    await traffic.deliver(await traffic.claim_all())
    assert await told(store) == [(Turn.CLOSED, 0)]
    assert await told(store) == []
    closed = await store.incidents.page(ACCOUNT, IncidentQuery(IncidentState.CLOSED), 10)
    assert [one.closed_at for one in closed.entries] == [clock.now()]


async def test_a_cause_that_comes_back_opens_the_same_incident_which_nobody_has_seen(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure(deliveryOrder="none")
    await traffic.publish(envelope_id="env-1")
    (claim,) = await traffic.claim_all()
    await store.settle([failing(claim, WHYS[0], clock.now())])
    began = clock.now()
    await store.incidents.tend()
    (before,) = (await store.incidents.page(ACCOUNT, IncidentQuery(), 10)).entries
    assert await store.incidents.acknowledge(ACCOUNT, before.incident_id, "ada", "on it")
    seen = await store.incidents.one(ACCOUNT, before.incident_id)
    assert seen is not None
    assert seen.acknowledged is not None
    assert (seen.acknowledged.by, seen.acknowledged.note) == ("ada", "on it")
    assert seen.acknowledged.at == clock.now()
    assert (seen.opened_at, seen.sample) == (began, claim.delivery_id)
    (noted,) = (await store.audit.entries(ACCOUNT, AuditQuery(what="incident 1"), 10)).entries
    assert (noted.action, noted.change.details) == (
        Action.INCIDENT_ACKNOWLEDGED,
        (Detail("note", None, "on it"),),
    )

    clock.move(61)
    await traffic.deliver(await traffic.claim_all())
    await store.incidents.tend()
    await traffic.publish(envelope_id="env-2")
    (claim,) = await traffic.claim_all()
    await store.settle([failing(claim, WHYS[0], clock.now())])
    again = await store.incidents.one(ACCOUNT, before.incident_id)
    assert again is not None
    assert (again.state, again.closed_at, again.acknowledged) == (IncidentState.OPEN, None, None)
    assert again.opened_at == clock.now()
    assert await told(store) == [(Turn.OPENED, 1)]


async def test_a_retry_that_fails_otherwise_goes_from_one_incident_to_another(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    made = await traffic.configure()
    await traffic.publish()
    (claim,) = await traffic.claim_all()
    await store.settle([failing(claim, WHYS[0], clock.now())])
    clock.move(61)
    (claim,) = await traffic.claim_all()
    assert await counted(store) == {(made.connect_id, Cause("status", "HTTP 503")): 1}
    await store.settle([failing(claim, WHYS[2], clock.now())])
    assert await counted(store) == {(made.connect_id, Cause("tls", "certificate expired")): 1}


async def test_s8_nobody_sees_or_acknowledges_the_incident_of_another_account(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure()
    await traffic.publish()
    (claim,) = await traffic.claim_all()
    await store.settle([failing(claim, WHYS[0], clock.now())])
    (one,) = (await store.incidents.page(ACCOUNT, IncidentQuery(), 10)).entries
    assert await store.incidents.one(OTHER_ACCOUNT, one.incident_id) is None
    assert not await store.incidents.acknowledge(OTHER_ACCOUNT, one.incident_id, "eve", "mine")
    assert (await store.incidents.page(OTHER_ACCOUNT, IncidentQuery(), 10)).entries == ()
    after = await store.incidents.one(ACCOUNT, one.incident_id)
    assert after is not None
    assert after.acknowledged is None


async def test_a_listing_has_pages_newest_first_and_is_of_a_configuration(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    made = [(await traffic.configure(deliveryOrder="none")).connect_id for _ in range(3)]
    await traffic.publish()
    for claim in await traffic.claim_all():
        clock.move(1)
        await store.settle([failing(claim, WHYS[0], clock.now())])
    first = await store.incidents.page(ACCOUNT, IncidentQuery(), 2)
    rest = await store.incidents.page(ACCOUNT, IncidentQuery(), 2, first.next_cursor)
    pages = [*first.entries, *rest.entries]
    assert rest.next_cursor is None
    assert [one.opened_at for one in pages] == sorted(
        (one.opened_at for one in pages), reverse=True
    )
    assert sorted(one.connect_id for one in pages) == made
    of_one = await store.incidents.page(ACCOUNT, IncidentQuery(connect_id=made[1]), 10)
    assert [one.connect_id for one in of_one.entries] == [made[1]]


async def test_the_envelopes_of_one_are_counted_among_the_newest_failures(
    store: Store, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    await traffic.configure(deliveryOrder="none")
    for number, envelope_id in enumerate(("env-1", "env-2", "env-2")):
        await traffic.publish(envelope_id=envelope_id, event_id=f"event-{number}")
    await traffic.give_up(await traffic.claim_all())
    (one,) = (await store.incidents.page(ACCOUNT, IncidentQuery(), 10)).entries
    for most, counted in ((3, Envelopes(2, capped=False)), (1, Envelopes(1, capped=True))):
        monkeypatch.setattr("heliograph.store.verbs.incidents.MOST_COUNTED", most)
        shown = await store.incidents.one(ACCOUNT, one.incident_id)
        assert shown is not None
        assert (shown.failures, shown.envelopes) == (3, counted)
    assert one.envelopes is None


async def test_its_growth_is_told_by_the_minute_for_an_hour(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure(deliveryOrder="none")
    for number in range(3):
        await traffic.publish(envelope_id=f"env-{number}")
        await traffic.give_up(await traffic.claim_all())
        await store.incidents.tend()
        await store.incidents.tend()
        clock.move(59.5)
    (one,) = (await store.incidents.page(ACCOUNT, IncidentQuery(), 10)).entries
    assert [failures for _, failures in one.minutes] == [1, 3]
    clock.move(3600)
    await store.incidents.tend()
    (one,) = (await store.incidents.page(ACCOUNT, IncidentQuery(), 10)).entries
    assert [failures for _, failures in one.minutes] == [3]


async def test_r14_a_closed_incident_goes_with_the_logs_of_its_time_and_an_open_one_stays(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    await traffic.configure(deliveryOrder="none")
    await traffic.publish(envelope_id="env-1")
    await traffic.publish(envelope_id="env-2")
    mended, failed = await traffic.claim_all()
    await store.settle(
        [failing(mended, WHYS[0], clock.now()), settled(failed, GaveUp(WHYS[2]), clock.now())]
    )
    clock.move(61)
    await traffic.deliver(await traffic.claim_all())
    await store.incidents.tend()
    ended = clock.now()
    await store.retire(ended)
    assert len((await store.incidents.page(ACCOUNT, IncidentQuery(), 10)).entries) == 2
    await store.retire(ended + timedelta(seconds=1))
    (left,) = (await store.incidents.page(ACCOUNT, IncidentQuery(), 10)).entries
    assert left.cause == Cause("tls", "certificate expired")
