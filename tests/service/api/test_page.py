"""The reference page of the failure log, line by line: what a reader of DocuSign's would find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import docusign_esign
import pytest
from lxml import etree

from heliograph.wire.codec import NAMESPACE, OWN_NAMESPACE
from tests.listener import LoopbackListener
from tests.server import Client
from tests.service.api.test_api import records
from tests.support import published

GOLDEN = Path(__file__).parents[2] / "golden"
PAGE = etree.XMLSchema(etree.parse(GOLDEN / "connect-logs.xsd"))
IN_ORDER = (
    *("accountId", "envelopeId", "subject", "created", "userName", "email", "status", "lastTry"),
    *("retryCount", "error", "connectId", "configUrl", "logUri", "logId", "failureUri"),
    *("failureId", "retryUri", "connectDebugLog"),
)
"""The fields of an entry, as the page's JSON example has them."""

EXTENDED = "application/xml; extensions=true"


@pytest.fixture
async def failed(api: Client, listener: LoopbackListener) -> Client:
    """A server whose log has one failure with one logged try."""
    await api.configure(listener.base, name="crm")
    listener.status = 500
    await api.call("POST", "events", published())
    await records(api, "failures", 1)
    return api


async def test_fidelity_log_id_of_a_failure_is_its_newest_logged_try(
    failed: Client, listener: LoopbackListener
) -> None:
    (failure,) = await records(failed, "failures", 1)
    (tried,) = await records(failed, "logs", 1)
    assert (failure["logId"], failure["logUri"]) == (tried["logId"], tried["logUri"])
    assert (await failed.call("GET", failure["logUri"])).json == tried

    await failed.call("PUT", failure["retryUri"])
    newest, _ = await records(failed, "logs", 2)
    (failure,) = await records(failed, "failures", 1)
    assert failure["logId"] == newest["logId"]
    assert (await failed.call("GET", failure["failureUri"])).json == failure

    await failed.call("DELETE", newest["logUri"])
    (failure,) = await records(failed, "failures", 1)
    assert failure["logId"] == tried["logId"]
    await failed.call("DELETE", "logs")
    (failure,) = await records(failed, "failures", 1)
    assert {"logId", "logUri"}.isdisjoint(failure)


async def test_fidelity_an_entry_has_every_field_of_the_page_in_its_order(failed: Client) -> None:
    for kind, name in (("failures", "failureId"), ("logs", "logId")):
        (entry,) = await records(failed, kind, 1)
        whole = (await failed.call("GET", f"{kind}/{entry[name]}?additional_info=true")).json
        listed = tuple(field for field in IN_ORDER if field != "connectDebugLog")
        assert tuple(entry)[: len(listed)] == listed
        assert tuple(whole)[: len(IN_ORDER)] == IN_ORDER
        assert set(whole) - set(IN_ORDER) == {"cause", "deliveryState", "nextTry"}
        exchange = tuple(whole["connectDebugLog"][1])
        assert exchange == (
            *("eventDateTime", "connectConfig", "eventDescription", "payload", "errorDetails"),
        )
    listing = (await failed.call("GET", "failures")).json
    assert tuple(listing) == ("type", "logs", "failures", "totalRecords")


async def test_fidelity_a_schema_of_the_page_accepts_the_xml(failed: Client) -> None:
    (failure,) = await records(failed, "failures", 1)
    (logged,) = await records(failed, "logs", 1)
    for path in (
        *("failures", "logs", "failures?connect_id=5", "/v2/accounts/1/connect/failures"),
        f"failures/{failure['failureId']}?additional_info=true",
        f"logs/{logged['logId']}?additional_info=true",
    ):
        for form in ("application/xml", "text/xml"):
            document = etree.fromstring((await failed.call("GET", path, Accept=form)).body)
            PAGE.assertValid(document)
            (space,) = {etree.QName(element).namespace for element in document.iter()}
            assert space == NAMESPACE
    (shown,) = etree.fromstring(
        (await failed.call("GET", "failures", Accept="application/xml")).body
    ).iter(f"{{{NAMESPACE}}}connectLog")
    fields = [etree.QName(element).localname for element in shown]
    assert fields == sorted(set(IN_ORDER) - {"connectDebugLog"}, key=str.lower)


