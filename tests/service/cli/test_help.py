"""What the commands say of themselves, and that the reference page says it too."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import heliograph
from heliograph.cli import commands as rooms
from heliograph.cli import main
from heliograph.cli.exits import STATUSES, Exit
from heliograph.settings import NOT_OF_DISPATCH, Settings, environment_name
from tests.operations import NAMES

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


def commands(
    group: click.Group = main, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


EVERY = list(commands())


def section_of(path: tuple[str, ...]) -> str:
    """The part of the page between a command's heading and the next."""
    _, found, rest = PAGE.read_text(encoding="utf-8").partition(f"\n## {path[0]}\n")
    assert found, f"{path[0]} has no heading"
    return rest.partition("\n## ")[0]


@pytest.mark.parametrize(("path", "command"), EVERY, ids=str)
def test_every_command_explains_itself_within_80_columns(
    path: tuple[str, ...], command: click.Command
) -> None:
    told = CliRunner(env={"COLUMNS": "80"}).invoke(main, [*path, "--help"])
    assert told.exit_code == 0
    assert max(map(len, told.output.splitlines())) <= 80
    if not isinstance(command, click.Group):
        assert "Example" in told.output
        assert f"heliograph {' '.join(path)}" in told.output.partition("Example")[2]
    else:
        listed = told.output.partition("Commands:")[2]
        assert listed
        assert "...\n" not in listed, "a sentence was cut"


@pytest.mark.parametrize(("path", "command"), EVERY, ids=str)
def test_the_page_names_every_command_and_option(
    path: tuple[str, ...], command: click.Command
) -> None:
    section, page = section_of(path), PAGE.read_text(encoding="utf-8")
    if not isinstance(command, click.Group):
        assert f"heliograph {' '.join(path)}" in section
    shared = page.partition("\n## serve\n")[0]
    for option in command.params:
        if isinstance(option, click.Option):
            for name in (*option.opts, *option.secondary_opts):
                assert f"`{name}" in section or f"`{name}" in shared, f"{path} {name}"


def test_the_page_names_every_environment_variable_and_exit_status() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for one in fields(Settings):
        assert f"`{environment_name(one.name)}`" in page
    for _, command in EVERY:
        for option in command.params:
            if isinstance(option, click.Option) and isinstance(option.envvar, str):
                assert f"`{option.envvar}`" in page
    for status in Exit:
        assert f"| {status.value} |" in page
        assert f"{status.value}  " in STATUSES


def test_serve_has_an_option_for_every_setting_and_no_other() -> None:
    (serve,) = [command for path, command in EVERY if path == ("serve",)]
    assert [option.name for option in serve.params] == [one.name for one in fields(Settings)]


def test_the_filters_are_those_of_the_api() -> None:
    (listed,) = [command for path, command in EVERY if path == ("failures", "list")]
    names = {option.name for option in listed.params}
    # The cursor is followed, not given.
    assert set(NAMES) - {"cursor"} <= names


def test_the_overview_lists_every_command() -> None:
    modules = {module.name.replace("_", "-") for module in pkgutil.iter_modules(rooms.__path__)}
    assert set(main.list_commands(click.Context(main))) == modules


def test_the_version_is_told() -> None:
    told = CliRunner().invoke(main, ["--version"])
    assert told.output == f"heliograph {heliograph.__version__}\n"


def test_a_node_that_only_sends_takes_no_option_that_only_the_api_reads() -> None:
    of_dispatch = {option.name for option in dict(EVERY)[("dispatch",)].params}
    of_serve = {option.name for option in dict(EVERY)[("serve",)].params}
    assert of_serve - of_dispatch == NOT_OF_DISPATCH
