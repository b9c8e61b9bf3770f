"""The words: what a secret shows, and which moves a delivery may make."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import apsw
import msgspec
import pytest

from heliograph.model.accounts import Account, HmacKey, Principal, Role, Secret
from heliograph.model.causes import Cause
from heliograph.model.deliveries import (
    LEGAL_MOVES,
    Claim,
    DeliveryState,
    Gathered,
    Phase,
    Why,
    in_parts,
)
from heliograph.model.events import Event
from heliograph.model.incidents import Incident, IncidentState
from heliograph.model.logs import Cursor, LogQuery, Order
from heliograph.model.people import (
    ADMINISTRATORS_ID,
    EVERYONE_ID,
    Group,
    GroupKind,
    User,
    UserStatus,
)
from heliograph.store import sql
from tests.support import ACCOUNT, START, wanted_configuration

CANARY = "canary-1234"
UNFINISHED = {DeliveryState.WAITING, DeliveryState.HELD, DeliveryState.IN_FLIGHT}
SECRET = Secret(CANARY)


def test_r4_the_database_knows_the_same_legal_moves() -> None:
    database = apsw.Connection(":memory:")
    for migration in sql.migrations("sqlite"):
        database.execute(migration.sql)
    rows = database.execute("select from_state, to_state from legal_move").fetchall()
    database.close()
    assert sorted(rows) == sorted(
        (before.value, after.value) for before, moves in LEGAL_MOVES.items() for after in moves
    )


def test_r4_every_state_has_its_moves_and_one_is_final() -> None:
    assert set(LEGAL_MOVES) == set(DeliveryState)
    final = {state for state, moves in LEGAL_MOVES.items() if not moves}
    assert final == {DeliveryState.CANCELLED}
    # What was delivered can only be sent once more; it does not fail by itself.
    resent = {DeliveryState.WAITING, DeliveryState.HELD}
    assert LEGAL_MOVES[DeliveryState.DELIVERED] == resent


def test_r5_nothing_is_delivered_that_was_not_in_flight() -> None:
    before = {state for state, moves in LEGAL_MOVES.items() if DeliveryState.DELIVERED in moves}
    assert before == {DeliveryState.IN_FLIGHT}


def test_r8_nothing_is_claimed_that_was_not_waiting() -> None:
    before = {state for state, moves in LEGAL_MOVES.items() if DeliveryState.IN_FLIGHT in moves}
    assert before == {DeliveryState.WAITING}


def test_r4_every_unfinished_delivery_can_end_and_a_failed_one_can_be_revived() -> None:
    for state in UNFINISHED:
        assert {DeliveryState.FAILED, DeliveryState.CANCELLED} <= LEGAL_MOVES[state]
    assert DeliveryState.WAITING in LEGAL_MOVES[DeliveryState.FAILED]
    assert not UNFINISHED & {DeliveryState.FAILED, DeliveryState.DELIVERED, DeliveryState.CANCELLED}


@pytest.mark.parametrize(
    "shown",
    [
        repr(SECRET),
        str(SECRET),
        format(SECRET),
        f"{SECRET}",
        f"{SECRET!r}",
        f"{SECRET!s:>40}",
        f"{SECRET:>40}",
        "{0}".format(SECRET),  # noqa: UP030, UP032 (the older way is what is tested)
        "%s %r" % (SECRET, SECRET),  # noqa: UP031 (as logging does)
        repr([SECRET]),
        repr({"password": SECRET}),
        repr(HmacKey("k", SECRET, START)),
        repr(wanted_configuration(password=CANARY)),
        ascii(SECRET),
    ],
)
def test_s7_a_secret_never_shows_itself(shown: str) -> None:
    assert "canary" not in shown
    assert "1234" not in shown


def test_s7_a_secret_shows_that_it_is_one() -> None:
    assert (repr(SECRET), str(SECRET), f"{SECRET}") == ("Secret('***')", "***", "***")


def test_s7_only_reveal_gives_a_secret() -> None:
    assert SECRET.reveal() == CANARY
    assert type(SECRET.reveal()) is str


def test_s7_a_secret_cannot_be_written_as_json_by_msgspec() -> None:
    for value in (SECRET, {"password": SECRET}, [SECRET], HmacKey("k", SECRET, START)):
        with pytest.raises(TypeError) as caught:
            msgspec.json.encode(value)
        assert CANARY not in str(caught.value)


def test_s7_a_secret_does_not_show_in_a_log_line_or_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logging.getLogger("x").warning("a %s b %r", SECRET, {"k": SECRET})
    try:
        raise ValueError(SECRET, f"{SECRET}")
    except ValueError as error:
        shown = "".join(traceback.format_exception(error))
    assert CANARY not in caplog.text + shown


def test_secrets_are_equal_by_their_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert hash(Secret("a")) != hash(Secret("b"))


def test_the_words_cannot_be_changed() -> None:
    account = Account("a", 1, "n")
    with pytest.raises(FrozenInstanceError):
        account.name = "other"  # type: ignore[misc]


def test_what_is_shown_is_the_event_or_the_newest_of_those_that_it_stands_for() -> None:
    first = Event(ACCOUNT, "event-1", "envelope-sent", "env-1", START, b"{}")
    newest = Event(ACCOUNT, "event-2", "envelope-completed", "env-1", START, b"{}")
    claim = Claim(1, 1, 1, 1, 1, START, 7, first, wanted_configuration())
    assert claim.shown is first
    assert replace(claim, gathered=Gathered(newest, 2)).shown is newest


def test_a_reason_reads_as_its_phase_and_what_happened() -> None:
    assert str(Why(Phase.REFUSED_ADDRESS, "10.0.0.1")) == "refused address: 10.0.0.1"
    assert json.loads(json.dumps(Phase.TLS)) == "tls"


def test_s7_a_secret_cannot_be_written_joined_or_cut_as_a_text() -> None:
    secret: Any = SECRET
    writers: list[Callable[[Any], object]] = [
        json.dumps,
        lambda value: "".join([value]),
        lambda value: value[:4],
        lambda value: "key " + value,
    ]
    for write in writers:
        with pytest.raises(TypeError):
            write(secret)


def test_s18_who_came_with_an_application_or_until_a_time_ends_by_itself() -> None:
    lasting = Principal(Account("a", 1, "n"), Role.VIEWER, "ci")
    assert not lasting.ends
    assert replace(lasting, expires_at=START).ends
    assert replace(lasting, integration_key="key").ends
    assert replace(lasting, expires_at=START, integration_key="key").ends


def test_the_parts_of_a_body_are_its_bytes_in_their_order() -> None:
    assert in_parts(b"whole") == (b"whole",)
    assert in_parts((b"head", b"rest")) == (b"head", b"rest")


@pytest.mark.parametrize(
    ("given", "family", "whole", "names"),
    [
        ("", "", "Ada King Lovelace", ("Ada", "King Lovelace")),
        ("", "", "Ada", ("Ada", "")),
        ("Augusta", "", "Ada Lovelace", ("Augusta", "")),
        ("", "King", "Ada Lovelace", ("", "King")),
    ],
)
def test_a_persons_names_are_those_given_or_else_the_parts_of_the_whole(
    given: str, family: str, whole: str, names: tuple[str, str]
) -> None:
    address = "ada@example.com"
    person = User(
        *("id", ACCOUNT, address, whole, given, family), Role.VIEWER, UserStatus.ACTIVE, START
    )
    assert person.names == names


def test_two_groups_are_built_in_and_others_are_custom() -> None:
    kinds = {number: Group(number, "g", 0).kind for number in (ADMINISTRATORS_ID, EVERYONE_ID, 3)}
    assert list(kinds.values()) == [
        GroupKind.ADMINISTRATORS,
        GroupKind.EVERYONE,
        GroupKind.CUSTOM,
    ]


def test_an_incident_is_open_while_it_has_a_failure() -> None:
    one = Incident(1, ACCOUNT, 5, "crm", Cause("tls", "x"), 1, START, START, Cursor(1, 1))
    assert one.state is IncidentState.OPEN
    assert replace(one, failures=0).state is IncidentState.CLOSED


def test_an_order_narrows_nothing_and_every_filter_does() -> None:
    assert not LogQuery().narrows
    assert not LogQuery(order=Order.OLDEST_FIRST).narrows
    for one in (LogQuery(error="x"), LogQuery(connect_id=1, order=Order.OLDEST_FIRST)):
        assert one.narrows
