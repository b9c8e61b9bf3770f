"""S13: whatever a listing is asked for, it answers 400 or exactly the right page."""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heliograph.store import times
from heliograph.wire import dates
from tests.process import Server, started
from tests.support import published

EVENTS = 40
LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Filled:
    """A server whose account has failures, oldest first, and users by name."""

    server: Server
    failures: list[dict[str, str]]
    users: list[str]
    foreign_cursor: str

    @property
    def keys(self) -> list[tuple[int, int]]:
        return [(micros(one["created"]), int(one["failureId"])) for one in self.failures]


def micros(text: str) -> int:
    return times.to_microseconds(dates.parse(text))


@pytest.fixture(params=["sqlite", "postgres"], scope="module")
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Filled]:
    options: tuple[str, ...] = ()
    if request.param == "postgres":
        from tests.conftest import new_database  # noqa: PLC0415

        database = new_database(request.getfixturevalue("postgres"), "template0")
        options = ("--database-url", database)
    with started(tmp_path_factory.mktemp("pages"), *options) as server:
        refused = "http://127.0.0.1:4999/"
        wanted = {"name": "a", "urlToPublishTo": refused, "allowEnvelopePublish": "true"}
        wanted |= {"allUsers": "true", "enableLog": "true", "requiresAcknowledgement": "false"}
        made = server.call("POST", "", {**wanted, "events": ["envelope-sent"]})
        assert made.status == 201, made.body
        for number in range(0, EVENTS, 5):  # some of one instant, some apart
            events = [published(envelope_id=f"e{number + one}") for one in range(5)]
            assert server.call("POST", "events", events).status == 202
        failures: list[dict[str, str]] = []
        deadline = time.monotonic() + 60
        while len(failures) < EVENTS:
            failures = server.call("GET", "failures?order=asc").json["failures"]
            assert time.monotonic() < deadline
        account = server.connect.removesuffix("/connect")
        new = [{"userName": f"user {n:02}", "email": f"u{n}@example.com"} for n in range(12)]
        assert server.call("POST", f"{account}/users", {"newUsers": new}).status == 201
        listed = server.call("GET", f"{account}/users").json["users"]
        cursor = next_cursor(server.call("GET", "logs?count=1"))
        assert cursor is not None
        yield Filled(server, failures, [one["userName"] for one in listed], cursor)


def next_cursor(reply: Any) -> str | None:
    link = reply.headers.get("Link")
    if link is None:
        return None
    cursor: str = parse_qs(urlsplit(link[1 : link.index(">")]).query)["cursor"][0]
    return cursor


# ------------------------------------------------------------------------------- the dates

WRONG_DATES = (
    *("0000-01-01", "10000-01-01", "2026-12-31T23:59:60Z", "2026-11-23T24:00:00Z", "2026-02-30"),
    *("-0001-01-01", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "now", "1763888400"),
    *("2026-11-23T09:00:00+99:00", "2026-11-23T09:00:00.00000000000000Z", "٢٠٢٦-11-23", "x" * 5000),
)


def spelled(when: datetime, offset: int, digits: str, mark: str) -> str:
    """An instant with an offset in minutes, `digits` after the sixth, and a T or a space."""
    try:
        there = when + timedelta(minutes=offset)
    except OverflowError:
        there, offset = when, 0
    sign = "-" if offset < 0 else "+"
    zone = f"{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}" if offset else "Z"
    # strftime leaves out the zeros of early years.
    day = f"{there.year:04}-{there:%m-%d}"
    return f"{day}{mark}{there:%H:%M:%S}.{there.microsecond:06}{digits}{zone}"


@st.composite
def a_date(draw: st.DrawFn) -> tuple[str, datetime | int | None]:
    """Text, and its instant; an int stands for so many microseconds from a failure's own, None
    for what must be refused."""
    if draw(st.integers(0, 5)) == 0:
        return draw(st.sampled_from(WRONG_DATES)), None
    if draw(st.booleans()):
        return "", draw(st.integers(-1, 1))
    when = draw(st.datetimes(timezones=st.just(UTC)))
    spell = st.builds(
        spelled,
        st.just(when),
        st.integers(-1439, 1439),
        st.sampled_from(("", "0", "9", "999999")),
        st.sampled_from("T "),
    )
    return draw(spell), when


COUNTS = st.one_of(
    st.none(),
    st.integers(1, EVENTS + 2).map(str),
    st.sampled_from(
        ("0", "-1", "1e9", "1000000000", "10001", "many", "1.0", "+1", "٣", "1" * 5000)
    ),
)

