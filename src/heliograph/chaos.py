"""`heliograph-chaos`: the chaos suite, which lives beside the tests in a checkout."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Run the suite's command, or say what it needs."""
    if not (_CHECKOUT / "tests" / "chaos" / "command.py").exists():
        sys.exit(
            "heliograph-chaos needs a checkout of Heliograph: clone it, and run "
            "`uv run heliograph-chaos` there."
        )
    sys.path.insert(0, str(_CHECKOUT))
    try:
        command = importlib.import_module("tests.chaos.command")
    except ModuleNotFoundError as missing:
        sys.exit(f"heliograph-chaos needs the development packages ({missing}): run `uv sync`.")
    command.main()
