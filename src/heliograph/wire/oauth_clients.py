"""The OAuth client of an account on the wire and at rest: merged, checked, masked.

Names are those of contract.json's connectOAuthConfig. DocuSign's page createConnectOAuthConfig
requires the server's URL, the id and the secret.
"""

from __future__ import annotations

from typing import Any

import msgspec

from heliograph.errors import InvalidBody
from heliograph.model.accounts import Secret
from heliograph.model.configurations import ClientCredentials
from heliograph.wire.configurations import MASK, OAUTH_SECRET, check_parameters
from heliograph.wire.rest import ConnectOAuthConfig

_REQUIRED = ("authorizationServerUrl", "clientId")


def merge(config: ConnectOAuthConfig, before: ClientCredentials | None) -> ClientCredentials:
    """The client after `config` was laid over `before`.

    A field that is not given keeps its value; the mask in the secret's place keeps the secret.

    Raises:
        InvalidBody: something that is required is missing, or a custom parameter has a name
            that it cannot have.
    """
    fields: dict[str, Any] = {} if before is None else _fields(before)
    fields |= msgspec.to_builtins(config)
    check_parameters(fields, "")
    text = fields.pop(OAUTH_SECRET, MASK)
    known = None if before is None else before.client_secret
    secret = known if text == MASK else Secret(text)
    missing = [name for name in _REQUIRED if not fields.get(name)]
    if secret is None or not secret.reveal():
        missing.append(OAUTH_SECRET)
    if missing or secret is None:
        raise InvalidBody(f"{' and '.join(missing)} must be given.")
    return _client(fields, secret)


def document(client: ClientCredentials) -> bytes:
    """What is stored of a client, but for its secret: compact JSON."""
    return msgspec.json.encode(_fields(client))


def read(stored: bytes, secret: Secret) -> ClientCredentials:
    """A stored client."""
    return _client(msgspec.json.decode(stored), secret)


def to_wire(client: ClientCredentials) -> ConnectOAuthConfig:
    """A client as a caller sees it: the secret masked."""
    return msgspec.convert({**_fields(client), OAUTH_SECRET: MASK}, ConnectOAuthConfig)


def _fields(client: ClientCredentials) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "authorizationServerUrl": client.token_url,
        "clientId": client.client_id,
    }
    if client.scope:
        fields["scope"] = client.scope
    if client.parameters:
        fields["customParameters"] = dict(client.parameters)
    return fields


def _client(fields: dict[str, Any], secret: Secret) -> ClientCredentials:
    return ClientCredentials(
        token_url=fields["authorizationServerUrl"],
        client_id=fields["clientId"],
        client_secret=secret,
        scope=fields.get("scope") or None,
        parameters=tuple((fields.get("customParameters") or {}).items()),
    )
