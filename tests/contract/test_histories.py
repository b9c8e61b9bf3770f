"""The store contract as one state machine: any history of calls, on each engine, does what a
small model says (R3, R4, R6, R17), and what makes something due says so (R21)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
)

from heliograph.model.accounts import Account
from heliograph.model.deliveries import Claim, Delivered, GaveUp, Outcome
from heliograph.model.logs import LogQuery
from heliograph.store import MOST_UNSETTLED_CLAIMS
from tests.contract.walks import ENGINES, Walk, run_walks, walk_limit
from tests.support import (
    ACCOUNT,
    WHY,
    accept,
    claim_all,
    new_event,
    retry_in,
    settled,
    wanted_configuration,
)

ENVELOPES = st.sampled_from(["env-a", "env-b"])
CONFIGURATIONS = st.sampled_from([0, 1])
UNFINISHED = ("waiting", "held", "in flight")


@dataclass
class Expected:
    """One delivery as the model sees it."""

    event_id: str
    configuration: int
    envelope: str
    place: int
    state: str = "waiting"
    due: float = 0.0
    reason: str = ""
    in_lane: bool = True
    failure: bool = False
    unsettled: int = 0

    @property
    def key(self) -> tuple[str, int]:
        return (self.event_id, self.configuration)


class Histories(Walk):
    """Random histories, and what a small model expects of each."""

    def __init__(self) -> None:
        super().__init__()
        self.store.when_due(self.wake)
        self.woken, self.was_due = False, set[tuple[str, int]]()
        self.run(self.store.create_account(Account(ACCOUNT, 1, "First")))
        self.ids = [
            self.run(self.store.create_configuration(wanted_configuration())).connect_id
            for _ in range(2)
        ]
        self.paused = [False, False]
        self.known: dict[tuple[str, int], Expected] = {}
        self.claims: dict[tuple[str, int], Claim] = {}

    def wake(self) -> None:
        self.woken = True

    # ------------------------------------------------------------------------- the model

    @property
    def due(self) -> set[tuple[str, int]]:
        return {
            one.key for one in self.known.values() if one.state == "waiting" and one.due <= self.now
        }

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    def lane(self, one: Expected) -> list[Expected]:
        return sorted(
            (
                other
                for other in self.known.values()
                if other.in_lane
                and other.state in UNFINISHED
                and (other.configuration, other.envelope) == (one.configuration, one.envelope)
            ),
            key=lambda other: other.place,
        )

    def wait(self, one: Expected, due: float) -> None:
        one.due = due
        one.state, one.reason = "waiting", ""
        if self.paused[one.configuration]:
            one.state, one.reason = "held", "paused"

    def end(self, one: Expected, state: str) -> None:
        one.state = state
        if one.in_lane and (rest := self.lane(one)) and rest[0].reason == "order":
            self.wait(rest[0], self.now)

    # ------------------------------------------------------------------------- the rules

    @rule(envelope=ENVELOPES)
    def publish(self, envelope: str) -> None:
        number = next(self.numbers)
        event_id = f"event-{number}"
        self.run(accept(self.store, new_event(envelope_id=envelope, event_id=event_id)))
        for configuration in range(2):
            one = Expected(event_id, configuration, envelope, number)
            # What comes in a pause is listed, though nobody has tried it.
            one.failure = self.paused[configuration]
            if self.lane(one):
                one.state, one.reason = "held", "order"
            else:
                self.wait(one, self.now)
            self.known[one.key] = one

    @rule()
    def claim(self) -> None:
        claims = self.run(claim_all(self.store))
        by_key = {
            (claim.event.event_id, self.ids.index(claim.configuration.connect_id)): claim
            for claim in claims
        }
        assert set(by_key) == self.due
        self.claims |= by_key
        for key in by_key:
            self.known[key].state = "in flight"
            self.known[key].unsettled += 1

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), outcome=st.sampled_from(["delivered", "retry", "gave up"]))
    def settle(self, data: st.DataObject, outcome: str) -> None:
        key = data.draw(st.sampled_from(sorted(self.claims)))
        claim, one = self.claims.pop(key), self.known[key]
        outcomes: dict[str, Outcome] = {
            "delivered": Delivered(),
            "retry": retry_in(60, self.clock.now()),
            "gave up": GaveUp(WHY),
        }
        came = outcomes[outcome]
        ours = self.run(self.store.settle([settled(claim, came, self.clock.now())]))
        assert ours == [one.state == "in flight"]
        if one.state != "in flight":
            return
        one.unsettled = 0
        one.failure = outcome != "delivered"
        if outcome == "retry":
            self.wait(one, self.now + 60)
        else:
            self.end(one, "delivered" if outcome == "delivered" else "failed")

    @rule(seconds=st.sampled_from([1, 61]))
    def pass_time(self, seconds: int) -> None:
        self.clock.move(seconds)
        self.was_due = self.due  # a dispatcher knows these times

    @rule(configuration=CONFIGURATIONS)
    def pause_or_resume(self, configuration: int) -> None:
        paused = self.paused[configuration] = not self.paused[configuration]
        wanted = wanted_configuration(
            connect_id=self.ids[configuration], pausePublish=str(paused).lower()
        )
        assert self.run(self.store.update_configuration(wanted))
        for one in self.known.values():
            if one.configuration != configuration or one.state not in ("waiting", "held"):
                continue
            one.failure |= paused
            if one.reason != "order":
                self.wait(one, one.due)

    @rule(envelope=ENVELOPES)
    def republish(self, envelope: str) -> None:
        self.run(self.store.requeue_envelopes(ACCOUNT, [envelope]))
        for one in self.known.values():
            if one.envelope != envelope or not one.failure:
                continue
            if one.state == "failed":
                one.in_lane = False
                self.wait(one, self.now)
            elif one.state == "waiting":
                one.due = min(one.due, self.now)

    @precondition(lambda self: any(one.failure for one in self.known.values()))
    @rule(data=st.data())
    def delete_failure(self, data: st.DataObject) -> None:
        listed = self.run(self.store.failures(ACCOUNT, LogQuery(), 1000)).entries
        entry = data.draw(st.sampled_from(sorted(listed, key=lambda one: one.cursor.row_id)))
        assert entry.failure_id is not None
        assert self.run(self.store.delete_failure(ACCOUNT, entry.failure_id, "alice"))
        one = self.known[entry.event_id, self.ids.index(entry.connect_id)]
        one.failure = False
        self.end(one, "cancelled")

    @rule()
    def crash(self) -> None:
        self.run(self.store.close())
        self.store = self.run(self.open(self.clock))
        self.store.when_due(self.wake)
        self.woken = True  # a dispatcher looks when it starts
        for one in self.known.values():
            if one.state != "in flight":
                continue
            if one.unsettled >= MOST_UNSETTLED_CLAIMS:
                one.unsettled, one.failure = 0, True
                self.end(one, "failed")
            else:
                self.wait(one, self.now)

    @invariant()
    def what_became_due_was_told(self) -> None:
        due = self.due
        assert self.woken or due <= self.was_due
        self.woken, self.was_due = False, due

    @invariant()
    def failures_are_the_models(self) -> None:
        listed = self.run(self.store.failures(ACCOUNT, LogQuery(), 1000)).entries
        found = {(one.event_id, self.ids.index(one.connect_id)) for one in listed}
        assert found == {key for key, one in self.known.items() if one.failure}


@walk_limit
@pytest.mark.parametrize("engine", ENGINES)
def test_r3_r4_r6_r17_r21_any_history_does_what_the_model_says(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run_walks(Histories, engine, request, tmp_path)
