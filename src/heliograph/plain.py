"""Text from elsewhere is only ever text: it never acts, moves the cursor or turns the reader's eye.

Subjects, errors and bodies come from publishers and listeners (S10, S12).
"""

from __future__ import annotations

import re
from typing import Final

# The C1 controls (U+009B begins an escape sequence), DEL, and what turns the direction of
# writing: in JSON they can stand only inside strings, where an escape means the same.
_ACTIVE: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


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
    """Text for CSV that no spreadsheet takes for a formula (S10)."""
    guarded = "'" if text.startswith(FORMULA_STARTS) else ""
    return guarded + harmless(text)


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
