"""R13: whatever is remembered by account, token, client or configuration has bounds."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from heliograph.access.limits import CallLimits, Rules, Windows
from heliograph.access.sign_in import SignIn
from heliograph.access.throttle import Throttle, TokenGuesses
from heliograph.bounded import Bounded
from heliograph.clock import StoreClock
from heliograph.delivery.publisher import Publisher
from heliograph.delivery.signals import Signals
from heliograph.outbound.tokens import Tokens
from heliograph.store.keyring import KeyRing
from heliograph.store.postgres.queue import Queue as PostgresQueue
from heliograph.store.principals import Principals
from heliograph.store.sqlite.connection import connect
from heliograph.store.sqlite.known import MOST, Known
from heliograph.store.sqlite.node import start
from heliograph.store.turns import Owners
from tests.support import ManualClock

MANY: Final = 20_500
"""More accounts than any memory has room for."""

# By attempt: as many as are in flight.
IN_FLIGHT: Final = {"Queue._claimed"}


def memories(part: object) -> dict[str, Any]:
    """The memories of a part by their names, those of its own parts too."""
    kinds = (Bounded, dict, set, list, OrderedDict, Counter, defaultdict, deque)
    found = {name: value for name, value in vars(part).items() if isinstance(value, kinds)}
    return {f"{type(part).__name__}.{name}": value for name, value in found.items()}


@pytest.fixture
def parts(clock: ManualClock) -> Sequence[object]:
    keyring, now = KeyRing(bytes(32)), lambda: 0
    store: Any = type("Unused", (), {"clock": clock})()
    limits = CallLimits(Rules(1, 1, 1), lambda: 0.0)
    return [
        *(limits, Windows(1, 60), TokenGuesses(1, lambda: 0.0), Throttle(clock, 1, 1.0)),
        *(SignIn(store), Publisher(store, Signals()), Tokens(store, clock)),
        *(Principals(store, clock), Owners()),
        *(Known(keyring), PostgresQueue(keyring, now)),
    ]


def test_r13_nothing_is_remembered_without_bounds(parts: Sequence[object]) -> None:
    unbounded = {
        name
        for part in parts
        for name, memory in memories(part).items()
        if not isinstance(memory, Bounded)
    }
    assert unbounded <= IN_FLIGHT


def test_r13_of_many_accounts_a_queue_knows_those_that_came_last(
    tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "heliograph.db"
    db = connect(path)
    start(db, StoreClock(clock), path)
    read = Known(KeyRing(bytes(32)))
    for number in range(MANY):
        account_id = f"account {number}"
        read.version_of(db, account_id)
        read.active_keys(db, account_id)
        read.client(db, account_id)
        read.oauth_client(db, account_id)
    known = {name: len(memory) for name, memory in memories(read).items()}
    assert sorted(set(known.values())) == [0, MOST], known
    assert f"account {MANY - 1}" in read._versions
    assert "account 0" not in read._versions


def test_r13_of_many_configurations_the_owners_are_known_of_those_that_were_due_last() -> None:
    owners = Owners()
    told = []
    for accounts in ({1: "a"}, {2: "a"}, {n: f"account {n}" for n in range(3, MANY)}):
        owners.note(accounts)
        told.append(owners.several)
    assert told == [False, False, True]
    known = owners.known(range(MANY))
    assert len(known) == 20_000 < MANY
    assert known[MANY - 1] == f"account {MANY - 1}"
    owners.forget()
    assert (owners.known(range(MANY)), owners.several) == ({}, True)
