"""Which modules are mutated, and which tests have to notice: the one place that names both.

The tests are those that are quick and that are meant for the module. What only an end-to-end
test would notice is found too late, so it counts as missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Module:
    """A module below src/heliograph, and the files (or folders) of its tests, below tests/."""

    source: str
    tests: tuple[str, ...]

    @property
    def name(self) -> str:
        """As `python -m tests.mutation` and survivors.toml call it: without its folder."""
        return self.source.rpartition("/")[2].removesuffix(".py")


MODULES: Final = (
    Module("retry.py", ("unit/test_retry.py",)),
    Module("matching.py", ("unit/test_matching.py",)),
    Module("pacing.py", ("unit/test_pacing.py",)),
    Module("egress.py", ("unit/test_egress.py",)),
    Module("signals.py", ("service/test_republishing.py",)),
    Module(
        "publisher.py",
        (
            "service/test_publishing.py",
            "contract/test_notifications.py",
            "contract/test_people.py",
        ),
    ),
    Module("republish.py", ("service/test_republishing.py",)),
    Module("disabling.py", ("service/test_disabling.py", "contract/test_disabling.py")),
    Module("attempt.py", ("unit/test_attempt.py", "unit/test_message.py")),
    Module(
        "dispatcher.py",
        (
            "service/test_dispatcher.py",
            "service/test_dispatcher_watched.py",
            "service/test_suspending.py",
        ),
    ),
    Module("maintenance.py", ("service/test_maintenance.py", "contract/test_retention.py")),
    Module("model.py", ("unit/test_model.py",)),
    Module("applications.py", ("unit/test_applications.py",)),
)
"""people.py has no function: nothing in it can be mutated."""

UNMUTATED: Final = r"\b(_log\.\w+|assert_never|failpoint)\("
"""Log lines are for people, who do not mind their words; what can never be is for the types; and
where a process may be killed is for the chaos tests to say."""
