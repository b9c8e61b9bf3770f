"""An envelope that there is nowhere, as its summary shows it at each moment of its story.

The names of the fields are those of DocuSign's published sample of a JSON SIM message
(connect.schema-v2.json), every value a text.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from heliograph.wire import dates
from heliograph.wire.messages.summary import CERTIFICATE
from heliograph.wire.samples.pdf import pdf
from heliograph.wire.samples.stories import Step

_SIGNERS: Final = ("Grace Hopper", "Alan Turing")

_STATUSES: Final[Mapping[str, tuple[str, str]]] = {
    "envelope-sent": ("sent", "sentDateTime"),
    "envelope-delivered": ("delivered", "deliveredDateTime"),
    "envelope-completed": ("completed", "completedDateTime"),
    "envelope-declined": ("declined", "declinedDateTime"),
    "envelope-voided": ("voided", "voidedDateTime"),
    "envelope-deleted": ("deleted", "deletedDateTime"),
}
"""What an event makes the envelope's status, and where its time stands."""

_OF_SIGNERS: Final[Mapping[str, tuple[str, str | None]]] = {
    "recipient-sent": ("sent", "sentDateTime"),
    "recipient-delivered": ("delivered", "deliveredDateTime"),
    "recipient-completed": ("completed", "signedDateTime"),
    "recipient-declined": ("declined", "declinedDateTime"),
    "recipient-autoresponded": ("autoresponded", None),
    "recipient-authenticationfailed": ("authenticationfailed", None),
}

