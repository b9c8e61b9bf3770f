"""The filters of listings, as options: one spelling for list, republish and the rest."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from heliograph.model.audit import Action
from heliograph.model.deliveries import DeliveryState
from heliograph.wire import dates
from heliograph.wire.messages.json_sim import STATUS_WORDS

_AGO: Final = re.compile(r"(\d{1,9})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Moment(click.ParamType[datetime]):
    """A point in time: ISO 8601, or how long ago. Without an offset it is local time, as
    the listings show it."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        text = str(value).strip()
        ago = _AGO.fullmatch(text)
        try:
            if ago is not None:
                return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            when = dates.parse(text)
            if not re.search(r"[T ].*([Zz]|[+-]\d{2}:?\d{2})$", text):
                when = when.replace(tzinfo=None).astimezone().astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"{text!r} is no time: write 2026-11-23, '2026-11-23 09:00', "
                "2026-11-23T09:00:00Z, or how long ago, as 90m, 2h or 3d.",
                param,
                ctx,
            )
        return when


_FROM: Final = click.option(
    "--from", "from_date", type=Moment(), help="Not before: a time, or 2h for ago."
)
_SINCE: Final = click.option(
    "--from", "from_date", type=Moment(), help="First what came since: a time, or 2h for ago."
)
_TO: Final = click.option("--to", "to_date", type=Moment(), help="Not after.")
_CONNECT_ID: Final = click.option("--connect-id", help="Only this configuration's.")
_ENVELOPE_ID: Final = click.option("--envelope-id", help="Only this envelope's.")

_FILTERS: Final = {
    "from_date": _FROM,
    "to_date": _TO,
    "connect_id": _CONNECT_ID,
    "envelope_id": _ENVELOPE_ID,
    "status": click.option(
        "--status",
        type=click.Choice(list(STATUS_WORDS.values()), case_sensitive=False),
        metavar="STATUS",
        help=f"The envelope's status: {', '.join(list(STATUS_WORDS.values())[1:])}.",
    ),
    "error": click.option("--error", help="Only those whose error contains this text."),
}
_OF_FAILURES: Final = {
    **_FILTERS,
    "incident_id": click.option("--incident-id", help="Only this incident's."),
    "cause": click.option(
        "--cause", help="Only those of this cause, such as 'tls: certificate expired'."
    ),
    "phase": click.option("--phase", help="Only those that failed in this phase, such as tls."),
}
_OF_EVENTS: Final = {
    "from_date": _FROM,
    "to_date": _TO,
    "envelope_id": _ENVELOPE_ID,
    "event": click.option("--event", help="Only events of this name."),
    "sender": click.option("--sender", help="Only where the sender has this e-mail."),
    "subject": click.option("--subject", help="Only where this is the subject, all of it."),
}
_OF_DELIVERIES: Final = {
    **_OF_EVENTS,
    "event_id": click.option("--event-id", help="Only this event's."),
    "connect_id": _CONNECT_ID,
    "state": click.option(
        "--state",
        type=click.Choice([state.value for state in DeliveryState], case_sensitive=False),
        metavar="STATE",
        help=f"Only those in this state: {', '.join(DeliveryState)}.",
    ),
}

_OF_AUDIT: Final = {
    "from_date": _FROM,
    "to_date": _TO,
    "actor": click.option("--actor", help="Only what a token or a person of this name has done."),
    "action": click.option(
        "--action",
        type=click.Choice([action.value for action in Action], case_sensitive=False),
        metavar="ACTION",
        help="Only this, such as configuration.paused.",
    ),
    "what": click.option("--what", help="Only done to this, such as 'configuration 7'."),
}

_SHOWN: Final = (
    click.option("--count", type=click.IntRange(1), help="At most so many records."),
    click.option(
        "--order",
        type=click.Choice(["desc", "asc"]),
        default="desc",
        show_default=True,
        help="Newest first, or oldest first.",
    ),
)


Filters = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Adds the filters of a listing to a command, which gets them as `chosen`."""


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the filters of logs; the command gets them as `chosen`."""
    return _choosing(_FILTERS, command)


def log_tail_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the filters of a log that is followed, which has no end."""
    return _choosing(_without_end(_FILTERS), command)


def event_tail_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the filters of events that are followed."""
    return _choosing(_without_end(_OF_EVENTS), command)


def failure_filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the filters of failures."""
    return _choosing(_OF_FAILURES, command)


def event_filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the filters of events."""
    return _choosing(_OF_EVENTS, command)


def delivery_filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the filters of deliveries."""
    return _choosing(_OF_DELIVERIES, command)


def audit_filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the filters of the audit."""
    return _choosing(_OF_AUDIT, command)


def _without_end(options: Mapping[str, Callable[..., Any]]) -> Mapping[str, Callable[..., Any]]:
    kept = {name: option for name, option in options.items() if name != "to_date"}
    return {**kept, "from_date": _SINCE}


def _choosing(
    options: Mapping[str, Callable[..., Any]], command: Callable[..., Any]
) -> Callable[..., Any]:
    """Adds options; the command gets those that are given as `chosen`, in the API's spelling.

    An empty one is refused: it is a variable of a script that was never set, and stands for less
    than everything.
    """

    @functools.wraps(command)
    def with_chosen(**given: Any) -> Any:
        chosen = {name: _text(given.pop(name)) for name in options}
        for name, text in chosen.items():
            if text is not None and not text.strip():
                raise click.BadParameter("it is empty.", param_hint=f"--{name.replace('_', '-')}")
        return command(chosen={name: text for name, text in chosen.items() if text}, **given)

    wrapped: Callable[..., Any] = with_chosen
    for option in reversed([*options.values()]):
        wrapped = option(wrapped)
    return wrapped


def count_and_order_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds what only a listing takes: `count` and `order`."""
    for option in reversed(_SHOWN):
        command = option(command)
    return command


def _text(value: object) -> str | None:
    if isinstance(value, datetime):
        return dates.render(value)
    return None if value is None else str(value)
