"""Mutate the modules that decide and deliver, and see that the tests notice each time."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Final

import click

from tests.mutation import explanations
from tests.mutation.explanations import Explanation, Survivor
from tests.mutation.modules import MODULES, UNMUTATED, Module

_ROOT: Final = Path(__file__).parents[2]
_TOOL: Final = Path(__file__).with_name("tool.py")
_WORK: Final = _ROOT / "build" / "mutation"

_TYPES: Final = "caught by type check"
_TIMEOUT: Final = "timeout"
# What ends the interpreter is noticed as well as what fails a test.
_KILLED: Final = ("killed", "suspicious", "segfault")
_MISSED: Final = ("survived", "no tests")

_CONFIGURATION: Final = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/heliograph/{source}"]
do_not_mutate_patterns = ['{unmutated}']
# Tests of these modules take a second or less: one that takes twenty waits for what never comes.
pytest_add_cli_args = [
  "-n0", "--timeout", "20", "-p", "no:cacheprovider", "-p", "tests.mutation.examples",
]
# Both engines keep one contract (tests/contract); the quicker one is enough to notice a mutant.
pytest_add_cli_args_test_selection = [{tests}, "-k", "not postgres"]
# What the gate's types refuse needs no test. It takes a second, and saves a third of the run.
type_check_command = [
  "mypy", "--output", "json", "--disable-error-code", "unused-ignore", "src/heliograph/{source}",
]
# Five times what the tests of the function take, and five seconds: a mutant may wait for ever.
timeout_constant = 1.0
timeout_multiplier = 5.0
use_git_change_detection = false
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What became of the mutants of one module. `cpu` are seconds too, of the processor."""

    module: str
    seconds: float
    cpu: float
    statuses: Mapping[str, int]
    survivors: Sequence[Survivor]

    @property
    def mutants(self) -> int:
        """All that were made."""
        return sum(self.statuses.values())


def mutated(module: Module, processes: int) -> Run:
    """Make the mutants of a module, and let its tests look for each.

    Raises:
        click.ClickException: the tests fail without a mutant as well, or mutmut does.
    """
    work, began, used = _WORK / module.name, time.monotonic(), _cpu()
    _prepare(work, module)
    paths = (str(Path(sys.executable).parent), os.environ.get("PATH", ""))
    with (work / "log.txt").open("wb") as log:
        done = subprocess.run(
            (sys.executable, str(_TOOL), "run", "--max-children", str(processes)),
            cwd=work,
            env={**os.environ, "PATH": os.pathsep.join(paths)},
            stdout=None if sys.stderr.isatty() else log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise click.ClickException(f"{module.name}: mutmut failed, see {work / 'log.txt'}")
    results = json.loads((work / "results.json").read_text())
    survivors = [
        Survivor(module.name, one["function"], one["was"], one["becomes"])
        for one in results
        if one["status"] in _MISSED
    ]
    statuses = Counter(str(one["status"]) for one in results)
    if strange := statuses.keys() - {*_KILLED, *_MISSED, _TYPES, _TIMEOUT}:
        raise click.ClickException(f"{module.name}: mutmut was cut short: {', '.join(strange)}")
    cpu = _cpu() - used
    return Run(module.name, time.monotonic() - began, cpu, statuses, survivors)


def _cpu() -> float:
    """Seconds of the processor that processes which have ended took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _prepare(work: Path, module: Module) -> None:
    """A copy of the repository, anew: mutmut does not see that a test has changed."""
    shutil.rmtree(work, ignore_errors=True)
    needless = shutil.ignore_patterns("__pycache__", "node_modules")
    for folder in ("src", "tests"):
        shutil.copytree(_ROOT / folder, work / folder, ignore=needless)
    tests = ", ".join(f'"tests/{one}"' for one in module.tests)
    configuration = _CONFIGURATION.format(source=module.source, tests=tests, unmutated=UNMUTATED)
    project = (_ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (work / "pyproject.toml").write_text(project + configuration, encoding="utf-8")


def table(runs: Sequence[Run], unexplained: Sequence[Survivor]) -> str:
    """The figures of each module, and of all."""
    heads = ("module", "mutants", "killed", "by types", "timeouts", "survived", "explained")
    rows = [(run.module, *figures(run, unexplained).values()) for run in runs]
    sums = (sum(column) for column in list(zip(*rows, strict=True))[1:])
    lines = [(*heads, "unexplained", "seconds", "cpu"), *rows, ("all", *sums)]
    return "\n".join(
        " ".join((f"{name:26}", *(f"{figure:>11}" for figure in more))) for name, *more in lines
    )


def figures(run: Run, unexplained: Sequence[Survivor]) -> Mapping[str, int]:
    """How many mutants a module has, and what became of them."""
    survived = len(run.survivors)
    open_ones = sum(one.module == run.module for one in unexplained)
    return {
        "mutants": run.mutants,
        "killed": sum(run.statuses.get(one, 0) for one in _KILLED),
        "types": run.statuses.get(_TYPES, 0),
        "timeouts": run.statuses.get(_TIMEOUT, 0),
        "survived": survived,
        "explained": survived - open_ones,
        "unexplained": open_ones,
        "seconds": round(run.seconds),
        "cpu": round(run.cpu),
    }


def _as_json(
    runs: Sequence[Run], unexplained: Sequence[Survivor], stale: Sequence[Explanation]
) -> str:
    return json.dumps(
        {
            "modules": {run.module: figures(run, unexplained) for run in runs},
            "unexplained": [
                {"module": o.module, "function": o.function, "was": o.was, "becomes": o.becomes}
                for o in unexplained
            ],
            "stale": [{"module": o.module, "function": o.function, "was": o.was} for o in stale],
        },
        indent=2,
    )


@click.command
@click.argument("names", nargs=-1, type=click.Choice([one.name for one in MODULES]))
@click.option("--processes", default=os.cpu_count() or 1, help="Mutants tried at once.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(names: tuple[str, ...], processes: int, as_json: bool) -> None:
    """Mutate NAMES, or all modules of tests/mutation/modules.py, and run their tests.

    Fails where a mutant survives that tests/mutation/survivors.toml does not explain, and where
    the list explains one that does not survive.
    """
    if find_spec("mutmut") is None:
        raise click.ClickException("mutmut is missing: uv run --group mutation python -m …")
    known, runs = explanations.read(), []
    chosen = [one for one in MODULES if not names or one.name in names]
    for number, module in enumerate(chosen, start=1):
        click.echo(f"{number}/{len(chosen)} {module.name} …", err=True)
        runs.append(mutated(module, processes))
        run = runs[-1]
        click.echo(
            f"{number}/{len(chosen)} {run.module}: {run.mutants} mutants in {run.seconds:.0f} s, "
            f"{len(run.survivors)} survived",
            err=True,
        )
    survivors = [one for run in runs for one in run.survivors]
    unexplained, stale = explanations.sort_out(survivors, known, [one.name for one in chosen])
    if as_json:
        click.echo(_as_json(runs, unexplained, stale))
    else:
        click.echo(table(runs, unexplained))
        for place, ones in groupby(unexplained, lambda one: (one.module, one.function, one.was)):
            click.echo("\nNot noticed, nor explained: {}: {}\n  - {}".format(*place))
            click.echo("\n".join(f"  + {one.becomes}" for one in ones))
        for entry in stale:
            click.echo(f"\nExplained, but noticed now, or gone: {entry.module}: {entry.function}")
            click.echo(f"  - {entry.was}\n    {entry.why}")
    if unexplained or stale:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
