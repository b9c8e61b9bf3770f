"""Query parameters and headers of operations: one definition reads them and documents them.

A call sees those parameters alone that its operation lists, so that none is read and not
documented. Names count without regard to case and underscores: `connectId` is `connect_id`. One of
any other name is ignored where a call only reads; where it changes something, it is refused:
whoever misspelt a filter meant less than everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from heliograph.errors import InvalidParameter
from heliograph.wire import dates

T = TypeVar("T")
D = TypeVar("D")
M = TypeVar("M", bound=StrEnum)

Schema = Mapping[str, Any]
"""JSON Schema (2020-12) of the text."""

LARGEST_ID: Final = 2**63 - 1
"""Ids of rows are 64-bit numbers in both engines."""

_NUMBER: Final = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Parameter(Generic[T]):
    """A query parameter, or a header.

    `parse` takes the text, trimmed and not empty, and raises InvalidParameter for what cannot
    be used; `absent` stands for an empty one and for none. `extension` tells that DocuSign
    has no such parameter.
    """

    name: str
    about: str
    schema: Schema
    parse: Callable[[str], T]
    absent: T
    extension: bool = False
    example: str | None = None

    def read(self, values: Mapping[str, str]) -> T:
        """Its value in a query or in headers. Raises InvalidParameter."""
        text = values.get(self.name, "").strip()
        return self.parse(text) if text else self.absent


def query(
    listed: Iterable[Parameter[Any]], given: Sequence[tuple[str, str]], *, strict: bool
) -> dict[str, str]:
    """The values of a query string's parameters, by the names that they are listed under.

    With `strict` one that is not listed, comes twice or is empty is refused; else it is ignored,
    and the last one counts.

    Raises:
        InvalidParameter: naming the parameter and those that there are.
    """
    if not given:
        return {}
    names = {_folded(parameter.name): parameter.name for parameter in listed}
    values: dict[str, str] = {}
    for name, value in given:
        known = names.get(_folded(name))
        if known is None:
            if strict:
                takes = f"it takes {', '.join(names.values())}" if names else "it takes none"
                raise InvalidParameter(
                    f"Nothing was changed: this call has no parameter {name[:40]!r}; {takes}."
                )
        elif strict and known in values:
            raise InvalidParameter(f"Nothing was changed: {known} is there twice.")
        elif strict and not value.strip():
            raise InvalidParameter(f"Nothing was changed: {known} is empty; leave it out for all.")
        else:
            values[known] = value
    return values


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def number(
    name: str, about: str, least: int, most: int, absent: D, *, extension: bool = False
) -> Parameter[int | D]:
    """A whole number within bounds."""

    def parse(text: str) -> int:
        digits = text.isascii() and text.isdigit() and len(text) <= len(str(most))
        if not digits or not least <= int(text) <= most:
            raise InvalidParameter(f"{name} must be a number from {least} to {most}.")
        return int(text)

    schema: dict[str, Any] = {"type": "integer", "minimum": least, "maximum": most}
    if absent is not None:
        schema["default"] = absent
    return Parameter(name, about, schema, parse, absent, extension)


def row(name: str, about: str, *, extension: bool = False) -> Parameter[int | None]:
    """The number of a row of ours."""
    schema = {"type": "integer", "minimum": 0, "maximum": LARGEST_ID}
    return Parameter(name, about, schema, lambda text: row_id(text, name), None, extension)


def row_id(text: str, name: str) -> int:
    """An id of ours; anything else than a number cannot name a row. Raises InvalidParameter."""
    if _NUMBER.fullmatch(text) is None or int(text) > LARGEST_ID:
        raise InvalidParameter(f"{name} must be a number.")
    return int(text)


def flag(
    name: str, about: str, *, default: bool = False, extension: bool = False
) -> Parameter[bool]:
    """True or false, whatever the case of the letters."""

    def parse(text: str) -> bool:
        if text.lower() not in ("true", "false"):
            raise InvalidParameter(f"{name} must be true or false.")
        return text.lower() == "true"

    schema = {"type": "boolean", "default": default}
    return Parameter(name, about, schema, parse, default, extension)


WITHOUT_EFFECT: Final = "Taken, and without effect."
"""Of what DocuSign has and Heliograph has no use for."""


def unused(name: str) -> Parameter[str | None]:
    """A parameter of DocuSign's that clients may send, about what Heliograph does not have."""
    return Parameter(name, WITHOUT_EFFECT, {"type": "string"}, lambda value: value, None)


def text(
    name: str,
    about: str,
    longest: int,
    *,
    printable: bool = False,
    extension: bool = False,
    example: str | None = None,
) -> Parameter[str | None]:
    """A text."""
    kind = "printable characters" if printable else "characters"

    def parse(value: str) -> str:
        if len(value) > longest or (printable and not value.isprintable()):
            raise InvalidParameter(f"{name} must have at most {longest} {kind}.")
        return value

    schema = {"type": "string", "maxLength": longest}
    return Parameter(name, about, schema, parse, None, extension, example)


def date(name: str, about: str) -> Parameter[datetime | None]:
    """A UTC date-time; the text `null` counts as not given, as the page has it."""

    def parse(text: str) -> datetime | None:
        if text.lower() == "null":
            return None
        try:
            return dates.parse(text)
        except ValueError:
            raise InvalidParameter(
                f"{name} must be a UTC date-time such as 2026-11-23T09:00:00Z, not {text[:40]!r}."
            ) from None

    schema = {"type": "string", "format": "date-time"}
    return Parameter(name, about, schema, parse, None, example="2026-11-23T09:00:00Z")


def one_of(
    name: str,
    about: str,
    choices: Iterable[str],
    parse: Callable[[str], T],
    absent: T,
    *,
    extension: bool = False,
) -> Parameter[T]:
    """One of several words; `parse` refuses every other."""
    return Parameter(name, about, {"type": "string", "enum": [*choices]}, parse, absent, extension)


def member_of(
    name: str, about: str, members: type[M], absent: T, *, extension: bool = False
) -> Parameter[M | T]:
    """One of an enumeration's words, in either case."""

    def parse(text: str) -> M:
        try:
            return members(text.lower())
        except ValueError:
            raise InvalidParameter(f"{name} must be one of {', '.join(members)}.") from None

    return one_of(name, about, members, parse, absent, extension=extension)
