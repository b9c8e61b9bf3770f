"""`python -m tests.simulation SEED`: replay one seed; `--seeds A-B`: run many."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.simulation.model_store import Trouble
from tests.simulation.world import Result, simulate

_STRICTER = ("young_leases", "slow_clock")


def main() -> int:
    """Run what the command line asks for; the exit status says whether all held."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="the seed to replay")
    parser.add_argument("--seeds", metavar="A-B", help="run these seeds instead")
    parser.add_argument("--days", type=int, default=1, help="simulated days a seed")
    parser.add_argument("--trace", action="store_true", help="print what happens")
    parser.add_argument("--processes", type=int, default=2, help="for --seeds")
    for name in _STRICTER:
        parser.add_argument(
            f"--{name.replace('_', '-')}", action="store_true", help="one more fault"
        )
    asked = parser.parse_args()
    trouble = Trouble(**{name: getattr(asked, name) for name in _STRICTER})
    if asked.seeds:
        first, _, last = asked.seeds.partition("-")
        return many(range(int(first), int(last or first) + 1), asked.days, asked.processes, trouble)
    if asked.seed is None:
        parser.error("give a seed, or --seeds A-B")
    result = simulate(asked.seed, asked.days, _say if asked.trace else None, trouble)
    _say(shown(result, asked.days))
    return 1 if result.violation else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def shown(result: Result, days: int) -> str:
    """A line for one result."""
    if result.violation:
        replay = f"uv run python -m tests.simulation {result.seed} --days {days} --trace"
        return f"seed {result.seed}: {result.violation}\n    replay: {replay}"
    return f"seed {result.seed}: held, {result.sends} sends, trace {result.trace}"


def many(seeds: range, days: int, processes: int, trouble: Trouble) -> int:
    """Run many seeds, with a line of progress on standard error."""
    began, failed, done = time.monotonic(), 0, 0
    with ProcessPoolExecutor(processes) as pool:
        run = partial(simulate, days=days, trouble=trouble)
        for result in pool.map(run, seeds, chunksize=10):
            done += 1
            if result.violation:
                failed += 1
                _say(shown(result, days))
            if done % 10 == 0 or done == len(seeds):
                seconds = time.monotonic() - began
                line = f"\r{done}/{len(seeds)} seeds, {failed} failed, {seconds:.0f} s"
                sys.stderr.write(line)
                sys.stderr.flush()
    sys.stderr.write("\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
