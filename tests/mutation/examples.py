"""A pytest plugin for runs over mutants: made-up examples need not be made small.

To shrink what fails takes seconds of a mutant's time, and nobody reads the result.
"""

from __future__ import annotations

from hypothesis import Phase, settings


def pytest_sessionstart() -> None:
    """After tests/conftest.py has chosen its profile, before a test module is imported."""
    settings.register_profile(
        "mutation",
        settings(),
        database=None,
        phases=(Phase.explicit, Phase.generate),
        report_multiple_bugs=False,
    )
    settings.load_profile("mutation")
