"""How values look on a page. Text of publishers and listeners is only ever text (S10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from markupsafe import Markup, escape

from heliograph.plain import harmless_lines
from heliograph.wire import dates


def harmless_text(value: object) -> object:
    """What every expression of a template goes through: a control or an invisible character is
    spelt out, before what HTML reads is escaped."""
    return harmless_lines(value) if type(value) is str else value


def exact(text: str) -> Markup:
    """Text as it is, where a form sends it back or somebody copies it."""
    return escape(text)


def moment(text: str | None) -> Markup:
    """A UTC time of the API; the page's script shows it in local time where that is chosen."""
    if not text:
        return Markup("–")  # noqa: RUF001 (a dash stands for nothing)
    when = dates.parse(text)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        when.isoformat(timespec="milliseconds"), when.strftime("%Y-%m-%d %H:%M:%S")
    )


def number(text: str | int | None) -> str:
    """A whole number with its thousands parted."""
    return "–" if text is None else f"{int(text):,}"  # noqa: RUF001


def counted(count: str | int, singular: str, plural: str = "") -> str:
    """A number and what it counts."""
    return f"{int(count):,} {singular if int(count) == 1 else plural or singular + 's'}"


def seconds(text: str | int) -> str:
    """How long something takes, for people."""
    left = int(text)
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if left >= 2 * size:
            return counted(round(left / size), name)
    return counted(left, "second")


def readable(payload: str | None) -> str:
    """A message with its JSON indented, for people."""
    try:
        return msgspec.json.format(payload or "", indent=2)
    except msgspec.DecodeError:
        return payload or ""


def shortened(text: str | None, most: int = 160) -> str:
    """The beginning of a long text."""
    text = text or ""
    return text if len(text) <= most else f"{text[: most - 1]}…"


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "exact": exact,
    "moment": moment,
    "number": number,
    "counted": counted,
    "readable": readable,
    "seconds": seconds,
    "shortened": shortened,
}
"""Of the templates, by their names there."""
