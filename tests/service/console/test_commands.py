"""Commands that pages name are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click

import heliograph.console

FOLDER = Path(heliograph.console.__file__).parent
NAMED = re.compile(r"heliograph ([a-z][a-z-]+)(?: ([a-z][a-z-]+))?")
LISTED = re.compile(r"command_of\(\s*f?\"([a-z]+) ([a-z]+)")


def commands() -> Iterator[tuple[str, str]]:
    """The commands that templates and pages name; the second word is empty where there is none."""
    for file in (*FOLDER.glob("*.py"), *FOLDER.glob("templates/*.html")):
        text = file.read_text(encoding="utf-8")
        yield from (found.groups("") for found in NAMED.finditer(text))  # type: ignore[misc]
        yield from (found.groups("") for found in LISTED.finditer(text))  # type: ignore[misc]


def test_every_command_that_a_page_names_is_there() -> None:
    named = set(commands())
    assert len(named) > 15
    for first, second in named:
        module = import_module(f"heliograph.cli.commands.{first.replace('-', '_')}")
        command = getattr(module, first.replace("-", "_"))
        if isinstance(command, click.Group) and second:
            assert second in command.list_commands(click.Context(command)), (first, second)
