"""Values in a message by dotted paths: `data.envelopeSummary.recipients.signers.0.name`."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final

import msgspec

_MOST_NEAR: Final = 4


class NoSuchPath(ValueError):
    """The message has nothing under that path."""


class BadValue(ValueError):
    """What stands under the path cannot become that."""


def paths(value: Any, before: str = "") -> Iterator[str]:
    """Every path of a message, in its order."""
    match value:
        case dict():
            items: Any = value.items()
        case list():
            items = enumerate(value)
        case _:
            return
    for key, below in items:
        path = f"{before}{key}"
        yield path
        yield from paths(below, f"{path}.")


def near(document: Any, path: str) -> list[str]:
    """Paths that may be meant: those that end so, or else those that look like it."""
    known = list(paths(document))
    _, _, last = path.rpartition(".")
    ends = [one for one in known if one.rpartition(".")[2].lower() == last.lower()]
    return (ends or get_close_matches(path, known, _MOST_NEAR))[:_MOST_NEAR]


def change(document: Any, path: str, value: str) -> None:
    """Put a value where the message has one, in place; it keeps its kind.

    Where there is a text it is taken as it stands; a number, an object or a list is read as JSON.

    Raises:
        NoSuchPath: there is nothing to change.
        BadValue: it is of another kind than what is there.
    """
    *way, last = path.split(".")
    held = document
    for key in way:
        held = _below(held, key, path)
    before = _below(held, last, path)
    held[_place(held, last)] = _read(value, before, path)


def _below(held: Any, key: str, path: str) -> Any:
    try:
        return held[_place(held, key)]
    except (LookupError, TypeError, ValueError):
        raise NoSuchPath(path) from None


def _place(held: Any, key: str) -> Any:
    if not isinstance(held, list):
        return key
    if not (key.isascii() and key.isdigit()):
        raise ValueError(key)
    return int(key)


def _read(value: str, before: Any, path: str) -> Any:
    if isinstance(before, str):
        return value
    try:
        read = msgspec.json.decode(value)
    except msgspec.DecodeError:
        read = None
    if type(read) is not type(before):
        kind = {int: "a whole number", dict: "an object", list: "a list"}[type(before)]
        raise BadValue(f"{path} is {kind}: give it as JSON.")
    return read
