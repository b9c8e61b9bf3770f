"""The filters of logs and failures, as options: one spelling for list, republish and the rest."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

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


_FILTERS: Final = (
    click.option("--from", "from_date", type=Moment(), help="Not before: a time, or 2h for ago."),
    click.option("--to", "to_date", type=Moment(), help="Not after."),
    click.option("--connect-id", help="Only this configuration's."),
    click.option("--envelope-id", help="Only this envelope's."),
    click.option(
        "--status",
        type=click.Choice(list(STATUS_WORDS.values()), case_sensitive=False),
        metavar="STATUS",
        help=f"The envelope's status: {', '.join(list(STATUS_WORDS.values())[1:])}.",
    ),
    click.option("--error", help="Only those whose error contains this text."),
)

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


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the filters; the command gets them as `chosen`, in the API's spelling."""

    @functools.wraps(command)
    def with_chosen(**options: Any) -> Any:
        names = ("from_date", "to_date", "connect_id", "envelope_id", "status", "error")
        chosen = {name: _text(options.pop(name)) for name in names}
        return command(chosen={name: text for name, text in chosen.items() if text}, **options)

    wrapped: Callable[..., Any] = with_chosen
    for option in reversed(_FILTERS):
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
