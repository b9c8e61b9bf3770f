"""Test sends and client certificates over the API, with real listeners."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import socket
from pathlib import Path

import pytest

from heliograph.model.accounts import Secret
from heliograph.store import Store
from tests import pki
from tests.busy import hang
from tests.listener import LoopbackListener
from tests.server import Client
from tests.support import (
    ACCOUNT,
    OTHER_ACCOUNT,
    accept,
    claim_all,
    new_event,
    published,
    wanted_configuration,
)

CLIENTS = pki.Authority("Clients' CA")
CLOSING = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
SERVERS = pki.Authority("Servers' CA")


async def test_a_test_send_shows_the_whole_exchange(
    api: Client, listener: LoopbackListener
) -> None:
    secret = (await api.call("POST", "secret")).json["secret"]
    connect_id = await api.configure(
        listener.base + "/hook", events=["envelope-completed"], userName="u", password="canary-pass"
    )
    result = (await api.call("POST", f"{connect_id}/test")).json
    (got,) = listener.received
    assert (result["success"], result["responseStatus"]) == ("true", "200 OK")
    assert result["requestBody"].encode() == got.body
    assert got.message["event"] == "envelope-completed"
    assert "nothing has happened" in got.message["data"]["envelopeSummary"]["emailSubject"]
    signature = base64.b64encode(hmac.digest(secret.encode(), got.body, "sha256")).decode()
    assert f"X-DocuSign-Signature-1: {signature}" in result["requestHeaders"]
    assert got.header("Authorization") is not None
    assert "canary-pass" not in json.dumps(result)
    assert str(got.header("Authorization")) not in json.dumps(result)
    # It is no event: nothing is logged, nothing is retried.
    assert (await api.call("GET", "logs")).json["totalRecords"] == "0"


async def test_a_test_send_that_fails_says_why(api: Client, listener: LoopbackListener) -> None:
    listener.status = 503
    connect_id = await api.configure(listener.base)
    refused = (await api.call("POST", f"{connect_id}/test")).json
    assert (refused["success"], refused["responseStatus"]) == ("false", "503 Service Unavailable")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    nobody = await api.configure(f"http://127.0.0.1:{port}")
    missing = (await api.call("POST", f"{nobody}/test")).json
    assert missing["success"] == "false"
    assert missing["error"].startswith(f"connect: 127.0.0.1:{port} refused the connection")
    assert (await api.call("POST", "999/test")).status == 404
    assert (await api.call("GET", "failures")).json["totalRecords"] == "0"


@pytest.mark.parametrize(
    ("switch", "without"),
    [
        ("requireMutualTls", "there is no client certificate"),
        ("signMessageWithX509Certificate", "tls: "),  # the listener refuses who shows none
    ],
)
async def test_s5_an_accounts_client_certificate_is_shown_to_a_listener_that_asks(
    api: Client, tmp_path: Path, switch: str, without: str
) -> None:
    pair = CLIENTS.pair("heliograph.example")
    put = await api.call(
        "PUT", "client_certificate", {"certificate": pair.certificate, "privateKey": pair.key}
    )
    assert (put.status, put.json["subject"]) == (200, "CN=heliograph.example")
    assert "PRIVATE KEY" not in json.dumps((await api.call("GET", "client_certificate")).json)

    wants = pki.serving(SERVERS.pair("localhost"), tmp_path, clients=CLIENTS)
    with pki.secured(wants, CLOSING) as seen:
        fields = {switch: "true", "certificateAuthorities": SERVERS.certificate}
        connect_id = await api.configure(seen.url, **fields)
        result = (await api.call("POST", f"{connect_id}/test")).json
        assert result["success"] == "true", result
        await api.call("POST", "events", published())
        async with hang(20):
            while (await api.call("GET", "logs")).json["totalRecords"] != "1":
                await asyncio.sleep(0)
        assert (await api.call("GET", "failures")).json["totalRecords"] == "0"

        assert (await api.call("DELETE", "client_certificate")).status == 200
        assert (await api.call("DELETE", "client_certificate")).status == 404
        assert (await api.call("GET", "client_certificate")).status == 404
        result = (await api.call("POST", f"{connect_id}/test")).json
        assert without in result["error"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"certificateAuthorities": "no certificate"}, "certificateAuthorities"),
        (
            {"oAuthConfiguration": {"authorizationServerUrl": "http://169.254.169.254/t"}},
            "authorizationServerUrl is refused",
        ),
    ],
)
async def test_s1_what_a_configuration_names_is_checked_when_it_is_saved(
    api: Client, listener: LoopbackListener, fields: dict[str, object], said: str
) -> None:
    wanted = {"urlToPublishTo": listener.base, "events": ["envelope-sent"], **fields}
    refused = await api.call("POST", api.connect, wanted)
    assert refused.status == 400
    assert said in refused.json["message"]


async def test_a_certificate_and_a_key_that_do_not_belong_together_are_refused(
    api: Client,
) -> None:
    first, second = CLIENTS.pair("a.example"), CLIENTS.pair("b.example")
    for body in (
        {"certificate": first.certificate, "privateKey": second.key},
        {"certificate": "x", "privateKey": "canary-key"},
        {"certificate": first.certificate},
    ):
        refused = await api.call("PUT", "client_certificate", body)
        assert refused.status == 400
        assert "canary-key" not in refused.body.decode()
    assert (await api.call("GET", "client_certificate")).status == 404


async def test_s7_s8_a_client_certificate_is_its_accounts_and_sealed(
    store: Store, tmp_path: Path
) -> None:
    await store.create_configuration(wanted_configuration(requireMutualTls="true"))
    await store.create_configuration(wanted_configuration(name="plain"))
    await store.set_client_certificate(ACCOUNT, "certificate", Secret("canary-key"))
    assert await store.client_certificate(OTHER_ACCOUNT) is None
    assert await store.client_certificate(ACCOUNT) == ("certificate", Secret("canary-key"))
    await accept(store, new_event())
    clients = {claim.configuration.name: claim.proofs.client for claim in await claim_all(store)}
    assert clients == {"crm": ("certificate", Secret("canary-key")), "plain": None}
    await store.set_client_certificate(ACCOUNT, "newer", Secret("newer-key"))
    await accept(store, new_event(envelope_id="env-2"))
    assert [
        one.proofs.client for one in await claim_all(store) if one.configuration.shows_certificate
    ] == [("newer", Secret("newer-key"))]
    for file in tmp_path.glob("heliograph.db*"):
        assert b"canary-key" not in file.read_bytes()
    assert await store.delete_client_certificate(ACCOUNT)
    assert not await store.delete_client_certificate(ACCOUNT)
