"""The bounds of what is asked for with events: of a list, of a notification, of a call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from heliograph.errors import InvalidBody
from heliograph.model.events import NewEvent
from heliograph.wire import configurations, notifications
from heliograph.wire.messages.json_sim import parse_events
from tests.support import published, wanted_configuration

MOST = configurations.MOST_LISTED


def hook(number: int = 0, over: dict[str, Any] | None = None) -> dict[str, Any]:
    url = f"https://one.example.com/{number}"
    return {"url": url, "events": ["envelope-sent"], **(over or {})}


def parsed(*hooks: Any, events: int = 1) -> list[NewEvent]:
    """Events that name these, as few of them as can."""
    step = notifications.MOST
    body = [
        published(envelope_id=f"env-{start}", eventNotifications=hooks[start : start + step])
        for start in range(0, max(events, len(hooks)), step)
    ]
    return parse_events(json.dumps(body).encode(), "application/json")


@pytest.mark.parametrize(
    ("field", "item"),
    [
        ("events", "envelope-{}"),
        ("envelopeEvents", {"envelopeEventStatusCode": "Sent"}),
        ("recipientEvents", {"recipientEventStatusCode": "Sent"}),
        ("retrySchedule", 1),
    ],
)
def test_s17_a_list_of_a_notification_is_bounded(field: str, item: Any) -> None:
    if field != "retrySchedule":  # which has a bound of its own
        assert parsed(hook(over={field: [item] * MOST}))
    with pytest.raises(InvalidBody, match=f"`{field}` of a notification lists {MOST + 1}"):
        parsed(hook(over={field: [item] * (MOST + 1)}))


@pytest.mark.parametrize(
    "field", [{"events": "sent," * MOST}, {"eventData": {"includeData": ["tabs"] * (MOST + 1)}}]
)
def test_s17_so_are_a_text_that_stands_for_one_and_what_is_within_a_field(
    field: dict[str, Any],
) -> None:
    with pytest.raises(InvalidBody, match=f"lists {MOST + 1}; {MOST} are the most"):
        parsed(hook(over=field))


def test_s17_a_notification_is_at_most_as_large_as_what_is_kept_in_memory() -> None:
    name = "e" * 200
    assert parsed(hook(over={"events": [name]}))
    with pytest.raises(InvalidBody, match="may have 64 KiB at most"):
        parsed(hook(over={"events": [f"{name}{n}" for n in range(MOST)]}))


def test_s17_a_call_names_so_many_notifications_and_the_same_one_as_often_as_it_likes() -> None:
    most = notifications.MOST_OF_A_CALL
    assert len(parsed(*[hook()] * (most + 1))[0].notifications) == 1
    assert sum(len(event.notifications) for event in parsed(*map(hook, range(most)))) == most
    with pytest.raises(InvalidBody, match=r"at most 1000 different notifications: split it\."):
        parsed(*map(hook, range(most + 1)))


@pytest.mark.parametrize("field", ["events", "envelopeEvents", "recipientEvents"])
def test_s17_the_events_of_a_configuration_are_bounded_too(field: str) -> None:
    most: dict[str, Any] = {field: ["Sent"] * MOST}
    more: dict[str, Any] = {field: ["Sent"] * (MOST + 1)}
    assert wanted_configuration(**most)
    with pytest.raises(InvalidBody, match=f"{field} lists {MOST + 1}; {MOST} are the most"):
        wanted_configuration(**more)
    with pytest.raises(InvalidBody, match="includeData lists"):
        wanted_configuration(eventData={"includeData": ["tabs"] * (MOST + 1)})


def test_fidelity_names_without_regard_to_case_in_a_notification_whatever_is_published() -> None:
    data = {
        "EnvelopeId": "kept",
        "envelopeId": "env-1",
        "envelopeSummary": {"EmailSubject": "as is"},
    }
    quiet = {
        "url": "https://one.example.com/",
        "loggingEnabled": "true",
        "eventData": {"format": "json", "includeData": ["tabs"]},
        "envelopeEvents": [{"envelopeEventStatusCode": "sent", "includeDocuments": "true"}],
    }
    loud = {
        "URL": "https://one.example.com/",
        "LoggingEnabled": "true",
        "EVENTDATA": {"Format": "json", "includedata": ["tabs"]},
        "EnvelopeEvents": [{"ENVELOPEEVENTSTATUSCODE": "sent", "IncludeDocuments": "true"}],
    }
    bodies = (
        {"event": "envelope-sent", "data": data, "eventNotification": quiet},
        {"event": "envelope-sent", "data": data, "EventNotifications": [loud]},
    )
    first, second = (parse_events(json.dumps(body).encode(), "")[0] for body in bodies)
    assert first.notifications == second.notifications
    assert len(first.notifications) == 1
    assert first.document == second.document
    assert json.loads(first.document)["data"] == data
