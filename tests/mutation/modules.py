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
        """As `python -m tests.mutation` and survivors.toml call it."""
        return self.source.removesuffix(".py")


MODULES: Final = (
    Module("delivery/retry.py", ("unit/delivery/test_retry.py",)),
    Module("delivery/matching.py", ("unit/delivery/test_matching.py",)),
    Module("delivery/index.py", ("unit/delivery/test_index.py",)),
    Module("delivery/silences.py", ("unit/delivery/test_silences.py",)),
    Module("delivery/pacing.py", ("unit/delivery/test_pacing.py",)),
    Module("egress.py", ("unit/ground/test_egress.py",)),
    Module("delivery/signals.py", ("service/delivery/test_republishing.py",)),
    Module(
        "delivery/publisher.py",
        (
            "service/delivery/test_publishing.py",
            "contract/test_notifications.py",
            "contract/test_people.py",
        ),
    ),
    Module("delivery/republish.py", ("service/delivery/test_republishing.py",)),
    Module(
        "delivery/disabling.py",
        ("service/delivery/test_disabling.py", "contract/test_disabling.py"),
    ),
    Module(
        "delivery/attempt.py",
        (
            "unit/delivery/test_attempt.py",
            "unit/delivery/test_renderings.py",
            "unit/wire/messages/test_message.py",
        ),
    ),
    Module(
        "delivery/dispatcher.py",
        (
            "service/delivery/test_dispatcher.py",
            "service/delivery/test_dispatcher_watched.py",
            "service/delivery/test_suspending.py",
        ),
    ),
    Module("delivery/lease.py", ("service/delivery/test_lease.py",)),
    Module(
        "delivery/retention.py",
        (
            "service/delivery/test_retention.py",
            "contract/test_retention.py",
            "contract/test_clock.py",
        ),
    ),
    Module("delivery/ramp.py", ("unit/delivery/test_ramp.py",)),
    Module("delivery/jobs.py", ("contract/test_republish_jobs.py",)),
    Module("delivery/incidents.py", ("service/delivery/test_incidents.py",)),
    Module("delivery/verbatim.py", ("service/api/test_relaying.py",)),
    Module("delivery/skipping.py", ("unit/delivery/test_skipping.py",)),
    Module("delivery/timekeeping.py", ("service/delivery/test_timekeeping.py",)),
    Module("model/throughput.py", ("unit/model/test_throughput.py",)),
    Module("model/causes.py", ("unit/model/test_causes.py",)),
    Module("model/audit.py", ("contract/test_audit.py",)),
    Module("model/people.py", ("unit/model/test_model.py",)),
    Module("model/logs.py", ("unit/model/test_model.py",)),
    Module("model/incidents.py", ("unit/model/test_model.py",)),
    Module("model/republishing.py", ("unit/delivery/test_ramp.py",)),
    Module("model/event_ids.py", ("unit/model/test_event_ids.py",)),
    Module("model/accounts.py", ("unit/model/test_model.py",)),
    Module("model/deliveries.py", ("unit/model/test_model.py",)),
    Module(
        "model/configurations.py",
        (
            "unit/model/test_configurations.py",
            "unit/wire/messages/test_message.py",
            "unit/wire/messages/test_switches.py",
            "unit/delivery/test_matching.py",
        ),
    ),
    Module("model/tokens.py", ("unit/model/test_tokens.py",)),
    Module("model/applications.py", ("unit/model/test_applications.py",)),
    Module(
        "store/accepting.py",
        ("unit/store/test_accepting.py", "contract/test_accept.py", "contract/test_repeats.py"),
    ),
    Module("store/openings.py", ("contract/test_handing_over.py",)),
    Module("store/verbs/people.py", ("contract/test_people.py",)),
    Module("store/verbs/people_rows.py", ("contract/test_people.py",)),
    Module("store/verbs/sign_ins.py", ("contract/test_sign_ins.py",)),
    Module("store/verbs/sign_in_rows.py", ("contract/test_sign_ins.py",)),
    Module("store/verbs/oauth.py", ("contract/test_oauth_clients.py",)),
    Module("store/verbs/resending.py", ("contract/test_resending.py",)),
    Module("store/verbs/historical.py", ("contract/test_historical.py",)),
    Module("store/verbs/__init__.py", ("contract/test_listings.py",)),
    Module("store/verbs/audit.py", ("contract/test_audit.py",)),
    Module("store/verbs/tails.py", ("contract/test_tails.py",)),
    Module("store/verbs/relays.py", ("contract/test_relays.py",)),
    Module("store/verbs/clock.py", ("contract/test_clock.py",)),
    Module("store/verbs/incidents.py", ("contract/test_incidents.py",)),
    Module("store/verbs/published.py", ("contract/test_published.py",)),
    Module("store/verbs/republishing.py", ("contract/test_republish_jobs.py",)),
    Module(
        "store/verbs/configurations.py",
        (
            "contract/test_configurations.py",
            "contract/test_notifications.py",
            "contract/test_disabling.py",
            "contract/test_outages.py",
            "contract/test_people.py",
        ),
    ),
    Module(
        "store/verbs/log_rows.py",
        (
            "contract/test_listings.py",
            "contract/test_settle.py",
            "contract/test_disabling.py",
            "contract/test_recipients.py",
            "contract/test_resending.py",
        ),
    ),
    Module(
        "store/verbs/store.py",
        (
            "contract/test_credentials.py",
            "contract/test_listings.py",
            "contract/test_disabling.py",
            "contract/test_settle.py",
            "contract/test_accept.py",
            "contract/test_configurations.py",
            "contract/test_notifications.py",
        ),
    ),
)
"""All files of delivery/, model/ and store/verbs/ that have a function, and the guard."""

UNMUTATED: Final = r"\b(_log\.\w+|assert_never|failpoint)\("
"""Log lines are for people, who do not mind their words; what can never be is for the types; and
where a process may be killed is for the chaos tests to say."""
