"""What a publish answers."""

from __future__ import annotations

from typing import ClassVar

from heliograph.wire.codec import Wire


class SkippedConfiguration(Wire):
    """A configuration that did not get the event, and why not."""

    ours: ClassVar[bool] = True

    connect_id: str
    name: str
    reason: str


class PublishedEvent(Wire):
    """What became of one published event."""

    ours: ClassVar[bool] = True

    event_id: str
    event: str
    envelope_id: str
    deliveries: str
    repeated: str
    skipped: list[SkippedConfiguration]


class PublishResults(Wire):
    """The answer of publish, one item for each event, in the order given."""

    ours: ClassVar[bool] = True

    events: list[PublishedEvent]
    total_records: str
