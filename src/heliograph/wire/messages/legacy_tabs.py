"""A recipient's tabs as the legacy message shows them: each by itself, and as the data of a form.

Types and their words are those of DocuSign's API 3.0 schema; how a tab's status, the boxes and the
form's fields follow from it is what recorded posts show (docs/reference/legacy-xml.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from heliograph.wire.messages.loose import Fields, is_true, list_of, object_of, text_of

_SPECIAL: Final[Mapping[str, str]] = {
    "initialHereTabs": "InitialHere",
    "signHereTabs": "SignHere",
    "fullNameTabs": "FullName",
    "firstNameTabs": "FirstName",
    "lastNameTabs": "LastName",
    "emailAddressTabs": "EmailAddress",
    "envelopeIdTabs": "EnvelopeID",
    "dateSignedTabs": "DateSigned",
    "titleTabs": "Title",
    "companyTabs": "Company",
    "signerAttachmentTabs": "SignerAttachment",
    "approveTabs": "Approve",
    "declineTabs": "Decline",
}
"""Tabs with a type of their own (TabTypeCode of the schema); the others are of type Custom."""

_CUSTOM: Final[Mapping[str, str]] = {
    "textTabs": "Text",
    "checkboxTabs": "Checkbox",
    "radioGroupTabs": "Radio",
    "listTabs": "List",
    "dateTabs": "Date",
    "numberTabs": "Number",
    "numericalTabs": "Number",
    "ssnTabs": "SSN",
    "zipTabs": "ZIP5",
    "emailTabs": "Email",
    "noteTabs": "Note",
    "formulaTabs": "Formula",
}
"""The schema's CustomTabType; a kind it has no word for goes out without, since readers that are
generated from the schema refuse words they do not know."""

KINDS: Final[Mapping[tuple[str, str | None], str]] = {
    **{(word, None): kind for kind, word in _SPECIAL.items()},
    **{("Custom", word): kind for kind, word in reversed(list(_CUSTOM.items()))},
}
"""The kind of a tab by its type and, of a custom one, its CustomTabType."""

_RADIOS: Final = "radioGroupTabs"

# Nothing that a person fills in.
_NO_FIELDS: Final = frozenset({"signHereTabs", "initialHereTabs", "noteTabs"})

_TICKED: Final = "X"


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab: what `TabStatus` has of it, and the field of the form that it fills, if it does."""

    elements: Sequence[tuple[str, object]]
    field: tuple[str, str] | None


def tabs(published: object, *, signed: bool) -> Sequence[Tab]:
    """The tabs of a recipient, who has `signed` or not; each button of a radio group is one."""
    return [
        _tab(kind, tab, signed=signed)
        for kind, of_kind in object_of(published).items()
        for listed in map(object_of, list_of(of_kind))
        for tab in (_radios(listed) if kind == _RADIOS else (listed,))
    ]


def form_fields(of_recipient: Iterable[Tab]) -> Sequence[tuple[str, str]]:
    """What was filled in, by name, in the order of the tabs; tabs that share it fill one field."""
    fields = [tab.field for tab in of_recipient]
    return list(dict.fromkeys(field for field in fields if field is not None))


def _radios(group: Fields) -> Iterable[Fields]:
    """The buttons of a group as tabs of their own, as DocuSign writes them: the group's name is
    the label, the button's value its name."""
    for radio in map(object_of, list_of(group.get("radios"))):
        yield {
            "documentId": group.get("documentId"),
            **radio,
            "tabLabel": group.get("groupName"),
            "name": radio.get("value"),
            "value": None,
            "selected": radio.get("selected", False),
        }


def _tab(kind: str, tab: Fields, *, signed: bool) -> Tab:
    special = _SPECIAL.get(kind)
    custom = _CUSTOM.get(kind)
    if kind == "zipTabs" and is_true(tab.get("useDash4")):
        custom = "ZIP5DASH4"
    value = text_of(tab.get("value"))
    if value is None and "selected" in tab:
        value = _TICKED if is_true(tab["selected"]) else ""
    items = [text_of(object_of(item).get("value")) for item in list_of(tab.get("listItems"))]
    elements = (
        ("TabType", special or "Custom"),
        ("Status", _status(kind, tab, value, signed=signed)),
        ("XPosition", tab.get("xPosition")),
        ("YPosition", tab.get("yPosition")),
        ("TabLabel", tab.get("tabLabel")),
        # A list's choices stand where others have their name.
        ("TabName", ";".join(filter(None, items)) or tab.get("name") or tab.get("tabLabel")),
        ("TabValue", value or ""),
        ("DocumentID", tab.get("documentId")),
        ("PageNumber", tab.get("pageNumber")),
        ("OriginalValue", tab.get("originalValue")),
        ("ValidationPattern", tab.get("validationPattern")),
        ("ListSelectedValue", value if custom == "List" else None),
        ("CustomTabType", custom),
    )
    return Tab(elements, _field(kind, special, tab, value))


def _status(kind: str, tab: Fields, value: str | None, *, signed: bool) -> str:
    """The tab's own word, or else what recorded posts say of one that its recipient has passed."""
    own = text_of(tab.get("status"))
    if own:
        return "NA" if own.lower() == "na" else own[:1].upper() + own[1:]
    if not signed or (kind == _RADIOS and not value):
        return "Active"
    return "NA" if kind == "noteTabs" else "Signed"


def _field(
    kind: str, special: str | None, tab: Fields, value: str | None
) -> tuple[str, str] | None:
    """The field that a tab fills: standard tabs by their type, custom ones by their label, and a
    radio group with the button that is chosen."""
    if not value or kind in _NO_FIELDS:
        return None
    name = special or text_of(tab.get("tabLabel"))
    if kind == _RADIOS:
        value = text_of(tab.get("name"))
    return (name, value) if name and value else None
