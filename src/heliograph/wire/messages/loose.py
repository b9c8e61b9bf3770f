"""What publishers gave, read without trust: a value of another type is taken for none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Fields = Mapping[str, Any]


def object_of(value: object) -> Fields:
    """The fields of an object."""
    return value if isinstance(value, Mapping) else {}


def list_of(value: object) -> Iterable[Any]:
    """The items of a list."""
    return value if isinstance(value, list) else ()


def text_of(value: object) -> str | None:
    """A scalar as the wire writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | str):
        return str(value)
    return None


def is_true(value: object) -> bool:
    """Whether it says true, as the wire writes that or as JSON does."""
    return (text_of(value) or "").lower() == "true"
