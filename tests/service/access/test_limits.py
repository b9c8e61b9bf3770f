"""S13: limits of calls as a caller meets them, on a clock moved by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from heliograph.api.contract import rate_limits
from tests.server import Client, serving
from tests.support import START, ManualClock, published

HOUR = {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}
BURST = {"X-BurstLimit-Limit", "X-BurstLimit-Remaining"}


@pytest.fixture
async def limited(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Client]:
    """Eight calls an hour, five in 30 seconds, four with one token; three wrong tokens."""
    rules = {"hourly_limit": 8, "burst_limit": 5, "token_limit": 4, "refused_limit": 3}
    async with serving(tmp_path, clock, **rules) as client:
        yield client


async def another_token(api: Client) -> str:
    made = await api.call("POST", f"{api.account}/tokens", {"name": "t", "role": "administrator"})
    assert made.status == 201, made.body
    return f"Bearer {made.json['accessToken']}"


async def test_s13_answers_say_where_the_account_stands_and_one_too_many_is_refused(
    limited: Client, clock: ManualClock
) -> None:
    hour_ends = int(START.timestamp()) + 3600
    other = await another_token(limited)
    for left in (3, 2, 1):
        reply = await limited.call("GET", limited.connect)
        assert reply.status == 200
        told = {one.lower() for one in reply.headers if one.lower().startswith(("x-rate", "x-b"))}
        assert told == {one.lower() for one in rate_limits.ABOUT}
        assert reply.headers["X-RateLimit-Limit"] == "8"
        assert reply.headers["X-RateLimit-Remaining"] == str(left + 3)
        assert reply.headers["X-RateLimit-Reset"] == str(hour_ends)
        assert reply.headers["X-BurstLimit-Limit"] == "5"
        assert reply.headers["X-BurstLimit-Remaining"] == str(left)
    clock.move(10)
    greedy = await limited.call("GET", limited.connect)
    assert (greedy.status, greedy.error) == (429, "BURST_APIINVOCATION_LIMIT_EXCEEDED")
    assert greedy.headers["Retry-After"] == "20"
    assert greedy.headers["X-BurstLimit-Remaining"] == "1"
    # The account has one call left in this burst, for another token; an error counts too.
    reply = await limited.call("GET", "999", Authorization=other)
    assert (reply.status, reply.headers["X-BurstLimit-Remaining"]) == (404, "0")
    reply = await limited.call("GET", limited.connect, Authorization=other, Accept="text/xml")
    assert (reply.status, reply.headers["Content-Type"]) == (429, "text/xml; charset=utf-8")
    assert b"BURST_APIINVOCATION_LIMIT_EXCEEDED" in reply.body
    clock.move(20)
    for _ in range(3):
        assert (await limited.call("GET", limited.connect)).status == 200
    spent = await limited.call("GET", limited.connect, Authorization=other)
    assert (spent.status, spent.error) == (429, "HOURLY_APIINVOCATION_LIMIT_EXCEEDED")
    assert spent.headers["Retry-After"] == "3570"
    assert spent.headers["X-RateLimit-Remaining"] == "0"
    clock.move(3570)
    assert (await limited.call("GET", limited.connect)).status == 200


async def test_s13_publishing_is_neither_counted_nor_limited(limited: Client) -> None:
    for number in range(12):
        reply = await limited.call("POST", "events", published(envelope_id=f"e{number}"))
        assert reply.status == 202
        assert not (HOUR | BURST) & set(reply.headers)
    reply = await limited.call("GET", limited.connect)
    assert reply.headers["X-RateLimit-Remaining"] == "7"


async def test_s13_who_guesses_tokens_is_held_back_and_publishers_beside_are_not(
    limited: Client, clock: ManualClock
) -> None:
    other = await another_token(limited)
    for number in range(3):
        reply = await limited.call("POST", "events", {}, Authorization=f"Bearer guess{number}")
        assert (reply.status, reply.error) == (401, "AUTHORIZATION_INVALID_TOKEN")
    # Not even the right one is looked up, unless it was used here before.
    for guess in ("Bearer guess3", other):
        reply = await limited.call("GET", limited.connect, Authorization=guess)
        assert (reply.status, reply.error) == (429, "REFUSED_TOKEN_LIMIT_EXCEEDED")
        assert reply.headers["Retry-After"] == "300"
        assert not (HOUR | BURST) & set(reply.headers)
    reply = await limited.call("GET", "/oauth/userinfo", Authorization=other)
    assert (reply.status, reply.json["error"]) == (429, "temporarily_unavailable")
    assert reply.headers["Retry-After"] == "300"
    reply = await limited.call("POST", "events", published())
    assert reply.status == 202
    clock.move(300)
    for number in range(4):
        bad = f"Bearer guess{number}"
        reply = await limited.call("GET", "/oauth/userinfo", Authorization=bad)
        assert reply.status == (401 if number < 3 else 429)
    clock.move(300)
    assert (await limited.call("GET", limited.connect, Authorization=other)).status == 200


async def test_s13_a_trusted_proxys_clients_are_told_apart(
    tmp_path: Path, clock: ManualClock
) -> None:
    given = {"refused_limit": 1, "trusted_proxies": "127.0.0.1"}
    async with serving(tmp_path, clock, **given) as api:
        bad: dict[str, Any] = {"Authorization": "Bearer bad", "X_Forwarded_For": "192.0.2.1"}
        found = [(await api.call("GET", api.connect, **bad)).status for _ in range(2)]
        assert found == [401, 429]
        bad["X_Forwarded_For"] = "192.0.2.2"
        assert (await api.call("GET", api.connect, **bad)).status == 401


async def test_s13_refused_calls_are_counted_in_the_metrics(limited: Client) -> None:
    for _ in range(6):
        await limited.call("GET", limited.connect)
    shown = (await limited.call("GET", "/metrics")).body.decode()
    assert 'heliograph_calls_limited_total{code="BURST_APIINVOCATION_LIMIT_EXCEEDED"} 2.0' in shown


async def test_s13_the_emulator_has_no_limits(api: Client) -> None:
    reply = await api.call("GET", api.connect)
    assert not (HOUR | BURST) & set(reply.headers)
