"""What each switch takes from, or adds to, an event's data."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.model.accounts import Account
from heliograph.model.configurations import Switches
from heliograph.wire.messages.summary import INCLUDE_DATA, select

SUMMARY: dict[str, Any] = {
    "envelopeId": "env-1",
    "status": "completed",
    "voidedReason": "changed our minds",
    "customFields": {"textCustomFields": [{"name": "case", "value": "7"}]},
    "powerForm": {"powerFormId": "p"},
    "folders": [{"name": "Sent"}],
    "extensions": [{"id": "x"}],
    "envelopeAttachments": [{"attachmentId": "a"}],
    "recipients": {
        "signers": [
            {
                "name": "Ada",
                "tabs": {
                    "textTabs": [{"tabLabel": "t", "value": "1.10"}],
                    "formulaTabs": [{"tabLabel": "fee", "paymentDetails": {"total": 1.10}}],
                },
            }
        ],
        "carbonCopies": [],
        "recipientCount": "1",
    },
    "envelopeDocuments": [
        {
            "documentId": "1",
            "name": "lease.pdf",
            "PDFBytes": "JVBERg==",
            "documentFields": [{"name": "kind", "value": "lease"}],
            "tabs": {"prefillTabs": {"textTabs": []}},
        },
        {"documentId": "certificate", "name": "Summary", "PDFBytes": "JVBERg=="},
    ],
}
DATA = {"accountId": "acc", "envelopeId": "env-1", "envelopeSummary": SUMMARY}


def selected(data: Any = DATA, **switches: Any) -> Any:
    raw = select(msgspec.Raw(json.dumps(data).encode()), Switches(**switches))
    return json.loads(bytes(raw))


def summary(**switches: Any) -> Any:
    return selected(**switches)["envelopeSummary"]


def including(*parts: str) -> Any:
    return summary(include=frozenset(parts))


def test_without_a_switch_everything_goes_out_byte_for_byte() -> None:
    raw = msgspec.Raw(b'{"envelopeSummary" : {"n":1.10, "n":1e2}}')
    assert select(raw, Switches()) is raw


def test_an_empty_include_data_asks_for_no_envelope() -> None:
    assert selected(include=frozenset()) == {"accountId": "acc", "envelopeId": "env-1"}


PLAIN = {"envelopeId", "status", "voidedReason"}


@pytest.mark.parametrize(
    ("part", "fields"),
    [
        ("custom_fields", {"customFields"}),
        ("powerform", {"powerForm"}),
        ("folders", {"folders"}),
        ("extensions", {"extensions"}),
        ("attachments", {"envelopeAttachments"}),
        ("recipients", {"recipients"}),
        ("tabs", {"recipients"}),
        ("payment_tabs", {"recipients"}),
        ("documents", {"envelopeDocuments"}),
        ("prefill_tabs", {"envelopeDocuments"}),
    ],
)
def test_each_value_of_include_data_brings_its_part_and_no_other(
    part: str, fields: set[str]
) -> None:
    assert part in INCLUDE_DATA
    assert set(including(part)) == PLAIN | fields


def test_every_value_is_tried() -> None:
    (mark,) = test_each_value_of_include_data_brings_its_part_and_no_other.pytestmark  # type: ignore[attr-defined]
    assert {part for part, _ in mark.args[1]} == INCLUDE_DATA


@pytest.mark.parametrize(
    ("parts", "kinds"),
    [
        (("recipients",), None),
        (("tabs",), {"textTabs"}),
        (("payment_tabs",), {"formulaTabs"}),
        (("tabs", "payment_tabs"), {"textTabs", "formulaTabs"}),
    ],
)
def test_tabs_and_payment_tabs_are_told_apart(
    parts: tuple[str, ...], kinds: set[str] | None
) -> None:
    recipients = including(*parts)["recipients"]
    tabs = recipients["signers"][0].get("tabs")
    assert (None if tabs is None else set(tabs)) == kinds
    assert recipients["recipientCount"] == "1"


def test_documents_are_their_bytes_and_prefill_tabs_their_tabs() -> None:
    (with_bytes,) = including("documents")["envelopeDocuments"]
    assert set(with_bytes) == {"documentId", "name", "PDFBytes"}
    (with_tabs,) = including("prefill_tabs")["envelopeDocuments"]
    assert set(with_tabs) == {"documentId", "name", "tabs"}


@pytest.mark.parametrize(
    ("switch", "value", "first", "second"),
    [
        (
            "documents",
            False,
            {"documentId", "name", "documentFields", "tabs"},
            {"documentId", "name"},
        ),
        ("document_fields", False, {"documentId", "name", "PDFBytes", "tabs"}, None),
        ("documents", True, None, None),
    ],
)
def test_a_switch_for_documents_takes_its_part_from_all_of_them(
    switch: str, value: bool, first: set[str] | None, second: set[str] | None
) -> None:
    found = summary(**{switch: value})["envelopeDocuments"]
    everything = [set(one) for one in SUMMARY["envelopeDocuments"]]
    assert [set(one) for one in found] == [first or everything[0], second or everything[1]]


def test_the_certificate_of_completion_has_a_switch_of_its_own() -> None:
    def ids(**switches: Any) -> list[str]:
        return [one["documentId"] for one in summary(**switches).get("envelopeDocuments", [])]

    assert ids(certificate=False) == ["1"]
    assert ids(certificate=True) == ["1", "certificate"]
    assert ids(include=frozenset({"documents"}), certificate=True) == ["1", "certificate"]
    alone = summary(include=frozenset({"recipients"}), certificate=True)["envelopeDocuments"]
    assert ["PDFBytes" in one for one in alone] == [False, True]


def test_the_void_reason_and_the_sender_account() -> None:
    assert "voidedReason" not in summary(void_reason=False)
    assert summary(void_reason=True)["voidedReason"] == "changed our minds"
    fields = summary(sender_account=True)["customFields"]["textCustomFields"]
    assert [(one["name"], one["value"]) for one in fields] == [("case", "7"), ("AccountId", "acc")]


def test_fidelity_site_of_an_account_and_its_number_and_name_in_json() -> None:
    raw = msgspec.Raw(b'{"accountId":"acc","envelopeSummary":{"status":"sent"}}')
    data = select(raw, Switches(sender_account=True), Account("acc", 1001, "Navy"))
    fields = json.loads(bytes(data))["envelopeSummary"]["customFields"]["textCustomFields"]
    assert fields == [
        {"name": name, "show": "false", "required": "false", "value": value}
        for name, value in (
            ("AccountId", "1001"),
            ("AccountName", "Navy"),
            ("AccountSite", "demo"),
        )
    ]


def test_numbers_keep_their_text_wherever_a_part_is_taken_out() -> None:
    raw = msgspec.Raw(
        b'{"envelopeSummary":{"voidedReason":"x","price":1.10,"n":12345678901234567890123}}'
    )
    found = bytes(select(raw, Switches(void_reason=False)))
    assert found == b'{"envelopeSummary":{"price":1.10,"n":12345678901234567890123}}'


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "recipients",
                    "signers",
                    "tabs",
                    "textTabs",
                    "envelopeDocuments",
                    "customFields",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(
    anything,
    st.none() | st.frozensets(st.sampled_from(sorted(INCLUDE_DATA))),
    st.none() | st.booleans(),
    st.booleans(),
)
def test_whatever_a_publisher_sends_is_never_an_error(
    content: Any, include: frozenset[str] | None, documents: bool | None, account: bool
) -> None:
    selected(
        {"envelopeSummary": content},
        include=include,
        documents=documents,
        certificate=documents,
        document_fields=documents,
        void_reason=documents,
        sender_account=account,
    )
