"""What a configuration's switches take from, or add to, the data of an event.

Pure. The switches are connectCustomConfiguration's `include*` fields and the values of
`eventData.includeData`. What stays goes out byte for byte as it was published: only the
objects on the way to a part that goes are written anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from heliograph.model.accounts import Account
from heliograph.model.configurations import Switches

CERTIFICATE: Final = "certificate"
"""The documentId of the certificate of completion (DocuSign)."""

ACCOUNT_SITE: Final = "demo"
"""The site of an account (recorded posts); DocuSign's others are data centers of its own."""

INCLUDE_DATA: Final = frozenset(
    {
        "tabs",
        "payment_tabs",
        "custom_fields",
        "powerform",
        "recipients",
        "folders",
        "extensions",
        "attachments",
        "prefill_tabs",
        "documents",
    }
)
"""The values of `eventData.includeData`."""

_PARTS: Final[Mapping[str, str]] = {
    "customFields": "custom_fields",
    "powerForm": "powerform",
    "folders": "folders",
    "extensions": "extensions",
    "attachments": "attachments",
    "envelopeAttachments": "attachments",
}
"""The fields of an envelope that go out only when their part is asked for."""

_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])

Object = dict[str, msgspec.Raw]
Change = Callable[[Object], None]


def select(data: msgspec.Raw, switches: Switches, account: Account | None = None) -> msgspec.Raw:
    """The `data` of an event with what is wanted of its `envelopeSummary`.

    `account` is the sender's, for the switch that asks for it.
    """
    if switches.changes_nothing:
        return data
    fields = _object(data)
    summary = _object(fields.get("envelopeSummary"))
    if switches.include is not None and not switches.include and not switches.documents:
        fields.pop("envelopeSummary", None)
        return _written(fields)
    if summary:
        _select_parts(summary, switches)
        if switches.sender_account:
            named = account_fields(_text(fields.get("accountId")), account)
            _add_custom_fields(summary, named)
        fields["envelopeSummary"] = _written(summary)
    return _written(fields)


def _select_parts(summary: Object, switches: Switches) -> None:
    include = switches.include
    if include is not None:
        for name, part in _PARTS.items():
            if part not in include:
                summary.pop(name, None)
        if not include & {"recipients", "tabs", "payment_tabs"}:
            summary.pop("recipients", None)
        elif not {"tabs", "payment_tabs"} <= include:
            _change_recipients(summary, lambda recipient: _select_tabs(recipient, include))
    if switches.void_reason is False:
        summary.pop("voidedReason", None)
    _select_documents(summary, switches)


def _change_recipients(summary: Object, change: Change) -> None:
    """Recipients are lists by their kind: signers, carbonCopies and others."""
    recipients = _object(summary.get("recipients"))
    for kind, of_kind in recipients.items():
        listed = _list(of_kind)
        if listed is not None:
            recipients[kind] = _written([_changed(recipient, change) for recipient in listed])
    if recipients:
        summary["recipients"] = _written(recipients)


def _select_tabs(recipient: Object, include: frozenset[str]) -> None:
    """`tabs` are all but those that ask for money, which are `payment_tabs`."""
    wanted = {name for name in ("tabs", "payment_tabs") if name in include}
    if not wanted:
        recipient.pop("tabs", None)
        return
    tabs = _object(recipient.get("tabs"))
    for kind, of_kind in tabs.items():
        kept = [
            tab
            for tab in _list(of_kind) or ()
            if ("payment_tabs" if "paymentDetails" in _object(tab) else "tabs") in wanted
        ]
        tabs[kind] = _written(kept)
    if tabs:
        # A kind of which nothing is left is not mentioned.
        recipient["tabs"] = _written(
            {kind: raw for kind, raw in tabs.items() if bytes(raw) != b"[]"}
        )


def _select_documents(summary: Object, switches: Switches) -> None:
    listed = _list(summary.get("envelopeDocuments"))
    if listed is None:
        return
    include = switches.include
    with_bytes = switches.documents
    if include is not None:
        with_bytes = "documents" in include if with_bytes is None else with_bytes
        if not with_bytes and "prefill_tabs" not in include and not switches.certificate:
            del summary["envelopeDocuments"]
            return
    kept = []
    for raw in listed:
        document = _object(raw)
        is_certificate = _text(document.get("documentId")) == CERTIFICATE
        if is_certificate and not _wanted(switches.certificate, include):
            continue
        if with_bytes is False and not (is_certificate and switches.certificate):
            document.pop("PDFBytes", None)
        if not _wanted(switches.document_fields, include):
            document.pop("documentFields", None)
        if include is not None and "prefill_tabs" not in include:
            document.pop("tabs", None)
        kept.append(_written(document))
    summary["envelopeDocuments"] = _written(kept)


def _wanted(switch: bool | None, include: frozenset[str] | None) -> bool:
    """A switch that nobody set: wanted as published, not where parts are picked."""
    return include is None if switch is None else switch


def account_fields(
    published_id: str | None, account: Account | None
) -> Sequence[Mapping[str, str | None]]:
    """The sender's account as text custom fields: number, name and site (recorded posts).

    Where the event names another account, or none is known, there is but the id that was
    published: an event that was relayed is of a system whose numbers are not known here.
    """
    named = {"AccountId": published_id}
    if account is not None and published_id in (None, account.account_id, str(account.external_id)):
        number = str(account.external_id)
        named = {"AccountId": number, "AccountName": account.name, "AccountSite": ACCOUNT_SITE}
    return [
        {"name": name, "show": "false", "required": "false", "value": value}
        for name, value in named.items()
    ]


def _add_custom_fields(summary: Object, added: Sequence[Mapping[str, str | None]]) -> None:
    fields = _object(summary.get("customFields"))
    texts = _list(fields.get("textCustomFields")) or []
    fields["textCustomFields"] = _written([*texts, *added])
    summary["customFields"] = _written(fields)


def _changed(raw: msgspec.Raw, change: Change) -> msgspec.Raw:
    fields = _object(raw)
    if not fields:
        return raw
    change(fields)
    return _written(fields)


def _object(raw: msgspec.Raw | None) -> Object:
    """The fields of an object; none of anything else, since publishers may send anything."""
    if raw is None or bytes(raw)[:1] != b"{":
        return {}
    return _raw_object.decode(raw)


def _list(raw: msgspec.Raw | None) -> list[msgspec.Raw] | None:
    return None if raw is None or bytes(raw)[:1] != b"[" else _raw_list.decode(raw)


def _text(raw: msgspec.Raw | None) -> str | None:
    value = None if raw is None else msgspec.json.decode(raw)
    return value if isinstance(value, str) else None


def _written(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
