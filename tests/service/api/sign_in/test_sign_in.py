"""Signing in over HTTP: the consent page, the token endpoint, userinfo, the legacy header."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from heliograph.model.applications import ApplicationChange
from tests.browser import Visitor
from tests.integration import (
    ADA,
    BACK,
    FORM,
    PASSWORD,
    Integration,
    integrate,
    post_form,
    set_password,
)
from tests.server import Client, Reply, serving

VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
)
PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}


@pytest.fixture
async def app(api: Client) -> Integration:
    """Ada has a password and has consented to nothing; the application has no secret."""
    made = await integrate(api, consent=None)
    await set_password(api)
    return made


@pytest.fixture
async def visitor(api: Client) -> AsyncIterator[Visitor]:
    async with Visitor(api) as made:
        yield made


def auth_url(app: Integration, **over: str | None) -> str:
    fields = {
        "response_type": "code",
        "client_id": app.integration_key,
        "redirect_uri": BACK,
        "scope": "signature",
        "state": "a&b=<c>",
        **PKCE,
        **over,
    }
    return f"/oauth/auth?{urlencode({name: one for name, one in fields.items() if one})}"


def answered(visitor: Visitor | str) -> dict[str, str]:
    """What the application is told in the redirect."""
    url = visitor if isinstance(visitor, str) else visitor.gone_to or ""
    assert url.startswith(BACK + "?"), url
    return {name: one for name, (one,) in parse_qs(urlsplit(url).query).items()}


async def code_of(app: Integration, visitor: Visitor, **over: str | None) -> str:
    """Sign in where asked to, consent where asked to; the code."""
    await visitor.open(auth_url(app, **over))
    if visitor.gone_to is None and "password" in visitor.page:
        await visitor.sign_in("ada@example.com")
    return answered(visitor.gone_to or await visitor.allow())["code"]


async def add_secret(app: Integration) -> str:
    path = f"{app.api.account}/applications/{app.integration_key}/secrets"
    secret: str = (await app.api.call("POST", path)).json["secret"]
    return secret


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


async def exchange(app: Integration, code: str, **over: str | None) -> Reply:
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": app.integration_key,
        "code_verifier": VERIFIER,
        **over,
    }
    return await app.token(**{name: one for name, one in fields.items() if one})


async def as_bearer(app: Integration, token: str, path: str = "failures") -> Reply:
    return await app.api.call("GET", path, Authorization=f"Bearer {token}")


def refused(reply: Reply, error: str, status: int = 400) -> bool:
    assert set(reply.json) == {"error", "error_description"}
    assert reply.headers["Cache-Control"] == "no-store"
    return (reply.status, reply.json["error"]) == (status, error)


# ---------------------------------------------------------------- the authorization code grant


async def test_a_consent_that_a_user_gives_is_noted_as_the_user_s(
    app: Integration, visitor: Visitor
) -> None:
    await code_of(app, visitor)
    path = f"{app.api.connect}/audit?action=consent.given"
    (noted,) = (await app.api.call("GET", path)).json["audit"]
    assert (noted["actor"], noted["address"]) == ("ada@example.com", "127.0.0.1")
    assert (noted["userId"], noted["what"]) == (ADA, f"user {ADA}")


async def test_a_user_signs_in_and_consents_and_the_application_acts_with_the_user_s_role(
    app: Integration, visitor: Visitor
) -> None:
    await visitor.open(auth_url(app, login_hint="ada@example.com"))
    assert (visitor.status, "Sign in" in visitor.page) == (200, True)
    assert 'value="ada@example.com"' in visitor.page
    await visitor.sign_in("ADA@example.com")
    assert "Give CRM access?" in visitor.page
    assert "Ada Lovelace" in visitor.page
    assert "app.example" in visitor.page
    answer = answered(await visitor.allow())
    assert answer["state"] == "a&b=<c>"
    reply = await exchange(app, answer["code"], redirect_uri=BACK)
    assert (reply.status, reply.json["scope"], reply.json["expires_in"]) == (
        *(200, "signature"),
        28800,
    )
    token = reply.json["access_token"]
    assert (await as_bearer(app, token)).status == 200
    denied = await app.api.call("POST", app.api.connect, {}, Authorization=f"Bearer {token}")
    assert (denied.status, denied.error) == (401, "USER_LACKS_PERMISSIONS")
    # The role is the user's now, not when the token was made.
    change = {"users": [{"userId": ADA, "isAdmin": "true"}]}
    assert (await app.api.call("PUT", f"{app.api.account}/users", change)).status == 200
    allowed = await app.api.call("POST", app.api.connect, {}, Authorization=f"Bearer {token}")
    assert allowed.error != "USER_LACKS_PERMISSIONS"

    # Signed in and agreed: the next time leads straight back, unless it is asked for.
    await visitor.open(auth_url(app))
    assert "code" in answered(visitor)
    await visitor.open(auth_url(app, prompt="consent"))
    assert "Give CRM access?" in visitor.page
    await visitor.open(auth_url(app, prompt="login"))
    assert "Password" in visitor.page
    await visitor.sign_in("ada@example.com")
    assert "code" in answered(visitor)
    await visitor.open(auth_url(app, scope="signature extended"))
    assert "Stay connected" in visitor.page


async def test_who_cancels_gives_nothing_and_may_sign_in_as_somebody_else(
    app: Integration, visitor: Visitor
) -> None:
    await visitor.open(auth_url(app))
    await visitor.sign_in("ada@example.com")
    assert answered(await visitor.cancel()) == {"error": "access_denied", "state": "a&b=<c>"}
    await visitor.open(auth_url(app))
    before = visitor.cookies
    action, fields = visitor.forms[1]
    assert "sign-out" in action
    await visitor.post(action, fields)
    assert "Password" in visitor.page
    assert visitor.cookies != before


async def test_without_a_page_only_who_is_signed_in_and_has_consented_comes_back(
    app: Integration, visitor: Visitor
) -> None:
    await visitor.open(auth_url(app, prompt="none"))
    assert answered(visitor)["error"] == "login_required"
    await visitor.open(auth_url(app))
    await visitor.sign_in("ada@example.com")
    await visitor.open(auth_url(app, prompt="none"))
    assert answered(visitor)["error"] == "consent_required"
    await code_of(app, visitor)
    await visitor.open(auth_url(app, prompt="none"))
    assert "code" in answered(visitor)


async def test_an_application_may_have_the_user_sign_in_and_consent_anew(
    app: Integration, visitor: Visitor
) -> None:
    await code_of(app, visitor)
    await visitor.open(auth_url(app, prompt="login consent"))
    assert "Password" in visitor.page
    await visitor.sign_in("ada@example.com")
    assert "Give CRM access?" in visitor.page
    await visitor.open(auth_url(app, prompt="login"))
    assert "Password" in visitor.page
    await visitor.sign_in("ada@example.com")
    assert "code" in answered(visitor)


async def test_s9_an_application_on_this_machine_without_a_secret_asks_each_time(
    app: Integration, visitor: Visitor
) -> None:
    there = "http://127.0.0.1:9/back"
    await visitor.open(auth_url(app, redirect_uri=there))
    await visitor.sign_in("ada@example.com")
    assert (await visitor.allow()).startswith(there + "?code=")
    await visitor.open(auth_url(app, redirect_uri=there))
    assert "Give CRM access?" in visitor.page


@pytest.mark.parametrize(
    ("over", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "impersonation"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
    ],
)
async def test_s9_the_application_is_told_what_is_wrong_with_what_it_asks(
    app: Integration, visitor: Visitor, over: dict[str, str | None], error: str
) -> None:
    await visitor.open(auth_url(app, **over))
    assert answered(visitor)["error"] == error
    assert answered(visitor)["state"] == "a&b=<c>"


@pytest.mark.parametrize(
    "over",
    [
        {"client_id": "00000000-0000-4000-8000-000000000000"},
        {"client_id": None},
        {"client_id": "\0"},
        {"redirect_uri": None},
        {"redirect_uri": BACK + "/"},
        {"redirect_uri": BACK + "?x=1"},
        {"redirect_uri": BACK.upper()},
        {"redirect_uri": "https://app.example.evil.example/back"},
        {"redirect_uri": "https://app.example@evil.example/back"},
        {"redirect_uri": "javascript:alert(1)"},
    ],
)
async def test_s9_nothing_is_redirected_to_what_is_not_registered(
    app: Integration, visitor: Visitor, over: dict[str, str | None]
) -> None:
    for prompt in (None, "none"):
        await visitor.open(auth_url(app, **over, prompt=prompt))
        assert (visitor.status, visitor.gone_to) == (400, None)
        assert "This does not work" in visitor.page
        assert "evil.example" not in visitor.page


async def test_s9_a_parameter_given_twice_is_refused(app: Integration, visitor: Visitor) -> None:
    evil = "&redirect_uri=" + quote("https://evil.example/")
    await visitor.open(auth_url(app) + evil)
    assert (visitor.status, visitor.gone_to) == (400, None)


async def test_s9_pages_run_no_script_stand_in_no_frame_and_keep_their_cookie_to_themselves(
    app: Integration, visitor: Visitor
) -> None:
    name = '<script>alert("x")</script>'
    path = f"{app.api.account}/applications/{app.integration_key}"
    assert (await app.api.call("PUT", path, {"name": name})).status == 200
    await visitor.open(auth_url(app, login_hint='"><img src=x onerror=1>'))
    assert "<script" not in visitor.page
    assert "<img" not in visitor.page
    assert "&lt;script&gt;" in visitor.page
    policy = visitor.headers["Content-Security-Policy"]
    for part in ("default-src 'none'", "style-src 'self'", "frame-ancestors 'none'"):
        assert part in policy
    assert "form-action 'self' https://app.example" in policy
    assert "unsafe" not in policy
    assert visitor.headers["X-Frame-Options"] == "DENY"
    assert visitor.headers["Cache-Control"] == "no-store"
    cookie = visitor.headers["Set-Cookie"]
    for part in ("HttpOnly", "SameSite=lax", "Path=/oauth/auth"):
        assert part in cookie
    assert "Secure" not in cookie  # over plain HTTP it would never come back
    await visitor.sign_in("ada@example.com")
    assert "&lt;script&gt;" in visitor.page
    style = await app.api.call("GET", "/oauth/style.css", Authorization="")
    assert (style.status, style.headers["Content-Type"]) == (200, "text/css; charset=utf-8")


@pytest.mark.parametrize(
    "uri", ["https://*.example/x", "https://a.example,b.example/", "https://a.example;x-src/"]
)
async def test_s9_a_redirect_uri_of_before_widens_no_policy(
    app: Integration, visitor: Visitor, uri: str
) -> None:
    change = ApplicationChange(app.integration_key, redirect_uris=(uri,))
    await app.api.server.store.sign_ins.change_application(app.api.credentials.account_id, change)
    await visitor.open(auth_url(app, redirect_uri=uri))
    assert visitor.status == 200
    assert visitor.headers["Content-Security-Policy"].endswith("form-action 'self'")
    # And none like it is registered any more.
    path = f"{app.api.account}/applications/{app.integration_key}"
    for method, at in (("PUT", path), ("POST", f"{app.api.account}/applications")):
        reply = await app.api.call(method, at, {"name": "x", "redirectUris": [uri]})
        assert (reply.status, reply.error) == (400, "INVALID_REQUEST_BODY")
        assert uri not in reply.json["message"]


async def test_s9_behind_a_proxy_with_https_the_cookie_is_secure_and_userinfo_names_the_proxy(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, public_url="https://connect.example.com") as api:
        app = await integrate(api)
        page = await api.call("GET", auth_url(app), Authorization="")
        assert page.headers["Set-Cookie"].startswith("__Host-heliograph=")
        parts = set(page.headers["Set-Cookie"].split("; ")[1:])
        assert parts == {"HttpOnly", "Path=/", "SameSite=lax", "Secure"}  # and no Domain
        asked = app.assertion(aud="connect.example.com")
        token = (await app.ask(asked.text)).json["access_token"]
        info = await as_bearer(app, token, "/oauth/userinfo")
        assert info.json["accounts"][0]["base_uri"] == "https://connect.example.com"
        assert refused(await app.ask(app.assertion().text), "invalid_grant")
        known = await api.call("GET", "/.well-known/oauth-authorization-server", Authorization="")
        assert known.json["token_endpoint"] == "https://connect.example.com/oauth/token"


async def test_s9_forms_of_other_sites_and_old_cookies_are_refused(
    app: Integration, visitor: Visitor, api: Client
) -> None:
    await visitor.open(auth_url(app))
    action, fields = visitor.forms[0]
    for token in ("", "0" * 64, "é"):
        await visitor.post(action, {**fields, "token": token, "email": "a", "password": "b"})
        assert (visitor.status, visitor.gone_to) == (403, None)
    await visitor.open(auth_url(app))
    await visitor.sign_in("ada@example.com")
    action, fields = visitor.forms[0]
    async with Visitor(api) as stranger:  # knows the page, not the cookie
        await stranger.open(auth_url(app))
        await stranger.post(action, {**fields, "decision": "allow"})
        assert (stranger.status, stranger.gone_to) == (403, None)
    # A sign-in begins a new cookie, whatever the visitor came with.
    async with Visitor(api) as fixed:
        await fixed.open(auth_url(app))
        before = fixed.cookies
        await fixed.sign_in("ada@example.com")
        assert fixed.cookies != before
    # A new password ends what was signed in.
    await set_password(api, "another good password")
    await visitor.post(action, {**fields, "decision": "allow"})
    assert "Password" in visitor.page
    await visitor.sign_in("ada@example.com")
    assert (visitor.status, "is wrong" in visitor.page) == (403, True)
    await visitor.sign_in("ada@example.com", "another good password")
    assert "Give CRM access?" in visitor.page


async def test_s9_the_account_of_a_closed_user_or_without_a_password_is_not_entered(
    app: Integration, visitor: Visitor, api: Client
) -> None:
    texts = set()
    for name, password in (
        ("ada@example.com", "wrong password"),
        ("nobody@example.com", PASSWORD),
        (f"{ADA[:-1]}1", PASSWORD),
        ("x" * 10_000, PASSWORD),
    ):
        await visitor.open(auth_url(app))
        await visitor.sign_in(name, password)
        assert visitor.status == 403
        texts.add("The e-mail or the password is wrong." in visitor.page)
    assert texts == {True}
    assert (await api.call("DELETE", f"{api.account}/users/{ADA}/password")).status == 200
    await visitor.open(auth_url(app))
    await visitor.sign_in("ada@example.com")
    assert visitor.status == 403


# ------------------------------------------------------------------------ the token endpoint


async def test_s9_codes_are_for_who_asked_and_once(app: Integration, visitor: Visitor) -> None:
    code = await code_of(app, visitor)
    assert refused(await exchange(app, code, code_verifier="w" * 43), "invalid_grant")
    code = await code_of(app, visitor)
    assert refused(await exchange(app, code, redirect_uri=BACK + "/"), "invalid_grant")
    code = await code_of(app, visitor)
    for over, error in (
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": "short"}, "invalid_request"),
        ({"code": None}, "invalid_request"),
        ({"code": "unknown"}, "invalid_grant"),
    ):
        assert refused(await exchange(app, **{"code": code, **over}), error)  # type: ignore[arg-type]
    for over in ({"client_secret": "x"}, {"client_id": "00000000-0000-4000-8000-000000000000"}):
        assert refused(await exchange(app, code, **over), "invalid_client", 401)
    first = await exchange(app, code)
    assert first.status == 200
    assert refused(await exchange(app, code), "invalid_grant")
    # It was stolen, by whom is not known: what it brought is revoked.
    assert (await as_bearer(app, first.json["access_token"])).status == 401


async def test_s9_an_application_with_a_secret_proves_itself_by_it(
    app: Integration, visitor: Visitor
) -> None:
    secret, second = await add_secret(app), await add_secret(app)
    code = await code_of(app, visitor, code_challenge=None, code_challenge_method=None)
    form = {"grant_type": "authorization_code", "code": code}
    key = app.integration_key

    async def post(fields: dict[str, str], header: str = "") -> Reply:
        return await post_form(app.api, "/oauth/token", fields, Authorization=header)

    wrong = await post(form, basic(key, "wrong"))
    assert refused(wrong, "invalid_client", 401)
    assert wrong.headers["WWW-Authenticate"].startswith("Basic ")
    assert refused(await post({**form, "client_id": key}), "invalid_client", 401)
    for header in ("Basic", "Basic !", "Bearer x", basic(key, secret).replace("Basic", "Digest")):
        assert refused(await post(form, header), "invalid_client", 401)
    both = {**form, "client_id": key, "client_secret": secret}
    assert refused(await post(both, basic(key, second)), "invalid_request")
    assert refused(
        await post({**both, "client_secret": second}, basic(key, secret)), "invalid_request"
    )
    other = {**form, "client_id": "00000000-0000-4000-8000-000000000000"}
    assert refused(await post(other, basic(key, secret)), "invalid_request")
    assert (await post(form, basic(key.upper(), second))).status == 200
    code = await code_of(app, visitor, code_challenge=None, code_challenge_method=None)
    assert (await post({**both, "code": code})).status == 200


async def test_fidelity_the_same_secret_twice_is_taken_with_pkce_too(
    app: Integration, visitor: Visitor
) -> None:
    secret = await add_secret(app)
    form = {
        "grant_type": "authorization_code",
        "code": await code_of(app, visitor),
        "client_id": app.integration_key,
        "client_secret": secret,
        "code_verifier": VERIFIER,
    }
    header = basic(app.integration_key, secret)
    reply = await post_form(app.api, "/oauth/token", form, Authorization=header)
    assert reply.status == 200, reply.body
    again = {"grant_type": "refresh_token", "refresh_token": reply.json["refresh_token"]}
    again |= {"client_id": app.integration_key, "client_secret": secret}
    assert (await post_form(app.api, "/oauth/token", again, Authorization=header)).status == 200
    wrong = {**again, "client_secret": "wrong"}
    reply = await post_form(app.api, "/oauth/token", wrong, Authorization=header)
    assert refused(reply, "invalid_request")
    wrong = {**again, "client_secret": "wrong"}
    both = basic(app.integration_key, "wrong")
    reply = await post_form(app.api, "/oauth/token", wrong, Authorization=both)
    assert refused(reply, "invalid_client", 401)


async def test_s9_refresh_tokens_rotate_and_an_old_one_ends_them_all(
    app: Integration, visitor: Visitor
) -> None:
    first = (await exchange(app, await code_of(app, visitor))).json

    async def refresh(token: str, **more: str) -> Reply:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return await app.token(**form, client_id=app.integration_key, **more)

    assert refused(await refresh("unknown"), "invalid_grant")
    assert refused(await refresh(first["refresh_token"], scope="extended"), "invalid_scope")
    second = (await refresh(first["refresh_token"])).json
    assert set(second) == {
        *("access_token", "token_type", "expires_in", "scope", "refresh_token"),
    }
    assert second["refresh_token"] != first["refresh_token"]
    assert (await as_bearer(app, second["access_token"])).status == 200
    assert refused(await refresh(first["refresh_token"]), "invalid_grant")
    assert refused(await refresh(second["refresh_token"]), "invalid_grant")
    for one in (first, second):
        assert (await as_bearer(app, one["access_token"])).status == 401


async def test_tokens_are_revoked_and_the_answer_does_not_tell_whether_there_was_one(
    app: Integration, visitor: Visitor
) -> None:
    granted = (await exchange(app, await code_of(app, visitor))).json

    async def revoke(token: str) -> Reply:
        form = {"token": token, "client_id": app.integration_key}
        return await post_form(app.api, "/oauth/revoke", form)

    assert (await revoke("unknown")).status == 200
    assert (await revoke(granted["access_token"])).status == 200
    assert (await as_bearer(app, granted["access_token"])).status == 401
    assert refused(await post_form(app.api, "/oauth/revoke", {"token": "x"}), "invalid_request")


@pytest.mark.parametrize(
    ("body", "content_type", "error", "status"),
    [
        (b"", FORM, "invalid_request", 400),
        (b"grant_type=", FORM, "invalid_request", 400),
        (b"grant_type=password", FORM, "unsupported_grant_type", 400),
        (b"grant_type=client_credentials", FORM, "unsupported_grant_type", 400),
        (b"grant_type=a&grant_type=a", FORM, "invalid_request", 400),
        (b"grant_type=%ff", FORM, "invalid_request", 400),
        (b"grant_type=\xff", FORM, "invalid_request", 400),
        (b"grant_type=refresh_token&refresh_token=%00&client_id=x", FORM, "invalid_request", 400),
        (b"&".join(b"a%d=1" % one for one in range(99)), FORM, "invalid_request", 400),
        (b'{"grant_type": "refresh_token"}', "application/json", "invalid_request", 400),
        (b"grant_type=refresh_token", "", "invalid_request", 400),
        (b"a=" + b"x" * 2**17, FORM, "invalid_request", 413),
        (b"grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer", FORM, "invalid_request", 400),
    ],
)
async def test_s9_a_request_for_a_token_that_is_none_is_refused_by_name(
    api: Client, body: bytes, content_type: str, error: str, status: int
) -> None:
    headers = {"Authorization": "", "Content-Type": content_type}
    reply = await api.call("POST", "/oauth/token", data=body, **headers)
    assert refused(reply, error, status)


async def test_s9_tokens_are_not_asked_for_in_a_url_and_not_given_in_one(
    app: Integration, visitor: Visitor
) -> None:
    reply = await app.api.call("GET", "/oauth/token", Authorization="")
    assert refused(reply, "invalid_request", 405)
    assert reply.headers["Allow"] == "POST"
    text = app.assertion().text
    in_url = f"/oauth/token?grant_type=x&assertion={text}"
    assert refused(await post_form(app.api, in_url, {}), "invalid_request")
    token = (await exchange(app, await code_of(app, visitor))).json["access_token"]
    path = f"{app.api.connect}/failures?access_token={token}"
    assert (await app.api.call("GET", path, Authorization="")).status == 401
    assert (await app.api.call("GET", "failures", Authorization=f"bEARER {token}")).status == 200
    info = await app.api.call("GET", f"/oauth/userinfo?access_token={token}", Authorization="")
    assert refused(info, "invalid_token", 401)


# --------------------------------------------------------------------- scopes, J13, J14


async def test_s9_a_token_needs_the_scope_signature_and_the_account_in_the_path(
    app: Integration, visitor: Visitor, api: Client
) -> None:
    body = {"name": "narrow", "scopes": "reports"}
    narrow = (await api.call("POST", f"{api.account}/tokens", body)).json["accessToken"]
    reply = await as_bearer(app, narrow)
    assert (reply.status, reply.error) == (401, "AUTHORIZATION_INVALID_TOKEN")
    assert "signature" in reply.json["message"]
    made = await api.call("POST", "/restapi/v2.1/accounts", {"accountName": "Other"})
    token = (await exchange(app, await code_of(app, visitor))).json["access_token"]
    other = f"/restapi/v2.1/accounts/{made.json['accountId']}/connect/failures"
    assert (await as_bearer(app, token, other)).status == 404


async def test_s9_a_session_is_no_token_and_a_token_no_session(
    app: Integration, visitor: Visitor, api: Client
) -> None:
    token = (await exchange(app, await code_of(app, visitor))).json
    (cookie,) = [one.partition("=")[2] for one in visitor.cookies]
    for text in (cookie, token["refresh_token"]):
        assert (await as_bearer(app, text)).status == 401
        assert (await as_bearer(app, text, "/oauth/userinfo")).status == 401
    for text in (token["access_token"], api.credentials.access_token.reveal()):
        page = await api.call("GET", auth_url(app), Authorization="", Cookie=f"heliograph={text}")
        assert b"Password" in page.body


async def test_userinfo_tells_who_and_where_and_refuses_who_is_nobody(app: Integration) -> None:
    api = app.api
    assert refused(await as_bearer(app, "unknown", "/oauth/userinfo"), "invalid_token", 401)
    # The administrator's token of the data directory stands for no user.
    found = await api.call("GET", "/oauth/userinfo")
    assert refused(found, "invalid_token", 401)
    assert found.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


async def test_fidelity_names_of_userinfo_are_filled(app: Integration) -> None:
    consent = {"integrationKey": app.integration_key, "userId": ADA}
    assert (await app.api.call("POST", f"{app.api.account}/consents", consent)).status == 201

    async def named(**change: str) -> tuple[str, str, str]:
        body = {"users": [{"userId": ADA, **change}]}
        assert (await app.api.call("PUT", f"{app.api.account}/users", body)).status == 200
        token = (await app.ask(app.assertion().text)).json["access_token"]
        found = (await as_bearer(app, token, "/oauth/userinfo")).json
        return found["name"], found["given_name"], found["family_name"]

    nobody = {"firstName": "", "lastName": ""}
    named_by_whole = await named(userName="Ada King Lovelace", **nobody)
    assert named_by_whole == ("Ada King Lovelace", "Ada", "King Lovelace")
    assert await named(userName="Ada") == ("Ada", "Ada", "")
    assert await named(lastName="Lovelace") == ("Ada", "", "Lovelace")


# ------------------------------------------------------------------------- the legacy header


def legacy(name: str = "ada@example.com", password: str = PASSWORD, **more: str) -> str:
    return json.dumps({"Username": name, "Password": password, **more})


async def with_header(api: Client, text: str, **more: str) -> Reply:
    headers: dict[str, Any] = {"Authorization": "", "X-DocuSign-Authentication": text, **more}
    return await api.call("GET", "failures", **headers)


async def test_s9_the_legacy_header_is_off_unless_it_is_switched_on(
    app: Integration, tmp_path: Path
) -> None:
    text = legacy(IntegratorKey=app.integration_key)
    reply = await with_header(app.api, text)
    assert (reply.status, reply.error) == (401, "PARTNER_AUTHENTICATION_FAILED")
    async with serving(tmp_path / "on", legacy_header=True) as api:
        app = await integrate(api)
        await set_password(api)
        key = app.integration_key
        for name in ("ada@example.com", ADA):
            assert (await with_header(api, legacy(name, IntegratorKey=key))).status == 200
        for bad, status, code in (
            (legacy(password="wrong", IntegratorKey=key), 401, "USER_AUTHENTICATION_FAILED"),
            (legacy("nobody@example.com", IntegratorKey=key), 401, "USER_AUTHENTICATION_FAILED"),
            (legacy(""), 401, "USER_AUTHENTICATION_FAILED"),
            (legacy(), 401, "PARTNER_AUTHENTICATION_FAILED"),
            (legacy(IntegratorKey="unknown"), 401, "PARTNER_AUTHENTICATION_FAILED"),
            ("<DocuSignCredentials/>", 401, "PARTNER_AUTHENTICATION_FAILED"),
            ("[]", 401, "PARTNER_AUTHENTICATION_FAILED"),
            ('{"Username": 1}', 401, "PARTNER_AUTHENTICATION_FAILED"),
        ):
            reply = await with_header(api, bad)
            assert (reply.status, reply.error) == (status, code)
            assert reply.headers["WWW-Authenticate"] == "Bearer"
        right = legacy(IntegratorKey=key)
        token = api.credentials.access_token.reveal()
        both = await with_header(api, right, Authorization=f"Bearer {token}")
        assert (both.status, both.error) == (401, "AUTHORIZATION_INVALID_TOKEN")
        # A new password holds at once, though the old one was just right.
        await set_password(api, "another good password")
        assert (await with_header(api, right)).status == 401


async def test_an_administrator_may_act_for_another_user_of_the_account(tmp_path: Path) -> None:
    async with serving(tmp_path, legacy_header=True) as api:
        app = await integrate(api)
        await set_password(api)
        bob = {"userName": "Bob", "email": "bob@example.com"}
        await api.call("POST", f"{api.account}/users", {"newUsers": [bob]})
        for_bob = legacy(IntegratorKey=app.integration_key, SendOnBehalfOf="bob@example.com")
        reply = await with_header(api, for_bob)
        assert (reply.status, reply.error) == (401, "USER_LACKS_PERMISSIONS")
        change = {"users": [{"userId": ADA, "isAdmin": "true"}]}
        await api.call("PUT", f"{api.account}/users", change)
        assert (await with_header(api, for_bob)).status == 200
        # As Bob, a viewer: no more than Bob may do.
        headers: dict[str, Any] = {"Authorization": "", "X-DocuSign-Authentication": for_bob}
        made = await api.call("POST", api.connect, {}, **headers)
        assert (made.status, made.error) == (401, "USER_LACKS_PERMISSIONS")
        nobody = legacy(IntegratorKey=app.integration_key, SendOnBehalfOf="nobody@example.com")
        assert (await with_header(api, nobody)).error == "USER_LACKS_PERMISSIONS"
