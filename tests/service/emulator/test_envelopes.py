"""DocuSign's own client, unmodified, makes envelopes; a real listener gets Connect's messages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from docusign_esign import Envelope, EnvelopeDefinition
from docusign_esign.client.api_exception import ApiException

from tests.browser import Visitor
from tests.busy import hang
from tests.emulating import BACK, Emulated, definition, emulating, notification, signers, told
from tests.listener import LoopbackListener
from tests.server import serving

CREATED = ["envelope-created", "envelope-sent", "recipient-sent"]
FIRST = [*CREATED, "recipient-delivered", "recipient-completed", "recipient-sent"]


@pytest.fixture
async def emulated(tmp_path: Path) -> AsyncIterator[Emulated]:
    async with emulating(tmp_path) as started:
        yield started


async def act(emulated: Emulated, url: str, action: str, **fields: str) -> str:
    """Open the signing page and press a button; where that leads."""
    async with Visitor(emulated.api) as visitor:
        await visitor.open(url)
        form, hidden = visitor.forms[0]
        kept = {name: value for name, value in hidden.items() if name}
        await visitor.post(form, {**kept, "action": action, **fields})
        assert visitor.gone_to is not None, visitor.page
        return visitor.gone_to


async def code(call: Any) -> str:
    """DocuSign's code of the error that a call is refused with."""
    with pytest.raises(ApiException) as refused:
        await call
    found: str = json.loads(refused.value.body)["errorCode"]
    return found


async def test_two_signers_sign_and_the_listener_is_told_in_docusigns_order(
    emulated: Emulated, listener: LoopbackListener
) -> None:
    envelope_id = await emulated.create(definition(notification(listener)))
    for number in (1, 2):
        gone = await act(emulated, await emulated.view(envelope_id, number), "sign")
        assert gone == f"{BACK}&event=signing_complete"
    events = await told(listener, 10)
    assert events == [
        *FIRST,
        "recipient-delivered",
        "envelope-delivered",
        "recipient-completed",
        "envelope-completed",
    ]
    assert await emulated.status(envelope_id) == "completed"
    last = listener.received[-1].message
    assert last["uri"] == f"/restapi/v2.1/accounts/{emulated.account_id}/envelopes/{envelope_id}"
    summary = last["data"]["envelopeSummary"]
    assert summary["status"] == "completed"
    assert [one["status"] for one in summary["recipients"]["signers"]] == ["completed"] * 2
    assert summary["recipients"]["signers"][0]["tabs"]["signHereTabs"][0]["status"] == "signed"
    # Each message shows the envelope as it was then.
    sent = listener.received[1].message["data"]["envelopeSummary"]
    assert sent["status"] == "sent"
    assert [one["status"] for one in sent["recipients"]["signers"]] == ["created", "created"]


async def test_a_signer_declines_and_nobody_can_sign_any_more(
    emulated: Emulated, listener: LoopbackListener
) -> None:
    envelope_id = await emulated.create(definition(notification(listener)))
    await act(emulated, await emulated.view(envelope_id, 1), "sign")
    url = await emulated.view(envelope_id, 2)
    assert await act(emulated, url, "decline", reason="Too dear") == f"{BACK}&event=decline"
    events = await told(listener, 10)
    assert events[-2:] == ["recipient-declined", "envelope-declined"]
    signer = listener.received[-1].message["data"]["envelopeSummary"]["recipients"]["signers"][1]
    assert signer["declinedReason"] == "Too dear"
    assert await code(emulated.view(envelope_id, 2)) == "ENVELOPE_INVALID_STATUS"


async def test_the_sender_voids_once_and_says_why(
    emulated: Emulated, listener: LoopbackListener
) -> None:
    envelope_id = await emulated.create(definition(notification(listener)))
    api = emulated.envelopes

    async def void(reason: str) -> Any:
        wanted = Envelope(status="voided", voided_reason=reason)
        return await emulated.call(api.update, envelope_id, envelope=wanted)

    assert await code(void("")) == "INVALID_REQUEST_PARAMETER"
    await void("Let to somebody else")
    assert await told(listener, 4) == [*CREATED, "envelope-voided"]
    summary = listener.received[-1].message["data"]["envelopeSummary"]
    assert summary["voidedReason"] == "Let to somebody else"
    assert await code(void("again")) == "ENVELOPE_CANNOT_VOID_INVALID_STATE"


