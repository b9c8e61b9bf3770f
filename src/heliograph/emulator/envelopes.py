"""Operations on envelopes: make, list, show, send, void, resend; their recipients and fields."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from heliograph.api.contract.operation import Call, Operation
from heliograph.api.contract.parameters import Parameter, date, flag
from heliograph.api.contract.response import Response
from heliograph.emulator import bodies, pdfs
from heliograph.emulator.calls import (
    COUNT,
    ENVELOPE,
    ENVELOPES,
    PDF,
    START,
    answer,
    body,
    changes,
    chosen,
    listing,
    reads,
)
from heliograph.emulator.course import Course
from heliograph.emulator.definition import (
    add_custom_fields,
    add_recipients,
    listed_in,
    object_in,
    set_notification,
    settable,
)
from heliograph.emulator.desk import Desk
from heliograph.emulator.envelope import ENDED, KINDS, UNDER_WAY, Envelope
from heliograph.errors import EnvelopeStatusRefused, InvalidParameter
from heliograph.wire import dates

_RESEND: Final = flag("resend_envelope", "Whether those whose turn it is are sent it once more.")
_TABS: Final = flag("include_tabs", "Whether recipients have their tabs.")
_FROM: Final = date("from_date", "Only what changed from then on.")
_TO: Final = date("to_date", "Only what changed before.")


def _texts(name: str, about: str) -> Parameter[frozenset[str]]:
    def parse(text: str) -> frozenset[str]:
        return frozenset(one.strip().lower() for one in text.split(",") if one.strip())

    return Parameter(name, about, {"type": "string"}, parse, frozenset())


_STATUS: Final = _texts("status", "Only those of these statuses, separated by commas.")
_IDS: Final = _texts("envelope_ids", "Only those of these ids, separated by commas.")
_FOLDERS: Final = _texts("folder_ids", "Only those in these folders, separated by commas.")

_DETAILS: Final = ("recipients", "customFields", "envelopeDocuments", "notification")
"""Parts of an envelope that its short form leaves out, but where `include` names them."""


class Envelopes:
    """Any token of an administrator may change, any token may read."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        return [
            changes(
                "create_envelope",
                "POST",
                ENVELOPES,
                self._create,
                "Makes an envelope, and sends it where its status is sent.",
                "cdse_mode",
                "change_routing_order",
                "completed_documents_only",
                "merge_roles_on_draft",
                "tab_label_exact_matches",
                status=201,
            ),
            reads(
                "list_status_changes",
                ENVELOPES,
                self._list,
                "Lists envelopes, those that changed last first.",
                query=(_STATUS, _IDS, _FOLDERS, _FROM, _TO, START, COUNT),
            ),
            changes(
                "list_status",
                "PUT",
                f"{ENVELOPES}/status",
                self._list_named,
                "Lists envelopes whose ids the body names.",
                "email",
                "from_date",
                "to_date",
                "start_position",
                "count",
                "status",
                "transaction_ids",
                "user_name",
                "from_to_status",
                query=(_IDS,),
            ),
            reads("get_envelope", ENVELOPE, self._get, "Shows an envelope."),
            changes(
                "update_envelope",
                "PUT",
                ENVELOPE,
                self._update,
                "Sends a draft, voids or resends an envelope, or changes what it says.",
                "advanced_update",
                query=(_RESEND,),
            ),
            *self._of_recipients(),
            *self._of_parts(),
        ]

    def _of_recipients(self) -> Sequence[Operation]:
        path = f"{ENVELOPE}/recipients"
        return [
            reads(
                "list_recipients",
                path,
                self._recipients,
                "Lists who gets an envelope.",
                query=(_TABS,),
            ),
            changes(
                "create_recipient",
                "POST",
                path,
                self._add_recipients,
                "Adds recipients.",
                status=201,
                query=(_RESEND,),
            ),
            changes(
                "update_recipients",
                "PUT",
                path,
                self._change_recipients,
                "Changes recipients, or adds those that are new.",
                "combine_same_order_recipients",
                "offline_signing",
                query=(_RESEND,),
            ),
            changes(
                "delete_recipients",
                "DELETE",
                path,
                self._delete_recipients,
                "Deletes the recipients that the body names.",
            ),
            changes(
                "delete_recipient",
                "DELETE",
                f"{path}/{{recipientId}}",
                self._delete_recipient,
                "Deletes a recipient.",
            ),
            reads("list_tabs", f"{path}/{{recipientId}}/tabs", self._tabs, "A recipient's tabs."),
        ]

    def _of_parts(self) -> Sequence[Operation]:
        documents, fields = f"{ENVELOPE}/documents", f"{ENVELOPE}/custom_fields"
        return [
            reads("list_documents", documents, self._documents, "Lists an envelope's documents."),
            reads(
                "get_document",
                f"{documents}/{{documentId}}",
                self._document,
                "A document as PDF; also combined, archive and certificate.",
            ),
            reads("list_custom_fields", fields, self._fields, "An envelope's custom fields."),
            *(
                changes(
                    f"{verb}_custom_fields",
                    method,
                    fields,
                    self._set_fields,
                    "Sets custom fields.",
                    status=status,
                )
                for verb, method, status in (("create", "POST", 201), ("update", "PUT", 200))
            ),
            reads("get_form_data", f"{ENVELOPE}/form_data", self._form_data, "What was filled in."),
            reads(
                "get_notification_settings",
                f"{ENVELOPE}/notification",
                self._notification,
                "Reminders and expirations.",
            ),
            changes(
                "update_notification_settings",
                "PUT",
                f"{ENVELOPE}/notification",
                self._set_notification,
                "Sets reminders and expirations.",
            ),
            reads("list_audit_events", f"{ENVELOPE}/audit_events", self._audit, "What happened."),
        ]

    async def _create(self, call: Call) -> Response:
        definition, files = bodies.definition(call.raw, call.content_type_line)
        envelope = await self._desk.create(call.principal, definition, files)
        return answer(_made(envelope), 201)

    async def _list(self, call: Call) -> Response:
        statuses, ids, folders = (one.read(call.query) for one in (_STATUS, _IDS, _FOLDERS))
        after, before = _FROM.read(call.query), _TO.read(call.query)
        found = []
        for envelope in self._desk.cabinet.all(call.account_id):
            changed = dates.parse(envelope.summary["statusChangedDateTime"])
            if (
                (not statuses or "any" in statuses or envelope.status in statuses)
                and (not ids or envelope.envelope_id in ids)
                and (not folders or envelope.folder in folders)
                and (after is None or changed >= after)
                and (before is None or changed < before)
            ):
                found.append((changed, _short(envelope)))
        found.sort(key=lambda one: one[0], reverse=True)
        return answer(listing("envelopes", [one for _, one in found], call))

    async def _list_named(self, call: Call) -> Response:
        named = [str(one).lower() for one in body(call).get("envelopeIds") or ()]
        ids = frozenset(named) | _IDS.read(call.query)
        found = [
            _short(one) for one in self._desk.cabinet.all(call.account_id) if one.envelope_id in ids
        ]
        return answer({"envelopes": found, "resultSetSize": str(len(found))})

    async def _get(self, call: Call) -> Response:
        return answer(self._desk.envelope(call.account_id, chosen(call)).summary)

    async def _update(self, call: Call) -> Response:
        given, resend = body(call), _RESEND.read(call.query)

        def decide(course: Course) -> None:
            status = str(given.get("status") or "").lower()
            if status == "voided":
                course.void(str(given.get("voidedReason") or ""))
                return
            if status == "deleted":
                course.delete()
                return
            if status not in ("", "sent", course.envelope.status):
                raise EnvelopeStatusRefused(
                    f"Invalid envelope status: it cannot be made {status[:40]!r}."
                )
            summary = course.envelope.summary
            changed = settable(given)
            if changed and course.envelope.status in ENDED:
                raise EnvelopeStatusRefused(
                    f"Invalid envelope status. The envelope is {course.envelope.status}."
                )
            summary |= changed
            set_notification(summary, object_in(given, "notification"))
            if status == "sent" and course.envelope.status == "created":
                course.send()
            elif resend:
                course.resend()
            elif changed and course.envelope.status in UNDER_WAY:
                course.correct()

        await self._desk.act(call.account_id, chosen(call), decide)
        return answer({"envelopeId": chosen(call)})

    async def _recipients(self, call: Call) -> Response:
        envelope = self._desk.envelope(call.account_id, chosen(call))
        return answer(_recipients(envelope, tabs=_TABS.read(call.query)))

    async def _add_recipients(self, call: Call) -> Response:
        return await self._put_recipients(call, 201)

    async def _change_recipients(self, call: Call) -> Response:
        return await self._put_recipients(call, 200)

    async def _put_recipients(self, call: Call, status: int) -> Response:
        given, resend = body(call), _RESEND.read(call.query)

        def decide(course: Course) -> list[dict[str, Any]]:
            envelope = course.envelope
            if envelope.status in ENDED:
                raise EnvelopeStatusRefused(
                    f"Invalid envelope status. The envelope is {envelope.status}: its recipients "
                    "stay as they are."
                )
            done = {one["recipientId"] for _, one in envelope.recipients() if _has_acted(one)}
            if done & set(_named(given)):
                raise InvalidParameter("A recipient who has finished cannot be changed.")
            asked = {
                kind: [
                    {name: value for name, value in one.items() if name not in _OURS_ALONE}
                    for one in listed_in(given, kind)
                ]
                for kind in KINDS
            }
            taken = add_recipients(envelope, asked, replacing=False)
            if envelope.status in UNDER_WAY:
                course.resend() if resend else course.correct()
            return taken

        envelope, taken = await self._desk.act(call.account_id, chosen(call), decide)
        if status == 201:
            return answer(_recipients(envelope, tabs=False), 201)
        results = [
            {
                "recipientId": one["recipientId"],
                "recipientIdGuid": one["recipientIdGuid"],
                "errorDetails": {"errorCode": "SUCCESS", "message": ""},
            }
            for one in taken
        ]
        return answer({"recipientUpdateResults": results})

    async def _delete_recipients(self, call: Call) -> Response:
        return await self._delete(call, _named(body(call)))

    async def _delete_recipient(self, call: Call) -> Response:
        return await self._delete(call, [call.path["recipientId"]])

    async def _delete(self, call: Call, named: Sequence[str]) -> Response:
        def decide(course: Course) -> None:
            envelope = course.envelope
            if envelope.status in ENDED:
                raise EnvelopeStatusRefused(
                    f"Invalid envelope status. The envelope is {envelope.status}."
                )
            going = [envelope.recipient(one) for one in named]
            if any(one is None or _has_acted(one) for one in going):
                raise InvalidParameter("There is no such recipient, or it has finished.")
            recipients = envelope.summary["recipients"]
            for kind in KINDS:
                recipients[kind] = [one for one in recipients.get(kind, ()) if one not in going]
            recipients["recipientCount"] = str(sum(1 for _ in envelope.recipients()))
            if envelope.status in UNDER_WAY:
                course.correct()

        envelope, _ = await self._desk.act(call.account_id, chosen(call), decide)
        return answer(_recipients(envelope, tabs=False))

    async def _tabs(self, call: Call) -> Response:
        envelope = self._desk.envelope(call.account_id, chosen(call))
        found = envelope.recipient(call.path["recipientId"])
        if found is None:
            raise InvalidParameter("The envelope has no such recipient.")
        return answer(found["tabs"])

    async def _documents(self, call: Call) -> Response:
        envelope = self._desk.envelope(call.account_id, chosen(call))
        base = f"/envelopes/{envelope.envelope_id}/documents"
        listed = [
            {**one, "uri": f"{base}/{one['documentId']}"}
            for one in envelope.summary["envelopeDocuments"]
        ]
        certificate = {
            "documentId": pdfs.CERTIFICATE,
            "documentIdGuid": str(uuid.uuid5(uuid.NAMESPACE_URL, base)),
            "name": "Summary",
            "type": "summary",
            "order": "999",
            "uri": f"{base}/{pdfs.CERTIFICATE}",
        }
        found = {"envelopeId": envelope.envelope_id, "envelopeDocuments": [*listed, certificate]}
        return answer(found)

    async def _document(self, call: Call) -> Response:
        envelope = self._desk.envelope(call.account_id, chosen(call))
        contents = self._desk.cabinet.contents(call.account_id, envelope.envelope_id)
        wanted = call.path["documentId"]
        if wanted == pdfs.COMBINED:
            return Response(pdfs.combined(envelope, contents), 200, media_type=PDF)
        if wanted == pdfs.ARCHIVE:
            packed = pdfs.archive(envelope, contents)
            return Response(packed, 200, media_type="application/zip")
        return Response(pdfs.document(envelope, wanted, contents), 200, media_type=PDF)

    async def _fields(self, call: Call) -> Response:
        return answer(self._desk.envelope(call.account_id, chosen(call)).summary["customFields"])

    async def _set_fields(self, call: Call) -> Response:
        given = body(call)

        def decide(course: Course) -> None:
            add_custom_fields(course.envelope.summary, given)

        envelope, _ = await self._desk.act(call.account_id, chosen(call), decide)
        return answer(envelope.summary["customFields"], 201 if call.raw else 200)

    async def _form_data(self, call: Call) -> Response:
        envelope = self._desk.envelope(call.account_id, chosen(call))
        summary = envelope.summary
        by_recipient = [
            {
                "recipientId": one["recipientId"],
                "name": one.get("name", ""),
                "email": one.get("email", ""),
                "formData": _filled(one),
            }
            for _, one in envelope.recipients()
        ]
        found = {
            "formData": [item for one in by_recipient for item in one["formData"]],
            "recipientFormData": by_recipient,
            "emailSubject": summary["emailSubject"],
            "envelopeId": envelope.envelope_id,
            "status": envelope.status,
            "sentDateTime": summary.get("sentDateTime"),
        }
        return answer({name: value for name, value in found.items() if value is not None})

    async def _notification(self, call: Call) -> Response:
        return answer(self._desk.envelope(call.account_id, chosen(call)).summary["notification"])

    async def _set_notification(self, call: Call) -> Response:
        given = body(call)

        def decide(course: Course) -> None:
            set_notification(course.envelope.summary, given)
            course.reckon()

        envelope, _ = await self._desk.act(call.account_id, chosen(call), decide)
        return answer(envelope.summary["notification"])

    async def _audit(self, call: Call) -> Response:
        summary = self._desk.envelope(call.account_id, chosen(call)).summary
        happened = [
            {
                "eventFields": [
                    {"name": "logTime", "value": value},
                    {"name": "Action", "value": name.removesuffix("DateTime").capitalize()},
                    {"name": "EnvelopeStatus", "value": summary["status"]},
                ]
            }
            for name, value in summary.items()
            if name in _MOMENTS
        ]
        return answer({"auditEvents": happened})


