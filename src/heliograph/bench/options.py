"""Options of `heliograph serve` that a bench passes on. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from heliograph.settings import SECRETS

OWN: Final = frozenset({"data_dir", "database_url"})
"""Settings of each server that the bench itself gives."""

_HIDDEN: Final = "(hidden)"


def own(options: Sequence[str]) -> Sequence[str]:
    """Those among options that are the bench's to give."""
    return [word.partition("=")[0] for word in options if _setting(word) in OWN]


def shown(options: Sequence[str]) -> str:
    """Options as a report tells them: what may hold a password is hidden."""
    return " ".join(_shown(options))


def _shown(options: Sequence[str]) -> Iterator[str]:
    before = ""
    for word in options:
        option, gives, _ = word.partition("=")
        if _setting(before) in SECRETS and "=" not in before:
            yield _HIDDEN
            before = ""
            continue
        yield f"{option}={_HIDDEN}" if gives and _setting(word) in SECRETS else word
        before = word


def _setting(word: str) -> str:
    """The setting of an option, empty where a word is none."""
    if not word.startswith("--"):
        return ""
    return word.partition("=")[0].removeprefix("--").replace("-", "_")
