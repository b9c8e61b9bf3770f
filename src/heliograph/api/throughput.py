"""How fast messages go out, and what waits. An extension of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from heliograph.api.contract import selection
from heliograph.api.contract.operation import Call, Operation
from heliograph.errors import NotFound
from heliograph.model.accounts import Role
from heliograph.model.throughput import MOST_POSTS, WINDOW, throughput
from heliograph.store import Store
from heliograph.wire import throughput as wire

_MOST_COUNTED: Final = 10_000
"""Deliveries of a state are counted up to this."""


class Throughputs:
    """The operation of an account's throughput, or of a configuration's."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def operations(self) -> Sequence[Operation]:
        """The operation of this module."""
        return [
            Operation(
                operation_id="get_throughput",
                method="GET",
                path="/accounts/{accountId}/connect/throughput",
                handler=self._get,
                role=Role.VIEWER,
                summary="Shows how fast messages go out, how fast listeners answer, what waits.",
                answer=wire.ConnectThroughput,
                query=(selection.CONNECT_ID,),
                extension=True,
            )
        ]

    async def _get(self, call: Call) -> wire.ConnectThroughput:
        account_id, connect_id = call.account_id, selection.CONNECT_ID.read(call.query)
        if connect_id is not None:
            known = await self._store.configuration(account_id, connect_id)
            if known is None:
                raise NotFound(f"There is no configuration {connect_id}.")
        now, published = self._store.clock.now(), self._store.published
        posts = await published.posts(account_id, connect_id, now - WINDOW, MOST_POSTS)
        backlog = await published.backlog(account_id, connect_id, _MOST_COUNTED)
        found = throughput(posts, backlog, now)
        return wire.to_wire(found, await published.servers())
