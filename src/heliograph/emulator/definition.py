"""An envelope's definition, as clients post it, becomes an envelope: a draft that nobody has yet.

Pure. The definition is DocuSign's EnvelopeDefinition (docusign-esign 6.1.0), every scalar a text.
Parts of templates come first, and what the definition itself says is put over them.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any, Final

from heliograph.emulator.envelope import KINDS, Envelope
from heliograph.errors import InvalidBody, InvalidParameter, InvalidRecipientEmail
from heliograph.wire import dates
from heliograph.wire.samples.envelope import PROPERTIES

Templates = Callable[[str], tuple[Envelope, Mapping[str, bytes]]]
"""A template by its id, with its documents; raises NoSuchTemplate."""

SETTABLE: Final = (
    "emailSubject",
    "emailBlurb",
    "brandId",
    "enforceSignerVisibility",
    "transactionId",
    "emailSettings",
    *(name for name in PROPERTIES if name != "purgeState"),
)
"""Of a definition, what stands in the envelope as it came."""

_MOST_DAYS: Final = 999
_MOST_RECIPIENTS: Final = 500
_CUSTOM: Final = ("textCustomFields", "listCustomFields")


class Draft:
    """Puts an envelope together, part by part; `envelope` and `documents` are what came of it."""

    def __init__(
        self,
        account_id: str,
        sender: Mapping[str, str],
        when: datetime,
        *,
        template: bool = False,
    ) -> None:
        """`sender` is userName, userId and email. The recipients of a `template` may be roles that
        nobody has yet."""
        self._roles = template
        self.documents: dict[str, bytes] = {}
        envelope_id = str(uuid.uuid4())
        summary = _empty(envelope_id, account_id, sender, dates.render(when))
        self.envelope = Envelope(account_id, envelope_id, sender["userId"], summary, folder="draft")

    def take(self, definition: Mapping[str, Any], templates: Templates) -> None:
        """All that a definition says.

        Raises:
            NoSuchTemplate: it names a template that there is not.
            InvalidBody, InvalidParameter, InvalidRecipientEmail: it cannot be used.
        """
        for part in listed_in(definition, "compositeTemplates"):
            for server in listed_in(part, "serverTemplates"):
                self._take_template(*templates(str(server.get("templateId", ""))), ())
            for inline in listed_in(part, "inlineTemplates"):
                self._take_part(inline)
            if isinstance(document := part.get("document"), dict):
                self.add_documents([document])
        if template_id := definition.get("templateId"):
            roles = listed_in(definition, "templateRoles")
            self._take_template(*templates(str(template_id)), roles)
        self._take_part(definition)
        for name in ("eventNotification", "eventNotifications"):
            found = definition.get(name)
            self.envelope.notifications += (
                found if isinstance(found, list) else [] if found is None else [found]
            )

    def _take_part(self, part: Mapping[str, Any]) -> None:
        summary = self.envelope.summary
        summary |= settable(part)
        self.add_documents(listed_in(part, "documents"))
        recipients = object_in(part, "recipients")
        add_recipients(self.envelope, recipients, replacing=True, roles=self._roles)
        add_custom_fields(summary, object_in(part, "customFields"))
        set_notification(summary, object_in(part, "notification"))

    def _take_template(
        self,
        template: Envelope,
        documents: Mapping[str, bytes],
        roles: Sequence[Mapping[str, Any]],
    ) -> None:
        """What a template has; its recipients are those whose roles somebody takes, or all."""
        whole = deepcopy(template.summary)
        by_role = {str(role.get("roleName", "")).lower(): role for role in roles}
        for kind, listed in whole["recipients"].items():
            if kind not in KINDS:
                continue
            for recipient in listed:
                recipient.pop("recipientIdGuid", None)
                taken = by_role.get(str(recipient.get("roleName", "")).lower(), {})
                recipient |= {name: value for name, value in taken.items() if name != "tabs"}
                tabs = recipient.setdefault("tabs", {})
                for tabs_kind, more in object_in(taken, "tabs").items():
                    _fill_tabs(tabs.setdefault(tabs_kind, []), more)
            whole["recipients"][kind] = [
                one for one in listed if one.get("name") and one.get("email")
            ]
        summary = self.envelope.summary
        for document in whole["envelopeDocuments"]:
            body = documents.get(document["documentId"], b"")
            self._add_document(document, body)
        summary |= {name: whole[name] for name in SETTABLE if whole.get(name)}
        summary["notification"] = whole["notification"]
        add_recipients(self.envelope, whole["recipients"], replacing=True)
        add_custom_fields(summary, whole["customFields"])

    def add_documents(self, listed: Sequence[Mapping[str, Any]]) -> None:
        """Documents with their bytes in base64. Raises InvalidBody."""
        for document in listed:
            text = document.get("documentBase64") or ""
            try:
                body = base64.b64decode(text, validate=False) if text else b""
            except (binascii.Error, ValueError, TypeError):
                raise InvalidBody("documentBase64 of a document is no base64.") from None
            self._add_document(document, body)

    def _add_document(self, document: Mapping[str, Any], body: bytes) -> None:
        listed = self.envelope.summary["envelopeDocuments"]
        document_id = str(document.get("documentId") or len(listed) + 1)
        if not (document_id.isascii() and document_id.isdigit() and len(document_id) < 10):
            raise InvalidParameter("documentId of a document must be a number.")
        name = str(document.get("name") or f"Document {document_id}")
        made = {
            "documentId": document_id,
            "documentIdGuid": str(uuid.uuid4()),
            "name": name,
            "type": "content",
            "order": str(document.get("order") or document_id),
            "display": "inline",
            "includeInDownload": "true",
            "signerMustAcknowledge": "no_interaction",
            "templateRequired": "false",
            "authoritative": "false",
            "fileExtension": str(document.get("fileExtension") or name.rpartition(".")[2]),
        }
        for more in ("documentFields", "htmlDefinition", "transformPdfFields"):
            made |= {more: document[more]} if document.get(more) else {}
        listed[:] = [one for one in listed if one["documentId"] != document_id] + [made]
        self.documents[document_id] = body


def add_recipients(
    envelope: Envelope, given: Mapping[str, Any], *, replacing: bool, roles: bool = False
) -> list[dict[str, Any]]:
    """Recipients by their kinds; those of a known id are changed, or `replacing`, taken out first.
    With `roles` they may be roles that nobody has yet.

    Raises:
        InvalidRecipientEmail: one has no name, or nothing that it is reached by.
        InvalidBody, InvalidParameter: they cannot be used.
    """
    recipients, taken = envelope.summary["recipients"], []
    for kind in KINDS:
        for one in listed_in(given, kind):
            known = envelope.recipient(str(one.get("recipientId")))
            if known is not None and not replacing:
                _order(one)
                known |= one
                taken.append(known)
                continue
            recipient = _recipient(envelope, kind, one, roles=roles)
            for other in KINDS:
                recipients[other] = [
                    each
                    for each in recipients.get(other, ())
                    if each["recipientId"] != recipient["recipientId"]
                ]
            recipients[kind].append(recipient)
            taken.append(recipient)
    count = sum(1 for _ in envelope.recipients())
    if count > _MOST_RECIPIENTS:
        raise InvalidBody(f"An envelope has at most {_MOST_RECIPIENTS} recipients here.")
    recipients["recipientCount"] = str(count)
    return taken


def _recipient(
    envelope: Envelope, kind: str, given: Mapping[str, Any], *, roles: bool
) -> dict[str, Any]:
    name = given.get("name") or given.get("signerName") or given.get("hostName")
    reached = ("email", "hostEmail", "phoneNumber", "additionalNotifications", "witnessFor")
    if not (roles or kind == "seals") and not (name and any(given.get(one) for one in reached)):
        raise InvalidRecipientEmail(
            "The email address for the recipient is invalid. The recipient Id follows: "
            f"{given.get('recipientId', '')}"
        )
    recipient_id = str(given.get("recipientId") or sum(1 for _ in envelope.recipients()) + 1)
    made: dict[str, Any] = {
        "creationReason": "sender",
        "isBulkRecipient": "false",
        "requireIdLookup": "false",
        "deliveryMethod": "email",
        **deepcopy(dict(given)),
        "recipientId": recipient_id,
        "recipientIdGuid": str(uuid.uuid4()),
        "routingOrder": _order(given),
        "status": "created",
    }
    made.setdefault("name", name or "")
    made.setdefault("userId", _user_of(str(made.get("email", recipient_id))))
    tabs = deepcopy(object_in(given, "tabs"))
    made["tabs"] = {kind: listed_in(tabs, kind) for kind in tabs}
    for listed in made["tabs"].values():
        for tab in listed:
            tab |= {"recipientId": recipient_id, "tabId": str(uuid.uuid4()), "status": "active"}
    made["totalTabCount"] = str(sum(map(len, made["tabs"].values())))
    return made


def _order(recipient: Mapping[str, Any]) -> str:
    """The routing order that a recipient asks for. Raises InvalidParameter."""
    order = str(recipient.get("routingOrder") or "1")
    if not (order.isascii() and order.isdigit() and len(order) < 6):
        raise InvalidParameter("routingOrder of a recipient must be a number.")
    return order


def settable(part: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the envelope as it came. Raises InvalidBody for what is no text."""
    found = {name: part[name] for name in SETTABLE if part.get(name)}
    for name, value in found.items():
        if name != "emailSettings" and not isinstance(value, str):
            raise InvalidBody(f"{name} must be a text.")
    return found


