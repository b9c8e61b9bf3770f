"""The query parameters of listings, cursors, and ids in paths."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.api.contract.parameters import row_id
from heliograph.api.contract.selection import MOST_RECORDS, next_link, read, write_cursor
from heliograph.errors import InvalidParameter
from heliograph.model.logs import Cursor, LogQuery, Order
from heliograph.wire.messages.json_sim import LONGEST_ID, STATUS_WORDS
from tests.operations import NAMES

LARGEST = 2**63 - 1
cursors = st.builds(Cursor, st.integers(-LARGEST, LARGEST), st.integers(0, LARGEST))


def refusal(**query: str) -> str:
    with pytest.raises(InvalidParameter) as caught:
        read(query)
    return caught.value.message


def encoded(plain: str | bytes) -> str:
    raw = plain.encode() if isinstance(plain, str) else plain
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_without_parameters_everything_is_meant_newest_first() -> None:
    selection = read({})
    assert selection.query == LogQuery()
    assert selection.query.order is Order.NEWEST_FIRST
    assert (selection.count, selection.cursor) == (None, None)


def test_each_parameter_is_read() -> None:
    selection = read(
        {
            "from_date": "2026-11-23T09:00:00.1234567Z",
            "to_date": "2026-11-24",
            "connect_id": "5",
            "envelope_id": " env-1 ",
            "status": "completed",
            "error": "TimeOut",
            "count": "100",
            "cursor": write_cursor(Cursor(-7, 9)),
            "order": "ASC",
        }
    )
    assert selection.query == LogQuery(
        from_date=datetime(2026, 11, 23, 9, 0, 0, 123456, tzinfo=UTC),
        to_date=datetime(2026, 11, 24, tzinfo=UTC),
        connect_id=5,
        envelope_id="env-1",
        status="Completed",
        error="TimeOut",
        order=Order.OLDEST_FIRST,
    )
    assert (selection.count, selection.cursor) == (100, Cursor(-7, 9))


def test_empty_and_unknown_parameters_count_as_not_given() -> None:
    assert read(dict.fromkeys(NAMES, " ") | {"unknown": "x"}) == read({})


def test_any_status_is_no_filter_and_each_other_word_is_itself() -> None:
    assert read({"status": "Any"}).query.status is None
    for word in set(STATUS_WORDS.values()) - {"Any"}:
        assert read({"status": word.upper()}).query.status == word


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2026-12-31T23:59:60Z", "0000-01-01", "10000-01-01", "2026-11-23T09:00:00+99:00"],
)
@pytest.mark.parametrize("name", ["from_date", "to_date"])
def test_a_date_that_cannot_be_read_is_refused_by_name(name: str, text: str) -> None:
    assert name in refusal(**{name: text})


def test_a_refusal_repeats_only_the_beginning_of_a_long_value() -> None:
    assert len(refusal(from_date="x" * 100_000)) < 200


@pytest.mark.parametrize(
    "text", ["0", "-1", "1e9", "1.0", "many", "٣", "²", str(MOST_RECORDS + 1), "0" * 9 + "99999"]
)
def test_s13_a_count_outside_its_range_is_refused(text: str) -> None:
    assert "count" in refusal(count=text)


def test_s13_a_count_of_any_length_is_refused_and_breaks_nothing() -> None:
    # More than 4,300 digits are a ValueError of int() itself.
    assert "count" in refusal(count="1" * 5000)
    assert "count" in refusal(count="0" * 9 + "1" * 5000)


@pytest.mark.parametrize("count", [1, 100, MOST_RECORDS])
def test_each_count_of_its_range_is_taken(count: int) -> None:
    assert read({"count": str(count)}).count == count


def test_other_words_are_refused_by_name() -> None:
    assert "status" in refusal(status="Lost")
    assert "order" in refusal(order="random")
    assert "connect_id" in refusal(connect_id="x")
    assert "error" in refusal(error="x" * (LONGEST_ID + 1))
    assert read({"error": "x" * LONGEST_ID}).query.error


@pytest.mark.parametrize("text", ["0", "1", str(LARGEST)])
def test_a_row_id_is_a_number_that_the_database_can_hold(text: str) -> None:
    assert row_id(text, "logId") == int(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        " 1",
        "1_0",
        "1.0",
        "0x1",
        "٣",
        "²",
        "1;drop",
        str(LARGEST + 1),
        # Once taken for 0 by its first twenty digits, and then too large for SQLite.
        "0" * 20 + "9" * 20,
        "0" * 20 + "9" * 5000,
    ],
)
def test_anything_else_than_a_number_cannot_name_a_row(text: str) -> None:
    with pytest.raises(InvalidParameter, match="logId must be a number"):
        row_id(text, "logId")


@given(st.text())
def test_no_text_whatever_breaks_a_row_id(text: str) -> None:
    try:
        assert 0 <= row_id(text, "logId") <= LARGEST
    except InvalidParameter:
        return


@given(cursors)
def test_a_cursor_is_read_back_as_it_was_written(cursor: Cursor) -> None:
    text = write_cursor(cursor)
    assert read({"cursor": text}).cursor == cursor
    assert text == text.strip("=")


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "!!!!",
        "☂",
        "\x00",
        encoded("1"),
        encoded("1."),
        encoded(".1"),
        encoded("1.2.3"),
        encoded("a.b"),
        encoded("1.5e3"),
        encoded(b"\xff.1"),
        encoded(f"{2**63}.1"),
        encoded(f"1.{2**63}"),
        encoded(f"-{2**64}.1"),
        encoded("9" * 5000 + ".1"),
        write_cursor(Cursor(1_700_000_000_000_000, 12))[:-1] + "!",
        "A" * 100_000,
    ],
)
def test_a_forged_cursor_is_refused_and_breaks_nothing(text: str) -> None:
    assert "cursor" in refusal(cursor=text)


@given(st.text())
def test_no_text_whatever_breaks_a_cursor(text: str) -> None:
    try:
        cursor = read({"cursor": text}).cursor
    except InvalidParameter:
        return
    if cursor is not None:
        assert max(abs(cursor.created_us), abs(cursor.row_id)) <= LARGEST


@given(st.dictionaries(st.sampled_from(NAMES), st.text(), max_size=9))
def test_no_query_whatever_raises_anything_but_invalid_parameter(query: dict[str, str]) -> None:
    try:
        selection = read(query)
    except InvalidParameter:
        return
    assert selection.count is None or 1 <= selection.count <= MOST_RECORDS


def test_the_next_link_keeps_the_filters_and_changes_the_cursor() -> None:
    query = {"status": "Sent", "error": "a&b=ü ", "cursor": "old", "count": "5"}
    link = next_link("/v2.1/accounts/1/connect/failures", query, Cursor(5, 6))
    target, _, relation = link.removeprefix("<").partition(">")
    assert relation == '; rel="next"'
    parts = urlsplit(target)
    assert parts.path == "/v2.1/accounts/1/connect/failures"
    assert parse_qs(parts.query) == {
        "status": ["Sent"],
        "error": ["a&b=ü "],
        "count": ["5"],
        "cursor": [write_cursor(Cursor(5, 6))],
    }


@given(st.text(max_size=20))
def test_s4_no_filter_can_break_out_of_the_link_header(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    link = next_link("/x", {"error": text}, Cursor(1, 2))
    assert link.isascii()
    assert link.isprintable()
    assert link.count(">") == 1