PROPERTIES: Final[Mapping[str, str]] = {
    "signingLocation": "online",
    "enableWetSign": "true",
    "allowMarkup": "false",
    "allowReassign": "true",
    "autoNavigation": "true",
    "envelopeIdStamping": "true",
    "authoritativeCopy": "false",
    "purgeState": "unpurged",
    "is21CFRPart11": "false",
    "signerCanSignOnMobile": "true",
    "isSignatureProviderEnvelope": "false",
    "allowViewHistory": "true",
    "hasFormDataChanges": "false",
    "allowComments": "true",
    "hasComments": "false",
    "envelopeLocation": "current_site",
    "isDynamicEnvelope": "false",
    "burnDefaultTabData": "false",
}
"""What an envelope is that nobody has asked for anything special."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Which envelope, and who sends it.

    `account_id` None leaves the account to who publishes it. `documents` is the size of its PDF in
    bytes; None shows documents without their bytes.
    """

    envelope_id: str
    account_id: str | None = None
    subject: str = "Lease of 12 Harbour Street"
    sender: str = "Ada Lovelace"
    documents: int | None = None

    def id_of(self, what: str) -> str:
        """A GUID that is the same in all messages about this envelope."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.envelope_id}/{what}"))


class Envelope:
    """The envelope of a scene on its way."""

    def __init__(self, scene: Scene, created: datetime) -> None:
        """Raises:
        Unfit: no PDF can have the size that the scene asks for.
        """
        self._scene = scene
        self._summary = _created(scene, dates.render(created))

    def take(self, step: Step, when: datetime) -> None:
        """Let something happen to it."""
        at, summary = dates.render(when), self._summary
        summary["lastModifiedDateTime"] = at
        if step.event in _STATUSES:
            status, name = _STATUSES[step.event]
            summary |= {"status": status, name: at, "statusChangedDateTime": at}
        match step.event:
            case "envelope-sent":
                summary["initialSentDateTime"] = at
            case "envelope-voided":
                summary["voidedReason"] = step.reason
            case "envelope-completed" if self._scene.documents is not None:
                summary["envelopeDocuments"].append(_certificate(self._scene, at))
            case "envelope-purge":
                summary["purgeState"] = "documents_queued"
        if step.signer is not None:
            self._take_of(step, summary["recipients"]["signers"][step.signer], at)

    def _take_of(self, step: Step, signer: dict[str, Any], at: str) -> None:
        status, name = _OF_SIGNERS.get(step.event, (signer["status"], None))
        signer["status"] = status
        if name is not None:
            signer[name] = at
        self._summary["recipients"]["currentRoutingOrder"] = signer["routingOrder"]
        match step.event:
            case "recipient-declined":
                signer["declinedReason"] = step.reason
            case "recipient-completed":
                for tabs in signer["tabs"].values():
                    for tab in tabs:
                        tab["status"] = "signed"
                signer["tabs"]["fullNameTabs"][0]["value"] = signer["name"]
                signer["tabs"]["dateSignedTabs"][0]["value"] = at[:10]

    def summary(self) -> dict[str, Any]:
        """What it is now; later steps do not change it."""
        return deepcopy(self._summary)


def _created(scene: Scene, at: str) -> dict[str, Any]:
    base = f"/envelopes/{scene.envelope_id}"
    return {
        "status": "created",
        "documentsUri": f"{base}/documents",
        "recipientsUri": f"{base}/recipients",
        "attachmentsUri": f"{base}/attachments",
        "envelopeUri": base,
        "emailSubject": scene.subject,
        "envelopeId": scene.envelope_id,
        "notificationUri": f"{base}/notification",
        "customFieldsUri": f"{base}/custom_fields",
        "documentsCombinedUri": f"{base}/documents/combined",
        "certificateUri": f"{base}/documents/{CERTIFICATE}",
        "templatesUri": f"{base}/templates",
        **PROPERTIES,
        "createdDateTime": at,
        "lastModifiedDateTime": at,
        "statusChangedDateTime": at,
        "sender": _sender(scene),
        "customFields": {
            "textCustomFields": [
                {
                    "fieldId": "10001",
                    "name": "case",
                    "show": "false",
                    "required": "false",
                    "value": "4711",
                }
            ],
            "listCustomFields": [],
        },
        "notification": {
            "useAccountDefaults": "false",
            "reminders": {
                "reminderEnabled": "true",
                "reminderDelay": "3",
                "reminderFrequency": "0",
            },
            "expirations": {"expireEnabled": "true", "expireAfter": "120", "expireWarn": "0"},
        },
        "recipients": {
            "signers": [_signer(scene, number) for number in range(len(_SIGNERS))],
            **{kind: [] for kind in ("agents", "editors", "intermediaries", "carbonCopies")},
            "certifiedDeliveries": [],
            "inPersonSigners": [],
            "seals": [],
            "witnesses": [],
            "recipientCount": str(len(_SIGNERS)),
            "currentRoutingOrder": "1",
        },
        "envelopeDocuments": [_document(scene)],
        "envelopeMetadata": {
            "allowAdvancedCorrect": "true",
            "enableSignWithNotary": "false",
            "allowCorrect": "true",
        },
    }


def _sender(scene: Scene) -> dict[str, str]:
    account = {} if scene.account_id is None else {"accountId": scene.account_id}
    person = {"userName": scene.sender, "userId": scene.id_of("sender")}
    return {**person, **account, "email": _email(scene.sender), "ipAddress": "192.0.2.1"}


def _email(name: str) -> str:
    return f"{name.partition(' ')[0].lower()}@example.com"


def _signer(scene: Scene, number: int) -> dict[str, Any]:
    place, name = str(number + 1), _SIGNERS[number]

    def tab(label: str, line: int, **more: str) -> dict[str, str]:
        return {
            "name": label,
            "tabLabel": label,
            **more,
            "documentId": "1",
            "recipientId": place,
            "pageNumber": "1",
            "xPosition": str(56 + 270 * number),
            "yPosition": str(600 + 40 * line),
            "tabId": scene.id_of(f"{label} of {place}"),
            "status": "active",
        }

    tabs = {
        "signHereTabs": [tab("Signature", 0, optional="false")],
        "dateSignedTabs": [tab("Date signed", 1, value="")],
        "fullNameTabs": [tab("Full name", 2, value="")],
    }
    return {
        "tabs": tabs,
        "creationReason": "sender",
        "isBulkRecipient": "false",
        "name": name,
        "email": _email(name),
        "recipientId": place,
        "recipientIdGuid": scene.id_of(f"recipient {place}"),
        "userId": scene.id_of(f"user {place}"),
        "requireIdLookup": "false",
        "routingOrder": place,
        "roleName": ("Landlord", "Tenant")[number],
        "status": "created",
        "deliveryMethod": "email",
        "totalTabCount": str(len(tabs)),
    }


def _document(scene: Scene) -> dict[str, Any]:
    document: dict[str, Any] = {
        "documentId": "1",
        "documentIdGuid": scene.id_of("document 1"),
        "name": f"{scene.subject}.pdf",
        "type": "content",
        "order": "1",
        "display": "inline",
        "includeInDownload": "true",
        "signerMustAcknowledge": "no_interaction",
        "templateRequired": "false",
        "authoritative": "false",
    }
    if scene.documents is not None:
        text = (
            scene.subject,
            "",
            "This is a sample. It was made to try a listener with, and binds nobody.",
            f"Envelope {scene.envelope_id}, document 1, {scene.documents} bytes.",
        )
        document["PDFBytes"] = base64.b64encode(pdf(text, scene.documents)).decode()
    return document


def _certificate(scene: Scene, at: str) -> dict[str, Any]:
    text = (
        "Certificate of completion",
        "",
        "This is a sample. It certifies nothing.",
        f"Envelope {scene.envelope_id}, completed {at}.",
    )
    return {
        "documentId": CERTIFICATE,
        "documentIdGuid": scene.id_of("certificate"),
        "name": "Summary",
        "type": "summary",
        "order": "999",
        "display": "inline",
        "includeInDownload": "true",
        "PDFBytes": base64.b64encode(pdf(text)).decode(),
    }
