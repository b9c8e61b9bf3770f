"""Text from elsewhere is only ever text: it never acts, moves the cursor or turns the reader's eye.

Subjects, errors and bodies come from publishers and listeners (S10, S12).
"""

from __future__ import annotations

import re
from typing import Final

# The C1 controls (U+009B begins an escape sequence), DEL, and what turns the direction of
# writing: in JSON they can stand only inside strings, where an escape means the same.
_ACTIVE: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


# Full width, small, raised and lowered: what programs for other scripts read as the plain signs.
_SIGNS: Final = (
    r"=+@\-\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
    r"\u207c\u207a\u207b\u208c\u208a\u208b\u2212"
)
# What parts cells where it is not the comma, and what is trimmed before a cell, or is not seen.
_PARTS: Final = r";|\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029"
_UNSEEN: Final = (
    r"\s\"\x00-\x1b\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
)
# A run without a sign behind it is passed over whole, so that no text takes time squared.
_FORMULA: Final = re.compile(
    rf"(?P<before>[{_PARTS}{_UNSEEN}]*)(?P<sign>[{_SIGNS}])|[{_PARTS}{_UNSEEN}]+"
)
_PART: Final = re.compile(rf".*[{_PARTS}]", re.DOTALL)


def harmless(text: str) -> str:
    """One line of text in which every control or invisible character is spelt out."""
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def harmless_lines(text: str) -> str:
    """The same for text of several lines; tabs become spaces."""
    return "\n".join(map(harmless, text.replace("\r\n", "\n").expandtabs(4).split("\n")))


def harmless_json(document: str) -> str:
    """A JSON document that means the same and holds no character that a terminal obeys."""
    return _ACTIVE.sub(lambda match: f"\\u{ord(match[0]):04x}", document)


def spreadsheet_cell(text: str) -> str:
    """Text for CSV of which no spreadsheet takes any part for a formula (S10).

    Who opens the file says what parts its cells: where that is a semicolon or a tab, the quotes of
    CSV hold nothing together in the middle of a line.
    """
    guarded = "'" if text.startswith(("\t", "\r")) else ""
    return guarded + harmless(_FORMULA.sub(_no_formula, text))


def _no_formula(found: re.Match[str]) -> str:
    if found["sign"] is None:
        return found[0]
    parted = _PART.match(found[0])
    if parted is None:
        return f"'{found[0]}" if found.start() == 0 else found[0]
    return f"{parted[0]}'{found[0][parted.end() :]}"


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    if char == "\N{NO-BREAK SPACE}":
        return " "
    code = ord(char)
    if char in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
