"""Survivors that are meant to survive, and why: read from survivors.toml, matched with a run."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LIST: Final = Path(__file__).with_name("survivors.toml")

_KEYS: Final = {"module", "function", "was", "becomes", "why"}


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no test noticed: in which function, and what becomes of which line.

    Lines are told without the space around them; of more than one they are joined by a space.
    """

    module: str
    function: str
    was: str
    becomes: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why survivors are no gap in the tests. `becomes` None: whatever becomes of the line."""

    module: str
    function: str
    was: str
    becomes: frozenset[str] | None
    why: str

    def explains(self, survivor: Survivor) -> bool:
        """Whether it is this one that is meant."""
        place = (survivor.module, survivor.function, survivor.was)
        return place == (self.module, self.function, self.was) and (
            self.becomes is None or survivor.becomes in self.becomes
        )


def read(path: Path = LIST) -> Sequence[Explanation]:
    """The committed list.

    Raises:
        ValueError: an entry lacks its reason, or says what nobody reads.
    """
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", [])
    return [_explanation(entry) for entry in entries]


def _explanation(entry: dict[str, str | list[str]]) -> Explanation:
    if not entry.get("why") or not _KEYS - {"becomes"} <= entry.keys() <= _KEYS:
        raise ValueError(f"An entry needs module, function, was, why, and may say becomes: {entry}")
    becomes = entry.get("becomes")
    listed = [becomes] if isinstance(becomes, str) else becomes
    module, function, was, why = (str(entry[key]) for key in ("module", "function", "was", "why"))
    return Explanation(module, function, was, None if listed is None else frozenset(listed), why)


def sort_out(
    survivors: Sequence[Survivor], explanations: Iterable[Explanation], modules: Iterable[str]
) -> tuple[Sequence[Survivor], Sequence[Explanation]]:
    """Which survivors nobody explains, and which explanations of these modules are out of date:
    of a mutant that is noticed now, or that is not made any more."""
    known, asked = list(explanations), frozenset(modules)
    unexplained = [one for one in survivors if not any(each.explains(one) for each in known)]
    stale = [one for one in known if one.module in asked and not _used(one, survivors)]
    return unexplained, stale


def _used(explanation: Explanation, survivors: Sequence[Survivor]) -> bool:
    met = {one.becomes for one in survivors if explanation.explains(one)}
    return bool(met) if explanation.becomes is None else explanation.becomes <= met
