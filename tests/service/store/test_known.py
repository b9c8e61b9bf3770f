"""What the writer of an SQLite database keeps in memory is forgotten with what is undone."""

from __future__ import annotations

import apsw
import pytest

from heliograph.failpoints import FailpointHit, Trap, armed
from heliograph.store.sqlite import accept as accepting
from heliograph.store.sqlite.store import SqliteStore
from tests.support import ACCOUNT, accept, new_event, wanted_configuration
from tests.taking import Sending

pytestmark = pytest.mark.parametrize("engine", ["sqlite"])


async def test_r3_the_event_of_an_accept_that_broke_is_not_taken_for_the_next_one(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create_configuration(wanted_configuration())
    sending = Sending(store)
    monkeypatch.setattr(accepting, "failpoint", armed([Trap("accept.fanout", "raise")]))
    # Who keeps the error keeps what was claimed when it came.
    with pytest.raises(FailpointHit) as broken:
        await accept(store, new_event(envelope_id="is undone"))
    await accept(store, new_event(envelope_id="comes next"))
    assert sending.envelopes == ["comes next"]
    assert broken.value


async def test_what_was_read_of_what_is_undone_is_read_again(store: SqliteStore) -> None:
    def version(db: apsw.Connection) -> int:
        return store._known.version_of(db, ACCOUNT)[0]

    def refuse(db: apsw.Connection) -> None:
        store._known.forget()
        db.execute("update account set configurations_version = configurations_version + 1")
        version(db)
        raise LookupError

    before = await store._writer.write(version)
    with pytest.raises(LookupError):
        await store._writer.write(refuse)
    assert await store._writer.write(version) == before
