"""What only the SQLite engine promises: its settings, one owner, group commit, full disks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import pytest

from heliograph.errors import StorageBroken, StorageUnavailable, UnsafeStorage
from heliograph.model.accounts import Account, Secret
from heliograph.model.checks import Check
from heliograph.model.deliveries import LEGAL_MOVES, AttemptOutcome, DeliveryState
from heliograph.model.logs import LogQuery
from heliograph.store.keyring import KeyRing
from heliograph.store.sql import migrations
from heliograph.store.sqlite.connection import PRAGMAS, Readers, Writer, connect
from heliograph.store.sqlite.doctor import due_check
from heliograph.store.sqlite.engine import VERBS
from heliograph.store.sqlite.queries import QUERIES
from heliograph.store.sqlite.store import SqliteStore
from heliograph.store.times import to_microseconds
from tests.support import (
    ACCOUNT,
    OTHER_ACCOUNT,
    ManualClock,
    accept,
    claim_all,
    deliver,
    new_event,
    wanted_configuration,
)

_LARGE_SORT = """
with recursive numbers (number) as (
    select 1 union all select number + 1 from numbers where number < 20000
)

select number, hex(zeroblob(500)) as filler from numbers order by number * 7919 % 20011
"""


async def open_sqlite(folder: Path, clock: ManualClock) -> SqliteStore:
    return await SqliteStore.open(
        folder / "heliograph.db", KeyRing.load(folder / "master.key"), clock
    )


def test_r18_every_pragma_is_read_back(tmp_path: Path) -> None:
    connection = connect(tmp_path / "x.db")
    found = {name: connection.pragma(name) for name, _, _ in PRAGMAS}
    connection.close()
    # 2 is FULL: a commit is flushed before it is reported (R1).
    assert (found["journal_mode"], found["synchronous"]) == ("wal", 2)
    assert found == {name: expected for name, _, expected in PRAGMAS}


async def test_r18_a_file_system_that_cannot_do_wal_is_refused(
    tmp_path: Path, clock: ManualClock
) -> None:
    # This VFS of SQLite's has no shared memory, as network file systems have none.
    usual = apsw.vfs_names()[0]
    apsw.set_default_vfs("unix-none")
    try:
        with pytest.raises(UnsafeStorage, match="journal_mode=delete where wal is needed"):
            await open_sqlite(tmp_path, clock)
    finally:
        apsw.set_default_vfs(usual)
    # The refusal let the lock go.
    await (await open_sqlite(tmp_path, clock)).close()


async def test_r18_an_old_sqlite_is_refused(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(UnsafeStorage, match=r"3\.51\.3 or newer"):
        await open_sqlite(tmp_path, clock)


async def test_r18_a_file_that_is_no_database_is_refused(
    tmp_path: Path, clock: ManualClock
) -> None:
    (tmp_path / "heliograph.db").write_bytes(b"not a database, " * 512)
    with pytest.raises(UnsafeStorage, match="restore a backup"):
        await open_sqlite(tmp_path, clock)


async def test_r20_a_second_owner_is_refused_and_told_who_the_first_is(
    tmp_path: Path, clock: ManualClock
) -> None:
    first = await open_sqlite(tmp_path, clock)
    with pytest.raises(UnsafeStorage, match=f"process {os.getpid()}"):
        await open_sqlite(tmp_path, clock)
    await first.close()
    await (await open_sqlite(tmp_path, clock)).close()


_OWNER = """
import asyncio, sys
from pathlib import Path
from typing import Any
from heliograph.clock import SystemClock
from heliograph.store.keyring import KeyRing
from heliograph.store.sqlite.queries import QUERIES
from heliograph.store.sqlite.store import SqliteStore

