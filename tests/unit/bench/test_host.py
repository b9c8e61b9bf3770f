"""What a bench tells of this machine."""

from __future__ import annotations

import pytest

from heliograph import processors
from heliograph.bench import host


def test_the_processors_that_are_told_are_those_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processors, "usable", lambda: 77)
    assert host.facts()["processor"].endswith(", 77 cores")
