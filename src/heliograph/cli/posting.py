"""Messages made up, posted as the server posts them: same text, signatures, guard and client."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from heliograph.cli.exits import wrong
from heliograph.clock import SystemClock
from heliograph.delivery.attempt import Exchange, Post, compose, exchange
from heliograph.egress import Guard, Profile, Refused
from heliograph.errors import InvalidBody
from heliograph.model.accounts import HmacKey, Secret
from heliograph.model.configurations import ConnectConfiguration, Format
from heliograph.model.deliveries import Proofs
from heliograph.model.events import Event
from heliograph.outbound.authorizer import Authorizer
from heliograph.outbound.transport import Budget, Transport
from heliograph.wire import configurations, docusign
from heliograph.wire.messages import json_sim
from heliograph.wire.messages.summary import INCLUDE_DATA
from heliograph.wire.rest import ConnectCustomConfiguration

ACCOUNT: Final = "5ca1ab1e-0000-4000-8000-000000000001"
"""The account of samples that no server publishes."""

NUMBERS: Final[Mapping[str, int]] = {"retryCount": 0, "configurationId": 1}
"""What a message says of its delivery, which no published event says."""

_FORMATS: Final[Mapping[str, Mapping[str, Any]]] = {
    "json": {"deliveryMode": "SIM", "eventData": {"version": docusign.VERSION, "format": "json"}},
    "aggregate": {"deliveryMode": "aggregate", "eventData": {"format": "json"}},
    "xml": {"eventData": {"format": "xml"}},
    "soap": {"useSoapInterface": "true"},
}
FORMATS: Final = tuple(_FORMATS)
"""The formats, as `--format` names them."""

_GUARD: Final = Guard(Profile.EMULATOR)


@dataclass(frozen=True, slots=True)
class Listener:
    """Where samples go, in which format, whether with documents, and the keys that sign them."""

    url: str
    format: str
    documents: bool
    keys: Sequence[Secret] = ()


def check_url(url: str) -> None:
    """See that samples may be posted there: to this machine, or a public address.

    Raises:
        Stop: they may not.
    """
    try:
        _GUARD.check_new_url(url)
    except Refused as refusal:
        raise wrong(f"--to: {refusal}") from None


def composed(message: Mapping[str, Any], listener: Listener) -> Post:
    """What would be posted.

    Raises:
        Stop: the message is not one, or has no such format.
    """
    return compose(
        **_parts(message, listener),
        number=_number(message),
        attempt_id=0,
        at=datetime.now(UTC),
    )


class Poster:
    """Posts samples to a listener; use as an async context manager."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._clock = SystemClock()
        self._budget = Budget()
        self._transport = Transport(_GUARD, self._budget)

    async def __aenter__(self) -> Poster:
        await self._transport.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()

    async def post(self, message: Mapping[str, Any]) -> tuple[Exchange, float]:
        """Post a message once; what came of it, and after how many seconds.

        Raises:
            Stop: the message is not one, or has no such format; nothing was sent.
        """
        parts, began = _parts(message, self._listener), self._clock.monotonic()
        exchanged = await exchange(
            **parts,
            sender=Authorizer(self._transport, self._clock, total=self._budget.total),
            number=_number(message),
            attempt_id=0,
            at=self._clock.machine(),
            last=True,
        )
        return exchanged, self._clock.monotonic() - began


def _parts(message: Mapping[str, Any], listener: Listener) -> dict[str, Any]:
    configuration = _configuration(message, listener)
    event = _event(message, configuration.account_id)
    if configuration.rendering.format is Format.XML and not event.envelope_id:
        raise wrong(f"There is no {event.name} in XML, which tells of envelopes alone.")
    at = datetime.now(UTC)
    keys = tuple(HmacKey(str(place), key, at) for place, key in enumerate(listener.keys))
    return {"event": event, "configuration": configuration, "proofs": Proofs(keys)}


def _event(message: Mapping[str, Any], account_id: str) -> Event:
    body = msgspec.json.encode(message)
    try:
        (new,) = json_sim.parse_events(body, "application/json", account_id)
    except InvalidBody as error:
        raise wrong(str(error)) from None
    generated_at = new.generated_at or datetime.now(UTC)
    return Event(
        account_id,
        str(uuid.uuid4()),
        new.name,
        new.envelope.envelope_id,
        generated_at,
        new.document,
    )


def _configuration(message: Mapping[str, Any], listener: Listener) -> ConnectConfiguration:
    """A configuration that asks for all there is, but for documents that were not asked for."""
    fields: dict[str, Any] = {
        "name": "sample",
        configurations.URL_FIELD: listener.url,
        "includeEnvelopeVoidReason": "true",
        "includeTimeZoneInformation": "true",
        "includeDocuments": "true" if listener.documents else "false",
        "includeCertificateOfCompletion": "true" if listener.documents else "false",
        **_FORMATS[listener.format],
    }
    if "version" in fields.get("eventData", {}):
        left_out = {"prefill_tabs"} if listener.documents else {"prefill_tabs", "documents"}
        fields["eventData"] = {
            **fields["eventData"],
            "includeData": sorted(INCLUDE_DATA - left_out),
        }
    wanted = msgspec.convert(fields, ConnectCustomConfiguration)
    document, secrets = configurations.merge(wanted, None)
    account_id = str(message["data"].get("accountId") or ACCOUNT)
    if not (account_id.isascii() and account_id.isprintable()):  # it goes into a header
        raise wrong("data.accountId must be printable ASCII.")
    return configurations.read(account_id, message["configurationId"], document, secrets)


def _number(message: Mapping[str, Any]) -> int:
    retry_count: int = message["retryCount"]
    return retry_count + 1