async def main(folder):
    store = await SqliteStore.open(
        folder / "heliograph.db", KeyRing.load(folder / "master.key"), SystemClock()
    )
    print("open", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_r20_after_kill_9_the_next_owner_takes_over_and_a_third_is_refused(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    owner = subprocess.Popen([sys.executable, "-c", _OWNER, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"open\n"
        with pytest.raises(UnsafeStorage, match=f"process {owner.pid}"):
            await open_sqlite(tmp_path, clock)
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        if owner.stdout is not None:
            owner.stdout.close()
    second = await open_sqlite(tmp_path, clock)
    with pytest.raises(UnsafeStorage, match="Another Heliograph"):
        await open_sqlite(tmp_path, clock)
    await second.close()


async def test_r20_a_live_heartbeat_of_another_machine_is_refused_until_it_is_old(
    tmp_path: Path, clock: ManualClock
) -> None:
    store = await open_sqlite(tmp_path, clock)
    await store.close()
    raw = apsw.Connection(str(tmp_path / "heliograph.db"))
    raw.execute("update node set boot_id = 'elsewhere', host = 'db-2', stopped_us = null")
    raw.close()

    clock.move(29)
    with pytest.raises(UnsafeStorage, match="on db-2 wrote to this database"):
        await open_sqlite(tmp_path, clock)
    clock.move(2)
    await (await open_sqlite(tmp_path, clock)).close()


async def test_r12_the_stores_clock_never_runs_backwards_across_restarts(
    tmp_path: Path, clock: ManualClock
) -> None:
    store = await open_sqlite(tmp_path, clock)
    await store.create_account(Account(ACCOUNT, 1, "First"))
    await store.create_configuration(wanted_configuration())
    await accept(store, new_event())
    await store.close()

    clock.jump(-3600)
    store = await open_sqlite(tmp_path, clock)
    # What was due stays due.
    await deliver(store, await claim_all(store))
    assert len((await store.logs(ACCOUNT, LogQuery(), 10)).entries) == 1
    await store.close()


async def test_r4_the_database_allows_exactly_the_legal_moves(
    tmp_path: Path, clock: ManualClock
) -> None:
    store = await open_sqlite(tmp_path, clock)
    await store.close()
    raw = apsw.Connection(str(tmp_path / "heliograph.db"))
    allowed = set(raw.execute("select from_state, to_state from legal_move"))
    assert allowed == {
        (before.value, after.value) for before, moves in LEGAL_MOVES.items() for after in moves
    }
    raw.execute("pragma foreign_keys = off")
    for before in DeliveryState:
        for after in DeliveryState:
            raw.execute("savepoint move")
            raw.execute(
                "insert into delivery (account_id, event_row, connect_id, envelope_id, state, "
                "due_us, held_reason, epoch, cancelled_by, seed, schedule_started_us, "
                "failed_us, created_us) values ('a', 1, 1, 'e', ?1, 0, "
                "iif(?1 = 'held', 'paused', null), iif(?1 = 'in_flight', 1, null), "
                "iif(?1 = 'cancelled', 'x', null), 0, 0, iif(?1 = 'failed', 1, null), 0)",
                (before.value,),
            )
            move = (
                "update delivery set state = ?1, "
                "held_reason = iif(?1 = 'held', 'paused', null), "
                "epoch = iif(?1 = 'in_flight', 1, null), "
                "cancelled_by = iif(?1 = 'cancelled', 'x', null), "
                "failed_us = iif(?1 = 'failed', 1, null)"
            )
            if (before.value, after.value) in allowed:
                raw.execute(move, (after.value,))
            else:
                with pytest.raises(apsw.ConstraintError, match="illegal move"):
                    raw.execute(move, (after.value,))
            raw.execute("rollback to move")
            raw.execute("release move")
    raw.close()


async def test_gathered_writes_share_a_commit_and_a_failed_one_spoils_no_other(
    tmp_path: Path,
) -> None:
    connection = connect(tmp_path / "x.db")
    connection.execute("create table t (x integer primary key)")
    commits = 0

    def count() -> bool:
        nonlocal commits
        commits += 1
        return False

    connection.set_commit_hook(count)
    writer = Writer(connection, asyncio.get_running_loop(), lambda: None, tmp_path / "x.db")
    held, began = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold(_: apsw.Connection) -> None:
        loop.call_soon_threadsafe(began.set)
        asyncio.run_coroutine_threadsafe(held.wait(), loop).result()

    first = asyncio.ensure_future(writer.write(hold))
    await began.wait()
    commits = 0

    def insert(value: int) -> asyncio.Task[object]:
        return asyncio.ensure_future(
            writer.write(lambda db: db.execute("insert into t values (?)", (value,)))
        )

    others = [insert(value) for value in (1, 2, 2, 3)]
    await asyncio.gather(*(asyncio.sleep(0) for _ in others))
    held.set()
    await first
    results = await asyncio.gather(*others, return_exceptions=True)

    assert [type(result) for result in results][2] is apsw.ConstraintError
    assert connection.execute("select x from t order by x").fetchall() == [(1,), (2,), (3,)]
    assert commits == 2  # the one that was held, and one for the four
    await writer.close()


async def test_r11_a_full_disk_refuses_writes_keeps_reads_and_recovers_by_itself(
    tmp_path: Path, clock: ManualClock
) -> None:
    store = await open_sqlite(tmp_path, clock)
    await store.create_account(Account(ACCOUNT, 1, "First"))
    await store.create_configuration(wanted_configuration())
    await accept(store, new_event(event_id="before"))

    # SQLite itself reports the disk as full when the file may not grow.
    def limit(pages: int) -> object:
        return store._writer.write(lambda db: db.pragma("max_page_count", pages))

    await limit(1)  # type: ignore[misc]
    large = new_event(envelope_id="env-2", event_id="large", padding="x" * 200_000)
    with pytest.raises(StorageUnavailable):
        await accept(store, large)
    assert (await store.configurations(ACCOUNT)).all != ()

    await limit(1_000_000)  # type: ignore[misc]
    (receipt,) = await accept(store, large)
    assert not receipt.repeated
    assert len(await claim_all(store)) == 2
    await store.close()


async def test_r11_a_lock_of_another_program_delays_a_write_and_breaks_nothing(
    tmp_path: Path, clock: ManualClock
) -> None:
    store = await open_sqlite(tmp_path, clock)
    await store.create_account(Account(ACCOUNT, 1, "First"))
    other = apsw.Connection(str(tmp_path / "heliograph.db"))
    other.execute("begin immediate")
    with pytest.raises(StorageUnavailable, match="Another program holds a lock"):
        async with asyncio.timeout(2):
            await accept(store, new_event())
    other.execute("rollback")
    other.close()
    (receipt,) = await accept(store, new_event())
    assert not receipt.repeated
    await store.close()


class _RecordedFile(apsw.VFSFile):
    """A file of the real VFS that notes writes and flushes of the WAL."""

    def __init__(self, name: Any, flags: list[int], log: list[str]) -> None:
        super().__init__("unix", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._log = log if path.endswith("-wal") else []

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 (apsw's name)
        self._log.append("write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self._log.append("flush")


class _RecordingVfs(apsw.VFS):
    def __init__(self, log: list[str]) -> None:
        super().__init__("recording", "unix")
        self._log = log

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return _RecordedFile(name, flags, self._log)


async def test_r1_an_accepted_event_is_flushed_before_the_answer(
    tmp_path: Path, clock: ManualClock
) -> None:
    log: list[str] = []
    vfs = _RecordingVfs(log)
    apsw.set_default_vfs("recording")
    try:
        store = await open_sqlite(tmp_path, clock)
    finally:
        apsw.set_default_vfs("unix")
    await store.create_account(Account(ACCOUNT, 1, "First"))
    await store.create_configuration(wanted_configuration())
    for number in range(3):
        log.clear()
        await accept(store, new_event(envelope_id=f"env-{number}"))
        assert "write" in log
        assert log[-1] == "flush"
    await store.close()
    vfs.unregister()


async def test_f12_after_one_io_error_nothing_is_written_any_more(tmp_path: Path) -> None:
    connection = connect(tmp_path / "x.db")
    connection.execute("create table t (x)")
    writer = Writer(connection, asyncio.get_running_loop(), lambda: None, tmp_path / "x.db")

    def fail(_: apsw.Connection) -> None:
        raise apsw.IOError("disk I/O error")

    with pytest.raises(StorageBroken):
        await writer.write(fail)
    with pytest.raises(StorageBroken):
        await writer.write(lambda db: db.execute("insert into t values (1)"))
    before = (tmp_path / "x.db").read_bytes()
    await writer.close()
    # Not even by the close, which would copy the WAL into the database.
    assert (tmp_path / "x.db").read_bytes() == before
    assert (tmp_path / "x.db-wal").stat().st_size > 0


async def test_r17_a_delivery_whose_secrets_do_not_open_is_parked_and_others_go_on(
    tmp_path: Path, clock: ManualClock
) -> None:
    store = await open_sqlite(tmp_path, clock)
    for account_id, number in ((ACCOUNT, 1), (OTHER_ACCOUNT, 2)):
        await store.create_account(Account(account_id, number, "x"))
        await store.add_hmac_key(account_id, f"k{number}", Secret("x"))
        await store.create_configuration(wanted_configuration(account_id))
        await accept(store, new_event(), account_id=account_id)
    await store.close()
    raw = apsw.Connection(str(tmp_path / "heliograph.db"))
    raw.execute("update hmac_key set sealed = x'00' where key_id = 'k1'")
    raw.close()

    store = await open_sqlite(tmp_path, clock)
    (claim,) = await claim_all(store)
    assert claim.event.account_id == OTHER_ACCOUNT
    await deliver(store, [claim])
    (failure,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert failure.error is not None
    assert "master.key" in failure.error
    assert list(await store.orphans()) == []
    await store.close()


async def test_f23_a_copy_of_a_database_is_refused_until_it_is_adopted(
    tmp_path: Path, clock: ManualClock
) -> None:
    store = await open_sqlite(tmp_path, clock)
    await store.close()
    copied = tmp_path / "elsewhere"
    copied.mkdir()
    for name in ("heliograph.db", "master.key"):
        shutil.copy(tmp_path / name, copied / name)
    keyring = KeyRing.load(copied / "master.key")
    with pytest.raises(UnsafeStorage, match="--adopt"):
        await SqliteStore.open(copied / "heliograph.db", keyring, clock)

    adopted = await SqliteStore.open(copied / "heliograph.db", keyring, clock, adopt=True)
    await adopted.close()
    again = await SqliteStore.open(copied / "heliograph.db", keyring, clock)
    await again.close()


@pytest.mark.parametrize("replaced", [False, True])
async def test_f14_nothing_is_accepted_into_a_file_that_was_removed_or_replaced(
    tmp_path: Path, clock: ManualClock, replaced: bool
) -> None:
    store = await open_sqlite(tmp_path, clock)
    await store.create_account(Account(ACCOUNT, 1, "First"))
    await store.create_configuration(wanted_configuration())
    await accept(store, new_event(event_id="before"))
    database = tmp_path / "heliograph.db"
    database.rename(tmp_path / "moved")
    if replaced:
        shutil.copy(tmp_path / "moved", database)

    with pytest.raises(StorageBroken, match="removed or replaced"):
        await accept(store, new_event(event_id="after"))
    with pytest.raises(StorageBroken):
        await store.renew_lease()
    with contextlib.suppress(StorageBroken):
        await store.close()


async def test_f15_where_no_descriptor_is_left_reads_and_writes_go_on(
    tmp_path: Path, clock: ManualClock
) -> None:
    store = await open_sqlite(tmp_path, clock)
    await store.create_account(Account(ACCOUNT, 1, "First"))
    readers = Readers(tmp_path / "heliograph.db")
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, usual[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.open(tmp_path / "heliograph.db", os.O_RDONLY)
        await store.create_configuration(wanted_configuration())
        read = await asyncio.gather(*(store.accounts() for _ in range(8)))
        await accept(store, new_event(event_id="accepted"))
        # More than a reader has room for beside the database: it would go into a file.
        await readers.read(lambda db: list(db.execute(_LARGE_SORT)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    assert {len(accounts) for accounts in read} == {1}
    await readers.close()
    await store.close()


async def test_f24_a_damaged_database_is_refused_with_what_to_do(
    tmp_path: Path, clock: ManualClock
) -> None:
    store = await open_sqlite(tmp_path, clock)
    await store.create_account(Account(ACCOUNT, 1, "First"))
    await store.create_configuration(wanted_configuration())
    await accept(store, *(new_event(event_id=f"event-{number}") for number in range(200)))
    await store.close()
    database = tmp_path / "heliograph.db"
    whole = database.read_bytes()
    refusals = []
    for place in range(4096, len(whole), 4096 * 7):  # the first byte of a page: its kind
        database.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            await (await open_sqlite(tmp_path, clock)).close()
        except UnsafeStorage as refused:
            refusals.append(str(refused))
    assert refusals
    assert all("restore a backup" in refused for refused in refusals)


async def test_r21_doctor_tells_when_something_is_due_and_the_node_does_not_look(
    tmp_path: Path, clock: ManualClock
) -> None:
    def due() -> Check:
        return due_check(tmp_path / "heliograph.db", to_microseconds(clock.now()))

    assert due().passed  # there is none yet
    store = await open_sqlite(tmp_path, clock)
    await store.create_account(Account(ACCOUNT, 1, "x"))
    await store.create_configuration(wanted_configuration())
    assert due().found == "nothing is overdue"
    for envelope_id in ("env-1", "env-2"):
        await accept(store, new_event(envelope_id=envelope_id))
    clock.move(300)
    await store.renew_lease()
    assert (due().passed, "no node has looked for it for 300 s" in due().found) == (False, True)

    await store.claim(1, 1)
    clock.move(60)
    await store.renew_lease()
    assert (due().passed, "no node has looked for it for 60 s" in due().found) == (True, True)
    clock.move(200)  # as after kill -9: nothing beats any more
    assert (due().passed, "no server runs" in due().found) == (True, True)
    await store.close()
    assert (due().passed, "no server runs" in due().found) == (True, True)


def test_r21_doctor_reads_a_database_of_the_version_before(tmp_path: Path) -> None:
    with contextlib.closing(connect(tmp_path / "heliograph.db")) as old:
        for step in migrations("sqlite")[:12]:
            old.execute(step.sql)
    found = due_check(tmp_path / "heliograph.db", 0)
    assert (found.passed, found.found) == (
        True,
        "not known: this version has not started on it yet",
    )


async def test_s17_a_historical_publish_looks_each_envelope_up(
    tmp_path: Path, clock: ManualClock
) -> None:
    """The list leads: with the account's envelopes first, each of them would read all of it."""
    await (await open_sqlite(tmp_path, clock)).close()
    database = apsw.Connection(str(tmp_path / "heliograph.db"))
    for statement in QUERIES["publish_deliver"].split(";")[:2]:
        values = dict.fromkeys(re.findall(r":(\w+)", statement), "[]")
        plan = [row[3] for row in database.execute(f"explain query plan {statement}", values)]
        assert "SEARCH v USING PRIMARY KEY (account_id=? AND envelope_id=?)" in plan, plan
    database.close()


async def test_what_has_changed_of_many_configurations_is_looked_up(
    tmp_path: Path, clock: ManualClock
) -> None:
    await (await open_sqlite(tmp_path, clock)).close()
    with contextlib.closing(apsw.Connection(str(tmp_path / "heliograph.db"))) as database:
        query = VERBS["configurations_since"]
        values = {"account_id": ACCOUNT, "version": 1}
        plan = [row[3] for row in database.execute(f"explain query plan {query}", values)]
    looked_up = "connect_configuration_changed (account_id=? AND version>?)"
    assert any(looked_up in step for step in plan), plan


_LEFT_OPEN = """
insert into account (account_id, external_id, name, created_us) values (:account, 1, 'x', 0);
insert into connect_configuration (
    connect_id, account_id, name, url, publishing, paused, document, created_us, changed_us
)
values (
    1, :account, 'crm', 'https://x', 1, 0,
    cast('{"allowEnvelopePublish": "true", "enableLog": "true"}' as blob), 0, 0
);
insert into event (
    event_row, account_id, event_id, name, envelope_id, status, deliveries, generated_us,
    created_us, digest, document
)
values (1, :account, 'e', 'envelope-sent', 'env-1', 'sent', 2, 0, 0, x'', x'');
insert into delivery (
    delivery_id, account_id, event_row, connect_id, envelope_id, state, epoch, attempt_id,
    cancelled_by, seed, attempts, schedule_started_us, unsettled_claims, created_us
)
values
    (1, :account, 1, 1, 'env-1', 'in_flight', 1, 8, null, 1, 1, 0, 1, 0),
    (2, :account, 1, 1, 'env-1', 'cancelled', null, 9, 'alice', 1, 1, 0, 1, 0);
insert into attempt (
    attempt_id, delivery_id, account_id, connect_id, envelope_id, number, epoch, url, started_us,
    outcome
)
values
    (8, 1, :account, 1, 'env-1', 1, 1, 'https://x', 7, 'open'),
    (9, 2, :account, 1, 'env-1', 1, 1, 'https://x', 7, 'open');
"""


async def test_r5_what_the_version_before_left_open_is_unknown_after_the_upgrade(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Before, an attempt had its row while it ran."""
    with contextlib.closing(connect(tmp_path / "heliograph.db")) as old:
        old.execute(QUERIES["migrations_table"])
        for step in migrations("sqlite")[:19]:
            old.execute(step.sql)
            old.execute(QUERIES["migration_add"], step.row(0))
        old.execute(_LEFT_OPEN, {"account": ACCOUNT})

    store = await open_sqlite(tmp_path, clock)
    entries = (await store.logs(ACCOUNT, LogQuery(), 10)).entries
    details = [await store.log(ACCOUNT, entry.log_id or 0) for entry in entries]
    assert [detail and (detail.entry.log_id, detail.outcome) for detail in details] == [
        (9, AttemptOutcome.UNKNOWN),
        (8, AttemptOutcome.UNKNOWN),
    ]
    (claim,) = await claim_all(store)
    assert (claim.delivery_id, claim.attempt_id, claim.number) == (1, 10, 2)
    await deliver(store, [claim])
    assert list(await store.orphans()) == []
    await store.close()
