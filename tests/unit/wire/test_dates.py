"""Date-times on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.store import times
from heliograph.wire import dates

NINE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
instants = st.datetimes(timezones=st.just(UTC))


@given(instants)
def test_what_is_rendered_is_read_back_exactly(when: datetime) -> None:
    assert dates.parse(dates.render(when)) == when


@given(instants)
def test_rendered_dates_sort_as_text_as_they_do_in_time(when: datetime) -> None:
    text = dates.render(when)
    assert len(text) == 28
    assert text.endswith("0Z")
    later = when.replace(year=min(9999, when.year + 1), month=12, day=31, hour=23)
    assert (text <= dates.render(later)) == (when <= later)


@given(instants)
def test_microseconds_are_exact_both_ways(when: datetime) -> None:
    assert times.from_microseconds(times.to_microseconds(when)) == when


def test_an_instant_is_written_in_utc_whatever_zone_it_was_given_in() -> None:
    indian = timezone(timedelta(hours=5, minutes=30))
    assert dates.render(NINE.astimezone(indian)) == "2026-11-23T09:00:00.0000000Z"


def test_microseconds_count_from_1970_and_are_negative_before() -> None:
    assert times.to_microseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == 1_000_000
    assert times.to_microseconds(datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)) == -1


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T09:00:00Z",
        "2026-11-23T09:00:00z",
        "2026-11-23 09:00:00Z",
        "2026-11-23T09:00Z",
        "2026-11-23T09:00:00",
        "  2026-11-23T09:00:00Z\n",
        "2026-11-23T09:00:00.0000000Z",
        "2026-11-23T09:00:00,0Z",
        "2026-11-23T09:00:00.000000000000Z",
        "2026-11-23T09:00:00+00:00",
        "2026-11-23T09:00:00-00:00",
        "2026-11-23T14:30:00+05:30",
        "2026-11-23T14:30:00.0000000+0530",
        "2026-11-22T09:01:00-23:59",
    ],
)
def test_each_iso_form_of_one_instant_is_read_alike(text: str) -> None:
    assert dates.parse(text) == NINE


def test_a_date_alone_is_its_first_instant_in_utc() -> None:
    assert dates.parse("2026-11-23") == datetime(2026, 11, 23, tzinfo=UTC)


def test_the_seventh_digit_is_cut_and_never_rounded_up() -> None:
    parsed = dates.parse("2026-11-23T08:59:59.9999999Z")
    assert parsed == NINE - timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
        (
            "9999-12-31T23:59:59.9999999Z",
            datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        ),
    ],
)
def test_the_first_and_the_last_instant_are_read(text: str, expected: datetime) -> None:
    assert dates.parse(text) == expected
    assert dates.parse(dates.render(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026",
        "2026-11",
        "0000-01-01",
        "10000-01-01",
        "-0001-01-01",
        "2026-13-01",
        "2026-02-30",
        "2026-11-23T",
        "2026-11-23t09:00:00Z",
        "2026-11-23T9:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-12-31T23:59:60Z",
        "2026-11-23T09:00:00.Z",
        "2026-11-23T09:00:00." + "0" * 13 + "Z",
        "2026-11-23T09:00:00+24:00",
        "2026-11-23T09:00:00+5",
        "2026-11-23T09:00:00 Z",
        "2026-11-23T09:00:00ZZ",
        "2026-11-23T09:00:00\x00Z",
        "2026-W48-1",
        "20261123",
        "2026-327",
        "٢٠٢٦-11-23",
        "1763888400",
        "Mon, 23 Nov 2026 09:00:00 GMT",
        # Outside the years 1 to 9999 once they are in UTC.
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    ],
)
def test_anything_else_is_a_value_error_and_nothing_worse(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        dates.parse(text)


@given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?"))
def test_no_text_whatever_raises_anything_but_a_value_error(text: str) -> None:
    try:
        when = dates.parse(text)
    except ValueError:
        return
    assert when.utcoffset() == timedelta(0)
