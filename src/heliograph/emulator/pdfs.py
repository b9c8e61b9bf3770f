"""What a document looks like as a PDF: what came, if it is one, or a page that says what it is."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Final

from heliograph.emulator.envelope import Envelope
from heliograph.errors import NoSuchDocument
from heliograph.wire.samples.pdf import pdf

CERTIFICATE: Final = "certificate"
COMBINED: Final = "combined"
ARCHIVE: Final = "archive"

_LONGEST_LINE: Final = 80


def document(envelope: Envelope, document_id: str, contents: Mapping[str, bytes]) -> bytes:
    """One document, or the certificate. Raises NoSuchDocument."""
    if document_id.lower() in (CERTIFICATE, "summary"):
        return certificate(envelope)
    for one in envelope.summary["envelopeDocuments"]:
        if document_id in (one["documentId"], one["documentIdGuid"]):
            body = contents.get(one["documentId"], b"")
            return body if body.startswith(b"%PDF-") else _page(envelope, one["name"], body)
    raise NoSuchDocument(f"The document specified was not found: {document_id[:60]!r}.")


def combined(envelope: Envelope, contents: Mapping[str, bytes]) -> bytes:
    """A PDF that lists all documents of an envelope: it says what they are, and has no pages of
    theirs."""
    names = [
        f"{one['documentId']}. {one['name']}, {len(contents.get(one['documentId'], b''))} bytes"
        for one in envelope.summary["envelopeDocuments"]
    ]
    return pdf([*_head(envelope), "Its documents, combined:", "", *(_cut(one) for one in names)])


def archive(envelope: Envelope, contents: Mapping[str, bytes]) -> bytes:
    """A ZIP file of every document, and the certificate."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as written:
        for one in envelope.summary["envelopeDocuments"]:
            # Who unpacks it gets no path that the sender has chosen.
            written.writestr(
                f"document-{one['documentId']}.pdf",
                document(envelope, one["documentId"], contents),
            )
        written.writestr("summary.pdf", certificate(envelope))
    return packed.getvalue()


def certificate(envelope: Envelope) -> bytes:
    """The certificate of completion, which certifies nothing."""
    lines = [
        _cut(f"{one['name']}: {one['status']}, routing order {one['routingOrder']}")
        for _, one in envelope.recipients()
    ]
    return pdf(["Certificate of completion", "", *_head(envelope), *lines])


def _page(envelope: Envelope, name: str, body: bytes) -> bytes:
    return pdf([_cut(name), "", *_head(envelope), f"It came as {len(body)} bytes that are no PDF."])


def _head(envelope: Envelope) -> list[str]:
    return [
        "Made by the emulator of Heliograph. It binds nobody.",
        f"Envelope {envelope.envelope_id}, {envelope.status}.",
        _cut(envelope.summary["emailSubject"]),
        "",
    ]


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 3]}..."