async def test_time_brings_reminders_and_the_end(
    emulated: Emulated, listener: LoopbackListener
) -> None:
    wanted = {
        "useAccountDefaults": "false",
        "reminders": {"reminderEnabled": "true", "reminderDelay": "1", "reminderFrequency": "2"},
        "expirations": {"expireEnabled": "true", "expireAfter": "4", "expireWarn": "0"},
    }
    made = definition(notification(listener), notification=wanted)
    envelope_id = await emulated.create(made)
    emulated.clock.advance(25 * 3600)
    assert await told(listener, 4) == [*CREATED, "envelope-reminder-sent"]
    emulated.clock.advance(2 * 24 * 3600)
    await told(listener, 5)
    emulated.clock.advance(24 * 3600)
    events = await told(listener, 6)
    assert events[4:] == ["envelope-reminder-sent", "envelope-voided"]
    reason = listener.received[-1].message["data"]["envelopeSummary"]["voidedReason"]
    assert reason == "Envelope has expired."
    assert await emulated.status(envelope_id) == "voided"


async def test_a_notification_is_its_envelopes_for_longer_than_its_history_is_kept(
    emulated: Emulated, listener: LoopbackListener
) -> None:
    envelope_id = await emulated.create(definition(notification(listener)))
    assert await told(listener, 3) == CREATED
    emulated.clock.advance(100 * 86_400)
    async with hang(20):
        while (await emulated.api.call("GET", "events")).json["totalRecords"] != "0":
            pass
    wanted = Envelope(status="voided", voided_reason="over")
    await emulated.call(emulated.envelopes.update, envelope_id, envelope=wanted)
    assert await told(listener, 4) == [*CREATED, "envelope-voided"]


async def test_an_address_is_good_once_and_for_five_minutes(emulated: Emulated) -> None:
    envelope_id = await emulated.create(definition())
    url = await emulated.view(envelope_id, 1)
    async with Visitor(emulated.api) as visitor:
        await visitor.open(url)
        assert visitor.status == 200
        await visitor.open(url)
        assert visitor.gone_to == f"{BACK}&event=ttl_expired"
        late = await emulated.view(envelope_id, 1)
        emulated.clock.advance(301)
        await visitor.open(late)
        assert visitor.gone_to == f"{BACK}&event=ttl_expired"
        await visitor.open(f"{emulated.api.server.base_uri}/emulator/signing/guessed")
        assert visitor.status == 404


async def test_what_docusign_refuses_is_refused_and_nothing_is_made(
    emulated: Emulated, listener: LoopbackListener
) -> None:
    for wanted, refused in (
        (definition(documents=[]), "ENVELOPE_IS_INCOMPLETE"),
        (definition(email_subject=""), "ENVELOPE_IS_INCOMPLETE"),
        (EnvelopeDefinition(template_id="none", status="sent"), "TEMPLATE_ID_INVALID"),
    ):
        assert await code(emulated.create(wanted)) == refused
    elsewhere = notification(listener)
    elsewhere.url = "not a url"
    assert (await code(emulated.create(definition(elsewhere)))).startswith("INVALID_REQUEST")
    listed = await emulated.call(emulated.envelopes.list_status_changes, from_date="2020-01-01")
    assert int(listed.result_set_size) == 0
    assert await code(emulated.view("0" * 36, 1)) == "ENVELOPE_DOES_NOT_EXIST"
    envelope_id = await emulated.create(definition())
    assert await code(emulated.view(envelope_id, 2)) == "RECIPIENT_NOT_IN_SEQUENCE"
    assert await code(emulated.view(envelope_id, 1, "javascript:alert(1)")) == (
        "INVALID_REQUEST_PARAMETER"
    )


