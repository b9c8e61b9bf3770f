"""Events out of files, times out of words, and text that stays text."""

from __future__ import annotations

import csv
import io
import json
import time
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import click
import pytest

from heliograph.cli.batches import MOST_BYTES, BadEvent, batches
from heliograph.cli.causes import Group
from heliograph.cli.selecting import Moment
from heliograph.plain import harmless, harmless_json, harmless_lines, spreadsheet_cell
from tests.support import published


def lines(*events: bytes, end: bytes = b"\n") -> io.BytesIO:
    return io.BytesIO(end.join(events))


def event(number: int, padding: int = 0) -> bytes:
    return json.dumps(published(envelope_id=f"e{number}", note="x" * padding)).encode()


def test_a_batch_ends_at_a_thousand_events() -> None:
    found = list(batches(lines(*map(event, range(2500)))))
    assert [len(batch.events) for batch in found] == [1000, 1000, 500]
    assert [batch.first for batch in found] == [1, 1001, 2001]


def test_a_batch_ends_before_it_is_too_large() -> None:
    found = list(batches(lines(*(event(at, MOST_BYTES // 3) for at in range(4)))))
    assert [len(batch.events) for batch in found] == [2, 2]
    alone = list(batches(lines(event(0), event(1, MOST_BYTES + 1), event(2))))
    assert [len(batch.events) for batch in alone] == [1, 1, 1]


def test_lines_are_read_as_they_are_needed() -> None:
    class Endless(io.RawIOBase):
        count = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any, /) -> int:
            self.count += 1
            line = event(self.count)[: len(buffer) - 1] + b"\n"
            buffer[: len(line)] = line
            return len(line)

    endless = Endless()
    first = next(batches(io.BufferedReader(endless)))
    assert len(first.events) == 1000
    assert endless.count < 1100


def test_blank_lines_carriage_returns_and_a_byte_order_mark_do_not_matter() -> None:
    text = b"\xef\xbb\xbf\r\n" + b"\r\n\r\n".join([event(1), event(2)]) + b"\r\n"
    (batch,) = batches(io.BytesIO(text))
    assert batch.events == [event(1), event(2)]
    assert batch.lines == [2, 4]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "holds no event"),
        (b"\n \n", "holds no event"),
        (b"[]", "holds no event"),
        (b"event: x", "line 1: this is no JSON"),
        (b"\xff\xfe{", "line 1: this is no JSON"),
        (b"[1]", "line 1: the event is not a JSON object"),
        (b'{"event": 1', "line 1: not valid JSON"),
        (b'{\n "event": "x",\n "data": {,}\n}', "line 3: not valid JSON"),
        (b'[{"event":"x"},\n\n{]', "line 3: not valid JSON"),
        (event(1) + b"\n\n{nonsense}\n", "line 3: "),
        (b"{nonsense}\n" + event(1), "line 1: not valid JSON"),
        (event(1) + b"\n[]\n", "line 2: the event is not a JSON object"),
        (b"[\n" + event(1) + b",\n\n" + b'{"event": "x"}]', "line 4: The event has no object"),
    ],
)
def test_what_cannot_be_published_is_named_by_its_line(text: bytes, told: str) -> None:
    with pytest.raises(BadEvent) as problem:
        list(batches(io.BytesIO(text)))
    assert told in str(problem.value)


def test_control_and_invisible_characters_are_spelt_out() -> None:
    assert harmless("Köln ✓ 契約 [b]") == "Köln ✓ 契約 [b]"
    assert harmless("a\x1b[2Jb\x9b\u202e\r\n\t\x00\U000e0041") == (
        r"a\x1b[2Jb\x9b\u202e\r\n\t\x00\U000e0041"
    )
    assert harmless_lines("a\tb\r\n\x1bc") == "a   b\n\\x1bc"


def test_json_for_a_terminal_means_the_same() -> None:
    value = {"subject": "\x7f\x9b\u202e\u2028é\\"}
    document = json.dumps(value, ensure_ascii=False)
    assert json.loads(harmless_json(document)) == value
    assert not set(harmless_json(document)) & {"\x7f", "\x9b", "\u202e", "\u2028"}


SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212\u207a\u208c"


UNSEEN = ("", " ", "\u00a0", "\u3000", '"', "\u200b", "\ufeff", "\x00", ' "')
PARTS = ("", ";", "|", "\t", "\n", "\r\n", "\x0b", "\x1e", "\u2028", ";\t;")


@pytest.mark.parametrize("part", PARTS)
def test_s10_no_part_of_a_cell_is_a_formula(part: str) -> None:
    for before, unseen, sign in product(("", "Offer") if part else ("",), UNSEEN, SIGNS):
        text = f"{before}{part}{unseen}{sign}cmd|'/c calc'!A1"
        file = io.StringIO()
        csv.writer(file).writerow([spreadsheet_cell(text)] * 2)
        for delimiter in ",;|\t":  # whatever parts cells for who opens it
            (row,) = csv.reader([file.getvalue()], delimiter=delimiter)
            for cell in row:
                begin = cell.lstrip(' "\u00a0')[:1]
                assert not begin or begin not in SIGNS, (text, row)


@pytest.mark.parametrize("text", ["a=1", "a-b; c", "1;2|3", "x@example.com", "a - b", "'=1", ""])
def test_a_cell_without_a_formula_is_as_it_was(text: str) -> None:
    assert spreadsheet_cell(text) == text


def test_s10_a_long_cell_takes_no_time_squared() -> None:
    began = time.process_time()
    for text in ("\t" * 200_000 + "x", "; " * 100_000 + "=", " \t=;" * 50_000):
        spreadsheet_cell(text)
    assert time.process_time() - began < 5


def test_no_cell_is_a_formula() -> None:
    for start in "=+-@\t\r":
        assert spreadsheet_cell(f"{start}1").startswith("'")
    assert spreadsheet_cell("a=1") == "a=1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23T09:00:00Z", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("2026-11-23T09:00:00+02:00", datetime(2026, 11, 23, 7, tzinfo=UTC)),
        ("2026-11-23 09:00", datetime(2026, 11, 23, 9).astimezone()),
        ("2026-11-23", datetime(2026, 11, 23).astimezone()),
    ],
)
def test_a_time_without_an_offset_is_local(text: str, expected: datetime) -> None:
    assert Moment().convert(text, None, None) == expected


def test_a_time_may_be_how_long_ago() -> None:
    ago = datetime.now(UTC) - Moment().convert("90m", None, None)
    assert abs(ago - timedelta(minutes=90)) < timedelta(seconds=30)
    with pytest.raises(click.BadParameter, match="is no time"):
        Moment().convert("99999999w", None, None)


def test_failures_of_a_cause_are_counted_with_their_envelopes() -> None:
    created = "2026-11-23T17:20:12.0000000Z"
    group = Group("1", "tls: certificate expired", {"created": created})
    for at in range(3):
        group.add({"created": created, "envelopeId": f"e-{at // 2}"})
    assert (group.count, len(group.envelopes)) == (3, 2)
