"""Messages made up, posted as the server posts them: same text, signatures, guard and client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from heliograph.cli.exits import wrong
from heliograph.clock import SystemClock
from heliograph.delivery.attempt import Exchange, Post, compose, exchange
from heliograph.egress import Guard, Profile, Refused
from heliograph.model.accounts import HmacKey, Secret
from heliograph.model.deliveries import Proofs
from heliograph.outbound.authorizer import Authorizer
from heliograph.outbound.transport import Budget, Transport
from heliograph.wire.samples.posts import NoMessage, Wish, delivery

_GUARD: Final = Guard(Profile.EMULATOR)


@dataclass(frozen=True, slots=True)
class Listener(Wish):
    """Where samples go, in which format, whether with documents, and the `keys` that sign them."""

    keys: Sequence[Secret] = ()


def check_url(url: str) -> None:
    """See that samples may be posted there: to this machine, or a public address.

    Raises:
        Stop: they may not.
    """
    try:
        _GUARD.check_new_url(url)
    except Refused as refusal:
        raise wrong(f"--to: {refusal}") from None


def composed(message: Mapping[str, Any], listener: Listener) -> Post:
    """What would be posted.

    Raises:
        Stop: the message is not one, or has no such format.
    """
    return compose(
        **_parts(message, listener),
        number=_number(message),
        attempt_id=0,
        at=datetime.now(UTC),
    )


class Poster:
    """Posts samples to a listener; use as an async context manager."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._clock = SystemClock()
        self._budget = Budget()
        self._transport = Transport(_GUARD, self._budget)

    async def __aenter__(self) -> Poster:
        await self._transport.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()

    async def post(self, message: Mapping[str, Any]) -> tuple[Exchange, float]:
        """Post a message once; what came of it, and after how many seconds.

        Raises:
            Stop: the message is not one, or has no such format; nothing was sent.
        """
        parts, began = _parts(message, self._listener), self._clock.monotonic()
        exchanged = await exchange(
            **parts,
            sender=Authorizer(self._transport, self._clock, total=self._budget.total),
            number=_number(message),
            attempt_id=0,
            at=self._clock.machine(),
            last=True,
        )
        return exchanged, self._clock.monotonic() - began


def _parts(message: Mapping[str, Any], listener: Listener) -> dict[str, Any]:
    try:
        event, configuration = delivery(message, listener)
    except NoMessage as error:
        raise wrong(str(error)) from None
    at = datetime.now(UTC)
    keys = tuple(HmacKey(str(place), key, at) for place, key in enumerate(listener.keys))
    return {"event": event, "configuration": configuration, "proofs": Proofs(keys)}


def _number(message: Mapping[str, Any]) -> int:
    retry_count: int = message["retryCount"]
    return retry_count + 1
