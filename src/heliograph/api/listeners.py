"""What an administrator does about listeners: test sends, and the client certificate."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from heliograph.api.contract.operation import Call, Operation
from heliograph.api.contract.parameters import row_id
from heliograph.delivery.attempt import Renderings, Sender, exchange
from heliograph.delivery.retry import explain, was_taken
from heliograph.errors import InvalidBody, NotFound
from heliograph.model.accounts import Account, Secret
from heliograph.model.configurations import ConnectConfiguration, Proof, TlsIdentity
from heliograph.model.deliveries import Fault, Proofs
from heliograph.model.events import Event
from heliograph.outbound import tls
from heliograph.store import Store
from heliograph.wire import dates, listeners
from heliograph.wire.messages import json_sim

_ACCOUNT: Final = "/accounts/{accountId}/connect"

SAMPLE_ENVELOPE: Final = "00000000-0000-0000-0000-000000000000"
"""The envelope of test messages, which no publisher has."""


class Listeners:
    """Extensions of Heliograph: DocuSign has them in its web pages alone."""

    def __init__(self, store: Store, sender: Sender, zone: ZoneInfo) -> None:
        """`zone` is what test messages tell times in."""
        self._store = store
        self._zone = zone
        self._sender = sender

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        certificate = f"{_ACCOUNT}/client_certificate"
        return [
            Operation(
                operation_id="test_configuration",
                method="POST",
                path=f"{_ACCOUNT}/{{connectId}}/test",
                handler=self._test,
                summary="Sends a test message to the listener and shows the whole exchange.",
                answer=listeners.TestSend,
                extension=True,
            ),
            Operation(
                operation_id="get_client_certificate",
                method="GET",
                path=certificate,
                handler=self._get_certificate,
                summary="Shows the certificate that listeners with mutual TLS are shown.",
                answer=listeners.ClientCertificate,
                extension=True,
            ),
            Operation(
                operation_id="update_client_certificate",
                method="PUT",
                path=certificate,
                handler=self._put_certificate,
                body=listeners.ClientCertificate,
                summary="Sets the account's client certificate and its private key.",
                answer=listeners.ClientCertificate,
                extension=True,
            ),
            Operation(
                operation_id="delete_client_certificate",
                method="DELETE",
                path=certificate,
                handler=self._delete_certificate,
                summary="Deletes the account's client certificate.",
                extension=True,
            ),
        ]

    async def _test(self, call: Call) -> listeners.TestSend:
        connect_id = row_id(call.path["connectId"], "connectId")
        configuration = await self._store.configuration(call.account_id, connect_id)
        if configuration is None:
            raise NotFound(f"There is no configuration {connect_id}.")
        return await self._send_sample(configuration, call.principal.account)

    async def _send_sample(
        self, configuration: ConnectConfiguration, account: Account
    ) -> listeners.TestSend:
        """One message, whatever the configuration's switches and schedule say of events."""
        clock, proofs = self._store.clock, await self._proofs(configuration, account)
        began, at = clock.monotonic(), clock.machine()
        exchanged = await exchange(
            sample(configuration, str(uuid.uuid4()), dates.render(at)),
            configuration,
            proofs,
            sender=self._sender,
            number=1,
            attempt_id=0,
            at=at,
            last=True,
            renderings=Renderings(self._zone),
        )
        post, answer = exchanged.post, exchanged.answer
        fault = exchanged.came_back if isinstance(exchanged.came_back, Fault) else None
        return listeners.TestSend(
            connect_id=str(configuration.connect_id),
            url=configuration.url,
            success="true" if was_taken(exchanged.came_back) else "false",
            seconds=f"{clock.monotonic() - began:.3f}",
            request_headers=_header_lines(post.headers),
            request_body=post.body.decode("utf-8", "replace"),
            error=None if fault is None else str(explain(fault)),
            response_status=None if answer is None else f"{answer.status} {answer.reason}".strip(),
            response_headers=None if answer is None else _header_lines(answer.headers),
            response_body=None if answer is None else answer.body.decode("utf-8", "replace"),
        )

    async def _proofs(self, configuration: ConnectConfiguration, account: Account) -> Proofs:
        read: Mapping[Proof, Callable[[str], Awaitable[Any]]] = {
            Proof.KEYS: self._store.hmac_keys,
            Proof.CLIENT: self._store.client_certificate,
            Proof.OAUTH: self._store.oauth.get,
        }
        wanted = [proof for proof in configuration.asks_for if proof in read]
        found = {proof: await read[proof](configuration.owner_of(proof)) for proof in wanted}
        return Proofs(**found, account=account)

    async def _get_certificate(self, call: Call) -> listeners.ClientCertificate:
        client = await self._store.client_certificate(call.account_id)
        if client is None:
            raise NotFound("The account has no client certificate.")
        return _shown(client[0])

    async def _put_certificate(self, call: Call) -> listeners.ClientCertificate:
        pair: listeners.ClientCertificate = call.body
        if not pair.certificate or not pair.private_key:
            raise InvalidBody("certificate and privateKey must both be given, as PEM.")
        key = Secret(pair.private_key)
        try:
            tls.check_identity(TlsIdentity(pair.certificate, key, None))
        except tls.BadIdentity as wrong:
            raise InvalidBody(str(wrong)) from None
        await self._store.set_client_certificate(call.account_id, pair.certificate, key)
        return _shown(pair.certificate)

    async def _delete_certificate(self, call: Call) -> None:
        if not await self._store.delete_client_certificate(call.account_id):
            raise NotFound("The account has no client certificate.")


def sample(configuration: ConnectConfiguration, event_id: str, at: str) -> Event:
    """An event that the configuration asks for, of an envelope that does not exist."""
    name = min(configuration.interest.events, default="envelope-sent")
    body = listeners.sample_event(name, configuration.account_id, SAMPLE_ENVELOPE, at)
    (new,) = json_sim.parse_events(body, "application/json", configuration.account_id)
    return Event(
        configuration.account_id, event_id, name, SAMPLE_ENVELOPE, dates.parse(at), new.document
    )


def _header_lines(headers: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers]


def _shown(certificate: str) -> listeners.ClientCertificate:
    leaf = x509.load_pem_x509_certificates(certificate.encode())[0]
    return listeners.ClientCertificate(
        certificate=certificate,
        subject=leaf.subject.rfc4514_string(),
        issuer=leaf.issuer.rfc4514_string(),
        expires=dates.render(leaf.not_valid_after_utc),
        fingerprint=leaf.fingerprint(SHA256()).hex(),
    )
