"""An application with a key, a user who has consented, and assertions that it signs or forges."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.server import Client, Reply

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
FORM = "application/x-www-form-urlencoded"
ADA = "1aaaaaaa-0000-4000-8000-000000000000"
BACK = "https://app.example/back"
PASSWORD = "correct horse battery"


@cache
def private_key(name: str = "first", bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key pair; the name tells several apart."""
    return rsa.generate_private_key(65537, bits)


def private_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def public_pem(key: rsa.RSAPrivateKey) -> str:
    made = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made.decode("ascii")


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode("ascii").rstrip("=")


@dataclass(frozen=True)
class Assertion:
    """What an assertion is made of; `with_` changes claims or the header."""

    claims: Mapping[str, Any]
    header: Mapping[str, Any] = field(default_factory=lambda: {"alg": "RS256", "typ": "JWT"})
    key: rsa.RSAPrivateKey = field(default_factory=private_key)

    def with_(self, **claims: Any) -> Assertion:
        """Other claims; None leaves one out."""
        made = {**self.claims, **claims}
        return replace(self, claims={name: one for name, one in made.items() if one is not None})

    def headed(self, **header: Any) -> Assertion:
        return replace(self, header={**self.header, **header})

    @property
    def text(self) -> str:
        return self.signed(json.dumps(self.header).encode(), json.dumps(self.claims).encode())

    def signed(self, header: bytes, claims: bytes) -> str:
        """The assertion of bytes that need not be JSON."""
        text = f"{encoded(header)}.{encoded(claims)}"
        return f"{text}.{encoded(self.key.sign(text.encode(), padding.PKCS1v15(), SHA256()))}"


@dataclass(frozen=True)
class Integration:
    """An application of the first account, registered over the API."""

    api: Client
    integration_key: str
    key_id: str

    @property
    def host(self) -> str:
        """What the SDK takes as oauth_host_name."""
        return self.api.server.base_uri.partition("://")[2]

    def assertion(self, **claims: Any) -> Assertion:
        now = int(time.time())
        usual = {
            "iss": self.integration_key,
            "sub": ADA,
            "aud": self.host,
            "iat": now,
            "exp": now + 3600,
            "scope": "signature impersonation",
        }
        return Assertion(usual).with_(**claims)

    async def token(self, **form: str) -> Reply:
        """POST /oauth/token."""
        return await post_form(self.api, "/oauth/token", form)

    async def ask(self, text: str) -> Reply:
        return await self.token(grant_type=JWT_BEARER, assertion=text)


async def post_form(api: Client, path: str, form: Mapping[str, str], **headers: str) -> Reply:
    """A form as an application posts it, without a token."""
    sent = {"Authorization": "", "Content-Type": FORM, **headers}
    return await api.call("POST", path, data=urlencode(form).encode(), **sent)


async def integrate(api: Client, *, consent: str | None = "signature impersonation") -> Integration:
    """Ada, a viewer with a password, and an application with a key that she has consented to."""
    user = {"userName": "Ada Lovelace", "email": "ada@example.com", "userId": ADA}
    user |= {"firstName": "Ada", "lastName": "Lovelace"}
    made = await api.call("POST", f"{api.account}/users", {"newUsers": [user]})
    assert made.status == 201, made.body
    body = {"name": "CRM", "redirectUris": [BACK, "http://127.0.0.1:9/back"]}
    made = await api.call("POST", f"{api.account}/applications", body)
    assert made.status == 201, made.body
    integration_key = made.json["integrationKey"]
    keys = f"{api.account}/applications/{integration_key}/keys"
    added = await api.call("POST", keys, {"publicKey": public_pem(private_key())})
    assert added.status == 201, added.body
    if consent is not None:
        body = {"integrationKey": integration_key, "userId": ADA, "scopes": consent}
        agreed = await api.call("POST", f"{api.account}/consents", body)
        assert agreed.status == 201, agreed.body
    return Integration(api, integration_key, added.json["keyId"])


async def set_password(api: Client, password: str = PASSWORD) -> None:
    done = await api.call("PUT", f"{api.account}/users/{ADA}/password", {"newPassword": password})
    assert done.status == 200, done.body
