"""The code of a page of documentation, block by block, as somebody reads and pastes it.

A fenced block of bash, python or javascript is run. A block of text, json or xml right after it
is what it shows. A block whose first line is a comment with a file name is that file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
RUNNABLE: Final = ("bash", "python", "javascript")
SHOWN: Final = ("text", "json", "xml")

_FILE_NAME: Final = re.compile(r"(?:#|//) ([\w./-]+\.\w+)\n")


@dataclass(frozen=True)
class Answer:
    """What a page says that a block shows."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Block:
    """A block of code; `heading` is the one it stands under."""

    language: str
    text: str
    line: int
    heading: str
    answer: Answer | None

    @property
    def operation(self) -> str | None:
        """The operation that it is an example of: its heading is the name, as code."""
        found = re.fullmatch(r"`(\w+)`", self.heading)
        return found and found[1]

    @property
    def file_name(self) -> str | None:
        """The file that it is, if it is one."""
        found = _FILE_NAME.match(self.text)
        return found and found[1]


@dataclass(frozen=True)
class Page:
    """A page: its blocks, and the text under each heading."""

    path: Path
    blocks: Sequence[Block]
    sections: dict[str, str]


def read(path: Path) -> Page:
    """Read a page."""
    source = path.read_text(encoding="utf-8")
    tokens = MarkdownIt().enable("table").parse(source)
    lines = source.splitlines()
    headings = [
        (_line(one), tokens[at + 1].content)
        for at, one in enumerate(tokens)
        if one.type == "heading_open"
    ]
    ends = [*(line for line, _ in headings[1:]), len(lines)]
    sections = {
        name: "\n".join(lines[line:end]) for (line, name), end in zip(headings, ends, strict=True)
    }
    answers = {}
    for before, after in pairwise(tokens):
        if before.type == after.type == "fence" and after.info in SHOWN:
            answers[_line(before)] = Answer(after.info, after.content, _line(after))
    blocks = [
        Block(
            *(one.info, one.content, _line(one)),
            heading=next((name for line, name in reversed(headings) if line < _line(one)), ""),
            answer=answers.get(_line(one)),
        )
        for one in tokens
        if one.type == "fence"
    ]
    return Page(path, blocks, sections)


def _line(token: Token) -> int:
    assert token.map is not None
    return token.map[0]
