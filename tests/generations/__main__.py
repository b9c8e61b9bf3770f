"""Try the generations that are named, or all; print the figures, and write them if asked to."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from tests.generations.catalogue import GENERATIONS
from tests.generations.plan import Figures, figures

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "sdk-generations.md"

_HEAD: Final = """\
# Generations of DocuSign's SDKs

What each generation of the official SDKs does with Heliograph, unmodified: it signs in by JWT over
HTTPS, asks who it is, and makes every Connect call that it has, each with a check of what came of
it. `uv run python -m tests.generations --write` tries them and writes this page. It is a lane of
its own; what a machine does not have is a line that says so. How each SDK is told of server and
authority: [Python and Node](../how-to/use-the-official-sdk.md),
[Java](../how-to/use-the-java-sdk.md).

| SDK | API | Connect calls it has | made | hold | signs in | what does not hold |
|---|---|---|---|---|---|---|
"""

_NAMES: Final = {"python": "Python (PyPI)", "node": "Node (npm)", "java": "Java (Maven Central)"}


def row(found: Figures) -> str:
    """A line of the table."""
    one = found.generation
    name = f"{_NAMES[one.language]} {one.version}"
    if found.missing:
        return f"| {name} | | | | | | not on this machine: {found.missing} |"
    wrong = dict(found.wrong)
    if found.signs_in:
        wrong["signing in"] = found.signs_in
    wrong |= dict.fromkeys(found.has - found.made, "not made")
    cells = [
        *(name, "v2" if one.v2 else "v2.1"),
        *(str(len(found.has)), str(len(found.made)), str(found.hold)),
        "no" if found.signs_in else "yes",
        "; ".join(sorted(wrong)),
    ]
    return f"| {' | '.join(cells)} |"


async def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.generations")
    parser.add_argument("names", nargs="*", help="such as python-1.0.3; without, all of them")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    given = parser.parse_args(arguments)
    wanted = [one for one in GENERATIONS if not given.names or one.name in given.names]
    if unknown := set(given.names) - {one.name for one in wanted}:
        parser.error(f"there is no {min(unknown)}: {', '.join(one.name for one in GENERATIONS)}")
    found = []
    for one in wanted:
        found.append(await figures(one))
        print(row(found[-1]), flush=True)  # noqa: T201
        for operation, why in found[-1].wrong.items():
            print(f"    {operation}: {why[:400]}", flush=True)  # noqa: T201
        if found[-1].signs_in:
            print(f"    signing in: {found[-1].signs_in[:400]}", flush=True)  # noqa: T201
    held = sum(one.hold for one in found)
    made = sum(len(one.made) for one in found)
    print(f"calls made: {made}, calls that hold: {held}")  # noqa: T201
    if given.write:
        rows = "\n".join(map(row, found))
        total = f"\n\nCalls made: {made:,}. Calls that hold: {held:,}.\n"
        PAGE.write_text(_HEAD + rows + total, encoding="utf-8")
    return 0 if all(one.whole for one in found) else 1


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    sys.exit(asyncio.run(main(sys.argv[1:])))
