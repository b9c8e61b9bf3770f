"""Options of `heliograph serve` that a bench passes on."""

from __future__ import annotations

import pytest

from heliograph.bench.options import own, shown


def test_what_the_bench_gives_itself_is_found_among_options() -> None:
    assert own(["--in-flight", "9", "--database-url=postgresql:///x"]) == ["--database-url"]
    assert own(["--data-dir", "x", "--database-url", "y"]) == ["--data-dir", "--database-url"]
    assert own(["--in-flight", "9", "--log-level=data-dir"]) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--in-flight", "9", "--senders=0"], "--in-flight 9 --senders=0"),
        (
            ["--alert-url", "http://u:p@x/", "--in-flight", "9"],
            "--alert-url (hidden) --in-flight 9",
        ),
        (
            ["--alert-url=http://u:p@x/?a=b", "--in-flight", "9"],
            "--alert-url=(hidden) --in-flight 9",
        ),
        (["--otlp-endpoint=", "--adopt"], "--otlp-endpoint=(hidden) --adopt"),
        ([], ""),
    ],
)
def test_what_may_hold_a_password_is_hidden(options: list[str], told: str) -> None:
    assert shown(options) == told