CURSORS = st.one_of(
    st.none(),
    st.integers(0, EVENTS - 1),  # that of a failure
    st.tuples(st.integers(0, EVENTS - 1), st.integers(1, 12)),  # the same, cut short
    st.just("foreign"),
    st.text(max_size=30),
    st.tuples(st.integers(-(2**65), 2**65), st.integers(-(2**65), 2**65)).map(
        lambda pair: packed(*pair)
    ),
)


def packed(created: int, row: int) -> str:
    return base64.urlsafe_b64encode(f"{created}.{row}".encode()).decode().rstrip("=")


def unpacked(text: str) -> tuple[int, int] | None:
    """What a cursor says, by a reading of our own; None where it says nothing."""
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    found = re.fullmatch(
        rb"\s*([+-]?[0-9]+(?:_[0-9]+)*)\s*\.\s*([+-]?[0-9]+(?:_[0-9]+)*)\s*", plain
    )
    if found is None:
        return None
    created, row = int(found[1]), int(found[2])
    return (created, row) if max(abs(created), abs(row)) <= LARGEST else None


def between(filled: Filled, data: st.DataObject, query: dict[str, str]) -> tuple[int, int] | None:
    """Adds dates to the query: the microseconds that they span, None if one must be refused."""
    span, legal = [-LARGEST, LARGEST], True
    for place, name in enumerate(("from_date", "to_date")):
        if not data.draw(st.booleans(), label=name):
            continue
        text, meant = data.draw(a_date())
        if isinstance(meant, int):
            meant = times.from_microseconds(
                filled.keys[data.draw(st.integers(0, EVENTS - 1))][0] + meant
            )
            text = spelled(meant, data.draw(st.integers(-1439, 1439)), "7", "T")
        query[name] = text
        if meant is None:
            legal = False
        else:
            span[place] = times.to_microseconds(meant)
    return (span[0], span[1]) if legal else None


def cursor_text(filled: Filled, chosen: Any) -> str:
    """What one of `CURSORS` stands for."""
    match chosen:
        case "foreign":
            return filled.foreign_cursor
        case int():
            return packed(*filled.keys[chosen])
        case (place, cut):
            return packed(*filled.keys[place])[:-cut]
        case _:
            return str(chosen)


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_s13_failures_are_answered_with_the_right_page_or_400(
    filled: Filled, data: st.DataObject
) -> None:
    query: dict[str, str] = {}
    span = between(filled, data, query)
    legal = span is not None
    if (count := data.draw(COUNTS, label="count")) is not None:
        query["count"] = count
        legal &= count.isascii() and count.isdigit() and 1 <= int(count[:6]) <= EVENTS + 2
    if (order := data.draw(st.sampled_from(("asc", "desc", "DESC", None)))) is not None:
        query["order"] = order
    after = None
    if (chosen := data.draw(CURSORS, label="cursor")) is not None:
        query["cursor"] = text = cursor_text(filled, chosen)
        if text.strip():
            after = unpacked(text.strip())
            legal &= after is not None
    reply = filled.server.call("GET", f"failures?{urlencode(query)}")
    if not legal or span is None:
        assert (reply.status, reply.error) == (400, "INVALID_REQUEST_PARAMETER"), query
        return
    assert reply.status == 200, (query, reply.body[:300])
    rising = order == "asc"
    keys = filled.keys if rising else filled.keys[::-1]
    wanted = [key for key in keys if span[0] <= key[0] <= span[1]]
    if after is not None:
        wanted = [key for key in wanted if (key > after if rising else key < after)]
    page = wanted if count is None else wanted[: int(count)]
    found = [(micros(one["created"]), int(one["failureId"])) for one in reply.json["failures"]]
    assert found == page, query
    assert (next_cursor(reply) is not None) == (len(page) < len(wanted)), query


PLACES = st.one_of(
    st.integers(0, 15).map(str),
    st.sampled_from(("-1", "1e9", "1000000000", "1000000001", "x", "1.5", "", "²", "9" * 5000)),
)


@given(start=PLACES, count=PLACES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_s13_users_are_answered_with_the_right_page_or_400(
    filled: Filled, start: str, count: str
) -> None:
    def number(text: str, default: int, least: int, most: int) -> int | None:
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 12):
            return None
        return int(text) if least <= int(text) <= most else None

    first, size = number(start, 0, 0, 10**9), number(count, 100, 1, 1000)
    account = filled.server.connect.removesuffix("/connect")
    query = urlencode({"start_position": start, "count": count})
    reply = filled.server.call("GET", f"{account}/users?{query}")
    if first is None or size is None:
        assert (reply.status, reply.error) == (400, "INVALID_REQUEST_PARAMETER"), query
        return
    assert reply.status == 200, reply.body[:300]
    found = [one["userName"] for one in reply.json["users"]]
    assert found == filled.users[first : first + size]
    assert ("nextUri" in reply.json) == (bool(found) and first + size < len(filled.users))
