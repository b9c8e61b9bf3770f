"""Relays (see store/relays.py)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from heliograph.model.audit import MASKED, Action, Change, Detail, differing
from heliograph.model.relays import Refusal, Relay
from heliograph.store import sealing
from heliograph.store.keyring import KeyRing
from heliograph.store.relays import MOST_REFUSALS, MOST_RETIRED, MessageId
from heliograph.store.times import from_microseconds, to_microseconds
from heliograph.store.verbs import Engine, Step, Verb, audit, verb_of

_HELD: Final = 8
"""Parts of a large message after which what they have brought into caches is let go."""


class RelayVerbs:
    """The Relays port; `now` gives microseconds UTC."""

    def __init__(self, engine: Engine, keyring: KeyRing, now: Callable[[], int]) -> None:
        self._engine = engine
        self._keyring = keyring
        self._now = now

    async def create(self, relay: Relay) -> bool:
        values = {
            **sealing.writing_relay(self._keyring, relay),
            "created": to_microseconds(relay.created_at),
        }

        def verb() -> Verb[bool]:
            if not (yield Step("relay_add", values)).changed:
                return False
            made = Change(_what(relay.name), differing({}, _shown(relay)))
            yield from audit.note(relay.account_id, self._now(), Action.RELAY_CREATED, made)
            return True

        return await self._engine.write(verb, patience=None)

    async def all(self, account_id: str) -> Sequence[Relay]:
        step = Step("relays", {"account_id": account_id})
        found = await self._engine.read(lambda: verb_of(step))
        return [sealing.relay(self._keyring, row) for row in found]

    async def get(self, account_id: str, name: str) -> Relay | None:
        step = Step("relay", {"account_id": account_id, "name": name})
        found = await self._engine.read(lambda: verb_of(step))
        return sealing.relay(self._keyring, found.first) if found else None

    async def update(
        self, account_id: str, name: str, change: Callable[[Relay], Relay]
    ) -> Relay | None:
        named = {"account_id": account_id, "name": name}

        def verb() -> Verb[Relay | None]:
            found = yield Step("relay_to_change", named)
            if not found:
                return None
            before = sealing.relay(self._keyring, found.first)
            after = change(before)
            written = {**sealing.writing_relay(self._keyring, after), "now": self._now()}
            yield Step("relay_change", written)
            changed = differing(_shown(before), _shown(after))
            if before.secrets != after.secrets:
                changed += (Detail("HMAC secrets", MASKED, MASKED),)
            if before.basic != after.basic:
                changed += (Detail("password", MASKED, MASKED),)
            action = Action.RELAY_CHANGED
            yield from audit.note_changed(
                account_id, self._now(), action, Change(_what(name), changed)
            )
            return after

        return await self._engine.write(verb, patience=None)

    async def delete(self, account_id: str, name: str) -> bool:
        named = {"account_id": account_id, "name": name}

        def verb() -> Verb[bool]:
            found = yield Step("relay_to_change", named)
            if not found:
                return False
            of = {**named, "relay_id": found.first.relay_id}
            yield Step("relay_refusals_delete", of)
            yield Step("relay_delete", of)
            yield from audit.note(
                account_id, self._now(), Action.RELAY_DELETED, Change(_what(name), ())
            )
            return True

        return await self._engine.write(verb, patience=None)

    async def refuse(self, relay: Relay, refusal: Refusal) -> None:
        of = {"account_id": relay.account_id, "relay_id": relay.relay_id}
        values = {
            **of,
            "refusal_id": str(uuid.uuid4()),
            "created": to_microseconds(refusal.created_at),
            "reason": refusal.reason,
            "address": refusal.address,
            "size": refusal.size,
            "headers": json.dumps(refusal.headers),
            "content": refusal.content,
        }

        def verb() -> Verb[None]:
            yield Step("relay_refusal_add", values)
            yield Step("relay_refusals_trim", {**of, "most": MOST_REFUSALS})

        await self._engine.write(verb)

    async def refusals(self, relay: Relay) -> Sequence[Refusal]:
        of = {"account_id": relay.account_id, "relay_id": relay.relay_id}
        found = await self._engine.read(lambda: verb_of(Step("relay_refusals", of)))
        return [
            Refusal(
                from_microseconds(row.created_us),
                *(row.reason, row.address, row.size),
                tuple((name, value) for name, value in json.loads(row.headers)),
                bytes(row.content),
            )
            for row in found
        ]

    async def is_accepted(self, account_id: str, event_id: str) -> bool:
        step = Step("relay_event_known", {"account_id": account_id, "event_id": event_id})
        return bool(await self._engine.read(lambda: verb_of(step)))

    async def keep(self, message: MessageId, event_id: str, number: int, content: bytes) -> None:
        values = {**asdict(message), "event_id": event_id, "number": number}

        def verb() -> Verb[None]:
            if number == 0:
                yield Step("relay_message_add", {**values, "now": self._now()})
            elif number % _HELD == 0:
                yield Step("cache_release")
            yield Step("relay_part_add", {**values, "content": content})

        await self._engine.write(verb, name="relay")

    async def part(self, message: MessageId, number: int) -> bytes | None:
        def verb() -> Verb[bytes | None]:
            found = yield Step("relay_part", {**asdict(message), "number": number})
            if number:
                yield Step("cache_release")
            return bytes(found.first.content) if found else None

        return await self._engine.read(verb)

    async def forget(self, message: MessageId) -> None:
        def verb() -> Verb[None]:
            yield from _deleted((yield Step("relay_message_of", asdict(message))))

        await self._engine.write(verb)

    async def retire(self, before: datetime) -> int:
        old = {"before": to_microseconds(before), "most": MOST_RETIRED}

        def verb() -> Verb[int]:
            found = yield Step("relay_messages_unnamed", old)
            yield from _deleted(found)
            return len(found)

        return await self._engine.write(verb)


def _deleted(found: Sequence[Any]) -> Verb[None]:
    """Delete the messages that rows name."""
    values = {"message_ids": [row.message_id for row in found]}
    if found:
        yield Step("relay_parts_delete", values)
        yield Step("relay_messages_delete", values)


def _what(name: str) -> str:
    return f"relay {name}"


def _shown(relay: Relay) -> Mapping[str, Any]:
    """But for what is secret."""
    return {
        "user name": None if relay.basic is None else relay.basic[0],
        "number of HMAC secrets": str(len(relay.secrets)),
    }
