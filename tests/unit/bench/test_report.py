"""What a bench tells of what it has measured."""

from __future__ import annotations

import json

import pytest

from heliograph.bench.names import SCENARIOS, Figure
from heliograph.bench.report import (
    Measured,
    Report,
    Result,
    Run,
    counts,
    document,
    markdown,
    percentile,
    shown,
    tables,
)

WELL = Result(
    "single",
    [
        Run([Measured(Figure.ACCEPTED, rate), Measured(Figure.ACCEPT_P50, 1.5)])
        for rate in (1, 3, 9)
    ],
)
LOSES = Result("drain", [Run([Measured(Figure.DRAIN, 2.0, "at 5")], lost=2, repeated=1), Run([])])


def test_the_median_of_the_runs_is_told_and_every_run_stays_in_the_document() -> None:
    assert tables(WELL)[0][1][0] == [Figure.ACCEPTED.title, "3/s"]
    (accepted, _) = document(Report({}, [WELL]))["scenarios"][0]["figures"]
    assert (accepted["median"], accepted["runs"]) == (3, [1, 3, 9])
    assert (accepted["name"], accepted["unit"]) == ("accepted", "/s")


def test_each_circumstance_is_a_column_and_what_was_not_measured_in_it_is_empty() -> None:
    measured = [
        Measured(Figure.ACCEPTED, 10.0, "1 node"),
        Measured(Figure.ACCEPTED, 20.0, "2 nodes"),
        Measured(Figure.DRAIN, 3.25, "2 nodes"),
        Measured(Figure.BACKLOG, 7.0),
    ]
    alone, (heads, rows) = tables(Result("single", [Run(measured)]))
    assert alone == (["figure", "value"], [[Figure.BACKLOG.title, "7"]])
    assert heads == ["figure", "1 node", "2 nodes"]
    assert rows == [[Figure.ACCEPTED.title, "10/s", "20/s"], [Figure.DRAIN.title, "", "3.25 s"]]


def test_many_circumstances_are_rows() -> None:
    measured = [Measured(Figure.ACCEPTED, number, f"{number} nodes") for number in range(2, 7)]
    ((heads, rows),) = tables(Result("single", [Run(measured)]))
    assert heads == ["", Figure.ACCEPTED.title]
    assert rows[0] == ["2 nodes", "2/s"]
    assert len(rows) == 5


def test_what_is_lost_repeated_or_refused_in_any_run_is_counted() -> None:
    assert counts(LOSES) == "2 lost, 1 repeated, 0 refused, in 2 runs"
    refusing = Result("single", [Run([], refused={503: 2, 0: 1}), Run([], refused={503: 4})])
    assert counts(refusing) == "0 lost, 0 repeated, 7 refused (0, 503), in 2 runs"
    assert refusing.counted == {"lost": 0, "repeated": 0, "refused": 7}


def test_what_is_lost_or_repeated_is_not_well_and_what_is_refused_can_be_published_again() -> None:
    assert not Run([], lost=1).well
    assert not Run([], repeated=1).well
    assert Run([], refused={503: 1}).well
    assert not Report({}, [WELL, LOSES]).well
    assert Report({}, [WELL]).well


def test_the_page_has_the_circumstances_and_a_table_for_each_scenario() -> None:
    page = markdown(Report({"disk": "a | b"}, [WELL, LOSES]))
    assert "| disk | a \\| b |" in page
    assert "## single" in page
    assert "| events accepted durably | 3/s |" in page
    assert "| figure | at 5 |\n|---|--:|" in page
    assert "2 lost, 1 repeated" in page


def test_the_document_is_json_and_says_whether_all_is_well() -> None:
    told = json.loads(json.dumps(document(Report({"system": "Linux"}, [WELL, LOSES]))))
    assert told["well"] is False
    assert told["facts"] == {"system": "Linux"}
    assert [one["lost"] for one in told["scenarios"]] == [0, 2]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (3, "3"), (0.0314, "0.031"), (1.237, "1.24"), (12.37, "12.4"), (12345.6, "12,346")],
)
def test_a_value_is_shown_with_the_digits_that_count(value: float, text: str) -> None:
    assert shown(value) == text


def test_a_percentile_of_few_values_is_one_of_them_or_between_two() -> None:
    assert percentile([], 99) == 0
    assert percentile([7.0], 99) == 7
    assert percentile([1.0, 2.0, 3.0], 50) == 2
    assert percentile(list(map(float, range(101))), 99) == 99


def test_figures_of_a_scenario_have_different_titles() -> None:
    assert len({figure.title for figure in Figure}) == len(Figure.__members__)  # aliases as well
    assert all(about for about in SCENARIOS.values())