async def test_a_draft_is_sent_later_and_documents_come_as_pdf(
    emulated: Emulated, listener: LoopbackListener
) -> None:
    envelope_id = await emulated.create(definition(notification(listener), "created"))
    assert await told(listener, 1) == ["envelope-created"]
    api = emulated.envelopes
    await emulated.call(api.update, envelope_id, envelope=Envelope(status="sent"))
    assert await told(listener, 3) == CREATED
    listed = await emulated.call(api.list_documents, envelope_id)
    assert [one.document_id for one in listed.envelope_documents] == ["1", "certificate"]
    for name, magic in (("1", b"%PDF-"), ("combined", b"%PDF-"), ("archive", b"PK")):
        came = await emulated.call(api.get_document, name, envelope_id)
        assert came.startswith(magic), name


async def test_two_signers_of_one_order_get_it_together_and_a_copy_follows(
    emulated: Emulated, listener: LoopbackListener
) -> None:
    both = signers()
    both[1].routing_order = "1"
    copy = {"name": "Carl", "email": "carl@example.com", "recipientId": "3", "routingOrder": "2"}
    wanted = definition(
        notification(listener), recipients={"signers": both, "carbonCopies": [copy]}
    )
    envelope_id = await emulated.create(wanted)
    assert await told(listener, 4) == [*CREATED, "recipient-sent"]
    for number in (2, 1):
        await act(emulated, await emulated.view(envelope_id, number), "sign")
    assert (await told(listener, 12))[-3:] == [
        "recipient-sent",
        "recipient-completed",
        "envelope-completed",
    ]


async def test_who_has_no_token_or_another_accounts_sees_no_envelope(emulated: Emulated) -> None:
    envelope_id = await emulated.create(definition())
    api = emulated.api
    path = f"{api.account}/envelopes/{envelope_id}"
    assert (await api.call("GET", path, Authorization="")).status == 401
    other = await api.call("POST", "/restapi/v2.1/accounts", {"accountName": "Other"})
    token, account = other.json["accessToken"], other.json["accountId"]
    bearer = f"Bearer {token}"
    assert (await api.call("GET", path, Authorization=bearer)).status == 404
    theirs = f"/restapi/v2.1/accounts/{account}/envelopes/{envelope_id}"
    answer = await api.call("GET", theirs, Authorization=bearer)
    assert (answer.status, answer.error) == (404, "ENVELOPE_DOES_NOT_EXIST")


async def test_multipart_bodies_bring_documents(emulated: Emulated) -> None:
    boundary = "BOUNDARY"
    made = {
        "emailSubject": "Parts",
        "status": "sent",
        "documents": [{"documentId": "1", "name": "a.pdf", "fileExtension": "pdf"}],
        "recipients": {"signers": [{"name": "A", "email": "a@example.com", "recipientId": "1"}]},
    }
    raw = (
        f"--{boundary}\r\nContent-Type: application/json\r\n"
        f"Content-Disposition: form-data\r\n\r\n{json.dumps(made)}\r\n"
        f"--{boundary}\r\nContent-Type: application/pdf\r\nContent-Disposition: file; "
        f'filename="a.pdf"; documentid=1\r\n\r\n%PDF-1.4 mine\r\n--{boundary}--\r\n'
    ).encode()
    form = f"multipart/form-data; boundary={boundary}"
    answer = await emulated.api.call(
        "POST", f"{emulated.api.account}/envelopes", data=raw, Content_Type=form
    )
    assert answer.status == 201, answer.body
    path = f"{emulated.api.account}/envelopes/{answer.json['envelopeId']}/documents/1"
    assert (await emulated.api.call("GET", path, Accept="application/pdf")).body == b"%PDF-1.4 mine"


async def test_s14_plain_serve_has_none_of_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as api, aiohttp.ClientSession() as session:
        for path in (f"{api.account}/envelopes", "/emulator/clock", "/emulator/signing/x"):
            async with session.get(api.server.base_uri + path) as answer:
                assert answer.status == 404
