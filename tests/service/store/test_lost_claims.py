"""What an accept on PostgreSQL claims, and we do not learn of, is put back by the next look."""

from __future__ import annotations

from typing import Any

import pytest

from heliograph.errors import StorageUnavailable
from heliograph.store.postgres.store import PostgresStore
from tests.support import accept, claim_all, new_event, wanted_configuration
from tests.taking import Sending

pytestmark = pytest.mark.parametrize("engine", ["postgres"])


async def accept_without_an_answer(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is committed, and what it claimed is nobody's: the answer is lost on its way."""
    real = store._database.transact

    async def transact(work: Any, name: str = "other") -> Any:
        result = await real(work, name)
        if name == "accept":
            raise StorageUnavailable("The connection broke.")
        return result

    with monkeypatch.context() as patch:
        patch.setattr(store._database, "transact", transact)
        with pytest.raises(StorageUnavailable):
            await accept(store, new_event())


async def test_r21_an_accept_whose_answer_is_lost_has_the_dispatcher_look(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create_configuration(wanted_configuration())
    woken: list[None] = []
    sending = Sending(store)
    store.when_due(lambda: woken.append(None))
    await accept_without_an_answer(store, monkeypatch)
    assert (sending.taken, (await store.statistics()).in_flight) == ([], 1)
    assert woken
    assert [claim.number for claim in await claim_all(store)] == [1]


async def test_r4_a_look_that_could_put_nothing_back_leaves_that_to_the_next_one(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create_configuration(wanted_configuration())
    assert await claim_all(store) == []  # now and then a look puts back in any case: this one
    sending = Sending(store)
    await accept_without_an_answer(store, monkeypatch)
    assert sending.taken == []
    with store._queue.handing_over():
        assert await claim_all(store) == []
    assert len(await claim_all(store)) == 1


async def test_r4_what_is_lost_while_a_look_is_under_way_is_left_to_the_next_one(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create_configuration(wanted_configuration())
    assert await claim_all(store) == []
    Sending(store)
    real = store._database.transact

    async def transact(work: Any, name: str = "other") -> Any:
        result = await real(work, name)
        monkeypatch.setattr(store._database, "transact", real)
        await accept_without_an_answer(store, monkeypatch)
        return result

    monkeypatch.setattr(store._database, "transact", transact)
    assert await claim_all(store) == []
    assert len(await claim_all(store)) == 1
