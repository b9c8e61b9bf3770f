"""Tabs in the legacy message, beside what recorded posts show of the same envelope."""

from __future__ import annotations

from typing import Any

import pytest

from heliograph.wire.messages.legacy_tabs import form_fields, tabs

FORM: dict[str, Any] = {
    "signHereTabs": [{"tabLabel": "sign", "name": "Please Sign"}],
    "initialHereTabs": [{"tabLabel": "initial", "value": "GH"}],
    "textTabs": [
        {"tabLabel": "full_name", "name": "Full Name", "value": "Grace Hopper"},
        {"tabLabel": "empty", "value": ""},
        {"tabLabel": "full_name", "name": "Full Name", "value": "Grace Hopper"},
        {"value": "without a label"},
    ],
    "fullNameTabs": [{"tabLabel": "Name 1", "name": "Name", "value": "Grace Hopper"}],
    "dateSignedTabs": [{"tabLabel": "date", "name": "Date", "value": "12/21/2020"}],
    "companyTabs": [{"tabLabel": "Company 7", "value": "Navy"}],
    "checkboxTabs": [
        {"tabLabel": "pets", "selected": "true"},
        {"tabLabel": "cars", "selected": "false"},
    ],
    "listTabs": [{"tabLabel": "floor", "value": "2", "listItems": [{"value": "1"}]}],
    "radioGroupTabs": [
        {
            "groupName": "term",
            "radios": [{"value": "year", "selected": "true"}, {"value": "month"}],
        },
        {"groupName": "unchosen", "radios": [{"value": "a"}, {"value": "b"}]},
    ],
    "noteTabs": [{"tabLabel": "note", "value": "Read this."}],
    "numberTabs": [{"tabLabel": "rooms", "value": 3}],
}


def statuses(published: object, *, signed: bool) -> list[tuple[object, object]]:
    return [
        (shown["TabLabel"], shown["Status"])
        for shown in (dict(tab.elements) for tab in tabs(published, signed=signed))
    ]


def test_fidelity_tabs_of_who_has_signed() -> None:
    signed = statuses(FORM, signed=True)
    assert {label: status for label, status in signed if label not in ("term", "note")} == {
        label: "Signed" for label, _ in signed if label not in ("term", "note", "unchosen")
    } | {"unchosen": "Active"}
    assert [status for label, status in signed if label == "term"] == ["Signed", "Active"]
    assert [status for label, status in signed if label == "note"] == ["NA"]
    assert {status for _, status in statuses(FORM, signed=False)} == {"Active"}


@pytest.mark.parametrize(
    ("own", "shown"), [("active", "Active"), ("declined", "Declined"), ("na", "NA"), (7, "7")]
)
def test_a_tab_that_says_its_status_keeps_it(own: object, shown: str) -> None:
    published = {"textTabs": [{"status": own}], "noteTabs": [{"status": own}]}
    for signed in (True, False):
        assert {status for _, status in statuses(published, signed=signed)} == {shown}


def test_fidelity_form_data_of_a_recipient() -> None:
    assert form_fields(tabs(FORM, signed=True)) == [
        ("full_name", "Grace Hopper"),
        ("FullName", "Grace Hopper"),
        ("DateSigned", "12/21/2020"),
        ("Company", "Navy"),
        ("pets", "X"),
        ("floor", "2"),
        ("term", "year"),
        ("rooms", "3"),
    ]


@pytest.mark.parametrize("published", [None, 7, [], {}, {"textTabs": 7}, {"textTabs": [None, 7]}])
def test_tabs_of_another_shape_say_nothing(published: object) -> None:
    assert form_fields(tabs(published, signed=True)) == []
