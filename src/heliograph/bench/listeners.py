"""Who gets the events of a bench. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from heliograph.bench import events

USUAL: Final = 16
"""That share the events, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """So many configurations, of which `wanting` want each event: those of its user."""

    number: int = USUAL
    wanting: int = 1

    @property
    def users(self) -> int:
        """Whose events there are; with no listener nobody wants those of the only one."""
        return self.number // self.wanting or 1

    def of(self, user: int) -> Sequence[int]:
        """The numbers of the listeners that want a user's events."""
        first = user * self.wanting
        return range(first, min(first + self.wanting, self.number))

    def templates(self, size: int = events.USUAL) -> Sequence[Sequence[str]]:
        """An event of each user, of about so many bytes."""
        return [events.template(f"user-{user}", size) for user in range(self.users)]

    def configuration(self, number: int, port: int) -> Mapping[str, Any]:
        """What a listener wants, at the sink's port: the events of its user, signed and logged."""
        return {
            "name": f"bench {number}",
            "urlToPublishTo": f"http://127.0.0.1:{port}/{number}",
            "allowEnvelopePublish": "true",
            "enableLog": "true",
            "includeHMAC": "true",
            "userIds": [f"user-{number // self.wanting}"],
            "events": [events.NAME],
        }
