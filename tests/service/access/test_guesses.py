"""S13: who guesses passwords or asks for tokens in vain waits, and shuts out nobody else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.browser import Visitor
from tests.integration import Integration, integrate, post_form, set_password
from tests.server import Client, serving
from tests.service.api.sign_in.test_sign_in import auth_url, legacy, refused, with_header


@pytest.fixture
async def app(api: Client) -> Integration:
    made = await integrate(api)
    await set_password(api)
    return made


async def test_s13_who_guesses_a_password_waits_and_the_right_one_does_not_help(
    app: Integration,
) -> None:
    async with Visitor(app.api) as visitor:
        await visitor.open(auth_url(app))
        for _ in range(10):
            await visitor.sign_in("ada@example.com", "wrong password")
            assert visitor.status == 403
        await visitor.sign_in("ADA@example.com")  # the same user, now with the right password
        assert visitor.status == 429
        assert 0 < int(visitor.headers["Retry-After"]) <= 60
        assert "wait" in visitor.page


async def test_s13_who_asks_for_tokens_in_vain_waits(app: Integration) -> None:
    statuses: list[int] = []
    while 429 not in statuses:  # one more is given back each second
        statuses.append((await app.ask("a.b.c")).status)
        assert len(statuses) < 300
    assert statuses[:100] == [400] * 100
    reply = await app.ask("a.b.c")
    if reply.status == 429:  # unless a second has passed
        assert refused(reply, "temporarily_unavailable", 429)
        assert reply.headers["Retry-After"] == "1"


async def test_s13_who_knows_an_integration_key_does_not_shut_its_application_out(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, trusted_proxies="127.0.0.1") as api:
        app = await integrate(api)
        form = {"grant_type": "refresh_token", "client_id": app.integration_key}
        stranger = {"X-Forwarded-For": "198.51.100.6"}
        statuses: list[int] = []
        while 429 not in statuses:
            made = await post_form(
                api, "/oauth/token", {**form, "refresh_token": "guessed"}, **stranger
            )
            statuses.append(made.status)
            assert len(statuses) < 300
        assert (await app.ask(app.assertion().text)).status == 200


async def test_s13_many_calls_at_once_with_the_right_password_are_one_guess(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, legacy_header=True) as api:
        app = await integrate(api)
        await set_password(api)
        header = legacy(IntegratorKey=app.integration_key)
        made = await asyncio.gather(*(with_header(api, header) for _ in range(15)))
        assert [one.status for one in made] == [200] * 15
        for name in ("ada@example.com", "nobody@example.com"):  # and so are wrong ones
            header = legacy(name, "wrong password", IntegratorKey=app.integration_key)
            made = await asyncio.gather(*(with_header(api, header) for _ in range(15)))
            assert {one.error for one in made} == {"USER_AUTHENTICATION_FAILED"}
