"""Signing in, as an application and a user's browser do it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.integration import BACK, FORM, JWT_BEARER, Assertion
from tests.process import Server
from tests.server import Reply

EMAIL = "ada@example.com"
VERIFIER = "a-verifier-of-forty-three-characters-or-more"

Shown = Mapping[str, Any]


def token(server: Server, form: Mapping[str, str]) -> Reply:
    """POST /oauth/token."""
    body = urlencode(form).encode()
    return server.call("POST", "/oauth/token", body, Authorization="", Content_Type=FORM)


def assertion(server: Server, shown: Shown, **claims: Any) -> dict[str, str]:
    """The form of a new assertion with the old key."""
    key = load_pem_private_key(shown["private key"].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    now = int(time.time())
    usual = {"iss": shown["integration key"], "aud": "{}:{}".format(*server.address)}
    usual |= {"iat": now, "exp": now + 3000, "scope": "signature impersonation", **claims}
    return {"grant_type": JWT_BEARER, "assertion": Assertion(usual, key=key).text}


def exchange(shown: Shown, code: str) -> dict[str, str]:
    """The form that takes a code."""
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    return form | _client(shown)


def refresh(shown: Shown, text: str) -> dict[str, str]:
    """The form that takes a refresh token."""
    return {"grant_type": "refresh_token", "refresh_token": text, **_client(shown)}


def _client(shown: Shown) -> dict[str, str]:
    return {"client_id": shown["integration key"], "client_secret": shown["application secret"]}


def legacy_header(shown: Shown) -> str:
    """What calls carry that show the user's name and password."""
    given = {"Username": EMAIL, "Password": shown["password"]}
    return json.dumps({**given, "IntegratorKey": shown["integration key"]})


class Browser:
    """Signs Ada in and fetches codes; `cookie` is that of her sign-in."""

    def __init__(self, server: Server, shown: Shown, cookie: str = "") -> None:
        self.server, self.cookie = server, cookie
        digest = hashlib.sha256(VERIFIER.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        asked = {"response_type": "code", "client_id": shown["integration key"]}
        asked |= {"redirect_uri": BACK, "scope": "signature extended", "code_challenge": challenge}
        self.query = urlencode(asked | {"code_challenge_method": "S256"})

    def visit(self, path: str = "", form: Mapping[str, str] | None = None) -> Reply:
        """A page below /oauth/auth."""
        body = None if form is None else urlencode(form).encode()
        method = "GET" if form is None else "POST"
        url = f"/oauth/auth{path}?{self.query}"
        sent = {"Authorization": "", "Cookie": self.cookie, "Content_Type": FORM}
        answer = self.server.call(method, url, body, **sent)
        if text := answer.headers.get("Set-Cookie"):
            self.cookie = text.partition(";")[0]
        return answer

    def post(self, page: Reply, path: str, **form: str) -> Reply:
        """Send the form of a page."""
        found = re.search(r'name="token" value="([0-9a-f]{64})"', page.body.decode())
        assert found, page.body
        return self.visit(path, {"token": found[1], **form})

    def sign_in(self, password: str) -> Reply:
        return self.post(self.visit(), "/sign-in", email=EMAIL, password=password)

    def code(self, answer: Reply) -> str:
        """The code that an answer sends back to the application."""
        (found,) = parse_qs(urlsplit(answer.headers["Location"]).query)["code"]
        return found
