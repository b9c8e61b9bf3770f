"""The port to the audit of an account, and who is noted in it.

A verb of the store that changes something notes it in its own transaction (`verbs/audit.py`):
neither stands without the other. Who acts is not handed from call to call, it is said once:
whatever is done within `acting` is noted as that actor's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Final, Protocol

from heliograph.model.audit import ITSELF, Actor, AuditEntry, AuditQuery
from heliograph.model.logs import Cursor
from heliograph.store.pages import Page

_ACTOR: Final[ContextVar[Actor]] = ContextVar("actor", default=ITSELF)


def actor() -> Actor:
    """Who acts now."""
    return _ACTOR.get()


@contextmanager
def acting(who: Actor) -> Iterator[None]:
    """Let `who` be noted for what is done within."""
    before = _ACTOR.set(who)
    try:
        yield
    finally:
        _ACTOR.reset(before)


class Audit(Protocol):
    """Entries are added by what they are about, changed by nobody, and deleted by age alone: a
    trigger of both engines sees to it."""

    async def entries(
        self, account_id: str, query: AuditQuery, limit: int, after: Cursor | None = None
    ) -> Page[AuditEntry]:
        """Those that are meant, a page of them."""
        ...

    async def retire(self, before: datetime) -> int:
        """Delete at most `BATCH_MOST` entries of before a time. Returns the number of them."""
        ...
