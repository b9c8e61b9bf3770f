"""Operations around envelopes: templates, folders, and lists that are empty here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from heliograph.api.contract.operation import Call, Operation
from heliograph.api.contract.parameters import text
from heliograph.api.contract.response import Response
from heliograph.emulator import bodies
from heliograph.emulator.calls import (
    ACCOUNT,
    COUNT,
    START,
    answer,
    body,
    changes,
    listing,
    reads,
)
from heliograph.emulator.course import Course
from heliograph.emulator.desk import Desk
from heliograph.emulator.envelope import Envelope
from heliograph.errors import NotFound

_TEMPLATES: Final = f"{ACCOUNT}/templates"
_FOLDERS: Final = f"{ACCOUNT}/folders"

FOLDERS: Final[Mapping[str, str]] = {
    "sentitems": "Sent Items",
    "draft": "Draft",
    "inbox": "Inbox",
    "recyclebin": "Deleted Items",
}
"""The folders of an account by their ids, which are their types here."""

SEARCH: Final = text("search_text", "Only templates whose names have this in them.", 100)

_EMPTY: Final = (
    ("list_brands", f"{ACCOUNT}/brands", "brands"),
    ("list_permissions", f"{ACCOUNT}/permission_profiles", "permissionProfiles"),
    (
        "list_agent_authorizations",
        f"{ACCOUNT}/users/{{userId}}/authorizations",
        "authorizations",
    ),
    (
        "get_account_identity_verification",
        f"{ACCOUNT}/identity_verification",
        "identityVerification",
    ),
    ("get_bulk_send_lists", f"{ACCOUNT}/bulk_send_lists", "bulkListSummaries"),
)


class Further:
    """What is around envelopes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        return [
            changes(
                "create_template",
                "POST",
                _TEMPLATES,
                self._create,
                "Makes a template of a definition.",
                status=201,
            ),
            reads(
                "list_templates", _TEMPLATES, self._list, "Lists templates.", (SEARCH, START, COUNT)
            ),
            reads("get_template", f"{_TEMPLATES}/{{templateId}}", self._get, "Shows a template."),
            reads("list_folders", _FOLDERS, self._folders, "Lists folders."),
            reads(
                "list_folder_items",
                f"{_FOLDERS}/{{folderId}}",
                self._items,
                "Lists the envelopes in a folder.",
                (START, COUNT),
            ),
            changes(
                "move_envelopes",
                "PUT",
                f"{_FOLDERS}/{{folderId}}",
                self._move,
                "Moves envelopes to a folder; to recyclebin, it deletes them.",
            ),
            *(
                reads(name, path, _nothing(key), "An empty list: the emulator has none.")
                for name, path, key in _EMPTY
            ),
        ]

    async def _create(self, call: Call) -> Response:
        given, files = bodies.definition(call.raw, call.content_type_line)
        template = await self._desk.create_template(call.principal, given, files)
        made = {
            "templateId": template.envelope_id,
            "name": template.summary["name"],
            "uri": template.summary["uri"],
        }
        return answer(made, 201)

    async def _list(self, call: Call) -> Response:
        found = [one.summary for one in self._desk.cabinet.all(call.account_id, "template")]
        wanted = (SEARCH.read(call.query) or "").lower()
        named = [one for one in found if wanted in str(one["name"]).lower()]
        return answer(listing("envelopeTemplates", named, call))

    async def _get(self, call: Call) -> Response:
        template, _ = self._desk.template(call.account_id, call.path["templateId"].lower())
        return answer(template.summary)

    async def _folders(self, call: Call) -> Response:
        envelopes = list(self._desk.cabinet.all(call.account_id))
        found = [
            {
                "folderId": folder,
                "name": name,
                "type": folder,
                "uri": f"/folders/{folder}",
                "itemCount": str(sum(1 for one in envelopes if one.folder == folder)),
            }
            for folder, name in FOLDERS.items()
        ]
        return answer(listing_of_all("folders", found))

    async def _items(self, call: Call) -> Response:
        folder = _known(call.path["folderId"])
        found = [
            _item(one) for one in self._desk.cabinet.all(call.account_id) if one.folder == folder
        ]
        part = listing("folderItems", found, call)
        shown = {"folderId": folder, "name": FOLDERS[folder], "type": folder}
        return answer({**part, "folders": [{**shown, "folderItems": part["folderItems"]}]})

    async def _move(self, call: Call) -> Response:
        folder = _known(call.path["folderId"])
        named = body(call).get("envelopeIds") or ()

        def decide(course: Course) -> None:
            if folder == "recyclebin":
                course.delete()
            else:
                course.envelope.folder = folder

        for envelope_id in named:
            await self._desk.act(call.account_id, str(envelope_id), decide)
        return answer(listing_of_all("folders", [{"folderId": folder, "name": FOLDERS[folder]}]))


def listing_of_all(name: str, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A list that has no pages."""
    count = str(len(items))
    last = str(max(len(items) - 1, 0))
    sizes = {"resultSetSize": count, "startPosition": "0", "endPosition": last}
    return {name: list(items), **sizes, "totalSetSize": count}


def _nothing(name: str) -> Any:
    async def empty(_: Call) -> Response:
        return answer(listing_of_all(name, ()))

    return empty


def _known(folder_id: str) -> str:
    if folder_id.lower() not in FOLDERS:
        raise NotFound(f"There is no folder {folder_id[:40]!r}: {', '.join(FOLDERS)}.")
    return folder_id.lower()


def _item(envelope: Envelope) -> dict[str, Any]:
    summary = envelope.summary
    return {
        "envelopeId": envelope.envelope_id,
        "envelopeUri": summary["envelopeUri"],
        "status": envelope.status,
        "subject": summary["emailSubject"],
        "senderName": summary["sender"]["userName"],
        "senderEmail": summary["sender"]["email"],
        "createdDateTime": summary["createdDateTime"],
        "lastModifiedDateTime": summary["lastModifiedDateTime"],
    }
