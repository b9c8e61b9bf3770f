"""The kit's checks: what they send, what verdict follows, and that the reference says so."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from lxml import etree

from heliograph.model.accounts import Secret
from heliograph.verify import reports, schedule
from heliograph.verify.checks import CHECKS, GROUPS
from heliograph.verify.crafting import Scale, World
from heliograph.verify.judging import judge
from heliograph.verify.plays import Came, Check, Kind, Need, Outcome, Play, Post, Sending, Verdict
from heliograph.verify.reports import Report
from heliograph.wire.messages import signing

PAGE: Final = (Path(__file__).parents[3] / "docs" / "reference" / "verify.md").read_text()
NOW: Final = datetime(2026, 11, 23, 9, tzinfo=UTC)
SMALL: Final = Scale(at_once=3, an_hour=1, document=20_000, slow=0.1)
EVERYTHING: Final = World(
    NOW, Secret("a"), Secret("b"), ("json", "aggregate", "xml", "soap"), scale=SMALL
)
POST: Final = Post((), b"")


def came(status: int | None, seconds: float = 0.0) -> Came:
    return Came(status, "no answer" if status is None else None, seconds)


def verdict_on(
    kind: Kind, *backs: Came, effects: int | None = None, expected: tuple[int, int] = (1, 1)
) -> Verdict:
    check = Check("x", kind, "t", "w", lambda world: Play([]))
    play = Play([[Sending(POST)] for _ in backs], expected)
    return judge(check, play, [[back] for back in backs], effects=effects, within=5.0, seconds=0.0)


def test_the_reference_has_a_section_for_each_check_and_no_other() -> None:
    sections = re.findall(r"^### (.+)$", PAGE, re.MULTILINE)
    assert sections == list(CHECKS)
    assert [group for group in re.findall(r"^## (.+)$", PAGE, re.MULTILINE) if group in GROUPS] == [
        *GROUPS
    ]


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.name)
def test_the_section_says_what_the_check_demands_and_why(check: Check) -> None:
    section = PAGE.partition(f"\n### {check.name}\n")[2].partition("\n#")[0]
    assert section.lstrip().startswith(f"{check.kind.value.capitalize()}: {check.title}.")
    assert f"{check.why[0].upper()}{check.why[1:]}.\n" in section
    assert ("a key" in section.partition("With: ")[2]) is (Need.KEY in check.needs)
    assert ("`--probe`" in section) is (Need.PROBE in check.needs)
    assert check.page.endswith(f"#{check.name}")


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.name)
def test_each_check_sends_something_that_is_judged(check: Check) -> None:
    play = check.play(EVERYTHING)
    judged = [one for step in play.steps for one in step if one.judged]
    assert judged or check.kind is Kind.ONCE
    assert (check.kind is Kind.ONCE) is (Need.PROBE in check.needs)
    for sending in judged:
        right = {signing.signature(Secret(key), sending.post.body) for key in "ab"}
        given = {value for name, value in sending.post.headers if "signature-" in name.lower()}
        if check.kind is Kind.REFUSE and Need.KEY in check.needs:
            assert not right & given
        else:
            assert right & given or check.name == "refused-does-nothing"


@pytest.mark.parametrize(
    ("kind", "statuses", "passes"),
    [
        (Kind.ACCEPT, [200, 299], True),
        (Kind.ACCEPT, [200, 302], False),
        (Kind.ACCEPT, [None], False),
        (Kind.REFUSE, [400, 401, 499], True),
        (Kind.REFUSE, [200], False),
        (Kind.REFUSE, [500], False),
        (Kind.REFUSE, [None], False),
        (Kind.SURVIVE, [200, 400], True),
        (Kind.SURVIVE, [500], False),
        (Kind.SURVIVE, [None], False),
    ],
)
def test_a_demand_is_met_by_the_statuses_that_it_asks_for(
    kind: Kind, statuses: list[int | None], passes: bool
) -> None:
    found = verdict_on(kind, *map(came, statuses))
    assert found.outcome is (Outcome.PASSED if passes else Outcome.FAILED)
    assert bool(found.said) is not passes


def test_what_failed_is_told_with_its_place_and_how_many_there_were() -> None:
    found = verdict_on(Kind.ACCEPT, came(200), came(409), came(500))
    assert found.said == "message 2 of 3: answered 409; so did 1 more; a 2xx was expected"


def test_time_counts_whatever_the_status() -> None:
    assert verdict_on(Kind.IN_TIME, came(500, 5.0)).outcome is Outcome.PASSED
    assert "after 5.1 s" in verdict_on(Kind.IN_TIME, came(200, 5.1)).said
    assert "1 of 2 answers" in verdict_on(Kind.IN_TIME, came(200, 9.0), came(200)).said
    assert verdict_on(Kind.IN_TIME, came(None)).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("effects", "expected", "said"),
    [
        (1, (1, 1), ""),
        (2, (1, 1), "the probe counted 2 side effects; 1 expected"),
        (0, (1, 10), "the probe counted 0 side effects; 1 to 10 expected"),
        (10, (1, 10), ""),
        (None, (0, 0), "the probe answered no number"),
    ],
)
def test_side_effects_are_counted(
    effects: int | None, expected: tuple[int, int], said: str
) -> None:
    assert verdict_on(Kind.ONCE, came(500), effects=effects, expected=expected).said == said


def test_the_25_hours_have_the_retries_that_docusign_makes_in_them() -> None:
    moments = schedule.moments(NOW, 10)
    retries = [moment for moment in moments if moment.retry is not None]
    assert [moment.retry for moment in retries] == list(range(14))
    seconds = [(one.at - retries[0].at).total_seconds() for one in retries]
    assert seconds[:4] == [0, 15, 45, 105]
    assert (retries[0].at, retries[-1].at) == (NOW - timedelta(hours=25), NOW)
    assert len(moments) - len(retries) == 250
    assert [moment.at for moment in moments] == sorted(moment.at for moment in moments)
    told = CHECKS["retries-25h-once"].play(EVERYTHING)
    assert told.effects == (26, 26)
    counts = Counter(sending.post.about for step in told.steps for sending in step)
    assert counts[""] == 25
    assert counts["retryCount 13"] == 1


def report(*verdicts: Verdict) -> Report:
    return Report("http://127.0.0.1:3000/<hook>\x1b", NOW, 12.5, verdicts)


def test_a_report_is_well_if_something_passed_and_nothing_failed() -> None:
    one, other = list(CHECKS.values())[:2]
    passed, failed = Verdict(one, Outcome.PASSED), Verdict(other, Outcome.FAILED, "answered <500>")
    skipped = Verdict(other, Outcome.SKIPPED, "no --probe")
    assert report(passed, skipped).well
    assert not report(skipped).well
    both = report(passed, failed)
    assert (both.well, both.score) == (False, "1 of 2")
    document = reports.document(both)
    assert (document["passed"], document["failed"], document["skipped"]) == (1, 1, 0)
    assert document["checks"][1]["said"] == "answered <500>"
    suite = etree.fromstring(reports.junit(report(passed, failed, skipped)))
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["3", "1", "1"]
    assert suite.find("testcase/failure") is not None
    page = reports.html(both)
    assert "answered &lt;500&gt;" in page
    assert "\x1b" not in page
    assert f'id="{other.name}"' in page
    badge = etree.fromstring(reports.badge(both).encode())
    assert badge.get("aria-label") == "connect listener: 1 of 2"
    assert "#c62828" in reports.badge(both)
    assert "#2e7d32" in reports.badge(report(passed))