async def test_extensions_come_last_in_a_namespace_of_ours_for_those_who_ask(
    failed: Client,
) -> None:
    answer = await failed.call("GET", "failures", Accept=EXTENDED)
    assert answer.headers["Content-Type"].partition(";")[0] == "application/xml"
    document = etree.fromstring(answer.body)
    (entry,) = document.iter(f"{{{NAMESPACE}}}connectLog")
    names = [etree.QName(element) for element in entry]
    own = [name.localname for name in names if name.namespace == OWN_NAMESPACE]
    assert own == ["cause", "deliveryState", "nextTry"]
    assert [name.localname for name in names][-len(own) :] == own
    for element in list(entry)[-len(own) :]:
        entry.remove(element)
    PAGE.assertValid(document)


def schema_of(model: Any) -> etree.XMLSchema:
    """The strictest schema of an answer: the fields that DocuSign's SDK knows, and no others."""
    types: dict[str, str] = {}

    def add(name: str) -> None:
        if name in types:
            return
        of = getattr(docusign_esign, name)
        types[name] = ""
        elements = []
        for attribute, wire in sorted(of.attribute_map.items(), key=lambda one: one[1].lower()):
            kind = of.swagger_types[attribute]
            elements.append(f'<xs:element name="{wire}" minOccurs="0" type="{named(kind, wire)}"/>')
        types[name] = complex_type(name, elements)

    def named(kind: str, wire: str) -> str:
        if kind.startswith("list["):
            inner = kind[5:-1]
            item = wire.removesuffix("s") if inner == "str" else inner[0].lower() + inner[1:]
            inner_type = named(inner, "")
            types[f"List.{wire}"] = complex_type(
                f"List.{wire}",
                [
                    f'<xs:element name="{item}" type="{inner_type}" minOccurs="0" '
                    'maxOccurs="unbounded"/>'
                ],
            )
            return f"List.{wire}"
        if kind in ("str", "dict(str, str)"):
            return "xs:string"
        add(kind)
        return kind

    def complex_type(name: str, elements: list[str]) -> str:
        inside = "".join(elements)
        return f'<xs:complexType name="{name}"><xs:sequence>{inside}</xs:sequence></xs:complexType>'

    name = model.__name__
    add(name)
    root = name[0].lower() + name[1:]
    return etree.XMLSchema(
        etree.fromstring(
            f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="{NAMESPACE}" '
            f'targetNamespace="{NAMESPACE}" elementFormDefault="qualified">'
            f'<xs:element name="{root}" type="{name}"/>{"".join(types.values())}</xs:schema>'
        )
    )


async def test_fidelity_no_xml_answer_has_what_docusign_has_not(
    api: Client, listener: LoopbackListener
) -> None:
    connect_id = await api.configure(
        listener.base, deliveryOrder="none", maxPerSecond="5", retrySchedule=["60", "3600"]
    )
    await api.call("POST", "events", published())
    whole = {"configurations": schema_of(docusign_esign.ConnectConfigResults)}
    for path in (api.connect, connect_id):
        answer = await api.call("GET", path, Accept="application/xml")
        whole["configurations"].assertValid(etree.fromstring(answer.body))
        assert b"deliveryOrder" in (await api.call("GET", path, Accept=EXTENDED)).body
    one = await api.call(
        "PUT", api.connect, {"connectId": connect_id, "name": "erp"}, Accept="application/xml"
    )
    schema_of(docusign_esign.ConnectCustomConfiguration).assertValid(etree.fromstring(one.body))
    assert (await api.call("GET", connect_id)).json["configurations"][0]["deliveryOrder"] == "none"
    past = await api.call(
        "POST",
        "envelopes/publish/historical",
        {"envelopes": ["env-1"], "config": {"urlToPublishTo": listener.base}},
        Accept="application/xml",
    )
    assert past.status == 201, past.body
    schema_of(docusign_esign.EnvelopePublishTransaction).assertValid(etree.fromstring(past.body))


async def test_an_accounts_token_is_shown_in_xml_too_since_it_is_shown_once(api: Client) -> None:
    made = await api.call("POST", "/v2.1/accounts", {"accountName": "x"}, Accept="application/xml")
    assert made.status == 201, made.body
    (token,) = etree.fromstring(made.body).iter(f"{{{OWN_NAMESPACE}}}accessToken")
    assert token.text
