"""The faults by their names: on which installations, how often, and what must hold."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.bench import Bench, Result, bench


class NotHere(Exception):
    """This machine, or this version, cannot do the fault; the text says why."""


@dataclass(frozen=True)
class Context:
    """What a fault is run with."""

    kind: str
    cycles: int
    seed: int
    folder: Path

    def bench(self, name: str = "run", **options: Any) -> Any:
        """A bench of this kind in a folder of its own (see `bench.bench`)."""
        return bench(self.kind, self.folder / name, self.seed, **options)


Run = Callable[[Context], Coroutine[Any, Any, Result]]


@dataclass(frozen=True)
class Fault:
    """One fault of the suite. `quick` and `full` give the cycles for each kind."""

    id: str
    name: str
    run: Run
    quick: Mapping[str, int]
    full: Mapping[str, int]
    control: bool = False

    @property
    def holds(self) -> str:
        """The first paragraph of the function's docstring."""
        return " ".join((self.run.__doc__ or "").partition("\n\n")[0].split())


_FAULTS: dict[str, Fault] = {}


def fault(
    id_: str,
    name: str,
    *,
    quick: Mapping[str, int] | None = None,
    full: Mapping[str, int],
    control: bool = False,
) -> Callable[[Run], Run]:
    """Add a function to the catalogue."""

    def add(run: Run) -> Run:
        if id_ in _FAULTS:
            raise ValueError(f"{id_} is there already")
        _FAULTS[id_] = Fault(id_, name, run, quick or {}, full, control)
        return run

    return add


def catalogue() -> list[Fault]:
    """Every fault, by number."""
    package = Path(__file__).parent / "faults"
    for module in sorted(package.glob("[a-z]*.py")):
        importlib.import_module(f"tests.chaos.faults.{module.stem}")
    return sorted(_FAULTS.values(), key=lambda one: (one.control, _number(one.id), one.id))


def _number(id_: str) -> int:
    digits = "".join(letter for letter in id_ if letter.isdigit())
    return int(digits or 0)


def the(id_: str) -> Fault:
    """One fault by its id.

    Raises:
        KeyError: there is none.
    """
    catalogue()
    return _FAULTS[id_]


__all__ = ["Bench", "Context", "Fault", "NotHere", "Result", "Run", "catalogue", "fault", "the"]
