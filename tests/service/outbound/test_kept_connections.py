"""Which connections are used again: none for a last try, none of who closes idle ones."""

from __future__ import annotations

import asyncio
import socket

import pytest

from heliograph.delivery.attempt import attempt
from heliograph.delivery.retry import ONCE
from heliograph.model.alerts import Alert
from heliograph.model.deliveries import Answer, Delivered
from heliograph.outbound.alerts import AlertHook
from heliograph.outbound.authorizer import Authorizer
from heliograph.outbound.pools import HASTY_SECONDS
from heliograph.outbound.transport import Budget, Transport
from tests.scripted import (
    BODY,
    EMULATOR,
    HEADERS,
    OK,
    Listener,
    Peer,
    fault,
    keep_answering,
    listening,
)
from tests.service.listen.test_zoo import NOW
from tests.service.outbound.staged import stage
from tests.support import ManualClock
from tests.unit.delivery.test_attempt import claimed


async def swallows_the_second(listener: Listener, peer: Peer) -> None:
    """It closes what was idle at the moment when the next message is on its way."""
    await listener.take(peer)
    await peer.send(OK)
    await listener.take(peer)


async def closes_idle_ones(listener: Listener, peer: Peer) -> None:
    await listener.take(peer)
    await peer.send(OK)


def closing_said(listener: Listener) -> list[bool]:
    return ["connection: close" in head.lower() for head, _ in listener.requests]


async def test_a_fresh_post_uses_no_idle_connection_and_leaves_none() -> None:
    async with listening(keep_answering) as listener, Transport(EMULATOR, Budget()) as transport:
        for fresh in (False, True, True, False, False):
            came_back = await transport.post(listener.url, HEADERS, BODY, fresh=fresh)
            assert isinstance(came_back, Answer)
    assert listener.connections == 3
    assert closing_said(listener) == [False, True, True, False, False]


async def test_r3_a_message_with_one_try_is_not_lost_to_a_close_of_an_idle_connection(
    clock: ManualClock,
) -> None:
    async with (
        listening(swallows_the_second) as listener,
        Transport(EMULATOR, Budget()) as transport,
    ):
        sender = Authorizer(transport, clock, total=100.0)
        once = claimed(urlToPublishTo=listener.url, requiresAcknowledgement="false")
        for _ in range(20):
            done = await attempt(once, sender, clock, ONCE)
            assert done.outcome == Delivered()
    assert len(listener.requests) == listener.connections == 20


@pytest.mark.parametrize(("number", "last"), [(1, False), (2, False), (3, True)])
async def test_r3_the_last_try_of_a_schedule_has_a_connection_of_its_own(
    clock: ManualClock, number: int, last: bool
) -> None:
    async with listening(keep_answering) as listener, Transport(EMULATOR, Budget()) as transport:
        sender = Authorizer(transport, clock, total=100.0)
        claim = claimed(urlToPublishTo=listener.url, retrySchedule=["1", "1"])
        for schedule_number in (1, number):
            object.__setattr__(claim, "schedule_number", schedule_number)
            await attempt(claim, sender, clock, ONCE)
    assert closing_said(listener) == [False, last]
    assert listener.connections == 1 + last


async def test_r3_one_idle_connection_found_dead_is_a_reason_to_use_none_for_a_minute() -> None:
    clock = ManualClock()
    async with (
        listening(swallows_the_second) as listener,
        Transport(EMULATOR, Budget(), now=clock.monotonic) as transport,
    ):

        async def post() -> Answer:
            came_back = await transport.post(listener.url, HEADERS, BODY)
            assert isinstance(came_back, Answer), came_back
            return came_back

        await post()
        fault(await transport.post(listener.url, HEADERS, BODY))
        for _ in range(3):
            await post()
            clock.move(HASTY_SECONDS / 3 - 1)
        assert closing_said(listener)[2:] == [True, True, True]
        clock.move(4)
        await post()
        assert closing_said(listener)[-1] is False, "once a minute it is tried anew"


async def test_r3_a_close_that_is_seen_while_a_connection_is_idle_is_remembered() -> None:
    async with listening(closes_idle_ones) as listener, Transport(EMULATOR, Budget()) as transport:
        for _ in range(3):
            assert isinstance(await transport.post(listener.url, HEADERS, BODY), Answer)
            await listener.ended.wait()
            for _ in range(20):  # turns of the loop, in which it reads the close
                await asyncio.sleep(0)
    assert closing_said(listener) == [False, True, True]


async def test_r3_none_is_used_beside_an_idle_connection_that_is_found_dead() -> None:
    """Both are idle when the listener closes the one that was used last, unseen by the loop."""
    both, served = asyncio.Barrier(2), list[Peer]()

    async def both_at_once(listener: Listener, peer: Peer) -> None:
        await listener.take(peer)
        if listener.connections <= 2:
            await both.wait()
        await peer.send(OK)
        while True:
            await listener.take(peer)
            served.append(peer)
            await peer.send(OK)

    async with listening(both_at_once) as listener, Transport(EMULATOR, Budget()) as transport:

        async def post() -> None:
            assert isinstance(await transport.post(listener.url, HEADERS, BODY), Answer)

        await asyncio.gather(post(), post())
        await post()
        served[0].writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        await post()
    assert closing_said(listener) == [False, False, False, True]
    assert listener.connections == 3


async def test_one_listeners_haste_is_no_others() -> None:
    async with (
        listening(closes_idle_ones) as hasty,
        listening(keep_answering) as other,
        Transport(EMULATOR, Budget()) as transport,
    ):
        for _ in range(3):
            for listener in (hasty, other):
                assert isinstance(await transport.post(listener.url, HEADERS, BODY), Answer)
            for _ in range(20):
                await asyncio.sleep(0)
    assert other.connections == 1


async def test_tokens_and_alerts_have_no_second_try_and_so_connections_of_their_own() -> None:
    async with stage() as on:
        wanted = on.wanted
        assert isinstance(await on.post(wanted), Answer)
        hook = AlertHook(on.listener.url, on.transport)
        await hook.tell(Alert("kind", "account", 1, "name", "reason", NOW))
        await hook.tell(Alert("kind", "account", 1, "name", "reason", NOW))
    assert closing_said(on.server) == [True]
    assert closing_said(on.listener) == [False, True, True]
