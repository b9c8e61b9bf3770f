"""The emulator in the test's event loop, and DocuSign's SDK signed in to it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import docusign_esign
from docusign_esign import (
    Document,
    EnvelopeDefinition,
    EnvelopeEvent,
    EnvelopesApi,
    EventNotification,
    RecipientEvent,
    Recipients,
    RecipientViewRequest,
    Signer,
    SignHere,
    Tabs,
    Text,
)

from heliograph.api.contract.operation import Operation
from heliograph.clock import SystemClock
from heliograph.emulator.addition import Emulator, adding
from heliograph.emulator.clock import AdvancingClock
from heliograph.emulator.scenario import NOBODY, Scenario
from heliograph.wire.samples.pdf import pdf
from tests.listener import LoopbackListener
from tests.server import Client, serving

T = TypeVar("T")

GRACE, ALAN = "Grace Hopper", "Alan Turing"
BACK = "http://127.0.0.1:9/back?state=7"


@dataclass
class Emulated:
    """A running emulator; `sdk` is DocuSign's client, unmodified."""

    api: Client
    clock: AdvancingClock
    sdk: docusign_esign.ApiClient

    @property
    def account_id(self) -> str:
        return self.api.credentials.account_id

    @property
    def envelopes(self) -> EnvelopesApi:
        return EnvelopesApi(self.sdk)

    async def call(self, method: Callable[..., T], *path: str, **given: Any) -> T:
        """A call of the SDK in this account: it blocks, so that a thread makes it."""
        return await asyncio.to_thread(method, self.account_id, *path, **given)

    async def create(self, definition: EnvelopeDefinition) -> str:
        """Make an envelope; its id."""
        made = await self.call(self.envelopes.create_envelope, envelope_definition=definition)
        return str(made.envelope_id)

    async def view(self, envelope_id: str, number: int, url: str = BACK) -> str:
        """The address where a signer, from 1, signs."""
        request = RecipientViewRequest(
            authentication_method="none",
            client_user_id=str(1000 + number),
            recipient_id=str(number),
            return_url=url,
            user_name=(GRACE, ALAN)[number - 1],
            email=_email(number),
        )
        made = await self.call(
            self.envelopes.create_recipient_view, envelope_id, recipient_view_request=request
        )
        return str(made.url)

    async def status(self, envelope_id: str) -> str:
        """An envelope's status."""
        found = await self.call(self.envelopes.get_envelope, envelope_id)
        return str(found.status)


def operations() -> Sequence[Operation]:
    """Every operation of the emulator, without one that runs."""
    nothing: Any = SimpleNamespace(clock=None)
    ground: Any = SimpleNamespace(
        **dict.fromkeys(("base_uri", "signals", "guard", "fidelity", "observer")), store=nothing
    )
    return Emulator(ground, nothing, AdvancingClock(SystemClock())).operations()


@asynccontextmanager
async def emulating(
    folder: Path, scenario: Scenario = NOBODY, **settings: Any
) -> AsyncIterator[Emulated]:
    """The emulator on a free port, in DocuSign's profile."""
    clock = AdvancingClock(SystemClock())
    wanted = {"fidelity": "auto", "hourly_limit": 0, "burst_limit": 0, "token_limit": 0, **settings}
    async with serving(folder, clock, adding(clock, scenario=scenario), **wanted) as api:
        sdk = docusign_esign.ApiClient(host=f"{api.server.base_uri}/restapi")
        token = api.credentials.access_token.reveal()
        sdk.set_default_header("Authorization", f"Bearer {token}")
        yield Emulated(api, clock, sdk)


def _email(number: int) -> str:
    return ("grace@example.com", "alan@example.com")[number - 1]


def notification(listener: LoopbackListener) -> EventNotification:
    """Every event of an envelope, in messages as Connect 2.0 has them."""
    return EventNotification(
        url=f"{listener.base}/hook",
        event_data={"version": "restv2.1", "format": "json", "includeData": ["recipients", "tabs"]},
        events=[
            *(f"envelope-{one}" for one in _OF_ENVELOPES),
            *(f"recipient-{one}" for one in _OF_RECIPIENTS),
        ],
        envelope_events=[EnvelopeEvent(envelope_event_status_code="completed")],
        recipient_events=[RecipientEvent(recipient_event_status_code="Completed")],
        include_envelope_void_reason="true",
        logging_enabled="true",
        require_acknowledgment="true",
    )


_OF_ENVELOPES = (
    *("created", "sent", "delivered", "completed", "declined", "voided", "corrected", "resent"),
    *("deleted", "reminder-sent"),
)
_OF_RECIPIENTS = ("sent", "delivered", "completed", "declined", "finish-later", "resent")


def signers(count: int = 2) -> list[Signer]:
    """Signers one after the other, who sign embedded."""
    return [
        Signer(
            name=(GRACE, ALAN)[number - 1],
            email=_email(number),
            recipient_id=str(number),
            routing_order=str(number),
            client_user_id=str(1000 + number),
            tabs=Tabs(
                sign_here_tabs=[SignHere(anchor_string="/sn1/", anchor_units="pixels")],
                text_tabs=[Text(tab_label="salary", value="60000", document_id="1")],
            ),
        )
        for number in range(1, count + 1)
    ]


def definition(
    notified: EventNotification | None = None, status: str = "sent", **more: Any
) -> EnvelopeDefinition:
    """An envelope of a document and two signers."""
    return EnvelopeDefinition(
        **{
            "email_subject": "Please sign",
            "status": status,
            "documents": [
                Document(
                    document_base64=base64.b64encode(pdf(["Lease"])).decode(),
                    name="Lease",
                    file_extension="pdf",
                    document_id="1",
                )
            ],
            "recipients": Recipients(signers=signers()),
            "event_notification": notified,
            **more,
        }
    )


async def told(listener: LoopbackListener, count: int) -> Sequence[str]:
    """The events of the first messages that came, in their order."""
    await listener.until(lambda received: len(received) >= count)
    return [one.message["event"] for one in listener.received]
