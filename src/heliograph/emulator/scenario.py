"""A scenario: what recipients do by themselves, and how long after it is their turn.

Pure. A TOML file of `[[recipient]]` tables; the first whose `email` fits is a recipient's (`*` and
`?` stand for any letters). Who fits none waits for somebody to open the signing page.
"""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from heliograph.emulator.course import Course
from heliograph.emulator.durations import seconds
from heliograph.emulator.envelope import UNDER_WAY, Envelope
from heliograph.errors import InvalidParameter
from heliograph.wire import dates


class Unreadable(ValueError):
    """A file that is no scenario; says why."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What recipients of an e-mail do: `after` is a duration such as 2h, `reason` a decline's."""

    email: str
    does: Literal["sign", "decline"]
    after: str = "1s"
    reason: str = ""


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules, the first that fits first."""

    recipient: Sequence[Rule] = ()

    def _due(self, envelope: Envelope) -> list[tuple[datetime, dict[str, Any], Rule]]:
        found = []
        for _, one in envelope.recipients():
            if envelope.status not in UNDER_WAY or one["status"] not in ("sent", "delivered"):
                continue
            email = str(one.get("email") or "").lower()
            for rule in self.recipient:
                if fnmatch.fnmatchcase(email, rule.email.lower()):
                    sent = dates.parse(one["sentDateTime"])
                    found.append((sent + timedelta(seconds=seconds(rule.after)), one, rule))
                    break
        return sorted(found, key=lambda each: each[0])

    def due_at(self, envelope: Envelope) -> datetime | None:
        """When the next thing happens to an envelope by itself, time's doing included."""
        due = [each[0] for each in self._due(envelope)[:1]]
        return min(filter(None, (envelope.due_at(), *due)), default=None)

    def go_on(self, course: Course, when: datetime) -> None:
        """Let what is due first happen: a recipient acts, or time passes."""
        acts = self._due(course.envelope)
        passes = course.envelope.due_at()
        if acts and acts[0][0] <= when and (passes is None or acts[0][0] <= passes):
            _, recipient, rule = acts[0]
            if rule.does == "sign":
                course.complete(recipient, {})
            else:
                course.decline(recipient, rule.reason)
        else:
            course.pass_time()


NOBODY = Scenario()
"""In which nobody does anything by themselves."""


def read(text: str) -> Scenario:
    """A scenario of a TOML file. Raises Unreadable."""
    try:
        found = msgspec.convert(tomllib.loads(text), Scenario)
        for rule in found.recipient:
            seconds(rule.after)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise Unreadable(str(error)) from None
    except InvalidParameter as error:
        raise Unreadable(error.message) from None
    return found
