"""A launcher signs in with a code, as the quickstart's user, and goes on with the token."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.browser import Visitor
from tests.emulating import emulating
from tests.integration import post_form


async def test_the_quickstarts_user_signs_in_with_a_code(tmp_path: Path) -> None:
    async with emulating(tmp_path) as emulated:
        api = emulated.api
        found = json.loads((tmp_path / "data" / "quickstart.json").read_bytes())
        asked = {
            "response_type": "code",
            "scope": "signature",
            "client_id": found["integrationKey"],
            "redirect_uri": "http://localhost:3000/ds/callback",
            "state": "s",
        }
        async with Visitor(api) as visitor:
            await visitor.open(f"{api.server.base_uri}/oauth/auth?{urlencode(asked)}")
            await visitor.sign_in(found["email"], found["password"])
            gone = visitor.gone_to or await visitor.allow()
        (code,) = parse_qs(urlsplit(gone).query)["code"]
        basic = b64encode(f"{found['integrationKey']}:{found['secretKey']}".encode()).decode()
        form = {"grant_type": "authorization_code", "code": code}
        answer = await post_form(api, "/oauth/token", form, Authorization=f"Basic {basic}")
        assert answer.status == 200, answer.body
        bearer = f"Bearer {answer.json['access_token']}"
        made = {
            "emailSubject": "Please sign",
            "status": "sent",
            "documents": [{"documentId": "1", "name": "Lease"}],
            "recipients": {"signers": [{"name": "A", "email": "a@example.com"}]},
        }
        path = f"{api.account}/envelopes"
        envelope = await api.call("POST", path, made, Authorization=bearer)
        assert envelope.status == 201, envelope.body
        shown = await api.call("GET", f"{path}/{envelope.json['envelopeId']}", Authorization=bearer)
        assert shown.json["sender"]["email"] == found["email"]
