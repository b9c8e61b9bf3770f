"""Some 500 strings that are legal and awkward, and a few that no text may hold (S12)."""

from __future__ import annotations

ESC = "\x1b"

_CONTROLS = [f"a{chr(code)}b" for code in (*range(0x20), *range(0x7F, 0xA0))]

_INVISIBLE = [
    f"a{chr(code)}b"
    for code in (
        *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x180E, 0x3164, 0xFEFF, 0xFFA0),
        *range(0x2000, 0x2010),
        *range(0x2028, 0x2030),
        *range(0x205F, 0x2070),
        *range(0xFFF9, 0xFFFE),
        *(0xE0001, 0xE0041, 0xE007F, 0x1D173),
    )
]

_NO_CHARACTERS = [
    f"a{chr(code)}b"
    for code in (0xFDD0, 0xFDEF, 0xFFFE, 0xFFFF, 0x1FFFE, 0x1FFFF, 0x10FFFE, 0x10FFFF)
]

SURROGATES = [f"a{chr(code)}b" for code in (0xD800, 0xDBFF, 0xDC00, 0xDFFF)]
"""No Unicode text: JSON can spell them out, nothing can store them."""

# A sample of every part of the basic plane, and of some above it.
_BLOCKS = [
    "".join(chr(code + at) for at in range(0, 256, 37))
    for code in (*range(0x0100, 0xD800, 0x100), *range(0xE000, 0xFD00, 0x100))
] + [chr(code) * 3 for code in range(0x10000, 0x20000, 0x800)]

_TERMINAL = [
    f"{ESC}[31mred{ESC}[0m",
    f"{ESC}[2J{ESC}[H",
    f"{ESC}]0;title\x07",
    f"{ESC}]8;;http://evil.example/{ESC}\\link{ESC}]8;;{ESC}\\",
    f"{ESC}P+q544e{ESC}\\",
    f"{ESC}[6n",
    f"{ESC}c",
    "\x9b31mred",
    "\x9d0;title\x9c",
    "safe\rEVIL",
    "a\b\b\bEVIL",
    "\x07" * 10,
    "\u202egnp.exe",
    "\u2066\u2067isolated\u2069",
]

_MARKUP = [
    "<script>alert(1)</script>",
    "</script><svg onload=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "<!--<![CDATA[ ]]>-->",
    "]]>",
    "&lt;&amp;&#0;&x;",
    "<!DOCTYPE x [<!ENTITY a 'b'>]>&a;",
    "<?xml version='1.0'?>",
    "{{7*7}}",
    "${7*7}",
    "<%= 7*7 %>",
    "#{7*7}",
    "{0.__class__}",
    "%s%s%s%n",
    "%d %(name)s",
    "{}{0}{name}",
    "\\u0041\\x41\\n",
    '"',
    "'",
    "\\",
    '\\"',
    "`",
    "`id`",
    "$(id)",
    "; rm -rf /",
    "| cat /etc/passwd",
    "&& true",
    "' OR '1'='1",
    "'; DROP TABLE event;--",
    "1; SELECT pg_sleep(10)",
    '" OR ""="',
    "%",
    "_%_",
    "*",
    "a'||'b",
    "../../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "%2e%2e%2f",
    "%00",
    "%0d%0aSet-Cookie: a=b",
    "a\r\nX-Injected: 1",
    "a\nb",
    "file:///etc/passwd",
    "http://169.254.169.254/",
    "//evil.example/",
    "C:\\",
    "CON",
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "=cmd|' /C calc'!A0",
    "\t=1+1",
]

_WORDS = [
    "null",
    "undefined",
    "None",
    "nil",
    "true",
    "false",
    "NaN",
    "Infinity",
    "0",
    "-0",
    "1e400",
    "0x10",
    "00",
    "1,000",
    "[]",
    "{}",
    "[object Object]",
    "__proto__",
    "constructor",
    "2026-02-30",
    "1970-01-01T00:00:00Z",
    "********",
]

_SCRIPTS = [
    "Zażółć gęślą jaźń",
    "İstanbul ıI ß ﬁ ﬀ",  # noqa: RUF001
    "e\u0301 é",
    "\u1e9b\u0323",
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!͖̬̰̙̗̿̋ͥͥ̂ͣ̐́́͜͞",
    "שלום עולם",
    "مرحبا بالعالم",
    "abc אבג 123",
    "田中さんにあげて下さい",
    "部落格 𠜎𠜱𠝹",
    "한국어",
    "ไทย",
    "देवनागरी",
    "👩‍👩‍👧‍👦🏳️‍🌈👍🏿🇩🇪",
    "🇦" * 50,
    "𝕿𝖍𝖊 𝓺𝓾𝓲𝓬𝓴",  # noqa: RUF001
    "раураl",  # noqa: RUF001
    "ａｂｃ",  # noqa: RUF001
    "½²₃Ⅷ",
    "\u00a0nbsp\u00a0",
    "\u3000wide\u3000",
]

_SIZES = [
    "x" * 199,
    "x" * 200,
    "x" * 201,
    "x" * 500,
    "x" * 501,
    "x" * 10_000,
    "é" * 5_000,
    "😀" * 2_000,
    "x" * 60_000,
    "a" + "\u0301" * 5_000,
    "(" * 1_000,
]

_SPACES = [" ", "  a  ", "\t", "\n", "\r\n", "\u2003", "a ", " a"]

_ALL = [
    *_CONTROLS,
    *_INVISIBLE,
    *_NO_CHARACTERS,
    *_BLOCKS,
    *_TERMINAL,
    *_MARKUP,
    *_WORDS,
    *_SCRIPTS,
    *_SIZES,
    *_SPACES,
]

STRINGS = list(dict.fromkeys(_ALL))
"""All of them Unicode text, none empty."""
