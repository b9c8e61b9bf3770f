"""A PDF of one page that says what it is, in any size.

Written by hand: one page of text in a font that every reader has (PDF 1.4, ISO 32000-1, 7.5 and
9.6.2), and a stream that nothing refers to, which makes up the size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_HEAD: Final = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
_PAGE: Final = (
    b"<< /Type /Catalog /Pages 2 0 R >>",
    b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
    b" /Resources << /Font << /F1 5 0 R >> >> >>",
)
_FONT: Final = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
_FILLING: Final = b"This is here to make the document as large as it was asked for.\n"

_LARGEST: Final = 10**9
"""Bytes: an offset has ten digits."""


class Unfit(ValueError):
    """No such PDF can have that size."""


def pdf(lines: Sequence[str], size: int | None = None) -> bytes:
    """A PDF with these lines of text, of exactly `size` bytes, or as small as it is.

    Raises:
        Unfit: it cannot be so small, or so large.
    """
    smallest = _written(lines, b"")
    if size is None:
        return smallest
    if not len(smallest) <= size <= _LARGEST:
        raise Unfit(f"A PDF of a page has {len(smallest):,} to {_LARGEST:,} bytes.")
    missing = size - len(smallest)
    return _written(lines, (_FILLING * (missing // len(_FILLING) + 1))[:missing])


def _written(lines: Sequence[str], filling: bytes) -> bytes:
    shown = b"".join(b"(%b) Tj T*\n" % _escaped(line) for line in lines)
    text = b"BT /F1 12 Tf 16 TL 56 770 Td\n%bET" % shown
    objects = (*_PAGE, _stream(text), _FONT, _stream(filling))
    parts, offsets, at = [_HEAD], [], len(_HEAD)
    for number, content in enumerate(objects, start=1):
        offsets.append(at)
        parts.append(b"%d 0 obj\n%b\nendobj\n" % (number, content))
        at += len(parts[-1])
    count = len(objects) + 1
    rows = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    table = b"xref\n0 %d\n0000000000 65535 f \n%b" % (count, rows)
    # Ten digits each, so that no figure's length depends on the size that is to be met.
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%010d\n%%%%EOF\n" % (count, at)
    return b"".join([*parts, table, end])


def _stream(content: bytes) -> bytes:
    return b"<< /Length %010d >>\nstream\n%b\nendstream" % (len(content), content)


def _escaped(line: str) -> bytes:
    text = line.encode("cp1252", "replace")
    return text.replace(b"\\", rb"\\").replace(b"(", rb"\(").replace(b")", rb"\)")
