"""A group of commands as its help lists them."""

from __future__ import annotations

from typing import Final

import click

_LONGEST_SENTENCE: Final = 200
"""Characters."""


class Commands(click.Group):
    """Lists its commands as they stand in the code, each with its first sentence whole."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, command.get_short_help_str(_LONGEST_SENTENCE))
                    for name, command in self.commands.items()
                ]
            )
