"""Let the readers that are named, or all, read a message of each format; print what they see."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.listeners.readers import READERS, Misread, Missing, Reader


def tried(reader: Reader) -> tuple[str, bool]:
    """A line for each format, and whether all of them were seen as they are."""
    lines, well = [reader.about], True
    for kind, expected in reader.seen.items():
        try:
            found = reader.read(kind)
        except Missing as why:
            return f"{reader.about}: not on this machine: {why}", False
        except Misread as why:
            lines.append(f"  {kind}: refused: {why}")
            well = False
            continue
        wrong = {name: found.get(name) for name in expected if found.get(name) != expected[name]}
        well = well and not wrong
        lines.append(f"  {kind}: " + (f"sees otherwise: {wrong}" if wrong else "holds"))
    return "\n".join(lines), well


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.listeners")
    parser.add_argument("names", nargs="*", help="such as go; without, all of them")
    given = parser.parse_args(arguments)
    known = {reader.name: reader for reader in READERS}
    if unknown := set(given.names) - known.keys():
        parser.error(f"there is no {min(unknown)}: {', '.join(known)}")
    outcomes = [tried(known[name]) for name in given.names or known]
    print("\n".join(text for text, _ in outcomes))  # noqa: T201
    return 0 if all(well for _, well in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
