"""`connect/oauth`: the account's OAuth client over the API and the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from heliograph.cli import main
from heliograph.wire.configurations import MASK
from tests import pki
from tests.busy import hang
from tests.listener import LoopbackListener
from tests.scripted import Listener, Peer, keep_answering, listening
from tests.server import Client, serving
from tests.service.outbound.staged import TOKEN, answer, authorization, form, gives
from tests.support import published

SECRET = "canary-client-secret-71b3"


def client(url: str, **over: Any) -> dict[str, Any]:
    given = {"authorizationServerUrl": url, "clientId": "heliograph", "clientSecret": SECRET}
    return given | over


async def test_the_four_calls_make_change_and_forget_it_and_never_show_the_secret(
    api: Client, listener: LoopbackListener
) -> None:
    url = f"{listener.base}/token"
    for method in ("GET", "DELETE"):
        assert (await api.call(method, "oauth")).error == "RESOURCE_NOT_FOUND"
    assert (await api.call("PUT", "oauth", {"scope": "x"})).error == "RESOURCE_NOT_FOUND"
    custom = {"audience": "https://hooks.example.com"}
    made = await api.call("POST", "oauth", client(url, scope="a b", customParameters=custom))
    shown = client(url, scope="a b", customParameters=custom, clientSecret=MASK)
    assert (made.status, made.json) == (201, shown)
    again = await api.call("POST", "oauth", client(url))
    assert (again.status, again.error) == (409, "CONNECT_OAUTH_ALREADY_EXISTS")
    assert (await api.call("GET", "oauth")).json == shown

    changed = await api.call("PUT", "oauth", {"clientSecret": "newer", "scope": ""})
    del shown["scope"]
    assert (changed.status, changed.json) == (200, shown)
    account_id = api.credentials.account_id
    kept = await api.call("PUT", "oauth", shown | {"clientId": "other"})
    assert kept.json == shown | {"clientId": "other"}
    stored = await api.server.store.oauth.get(account_id)
    assert stored is not None
    assert stored.client_secret.reveal() == "newer"

    deleted = await api.call("DELETE", "oauth")
    assert (deleted.status, deleted.body) == (200, b"")
    assert (await api.call("GET", "oauth")).status == 404


async def test_it_speaks_xml(api: Client, listener: LoopbackListener) -> None:
    url = f"{listener.base}/token".encode()
    body = (
        b'<connectOAuthConfig xmlns="http://www.docusign.com/restapi">'
        b"<authorizationServerUrl>" + url + b"</authorizationServerUrl>"
        b"<clientId>c</clientId><clientSecret>" + SECRET.encode() + b"</clientSecret>"
        b"<customParameters><audience>a</audience></customParameters></connectOAuthConfig>"
    )
    made = await api.call(
        *("POST", "oauth"), data=body, Content_Type="application/xml", Accept="application/xml"
    )
    assert made.status == 201
    assert b"<customParameters><audience>a</audience></customParameters>" in made.body
    assert SECRET.encode() not in made.body


@pytest.mark.parametrize(
    ("over", "named"),
    [
        ({"authorizationServerUrl": ""}, "authorizationServerUrl"),
        ({"clientId": ""}, "clientId"),
        ({"clientSecret": ""}, "clientSecret"),
        ({"clientSecret": MASK}, "clientSecret"),
        ({"authorizationServerUrl": "ftp://login.example.com/"}, "authorizationServerUrl"),
        ({"authorizationServerUrl": "http://169.254.169.254/"}, "authorizationServerUrl"),
        ({"customParameters": {"a b": "c"}}, "customParameters: 'a b'"),
    ],
)
async def test_s1_what_cannot_be_used_is_refused_when_it_is_saved(
    api: Client, listener: LoopbackListener, over: dict[str, Any], named: str
) -> None:
    url = f"{listener.base}/token"
    refused = await api.call("POST", "oauth", client(url) | over)
    assert refused.status == 400
    assert refused.json["message"].startswith(named), refused.json
    assert SECRET not in refused.json["message"]
    await api.call("POST", "oauth", client(url))
    if over.get("clientSecret") != MASK:  # which means here that it stays
        assert (await api.call("PUT", "oauth", over)).status == 400
    assert (await api.call("GET", "oauth")).json == client(url, clientSecret=MASK)


async def delivered(api: Client, event_id: str) -> None:
    """Publish an event and wait until all its posts have ended well."""
    before = int((await api.call("GET", "logs")).json["totalRecords"])
    await api.call("POST", "events", published(envelope_id=event_id, event_id=event_id))
    async with hang(20):
        while int((await api.call("GET", "logs")).json["totalRecords"]) == before:
            await asyncio.sleep(0.005)
    assert (await api.call("GET", "failures")).json["totalRecords"] == "0"


async def test_s7_its_tokens_are_sent_by_who_has_no_client_of_its_own(api: Client) -> None:
    async with listening(keep_answering) as hook, listening(gives()) as server:
        connect_id = await api.configure(
            hook.url, includeOAuth="true", oAuthConfiguration={"scope": "not whole"}
        )
        tested = (await api.call("POST", f"{connect_id}/test")).json
        assert "the account has no OAuth client" in tested["error"]
        await api.call("POST", "oauth", client(server.url, scope="account"))
        await delivered(api, "one")
        assert authorization(hook) == f"Bearer {TOKEN}-1"
        sent = {"grant_type": "client_credentials", "client_id": "heliograph", "scope": "account"}
        assert dict(form(server)) == sent | {"client_secret": SECRET}

        # A change takes effect with the next attempt.
        await api.call("PUT", "oauth", {"clientSecret": "a new secret of it"})
        await delivered(api, "two")
        assert authorization(hook, 1) == f"Bearer {TOKEN}-2"
        assert dict(form(server, 1))["client_secret"] == "a new secret of it"
        tested = (await api.call("POST", f"{connect_id}/test")).json
        assert tested["success"] == "true", tested
        assert TOKEN not in json.dumps(tested)

        # Who has one of its own goes on with that, unless it is told not to.
        async with listening(gives()) as own:
            change = {"connectId": connect_id, "oAuthConfiguration": client(own.url)}
            await api.call("PUT", api.connect, change)
            await delivered(api, "three")
            assert len(own.requests) == 1
            off = {"connectId": connect_id, "enableOAuthPerConfiguration": "false"}
            await api.call("PUT", api.connect, off)
            await delivered(api, "four")
            assert (len(own.requests), len(server.requests)) == (1, 2)


async def test_s1_the_guard_looks_at_the_authorization_server_at_each_use(tmp_path: Path) -> None:
    async with listening(gives()) as server, listening(keep_answering) as hook:
        async with serving(tmp_path) as api:
            await api.call("POST", "oauth", client(server.url))
            connect_id = await api.configure(hook.url, includeOAuth="true")
        public = {"egress": "public", "egress_allow": ""}
        async with serving(tmp_path, **public) as api:
            tested = (await api.call("POST", f"{connect_id}/test")).json
            assert tested["success"] == "false"
            assert "token: " in tested["error"]
            assert "refused address" in tested["error"]
        # It was asked where it could be, when the client was saved.
        assert (server.connections, hook.connections) == (1, 0)


async def test_a_viewer_may_not_see_it(api: Client, listener: LoopbackListener) -> None:
    made = await api.call("POST", f"{api.account}/tokens", {"name": "v", "role": "viewer"})
    bearer = f"Bearer {made.json['accessToken']}"
    await api.call("POST", "oauth", client(f"{listener.base}/token"))
    assert (await api.call("GET", "oauth", Authorization=bearer)).error == "USER_LACKS_PERMISSIONS"


async def test_s7_the_command_takes_the_secret_from_a_file_or_a_prompt(
    api: Client, listener: LoopbackListener, tmp_path: Path
) -> None:
    env = {"HELIOGRAPH_DATA_DIR": str(tmp_path / "data"), "COLUMNS": "80"}

    async def run(*words: str, stdin: str | None = None, status: int = 0) -> str:
        done = await asyncio.to_thread(
            CliRunner(env=env).invoke, main, ["connect-oauth", *words], input=stdin
        )
        assert done.exit_code == status, done.output
        assert SECRET not in done.output
        return done.output

    async def secret() -> str:
        found = await api.server.store.oauth.get(api.credentials.account_id)
        assert found is not None
        return found.client_secret.reveal()

    url = ("--url", f"{listener.base}/token")
    assert "Missing: --client-id" in await run("create", *url, status=2)
    asked = await run("create", *url, "--client-id", "a", stdin=f"{SECRET}\n")
    assert "Client secret" in asked
    assert await secret() == SECRET
    told = await run("create", *url, "--client-id", "a", "--secret-file", "-", stdin="x", status=4)
    assert "CONNECT_OAUTH_ALREADY_EXISTS" in told

    (tmp_path / "secret.txt").write_text(f"{SECRET}-2\nmore\n")
    more = ("--scope", "hooks", "--parameter", "audience=a=b", "--json")
    shown = json.loads(await run("update", "--secret-file", str(tmp_path / "secret.txt"), *more))
    assert shown["customParameters"] == {"audience": "a=b"}
    assert await secret() == f"{SECRET}-2"
    assert "Nothing to change" in await run("update", status=2)
    assert "NAME=VALUE" in await run("update", "--parameter", "x", status=2)
    listed = await run("show")
    assert "hooks" in listed
    assert "audience=a=b" in listed
    assert "Deleted" in await run("delete", "--yes")
    assert "RESOURCE_NOT_FOUND" in await run("show", status=4)


async def test_fidelity_an_oauth_client_that_gets_no_token_is_refused(api: Client) -> None:
    async def refuses(listener: Listener, peer: Peer) -> None:
        await listener.take(peer)
        await peer.send(answer({"error": "invalid_client"}, "401 Unauthorized"))

    async with listening(gives()) as server, listening(refuses) as other:
        refused = await api.call("POST", "oauth", client(other.url))
        assert (refused.status, refused.error) == (400, "INVALID_REQUEST_BODY")
        assert (
            f"at http://127.0.0.1:{other.port} answered 401 invalid_client"
            in refused.json["message"]
        )
        assert SECRET not in refused.json["message"]
        assert (await api.call("GET", "oauth")).status == 404

        assert (await api.call("POST", "oauth", client(server.url))).status == 201
        changed = await api.call("PUT", "oauth", {"authorizationServerUrl": other.url})
        assert (changed.status, changed.error) == (400, "INVALID_REQUEST_BODY")
        kept = await api.call("GET", "oauth")
        assert kept.json == client(server.url, clientSecret=MASK)
        # The token that it was tried with is what the first message carries.
        async with listening(keep_answering) as hook:
            await api.configure(hook.url, includeOAuth="true")
            await delivered(api, "one")
            assert authorization(hook) == f"Bearer {TOKEN}-1"
        again = await api.call("POST", "oauth", client(other.url))
        assert again.status == 409
        assert len(other.requests) == 2  # there is one already: nobody was asked


async def test_fidelity_an_oauth_client_that_gets_no_token_since_nobody_answers(
    api: Client,
) -> None:
    async with listening(gives()) as server:
        url = server.url
    refused = await api.call("POST", "oauth", client(url))
    assert (refused.status, refused.error) == (400, "INVALID_REQUEST_BODY")
    assert "gave no token: connect: " in refused.json["message"]


async def test_s5_a_client_is_tried_with_the_authorities_that_configurations_add(
    api: Client, tmp_path: Path
) -> None:
    authority = pki.Authority()
    tls = pki.serving(authority.pair("localhost"), tmp_path)
    token = answer({"access_token": TOKEN, "token_type": "Bearer"})
    with pki.secured(tls, token) as server:
        refused = await api.call("POST", "oauth", client(server.url))
        assert "gave no token: tls: " in refused.json["message"]
        added = {"includeOAuth": "true", "certificateAuthorities": authority.certificate}
        await api.configure("http://127.0.0.1:9000/", **added)
        made = await api.call("POST", "oauth", client(server.url))
        assert made.status == 201, made.body


async def test_a_notification_with_oauth_is_posted_with_the_accounts_token(api: Client) -> None:
    async with listening(keep_answering) as hook, listening(gives()) as server:
        await api.call("POST", "oauth", client(server.url))
        wanted = {"url": hook.url, "events": ["envelope-sent"], "includeOAuth": "true"}
        await api.call("POST", "events", published(eventNotification=wanted))
        async with hang(20):
            await hook.asked.wait()
        assert authorization(hook) == f"Bearer {TOKEN}-1"
