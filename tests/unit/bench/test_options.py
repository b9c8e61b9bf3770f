"""Options of `heliograph serve` that a bench passes on."""

from __future__ import annotations

from heliograph.bench.options import own


def test_what_the_bench_gives_itself_is_found_among_options() -> None:
    assert own(["--in-flight", "9", "--database-url=postgresql:///x"]) == ["--database-url"]
    assert own(["--data-dir", "x", "--database-url", "y"]) == ["--data-dir", "--database-url"]
    assert own(["--in-flight", "9", "--log-level=data-dir"]) == []