_MOMENTS: Final = frozenset(
    f"{status}DateTime"
    for status in ("created", "sent", "delivered", "completed", "declined", "voided", "deleted")
)

_OURS_ALONE: Final = (
    "status",
    "recipientIdGuid",
    "sentDateTime",
    "deliveredDateTime",
    "signedDateTime",
    "declinedDateTime",
    "declinedReason",
    "tabs",
)
"""Of a recipient, what a change of it leaves as it is."""


def _made(envelope: Envelope) -> dict[str, str]:
    summary = envelope.summary
    return {
        "envelopeId": envelope.envelope_id,
        "uri": summary["envelopeUri"],
        "statusDateTime": summary["statusChangedDateTime"],
        "status": envelope.status,
    }


def _short(envelope: Envelope) -> dict[str, Any]:
    return {name: value for name, value in envelope.summary.items() if name not in _DETAILS}


def _named(given: Mapping[str, Any]) -> list[str]:
    """The ids of the recipients that a body names."""
    return [str(one.get("recipientId")) for kind in KINDS for one in listed_in(given, kind)]


def _has_acted(recipient: Mapping[str, Any]) -> bool:
    return recipient["status"] in ("completed", "declined")


def _recipients(envelope: Envelope, *, tabs: bool) -> dict[str, Any]:
    found = dict(envelope.summary["recipients"])
    if not tabs:
        for kind in KINDS:
            found[kind] = [
                {name: value for name, value in one.items() if name != "tabs"}
                for one in found.get(kind, ())
            ]
    return found


def _filled(recipient: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {"name": str(tab["tabLabel"]), "value": str(tab.get("value", ""))}
        for tabs in recipient["tabs"].values()
        for tab in tabs
        if tab.get("tabLabel")
    ]
