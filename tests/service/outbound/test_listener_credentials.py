"""Basic, mutual TLS, and credentials that listeners repeat."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.model.accounts import Secret
from heliograph.model.deliveries import Answer, Phase, Proofs
from heliograph.outbound.transport import Budget
from heliograph.wire import configurations
from tests.pki import Authority, secured, serving
from tests.scripted import (
    BODY,
    HEADERS,
    Listener,
    Peer,
    Script,
    fault,
    says,
)
from tests.service.outbound.staged import (
    SECRET,
    TOKEN,
    answer,
    authorization,
    configuration,
    stage,
    with_oauth,
    with_secrets,
)
from tests.support import ACCOUNT


async def test_a_user_name_and_a_password_are_sent_by_basic_in_utf_8() -> None:
    async with stage() as on:
        wanted = configuration(on.listener.url, {"password": "pä:ss"}, userName="zoë")
        assert isinstance(await on.post(wanted), Answer)
        # The document is the same, the secret is not.
        await on.post(with_secrets(wanted, password="new"))
    sent = [base64.b64decode(authorization(on.listener, one)[6:]).decode() for one in (0, 1)]
    assert sent == ["zoë:pä:ss", "zoë:new"]
    assert authorization(on.listener).startswith("Basic ")


@pytest.mark.parametrize(
    ("secrets", "fields"),
    [
        ({}, {}),
        ({"password": "p"}, {}),
        ({}, {"userName": "zoë"}),
        ({"clientSecret": "c"}, {"includeOAuth": "false", "oAuthConfiguration": {"clientId": "x"}}),
    ],
)
async def test_nothing_is_sent_where_nothing_is_wanted(
    secrets: dict[str, str], fields: dict[str, Any]
) -> None:
    async with stage() as on:
        await on.post(configuration(on.listener.url, secrets, **fields))
    assert "authorization" not in on.listener.requests[0][0].lower()


async def test_a_user_name_that_basic_cannot_carry_is_told_and_not_sent() -> None:
    async with stage() as on:
        wanted = configuration(on.listener.url, {"password": "p"}, userName="a:b")
        what = "a userName with a colon cannot be sent by HTTP Basic"
        assert fault(await on.post(wanted)) == (Phase.RENDER, what)
    assert on.listener.connections == 0


@given(user=st.text(min_size=1).filter(lambda text: ":" not in text), password=st.text())
@settings(max_examples=30)
def test_s4_no_user_name_or_password_breaks_a_header(user: str, password: str) -> None:
    async def send() -> str:
        async with stage() as on:
            wanted = configuration(on.listener.url, {"password": password}, userName=user)
            assert isinstance(await on.post(wanted), Answer)
        assert len(on.listener.requests[0][0].split("\r\n")) == len(HEADERS) + 6
        return base64.b64decode(authorization(on.listener)[6:]).decode()

    assert asyncio.run(send()) == f"{user}:{password}"


def echo(make: Callable[[str], bytes]) -> Script:
    async def script(listener: Listener, peer: Peer) -> None:
        await listener.take(peer)
        await peer.send(make(authorization(listener, -1).partition(" ")[2]))

    return script


ECHOES: dict[str, Callable[[str], bytes]] = {
    "body": lambda text: answer(f"you sent {text} and {SECRET}".encode(), "400 No"),
    "header": lambda text: f"HTTP/1.1 400 No\r\nX-{text}: {text}\r\n\r\n".encode(),
    "reason": lambda text: f"HTTP/1.1 400 {text}\r\n\r\n".encode(),
    "no HTTP": lambda text: f"{text}\r\n\r\n".encode(),
    "cut": lambda text: f"HTTP/1.1 400 No\r\nContent-Length: 999\r\n\r\n{text}".encode(),
}


@pytest.mark.parametrize("case", ECHOES)
@pytest.mark.parametrize("oauth", [True, False])
async def test_s7_a_listener_that_repeats_credentials_does_not_get_them_into_the_log(
    case: str, oauth: bool
) -> None:
    async with stage(echo(ECHOES[case])) as on:
        basic = configuration(on.listener.url, {"password": SECRET}, userName="a")
        came_back = await on.post(on.wanted if oauth else basic)
    sent = authorization(on.listener).partition(" ")[2]
    for text in (sent, SECRET):
        assert text not in repr(came_back)
    assert "***" in repr(came_back)


@pytest.mark.parametrize("shown", range(4, len(SECRET) + 1))
async def test_s7_nor_a_part_of_one_where_a_long_answer_is_cut(shown: int) -> None:
    room = Budget().stored_bytes
    async with stage(says(answer(b"x" * (room - shown) + SECRET.encode(), "400 No"))) as on:
        came_back = await on.post(
            configuration(on.listener.url, {"password": SECRET}, userName="a")
        )
    assert isinstance(came_back, Answer)
    assert came_back.body == b"x" * (room - shown) + b"***"


@pytest.mark.parametrize(
    ("url", "client", "what"),
    [
        ("https://hooks.example.org/", False, "there is no client certificate"),
        ("http://hooks.example.org/", True, "the listener's URL is not https"),
    ],
)
async def test_s5_mutual_tls_that_cannot_be_had_is_told_and_nothing_is_sent(
    url: str, client: bool, what: str
) -> None:
    pair = Authority().pair("acme")
    given_client = (pair.certificate, Secret(pair.key)) if client else None
    async with stage() as on:
        came_back = await on.authorizer.post(
            configuration(url, requireMutualTls="true"), HEADERS, BODY, Proofs(client=given_client)
        )
    assert fault(came_back) == (Phase.TLS, f"requireMutualTls is true, and {what}")


async def test_s5_the_client_certificate_is_the_listeners_alone_and_roots_are_for_both(
    tmp_path: Path,
) -> None:
    own, clients = Authority("A company's own"), Authority("Of clients")
    pair = clients.pair("acme")
    context = serving(own.pair("localhost"), tmp_path, clients=clients, must=False)
    token = answer({"access_token": f"{TOKEN}-1"})
    with secured(context) as listener, secured(context, token) as server:
        async with stage() as on:
            wanted = with_oauth(listener.url, server.url)
            fields = json.loads(wanted.document)
            fields |= {"certificateAuthorities": own.certificate}
            client = (pair.certificate, Secret(pair.key))
            for mutual in ("true", "false"):
                document = json.dumps(fields | {"requireMutualTls": mutual}).encode()
                wanted = configurations.read(ACCOUNT, 7, document, wanted.secrets)
                came_back = await on.authorizer.post(wanted, HEADERS, BODY, Proofs(client=client))
                assert isinstance(came_back, Answer), came_back
    assert listener.clients == ["acme", None]
    assert server.clients == [None]
