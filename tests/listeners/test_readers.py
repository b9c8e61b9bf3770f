"""What every machine can read our messages with; `python -m tests.listeners` has the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from heliograph.wire.messages.legacy_xml import NAMESPACE
from tests.listeners.__main__ import tried
from tests.listeners.messages import KINDS, SEEN, SEEN_BY_PYDOCUSIGN, body
from tests.listeners.readers import READERS, XML2JS, Misread, Missing
from tests.needed import without

GOLDEN = Path(__file__).parents[1] / "golden"

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("kind", KINDS)
def test_xml2js_sees_each_message_as_it_is(kind: str) -> None:
    try:
        found = XML2JS.read(kind)
    except Missing as why:
        raise without(str(why)) from None
    assert found == SEEN[kind]


@pytest.mark.parametrize("element", ["RecipientIPAddress", "DeclineReason", "AuthoritativeCopy"])
def test_a_reader_refuses_a_message_that_leaves_out_what_it_relies_on(element: str) -> None:
    root = etree.fromstring(body("xml"))
    for found in list(root.iter(f"{{{NAMESPACE}}}{element}")):
        parent = found.getparent()
        assert parent is not None
        parent.remove(found)
    try:
        seen = XML2JS.read("xml", etree.tostring(root))
    except Missing as why:
        raise without(str(why)) from None
    except Misread:
        return
    assert seen != SEEN["xml"]


@pytest.mark.parametrize("kind", ["xml", "soap"])
def test_the_schema_made_of_recorded_messages_accepts_xml_and_what_is_in_soap(kind: str) -> None:
    schema = etree.XMLSchema(etree.parse(GOLDEN / "envelope-information.xsd"))
    root = etree.fromstring(body(kind))
    (found,) = root.iter(f"{{{NAMESPACE}}}DocuSignEnvelopeInformation")
    schema.assertValid(etree.fromstring(etree.tostring(found)))


def test_each_reader_is_shown_every_format_that_it_knows() -> None:
    for reader in READERS:
        wanted = {"xml", "soap"} if reader.name == "pydocusign" else set(KINDS)
        assert set(reader.seen) == wanted
    assert SEEN_BY_PYDOCUSIGN["envelopeId"] == SEEN["xml"]["envelopeId"]


def test_what_a_machine_does_not_have_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    text, well = tried(XML2JS)
    assert not well
    assert text.endswith("not on this machine: node is not on this machine")
