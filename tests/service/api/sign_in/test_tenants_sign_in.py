"""S8 at the endpoints of /oauth and in the legacy header, which name no account.

Each case is called with something of the other account, and with something that nobody has. As
in test_tenants.py the answers must be the same, and the other account's rows what they were.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.integration import JWT_BEARER, Assertion, post_form, private_key
from tests.listener import LoopbackListener
from tests.server import Client, Reply, serving
from tests.service.api.test_tenants import (
    MARK,
    AccountRows,
    changes,
    comparable,
    furnish,
    missing,
    redeem,
    sign_in,
    tenant,
)

TOKEN, REVOKE = "/oauth/token", "/oauth/revoke"
Form = Mapping[str, str]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_s8_a_grant_finds_and_spends_nothing_of_another_account(
    engine: str,
    request: pytest.FixtureRequest,
    listener: LoopbackListener,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    listener.status = 500
    url = request.getfixturevalue("database_url") if engine == "postgres" else ""
    options = {"database_url": url, "legacy_header": True}
    async with (
        serving(tmp_path, **options) as operator,
        tenant(operator, "mine") as mine,
        tenant(operator, MARK) as other,
    ):
        own = await furnish(mine, listener, "mine")
        foreign = await furnish(other, listener, MARK)
        nobodys = missing(foreign)
        for one, client, word in ((own, mine, "mine"), (foreign, other, MARK)):
            one["code"] = await sign_in(client, one, one["address"], word * 3)
            tokens = await redeem(client, one, await sign_in(client, one, one["address"], word * 3))
            one |= {name: tokens[name] for name in ("access_token", "refresh_token")}
            to_console = f"{operator.server.base_uri}/console/sign-in"
            async with client.session.post(
                to_console,
                data={"token": client.credentials.access_token.reveal()},
                allow_redirects=False,
            ) as answer:
                assert answer.status == 303
        for name in ("code", "access_token", "refresh_token", "secret"):
            nobodys[name] = "0" * 43
        leaks, count = [], 0
        with AccountRows(operator, foreign) as dump:
            before = dump()
            assert all(before[table] for table in _TABLES), "the other account has them"
            for (place, send), (_, twin) in zip(
                _cases(mine, own, foreign), _cases(mine, own, nobodys), strict=True
            ):
                count += 1
                answers = [comparable(await _sent(mine, *one), "") for one in (send, twin)]
                if answers[0] != answers[1]:
                    leaks.append(f"{place}: {answers[0]} and not {answers[1]}")
                if MARK in repr(answers[0]):
                    leaks.append(f"{place}: {answers[0]}")
                changed = changes(before, after := dump())
                if place.startswith("legacy Username"):  # of a wrong password its audit tells
                    changed = [table for table in changed if table != "audit_entry"]
                if changed:
                    leaks.append(f"{place}: changed {changed}")
                before = after
        with capsys.disabled():
            sys.stdout.write(f"\ngrants across accounts: {count} cases, {len(leaks)} leaks\n")
        assert not leaks, "\n".join(leaks)
        # What was tried in vain is as good as before.
        assert await redeem(other, foreign, foreign["code"])


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_s8_users_of_any_account_consent_on_the_page_and_only_their_own_account_sees_it(
    engine: str, request: pytest.FixtureRequest, listener: LoopbackListener, tmp_path: Path
) -> None:
    listener.status = 500
    url = request.getfixturevalue("database_url") if engine == "postgres" else ""
    async with (
        serving(tmp_path, database_url=url) as operator,
        tenant(operator, "mine") as mine,
        tenant(operator, MARK) as other,
    ):
        own = await furnish(mine, listener, "mine")
        foreign = await furnish(other, listener, MARK)
        named = {"integrationKey": own["application"], "userId": foreign["user"]}
        # No administrator may say it for them, neither the application's nor the user's.
        for client in (mine, other):
            refused = await client.call("POST", f"{client.account}/consents", named)
            assert refused.status == 404, refused.body
        code = await sign_in(other, own, foreign["address"], MARK * 3)
        tokens = await redeem(other, own, code)
        # What it brings is of the user's account.
        bearer = f"Bearer {tokens['access_token']}"
        for client, status in ((other, 200), (mine, 404)):
            answer = await client.call("GET", f"{client.connect}/failures", Authorization=bearer)
            assert answer.status == status, answer.body
        shown = (await other.call("GET", "/oauth/userinfo", Authorization=bearer)).json
        assert [one["account_id"] for one in shown["accounts"]] == [foreign["account"]]
        for query in ("", f"?user_id={foreign['user']}", f"?integration_key={own['application']}"):
            seen = await mine.call("GET", f"{mine.account}/consents{query}")
            assert MARK not in seen.body.decode()
            assert foreign["user"] not in seen.body.decode()
        path = f"consents/{own['application']}/{foreign['user']}"
        assert (await mine.call("DELETE", f"{mine.account}/{path}")).status == 404
        listed = (await other.call("GET", f"{other.account}/consents")).json["consents"]
        assert own["application"] in [one["integrationKey"] for one in listed]
        application = f"applications/{own['application']}"
        assert (await other.call("GET", f"{other.account}/{application}")).status == 404
        assert (await other.call("DELETE", f"{other.account}/{path}")).status == 200
        gone = await other.call("GET", f"{other.connect}/failures", Authorization=bearer)
        assert gone.status == 401


_TABLES = {
    *("application", "application_key", "application_secret", "consent", "token"),
    *("authorization_code", "refresh_token", "sign_in_session", "console_session"),
}

_Sent = tuple[str, Form]


def _cases(client: Client, own: Form, named: Form) -> Iterator[tuple[str, _Sent]]:
    """Where a grant may name something, and what is sent then: a path with a form, or a header."""
    mine = {"client_id": own["application"], "client_secret": own["secret"]}
    code = {"grant_type": "authorization_code", **mine}
    refresh = {"grant_type": "refresh_token", **mine}
    for kind in ("code", "access_token", "refresh_token"):
        yield f"code {kind}", (TOKEN, {**code, "code": named[kind]})
        yield f"refresh {kind}", (TOKEN, {**refresh, "refresh_token": named[kind]})
        yield f"revoke {kind}", (REVOKE, {**mine, "token": named[kind]})
    for kind in ("application", "secret"):
        field = "client_id" if kind == "application" else "client_secret"
        # With things of the caller's own, which a wrong client must not spend either.
        whole = {**code, "code": own["code"], field: named[kind]}
        yield f"code, {field}", (TOKEN, whole)
        whole = {**refresh, "refresh_token": own["refresh_token"], field: named[kind]}
        yield f"refresh, {field}", (TOKEN, whole)
        yield (
            f"revoke, {field}",
            (REVOKE, {**mine, "token": own["access_token"], field: named[kind]}),
        )
    stolen = {"client_id": named["application"]}
    for kind, grant in (("code", "authorization_code"), ("refresh_token", "refresh_token")):
        yield (
            f"{kind} without a secret",
            (TOKEN, {**stolen, "grant_type": grant, kind: named[kind]}),
        )
    yield "revoke without a secret", (REVOKE, {**stolen, "token": named["access_token"]})
    now = int(time.time())
    claims = {"iss": own["application"], "sub": own["user"], "scope": "signature"}
    claims |= {"aud": client.server.base_uri.partition("://")[2]}
    good = Assertion({**claims, "iat": now, "exp": now + 600}, key=private_key("mine"))
    for place, one in (
        ("iss", good.with_(iss=named["application"])),
        ("iss alone", good.with_(iss=named["application"], sub=None)),
        ("iss and sub", good.with_(iss=named["application"], sub=named["user"])),
        ("kid", good.headed(kid=named["application key"])),
        ("sub, as an e-mail", good.with_(sub=named["address"])),
        ("sub, as an account", good.with_(sub=named["account"])),
        ("aud", good.with_(aud=named["application"])),
    ):
        yield f"assertion {place}", (TOKEN, {"grant_type": JWT_BEARER, "assertion": one.text})
    header = {"Username": own["address"], "Password": "mine" * 3}
    header |= {"IntegratorKey": own["application"]}
    for field, kind in (
        *(("SendOnBehalfOf", "user"), ("SendOnBehalfOf", "address")),
        *(("Username", "user"), ("Username", "address")),
    ):
        yield f"legacy {field} ({kind})", (f"{client.connect}/logs", {**header, field: named[kind]})


async def _sent(client: Client, path: str, form: Form) -> Reply:
    if path.startswith("/oauth"):
        return await post_form(client, path, form)
    legacy = json.dumps(dict(form))
    return await client.call("GET", path, Authorization="", X_DocuSign_Authentication=legacy)
