"""OAuth for listeners, against real listeners and authorization servers."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.model.accounts import Secret
from heliograph.model.configurations import TlsIdentity
from heliograph.model.deliveries import Answer, Fault, Phase
from heliograph.outbound.tokens import Tokens
from heliograph.outbound.tokens import form as form_of
from heliograph.outbound.transport import Budget
from tests.pki import Authority
from tests.scripted import (
    BODY,
    OK,
    PUBLIC,
    Listener,
    Peer,
    fault,
    hang,
    listening,
    says,
)
from tests.service.outbound.staged import (
    SECRET,
    TOKEN,
    UNAUTHORIZED,
    answer,
    authorization,
    configuration,
    credentials,
    form,
    gives,
    refusing,
    stage,
    with_oauth,
    with_secrets,
)


async def test_a_token_is_asked_for_once_and_sent_with_each_message() -> None:
    async with stage() as on:
        for _ in range(3):
            assert isinstance(await on.post(), Answer)
    assert len(on.server.requests) == 1
    assert [authorization(on.listener, one) for one in range(3)] == [f"Bearer {TOKEN}-1"] * 3
    assert on.listener.requests[0][1] == BODY


async def test_the_scope_and_custom_parameters_arrive_and_replace_none_of_ours() -> None:
    custom = {"audience": "https://api.example.org/?a=b&c", "client_id": "x", "grant_type": "y"}
    custom |= {"client_secret": "z", "scope": "all", "résource": "é"}
    async with stage() as on:
        await on.post(
            with_oauth(
                on.listener.url, on.server.url, scope="hooks:write a", customParameters=custom
            )
        )
    assert form(on.server) == [
        ("grant_type", "client_credentials"),
        ("client_id", "heliograph"),
        ("client_secret", SECRET),
        ("scope", "hooks:write a"),
        ("audience", "https://api.example.org/?a=b&c"),
        ("résource", "é"),
    ]
    head = on.server.requests[0][0]
    assert "Content-Type: application/x-www-form-urlencoded\r\n" in head
    assert "Accept: application/json\r\n" in head


@given(
    secret=st.text(),
    scope=st.none() | st.text(),
    custom=st.dictionaries(st.text(min_size=1) | st.just("client_secret"), st.text()),
)
def test_the_form_holds_each_of_ours_once_whatever_the_custom_parameters(
    secret: str, scope: str | None, custom: dict[str, str]
) -> None:
    asked = credentials(
        "https://a.example.org/",
        client_secret=Secret(secret),
        scope=scope,
        parameters=tuple(custom.items()),
    )
    fields = parse_qsl(form_of(asked).decode("ascii"), keep_blank_values=True)
    names = [name for name, _ in fields]
    assert len(set(names)) == len(names)
    assert dict(fields) == custom | {
        "grant_type": "client_credentials",
        "client_id": "heliograph",
        "client_secret": secret,
        **({"scope": scope} if scope else {}),
    }


async def test_fifty_posts_that_begin_together_share_one_token_request() -> None:
    async with stage() as on:
        came_back = await asyncio.gather(*(on.post() for _ in range(50)))
    assert all(isinstance(one, Answer) for one in came_back)
    assert len(on.server.requests) == 1
    assert {authorization(on.listener, one) for one in range(50)} == {f"Bearer {TOKEN}-1"}


@pytest.mark.parametrize(
    ("expires_in", "used"),
    [
        (3600, 3540.0),
        ("3600", 3540.0),
        (60, 30.0),
        (None, 300.0),
        ("soon", 300.0),
        (True, 300.0),
        (1e300, 86400.0),
    ],
)
async def test_a_token_is_used_until_shortly_before_it_ends(
    expires_in: object, used: float
) -> None:
    async with stage(server=gives(expires_in=expires_in)) as on:
        on.clock.move(1e6)
        await on.post()
        on.clock.move(used - 0.5)
        await on.post()
        assert len(on.server.requests) == 1
        on.clock.move(0.5)
        await on.post()
    assert len(on.server.requests) == 2
    assert authorization(on.listener, 2) == f"Bearer {TOKEN}-2"


@pytest.mark.parametrize("expires_in", [0, -5, "NaN"])
async def test_a_token_that_is_over_when_it_comes_is_used_once(expires_in: object) -> None:
    async with stage(server=gives(expires_in=expires_in)) as on:
        await on.post()
        await on.post()
    assert len(on.server.requests) == len(on.listener.requests) == 2


async def test_a_jump_of_the_wall_clock_ends_no_token() -> None:
    async with stage() as on:
        await on.post()
        on.clock.jump(365 * 86400)
        await on.post()
    assert len(on.server.requests) == 1


async def test_each_field_of_the_credentials_makes_a_token_of_its_own() -> None:
    async with stage() as on:
        one = credentials(on.server.url)
        others = [
            replace(one, token_url=on.server.url + "2"),
            replace(one, client_id="x"),
            replace(one, client_secret=Secret("y")),
            replace(one, scope="z"),
            replace(one, parameters=(("a", "b"),)),
        ]
        headers = {await on.tokens.header(each) for each in [one, *others, one]}
        headers.add(await on.tokens.header(one, TlsIdentity(None, None, Authority().certificate)))
    assert len(headers) == len(on.server.requests) == 7


async def test_r13_the_token_that_was_not_used_for_longest_makes_room() -> None:
    async with stage() as on:
        tokens = Tokens(on.transport, on.clock, most=2)
        one, two, three = (credentials(on.server.url, client_id=name) for name in "abc")
        for each in (one, two, one, three, one, two):
            await tokens.header(each)
        assert len(tokens._requests) == 0, "what has ended is not kept either"
    assert [dict(form(on.server, number))["client_id"] for number in range(4)] == list("abcb")


async def test_a_refused_token_is_renewed_and_the_message_repeated_once() -> None:
    async with stage(refusing(1)) as on:
        came_back = await on.post()
        assert isinstance(came_back, Answer)
        assert came_back.status == 200
        await on.post()
    tokens = [authorization(on.listener, one)[-2:] for one in range(3)]
    assert tokens == ["-1", "-2", "-2"]
    assert len(on.server.requests) == 2


async def test_a_renewed_token_that_is_refused_too_ends_the_attempt() -> None:
    async with stage(refusing(*range(9))) as on:
        came_back = await on.post()
    assert isinstance(came_back, Answer)
    assert came_back.status == 401
    assert len(on.server.requests) == len(on.listener.requests) == 2


async def test_many_who_are_refused_with_one_token_ask_for_one_more() -> None:
    waiting = asyncio.Barrier(8)

    async def all_at_once(listener: Listener, peer: Peer) -> None:
        while True:
            await listener.take(peer)
            if authorization(listener, -1).endswith("-1"):
                await waiting.wait()
                await peer.send(UNAUTHORIZED)
            else:
                await peer.send(OK)

    async with stage(all_at_once) as on:
        came_back = await asyncio.gather(*(on.post() for _ in range(8)))
    assert [one.status for one in came_back if isinstance(one, Answer)] == [200] * 8
    assert len(on.server.requests) == 2


async def test_who_was_refused_late_does_not_take_the_newer_token_away() -> None:
    async with stage() as on:
        asked = credentials(on.server.url)
        first = await on.tokens.header(asked)
        assert not isinstance(first, Fault)
        for _ in range(3):
            on.tokens.refused(asked, first)
            await on.tokens.header(asked)
    assert len(on.server.requests) == 2


async def test_the_same_token_once_more_is_not_sent_to_who_refused_it() -> None:
    async with stage(refusing(1), gives(access_token=f"{TOKEN}-1")) as on:
        came_back = await on.post()
    assert isinstance(came_back, Answer)
    assert came_back.status == 401
    assert len(on.listener.requests) == 1


async def test_a_token_that_cannot_be_renewed_leaves_the_listeners_answer_in_the_log() -> None:
    answers = iter(
        [
            answer({"access_token": f"{TOKEN}-1"}),
            answer({"error": "invalid_client"}, "400 Bad Request"),
        ]
    )

    async def once(listener: Listener, peer: Peer) -> None:
        await listener.take(peer)
        await peer.send(next(answers))

    async with stage(refusing(1), once) as on:
        came_back = await on.post()
    assert isinstance(came_back, Fault)
    assert came_back.what == (
        "the listener answered 401, and the authorization server at "
        f"http://127.0.0.1:{on.server.port} answered 400 invalid_client"
    )
    assert came_back.answer is not None
    assert came_back.answer.status == 401


async def test_r15_one_who_gives_up_does_not_end_the_request_of_the_others() -> None:
    may_answer = asyncio.Event()

    async def slow(listener: Listener, peer: Peer) -> None:
        await listener.take(peer)
        await may_answer.wait()
        await peer.send(answer({"access_token": f"{TOKEN}-1"}))

    async with stage(server=slow) as on:
        first, *others = [asyncio.create_task(on.post()) for _ in range(5)]
        await on.server.asked.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        may_answer.set()
        assert all(isinstance(one, Answer) for one in await asyncio.gather(*others))
    assert len(on.server.requests) == 1


async def test_r15_a_request_that_nobody_waits_for_ends_and_is_not_joined() -> None:
    async def silent_at_first(listener: Listener, peer: Peer) -> None:
        await listener.take(peer)
        if len(listener.requests) == 1:
            await hang(listener, peer)
        await peer.send(answer({"access_token": f"{TOKEN}-1"}))

    async with stage(server=silent_at_first) as on:
        posting = asyncio.create_task(on.post())
        await on.server.asked.wait()
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting
        assert isinstance(await on.post(), Answer)
        await on.server.ended.wait()


# ------------------------------------------------------------------ what goes wrong there

NO_JSON = "answered 200 with what is no JSON object, or is longer than is read"
BAD_ANSWERS: dict[str, tuple[bytes, str]] = {
    "wrong secret": (
        answer({"error": "invalid_client", "error_description": SECRET}, "401 Unauthorized"),
        "answered 401 invalid_client",
    ),
    "no OAuth error": (answer(b"<html>", "503 Service Unavailable"), "answered 503"),
    "an error with 200": (
        answer({"error": "bad_verification_code"}),
        "answered 200 bad_verification_code without an access_token",
    ),
    "an error that is no code": (answer({"error": "a\r\nb: c"}, "400 No"), "answered 400"),
    "the secret as the error": (answer({"error": "verysecretvalue"}, "400 No"), "answered 400"),
    "a part of it": (answer({"error": "secretvalue"}, "400 No"), "answered 400"),
    "no JSON": (answer(b"{" + TOKEN.encode()), NO_JSON),
    "no UTF-8": (answer(b'{"access_token": "\xff"}'), NO_JSON),
    "deep": (answer(b"[" * 15_000), NO_JSON),
    "a list": (answer([TOKEN]), NO_JSON),
    "huge": (answer({"access_token": TOKEN * 1000}), NO_JSON),
    "no token": (answer({"expires_in": 5}), "answered 200 without an access_token"),
    "an empty token": (answer({"access_token": ""}), "answered 200 without an access_token"),
    "a number": (answer({"access_token": 5}), "answered 200 without an access_token"),
    "another type": (
        answer({"access_token": TOKEN, "token_type": "mac"}),
        "gave a token that is not of the type bearer",
    ),
    "a line break": (
        answer({"access_token": f"{TOKEN}\r\nX-Evil: 1"}),
        "gave a token that a header cannot hold",
    ),
    "a NUL": (answer({"access_token": f"{TOKEN}\0"}), "gave a token that a header cannot hold"),
    "no ASCII": (answer({"access_token": f"{TOKEN}é"}), "gave a token that a header cannot hold"),
    "no HTTP": (
        TOKEN.encode() + b"\r\n\r\n",
        "gave no token: headers: the answer is not valid HTTP",
    ),
    "nothing": (b"", "gave no token: headers: the server closed the connection before answering"),
    "half": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
        "gave no token: body: the server closed the connection within the answer's body",
    ),
}


@pytest.mark.parametrize("case", BAD_ANSWERS)
async def test_s7_what_an_authorization_server_does_wrong_is_told_without_a_secret(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said, what = BAD_ANSWERS[case]
    async with stage(server=says(said)) as on:
        wanted = on.wanted
        if "secret" in case or "part" in case:
            wanted = with_secrets(wanted, clientSecret="verysecretvalue")
        came_back = await on.post(wanted)
    place = f"the authorization server at http://127.0.0.1:{on.server.port}"
    assert came_back == Fault(Phase.TOKEN, f"{place} {what}", None)
    assert on.listener.connections == 0
    for text in (SECRET, TOKEN, "verysecretvalue"):
        assert text not in f"{came_back!r} {caplog.text}"


async def test_s2_a_redirect_of_the_authorization_server_is_not_followed() -> None:
    async with listening(gives()) as other:
        said = f"HTTP/1.1 307 Go\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()
        async with stage(server=says(said)) as on:
            _, what = fault(await on.post())
    assert what.endswith("answered 307")
    assert other.connections == 0


async def test_s3_an_endless_answer_of_the_authorization_server_is_cut() -> None:
    async def flood(listener: Listener, peer: Peer) -> None:
        while True:
            await peer.send(b" " * 65536)

    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"
    async with stage(server=says(head, then=flood)) as on:
        _, what = fault(await on.post())
        await on.server.ended.wait()
    assert what.endswith(NO_JSON)


async def test_s3_a_slow_authorization_server_ends_with_the_budget() -> None:
    async with stage(server=says(b"", then=hang), budget=Budget(total=0.2)) as on:
        phase, what = fault(await on.post())
        tokens = Tokens(on.transport, on.clock, within=0.1)
        sooner = fault(await tokens.header(credentials(on.server.url)))  # type: ignore[arg-type]
    place = f"the authorization server at http://127.0.0.1:{on.server.port}"
    assert (phase, what) == (
        Phase.TOKEN,
        f"{place} gave no token: headers: no answer within 0.2 s",
    )
    assert sooner == (Phase.TOKEN, f"{place} did not answer within 0.1 s")


async def test_s3_the_time_of_an_attempt_holds_for_the_token_and_the_post_together() -> None:
    async with stage(hang, total=0.1) as on:
        what = "no answer within 0.1 s, of which the access token took a part"
        assert fault(await on.post()) == (Phase.HEADERS, what)
        await on.listener.ended.wait()


@pytest.mark.parametrize(
    ("token_url", "what"),
    [
        (
            "https://10.0.0.7/token",
            "the authorization server at https://10.0.0.7 gave no token: refused address: "
            "10.0.0.7 is a private address, which the egress profile public refuses; use the "
            "server's public address, or ask the operator to admit it with the egress profile "
            "private.",
        ),
        ("http://127.0.0.1:{port}/token", "is a loopback address"),
        ("http://169.254.169.254/latest", "is a link-local or metadata address"),
        ("http://user:hunter2@example.org/", "the URL holds a user name"),
        ("ftp://example.org", "the URL must begin with https:// or http:// and a host"),
        ("http://[::1", "gave no token: refused address: "),
    ],
)
async def test_s1_the_guard_stands_before_the_authorization_server(
    token_url: str, what: str
) -> None:
    async with stage(guard=PUBLIC) as on:
        url = token_url.format(port=on.server.port)
        wanted = with_oauth("https://hooks.example.org/", url)
        phase, said = fault(await on.post(wanted))
    assert phase is Phase.TOKEN
    assert what in said
    assert "hunter2" not in said
    assert on.server.connections == 0


@pytest.mark.parametrize(
    ("fields", "secrets", "what"),
    [
        ({}, {}, "authorizationServerUrl and no clientId and no clientSecret"),
        ({"clientId": "a", "authorizationServerUrl": "b"}, {}, "clientSecret"),
        ({"authorizationServerUrl": "b"}, {"clientSecret": "c"}, "clientId"),
    ],
)
async def test_oauth_that_is_not_complete_is_told_and_nothing_is_sent(
    fields: dict[str, str], secrets: dict[str, str], what: str
) -> None:
    async with stage() as on:
        wanted = configuration(
            on.listener.url, secrets, includeOAuth="TRUE", oAuthConfiguration=fields
        )
        why = f"oAuthConfiguration has no {what}, and the account has no OAuth client"
        said = f"includeOAuth is true, {why}"
        assert fault(await on.post(wanted)) == (Phase.TOKEN, said)
    assert on.listener.connections == 0


async def test_s7_no_repr_shows_a_secret() -> None:
    async with stage() as on:
        asked = credentials(on.server.url, parameters=(("password", SECRET),))
        header = await on.tokens.header(asked)
        shown = f"{asked!r} {asked} {vars(on.tokens)!r} {vars(on.authorizer)!r}"
    assert not isinstance(header, Fault)
    assert TOKEN not in shown
    assert SECRET not in shown


texts = st.sampled_from([SECRET, TOKEN, f"a {SECRET} b", "invalid_client"]) | st.text()


@given(
    said=st.dictionaries(
        st.sampled_from(["error", "error_description", "access_token", "token_type", "x"]),
        texts | st.integers() | st.lists(texts, max_size=2),
    ),
    status=st.sampled_from(["200 OK", "400 No", "401 No", "500 Oops"]),
)
@settings(max_examples=50)
def test_s7_no_answer_of_an_authorization_server_gets_a_secret_into_a_fault(
    said: dict[str, Any], status: str
) -> None:
    async def ask() -> tuple[str, str] | Fault:
        async with stage(server=says(answer(said, status))) as on:
            return await on.tokens.header(credentials(on.server.url))

    came_back = asyncio.run(ask())
    if isinstance(came_back, Fault):
        assert came_back.answer is None
        assert SECRET not in came_back.what
        assert came_back.what.isprintable()
    else:
        name, value = came_back
        assert (name, value) == ("Authorization", f"Bearer {said['access_token']}")
        assert value.isascii()
        assert value.isprintable()