def _user_of(email: str) -> str:
    """The same person has the same id in every envelope."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"mailto:{email.lower()}"))


def _fill_tabs(tabs: list[dict[str, Any]], more: Any) -> None:
    """Tabs that a role brings: values of those that have the label already, or new ones."""
    for tab in more if isinstance(more, list) else ():
        same = [one for one in tabs if one.get("tabLabel") == tab.get("tabLabel")]
        if same and tab.get("tabLabel"):
            same[0].update(tab)
        else:
            tabs.append(dict(tab))


def add_custom_fields(summary: dict[str, Any], given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Put custom fields in; one of a known id or name is changed. They come back as they are."""
    fields, taken = summary["customFields"], []
    for kind in _CUSTOM:
        for one in listed_in(given, kind):
            same = (
                each
                for each in fields[kind]
                if one.get("fieldId") == each["fieldId"] or one.get("name") == each["name"]
            )
            known = next(same, None)
            if known is None:
                number = 10001 + sum(len(fields[each]) for each in _CUSTOM)
                known = {"fieldId": str(number), "show": "false", "required": "false"}
                fields[kind].append(known)
            known |= one
            if not known.get("name"):
                raise InvalidBody("A custom field has no name.")
            taken.append(known)
    return taken


def set_notification(summary: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Reminders and expirations. Raises InvalidParameter for days that are none."""
    for part in ("reminders", "expirations"):
        for name, found in object_in(given, part).items():
            value = str(found)
            if name not in summary["notification"][part]:
                continue
            days = value.isascii() and value.isdigit() and int(value[:4]) <= _MOST_DAYS
            if not (value in ("true", "false") if name.endswith("Enabled") else days):
                raise InvalidParameter(f"{name} cannot be {value[:40]!r}.")
            summary["notification"][part][name] = value


def _empty(envelope_id: str, account_id: str, sender: Mapping[str, str], at: str) -> dict[str, Any]:
    base = f"/envelopes/{envelope_id}"
    return {
        "status": "created",
        "documentsUri": f"{base}/documents",
        "recipientsUri": f"{base}/recipients",
        "attachmentsUri": f"{base}/attachments",
        "envelopeUri": base,
        "emailSubject": "",
        "envelopeId": envelope_id,
        "notificationUri": f"{base}/notification",
        "customFieldsUri": f"{base}/custom_fields",
        "documentsCombinedUri": f"{base}/documents/combined",
        "certificateUri": f"{base}/documents/certificate",
        "templatesUri": f"{base}/templates",
        **PROPERTIES,
        "createdDateTime": at,
        "lastModifiedDateTime": at,
        "statusChangedDateTime": at,
        "sender": {**sender, "accountId": account_id, "ipAddress": "127.0.0.1"},
        "customFields": {kind: [] for kind in _CUSTOM},
        "notification": {
            "useAccountDefaults": "false",
            "reminders": {
                "reminderEnabled": "false",
                "reminderDelay": "0",
                "reminderFrequency": "0",
            },
            "expirations": {"expireEnabled": "true", "expireAfter": "120", "expireWarn": "0"},
        },
        "recipients": {
            **{kind: [] for kind in KINDS},
            "recipientCount": "0",
            "currentRoutingOrder": "1",
        },
        "envelopeDocuments": [],
        "envelopeMetadata": {
            "allowAdvancedCorrect": "true",
            "enableSignWithNotary": "false",
            "allowCorrect": "true",
        },
    }


def listed_in(fields: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects. Raises InvalidBody for anything else."""
    found = fields.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InvalidBody(f"{name} must be a list of objects.")
    return found


def object_in(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = fields.get(name) or {}
    if not isinstance(found, dict):
        raise InvalidBody(f"{name} must be an object.")
    return found
