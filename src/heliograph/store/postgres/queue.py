"""Accept, claim, settle and requeue on PostgreSQL, in sets: what runs inside transactions.

Locks are taken in one order everywhere (accounts, event ids, envelopes, configurations,
deliveries by id), so that transactions seldom meet; where two still do, PostgreSQL undoes
one of them and `Database.transact` runs it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final
from weakref import WeakValueDictionary

import psycopg

from heliograph.bounded import Bounded
from heliograph.failpoints import failpoint
from heliograph.model.accounts import Account
from heliograph.model.configurations import ConnectConfiguration
from heliograph.model.deliveries import (
    Claim,
    Delivered,
    DeliveryState,
    Gathered,
    Settlement,
)
from heliograph.model.events import Event
from heliograph.model.logs import Requeued
from heliograph.store import BATCH_MOST, MOST_UNSETTLED_CLAIMS, ClaimResult, rows, sealing
from heliograph.store.keyring import KeyRing
from heliograph.store.loads import LIGHT, Document, Load, Room, parts_of
from heliograph.store.postgres.accounts import KnownAccount, proofs_of
from heliograph.store.postgres.columns import (
    attempt_columns,
    columns,
    fence_columns,
    place_columns,
    settle_columns,
    where_next,
)
from heliograph.store.postgres.connection import Connection, execute, fetch, fetch_first, run
from heliograph.store.postgres.due import SECOND, DueMarks
from heliograph.store.postgres.queries import QUERIES
from heliograph.store.times import from_microseconds
from heliograph.store.turns import Owners, Turns

_Q: Final = QUERIES

_UNCLAIM_EVERY_US: Final = 5 * SECOND
_MOST_ACCOUNTS: Final = 20_000
"""Accounts whose keys are kept: those that sent last."""

_MOST_CONFIGURATIONS: Final = 20_000
"""Of those that were sent to last."""

_MOST_BYTES: Final = 64 * 2**20
"""Bytes of all that is kept of accounts, and of all configurations."""

_LARGEST: Final = 8 * 2**20
"""Bytes of what is kept of an account beside its configurations."""


Unopened = dict[object, Exception]
"""What is wrong with accounts (by id) and configurations (by number) whose secrets do not open."""


class Queue:
    """The deliveries of one node. `now` gives microseconds UTC of the database's clock."""

    def __init__(self, keyring: KeyRing, now: Callable[[], int]) -> None:
        self._keyring = keyring
        self._now = now
        self.due = DueMarks()
        self.epoch = 0
        self.looked_us: int | None = None
        # What this node has claimed and not settled: configuration by attempt.
        self._claimed: dict[int, int] = {}
        # Times that claims may have been committed without our knowing; how many of them are put
        # back, and will be when the claim that runs is committed.
        self._losses = self._put_back_losses = self._putting_back = 0
        self.is_handing_over = False
        """Whether an accept may have claimed what is not noted here yet."""
        self._unclaimed_us = 0
        self.owners = Owners()
        self.events: WeakValueDictionary[int, Event] = WeakValueDictionary()
        self._accounts = Bounded[str, KnownAccount](_MOST_ACCOUNTS, _MOST_BYTES, _LARGEST)
        # Each with the `reading` of its account that it is of.
        self._configurations = Bounded[int, tuple[object, ConnectConfiguration]](
            _MOST_CONFIGURATIONS, _MOST_BYTES
        )

    def begin_epoch(self, epoch: int) -> None:
        """Forget what an earlier epoch had claimed: it was taken over."""
        self.epoch = epoch
        self._claimed.clear()

    def claim_failed(self) -> None:
        """A claim may have been committed without our knowing: the next one puts it back."""
        self._losses += 1

    @contextmanager
    def handing_over(self) -> Iterator[None]:
        """An accept that may claim runs in the block."""
        self.is_handing_over = True
        try:
            yield
        except BaseException:
            self.claim_failed()
            raise
        finally:
            self.is_handing_over = False

    async def claim(
        self,
        db: Connection,
        room: int,
        per_unlisted: int,
        free: Mapping[int, int],
        per_account: int | None = None,
        load: Load | None = None,
    ) -> ClaimResult:
        """See `Store.claim`. Nothing is claimed without a lease (R8)."""
        now = self._now()
        if await fetch_first(db, _Q["node_alive"], {"epoch": self.epoch, "now": now}) is None:
            return ClaimResult((), None, left=True, crowded=True)
        self.looked_us = now
        late = not 0 <= now - self._unclaimed_us < _UNCLAIM_EVERY_US
        self._putting_back = self._put_back_losses
        if (self._losses > self._put_back_losses or late) and not self.is_handing_over:
            # Now and then in any case: what was lost may be committed long after it was, by
            # a server that still waited for its standby when the connection broke.
            self._putting_back = self._losses
            await self._unclaim(db, now)
            self._unclaimed_us = now
        since = self.due.since(now)
        due = await fetch(db, _Q["due_since"], {"since": since, "now": now})
        failpoint("claim.select")
        self.due.note((connect_id for (connect_id,) in due), since, now)
        in_flight = Counter(self._claimed.values())
        accounts = await self._accounts_of(db, {*self.due.marks, *in_flight})
        # Who is alone has nobody to leave room for.
        turns = Turns(accounts, in_flight, per_account if self.owners.several else None)
        free = {c: free.get(c, per_unlisted - in_flight[c]) for c in self.due.turn()}
        bytes_left = None if load is None else load.room()
        claims = await self._claim_turn(db, free, room, turns, now, bytes_left)
        if not claims and (beyond := turns.beyond(room)):
            left = {c: free[c] for c in self.due.turn()}  # the first look emptied the others
            turns = Turns(accounts, {}, None)
            claims = await self._claim_turn(db, left, beyond, turns, now, bytes_left)
        begun = Counter(claim.configuration.connect_id for claim in claims)
        later = await fetch_first(db, _Q["next_due"], (now,))
        return ClaimResult(
            tuple(claims),
            from_microseconds(later.due_us) if later else None,
            left=bool(self.due.marks),
            crowded=any(begun[c] < free[c] for c in self.due.marks),
        )

    def claimed(self, claims: Iterable[Claim]) -> None:
        """Note claims of a claim that is committed, and what was put back by it."""
        self._put_back_losses = self._putting_back
        self.noted(claims)

    def noted(self, claims: Iterable[Claim]) -> None:
        """Note claims whose transaction is committed."""
        for claim in claims:
            self._claimed[claim.attempt_id] = claim.configuration.connect_id

    async def _claim_turn(
        self,
        db: Connection,
        free: Mapping[int, int],
        room: int,
        turns: Turns,
        now: int,
        bytes_left: Room | None,
    ) -> list[Claim]:
        """Claim in turn; where nothing of those finds room, what comes behind."""
        while most := self._shares(free, room, turns):
            claimed = await self._take(db, most, now)
            failpoint("claim.attempt_open")
            claims, passed_over = await self._claims(db, claimed, now, bytes_left)
            if claims or not passed_over:
                return claims
            free = {c: count for c, count in free.items() if c not in most}
        return []

    async def _accounts_of(self, db: Connection, connect_ids: set[int]) -> Mapping[int, str]:
        accounts = self.owners.known(connect_ids)
        unknown = connect_ids - accounts.keys()
        if unknown:
            found = dict(await fetch(db, _Q["configuration_accounts"], (sorted(unknown),)))
            self.owners.note(found)
            accounts |= found
        return accounts

    def _shares(self, free: Mapping[int, int], room: int, turns: Turns) -> dict[int, int]:
        """How many of each configuration may be claimed, in turn (R7)."""
        turn = [c for c in free if free[c] > 0]
        share = turns.each(room, len(turn)) if turn else 0
        shares: dict[int, int] = {}
        for connect_id in turn:
            of_account = turns.room(connect_id)
            most = min(free[connect_id], share, room)
            most = most if of_account is None else min(most, of_account)
            if most <= 0:
                continue
            shares[connect_id] = most
            turns.took(connect_id, most)
            room -= most
            self.due.last_served = connect_id
        return shares

    async def _take(self, db: Connection, most: dict[int, int], now: int) -> list[Any]:
        marks = self.due.marks
        claimed = await fetch(
            db,
            _Q["claim"],
            {
                "connect_ids": list(most),
                "marks": [marks[connect_id] for connect_id in most],
                "most": list(most.values()),
                "epoch": self.epoch,
                "now": now,
            },
            quiet=True,
        )
        by_configuration: dict[int, list[int]] = {connect_id: [] for connect_id in most}
        for row in claimed:
            by_configuration[row.connect_id].append(row.due_us)
        for connect_id, due in by_configuration.items():
            if len(due) < most[connect_id]:
                marks.pop(connect_id, None)  # none is left: the next look tells of new ones
            else:
                marks[connect_id] = max(due)
        return sorted(claimed, key=lambda row: (row.due_us, row.delivery_id))

    async def _claims(
        self, db: Connection, claimed: Sequence[Any], now: int, bytes_left: Room | None
    ) -> tuple[list[Claim], bool]:
        """What was taken, as far as it finds room; whether some did not, and was put back."""
        if not claimed:
            return [], False
        stored = await self._stored(db, claimed)
        unopened: Unopened = {}
        accounts = await self._accounts_at(db, claimed, unopened)
        proving = await self._with_integrators(db, claimed, accounts, unopened)
        newest = await self._newest(db, claimed, stored, accounts)
        fits, unreadable, passed_over = [], [], []
        for row in claimed:
            try:
                account = accounts.get(row.account_id)
                integrator = account and account.integrator(row.connect_id)
                for secret in (row.account_id, row.connect_id, integrator):
                    if secret in unopened:
                        raise unopened[secret]
                account = accounts[row.account_id]
                last = _newer(row, stored, newest) if account.is_aggregate(row.connect_id) else None
                if bytes_left is not None and not self._fits(
                    row, stored, last, account, bytes_left
                ):
                    passed_over.append(row)
                else:
                    fits.append((row, last))
            except Exception as error:
                unreadable.append((row.delivery_id, error))
        heavy = [stored[row.event_row] for row, _ in fits if row.event_row in stored]
        shown = [last for _, last in fits if last is not None]
        events, problems = await self._events_of(db, [*heavy, *shown])
        claims = []
        for row, last in fits:
            try:
                for needed in (row, last):
                    if needed is not None and needed.event_row in problems:
                        raise problems[needed.event_row]
                claims.append(self._claim(row, last, events, proving))
            except Exception as error:
                # One row that cannot be read must not stop the others (R17).
                unreadable.append((row.delivery_id, error))
        for delivery_id, problem in unreadable:
            why = f"claim: the delivery cannot be prepared: {problem}"
            values = {"delivery_ids": [delivery_id], "now": now, **rows.because(why)}
            await self._release(db, await fetch(db, _Q["delivery_park"], values), now)
        await self._put_back(db, passed_over)
        return claims, bool(passed_over)

    async def _accounts_at(
        self, db: Connection, claimed: Sequence[Any], unopened: Unopened
    ) -> dict[str, KnownAccount]:
        """The accounts of what was taken, with its configurations."""
        accounts = await self._refresh(db, sorted({row.account_id for row in claimed}), unopened)
        for account_id, account in accounts.items():
            of_account = {row.connect_id for row in claimed if row.account_id == account_id}
            live = await self._live(db, account_id, account, of_account, unopened)
            accounts[account_id] = replace(account, live=live)
        return accounts

    async def _live(
        self,
        db: Connection,
        account_id: str,
        account: KnownAccount,
        connect_ids: set[int],
        unopened: Unopened,
    ) -> dict[int, ConnectConfiguration]:
        """Configurations of an account, of which those that are not known are read."""
        live = {}
        for connect_id in connect_ids:
            reading, configuration = self._configurations.get(connect_id) or (None, None)
            if configuration is not None and reading is account.reading:
                live[connect_id] = configuration
        missing = sorted(connect_ids - live.keys())
        values = {"account_id": account_id, "connect_ids": missing}
        for row in await fetch(db, _Q["configurations_by_id"], values) if missing else ():
            try:
                (configuration,) = sealing.configurations(self._keyring, account_id, [row[:3]])
            except Exception as error:
                unopened[row.connect_id] = error
                continue
            live[row.connect_id] = configuration
            # An ad hoc one is of few envelopes; and another claim may have looked again meanwhile.
            if not row.ad_hoc and self._accounts.get(account_id) is account:
                self._configurations[row.connect_id] = account.reading, configuration
        return live

    async def _stored(self, db: Connection, claimed: Sequence[Any]) -> dict[int, Any]:
        """The events of what was taken, by place; those that are heavy without their documents."""
        places = dict.fromkeys((row.event_row, row.created_us) for row in claimed)
        rows_of, created = columns(list(places), 2)
        values = {"event_rows": rows_of, "created": created, "light": LIGHT}
        return {row.event_row: row for row in await fetch(db, _Q["events_of_claims"], values)}

    async def _events_of(
        self, db: Connection, stored: Iterable[Any]
    ) -> tuple[dict[int, Event], dict[int, Exception]]:
        """Events of rows of `events_of_claims`, which claims that are in flight share; and what is
        wrong with those that cannot be read."""
        wanted = {row.event_row: row for row in stored}
        events = {
            event_row: event
            for event_row in wanted
            if (event := self.events.get(event_row)) is not None
        }
        missing = {
            event_row: row
            for event_row, row in wanted.items()
            if event_row not in events and row.document is None
        }
        places = columns([(row.event_row, row.created_us) for row in missing.values()], 2)
        read = dict(await fetch(db, _Q["event_documents"], places)) if missing else {}
        problems = {}
        for event_row in wanted.keys() - events.keys():
            row = wanted[event_row]
            try:
                document = read[event_row] if row.document is None else row.document
                at = from_microseconds(row.generated_us)
            except Exception as error:
                problems[event_row] = error
                continue
            events[event_row] = self.events[event_row] = Event(
                row.account_id, row.event_id, row.name, row.envelope_id, at, document
            )
        return events, problems

    def _fits(
        self,
        row: Any,
        stored: Mapping[int, Any],
        last: Any,
        account: KnownAccount,
        bytes_left: Room,
    ) -> bool:
        event, shown = _document(stored[row.event_row]), None if last is None else _document(last)
        parts = parts_of(account.live[row.connect_id], event, shown)
        return bytes_left.take(row.account_id, parts, several=self.owners.several)

    async def _put_back(self, db: Connection, passed_over: Sequence[Any]) -> None:
        """Let what found no room wait as it did."""
        if not passed_over:
            return
        for row in passed_over:
            mark = self.due.marks.get(row.connect_id, row.due_us)
            self.due.marks[row.connect_id] = min(mark, row.due_us)
        ids, due = columns([(row.delivery_id, row.due_us) for row in passed_over], 2)
        values = {"delivery_ids": ids, "due": due}
        # Whoever looked again for these would find no room again: a settlement makes some.
        await execute(db, _Q["claims_put_back"], values, quiet=True)

    async def _newest(
        self,
        db: Connection,
        claimed: Sequence[Any],
        stored: Mapping[int, Any],
        accounts: Mapping[str, KnownAccount],
    ) -> dict[tuple[str, str], Any]:
        """The newest event of each envelope of which an aggregate message is due."""
        wanted = {
            (row.account_id, stored[row.event_row].envelope_id)
            for row in claimed
            if row.event_row in stored
            and row.account_id in accounts
            and accounts[row.account_id].is_aggregate(row.connect_id)
        }
        if not wanted:
            return {}
        account_ids, envelope_ids = columns(sorted(wanted), 2)
        values = {"account_ids": account_ids, "envelope_ids": envelope_ids, "light": LIGHT}
        found = await fetch(db, _Q["newest_events"], values)
        return {(row.account_id, row.envelope_id): row for row in found}

    async def _with_integrators(
        self,
        db: Connection,
        claimed: Sequence[Any],
        accounts: Mapping[str, KnownAccount],
        unopened: Unopened,
    ) -> Mapping[str, KnownAccount]:
        """The accounts, and those whose proofs they take for what was claimed."""
        wanted = {
            accounts[row.account_id].integrator(row.connect_id)
            for row in claimed
            if row.account_id in accounts
        }
        more = sorted(filter(None, wanted - accounts.keys()))
        return {**accounts, **await self._refresh(db, more, unopened)} if more else accounts

    def _claim(
        self, row: Any, last: Any, events: Mapping[int, Event], accounts: Mapping[str, KnownAccount]
    ) -> Claim:
        """Of a row of `claim`; `last` is the newest event of its envelope, where one is newer."""
        configuration = accounts[row.account_id].live[row.connect_id]
        gathered = None
        if configuration.pace.aggregate:
            shown_row = row.event_row if last is None else last.event_row
            gathered = Gathered(events[shown_row], max(shown_row, row.event_row))
        return Claim(
            delivery_id=row.delivery_id,
            attempt_id=row.attempt_id,
            epoch=self.epoch,
            number=row.attempts,
            schedule_number=row.schedule_attempts,
            schedule_started_at=from_microseconds(row.schedule_started_us),
            seed=row.seed,
            event=events[row.event_row],
            configuration=configuration,
            proofs=proofs_of(configuration, accounts),
            gathered=gathered,
            resent_by=row.resent_by,
            recipient=row.recipient,
            job_id=row.job_id,
        )

    async def _refresh(
        self, db: Connection, account_ids: list[str], unopened: Unopened
    ) -> dict[str, KnownAccount]:
        """What is known of the accounts; of those whose version has changed it is read anew."""
        accounts: dict[str, KnownAccount] = {}
        for account_id, version in await fetch(db, _Q["versions"], (account_ids,)):
            try:
                accounts[account_id] = await self._at(db, account_id, version)
            except psycopg.Error:
                raise
            except Exception as error:
                unopened[account_id] = error
        return accounts

    async def account_at(
        self, db: Connection, account_id: str, version: int, connect_ids: set[int]
    ) -> KnownAccount:
        """An account at a version, with these of its configurations."""
        account = await self._at(db, account_id, version)
        return replace(account, live=await self._live(db, account_id, account, connect_ids, {}))

    async def _at(self, db: Connection, account_id: str, version: int) -> KnownAccount:
        """What is known of an account, read anew where that was at another version."""
        account = self._accounts.get(account_id)
        if account is None or account.version != version:
            account = await self._read(db, account_id, version, account)
            self._accounts[account_id] = account
        return account

    async def _read(
        self, db: Connection, account_id: str, version: int, before: KnownAccount | None
    ) -> KnownAccount:
        values = {"account_id": account_id}
        keys = await fetch(db, _Q["hmac_keys"], values)
        certificate = await fetch(db, _Q["client_certificate"], values)
        oauth = await fetch(db, _Q["connect_oauth"], values)
        (row,) = await fetch(db, _Q["account"], values)
        return KnownAccount(
            version=version,
            reading=await self._changed(db, account_id, version, before),
            keys=sealing.keys(self._keyring, keys),
            client=sealing.client_certificate(self._keyring, account_id, certificate),
            oauth=sealing.oauth_client(self._keyring, account_id, oauth),
            account=Account(row.account_id, row.external_id, row.name),
        )

    async def _changed(
        self, db: Connection, account_id: str, version: int, before: KnownAccount | None
    ) -> object:
        """Forget the configurations that have changed since; returns the `reading` of the others.

        That is a new one where what was known is of another past, or nothing is known.
        """
        if before is None or before.version > version:
            return object()
        values = {"account_id": account_id, "version": before.version}
        for (connect_id,) in await fetch(db, _Q["configurations_changed"], values):
            self._configurations.pop(connect_id)
        return before.reading

    async def _unclaim(self, db: Connection, now: int) -> None:
        values = {
            "epoch": self.epoch,
            "known": list(self._claimed),
            "now": now,
            **rows.because(rows.DELETED),
        }
        back = await fetch(db, _Q["unclaim"], values)
        await self._release(
            db, [(row.connect_id, row.lane) for row in back if row.state == "failed"], now
        )

    async def settle(self, db: Connection, settlements: Sequence[Settlement]) -> list[bool]:
        """See `Store.settle`."""
        now = self._now()
        in_order = sorted(settlements, key=lambda settlement: settlement.claim.delivery_id)
        connect_ids = sorted({settlement.claim.configuration.connect_id for settlement in in_order})
        found = await fetch(db, _Q["configurations_shared"], (connect_ids,))
        holding = {
            connect_id: rows.reason_held(held) for connect_id, held, deleted in found if not deleted
        }
        delivered = [
            settlement for settlement in in_order if isinstance(settlement.outcome, Delivered)
        ]
        others = [
            settlement for settlement in in_order if not isinstance(settlement.outcome, Delivered)
        ]
        moved: list[Any] = []
        ended: list[tuple[int, str | None]] = []
        if len(in_order) > 1:
            ids = [settlement.claim.delivery_id for settlement in in_order]
            await run(db, _Q["settle_order"], (ids,))
        if delivered:
            values_gone = {**fence_columns(delivered), "now": now}
            gone = await fetch(db, _Q["settle_delivered"], values_gone, quiet=True)
            moved += gone
            ended += [(row.connect_id, row.lane) for row in gone]
        if others:
            values = [where_next(settlement, holding, now) for settlement in others]
            moved_others = await fetch(db, _Q["settle_others"], settle_columns(others, values, now))
            failed = {
                settlement.claim.attempt_id
                for settlement, value in zip(others, values, strict=True)
                if value["state"] == DeliveryState.FAILED
            }
            moved += moved_others
            ended += [
                (row.connect_id, row.lane) for row in moved_others if row.attempt_id in failed
            ]
        # By attempt: an older claim of the same delivery may be in the batch, and is not ours.
        places = {row.attempt_id: (row.event_row, row.created_us) for row in moved}
        failpoint("settle.failure_row")
        await self._add_attempts(db, in_order, places)
        failpoint("settle.next_due")
        ended += await self._merge(db, delivered, places, now)
        await self._release(db, ended, now)
        took, failing = rows.health(settlements)
        if took:
            await run(db, _Q["failing_clear"], {"connect_ids": took})
        if failing:
            await run(db, _Q["failing_add"], {"connect_ids": failing, "now": now})
        for answers in rows.job_answers(settlements, lambda claim: claim.attempt_id in places):
            counts = {"delivered": answers.delivered, "failed": len(answers.failed)}
            if answers.failed:
                left = {"job_id": answers.job_id, "ids": list(answers.failed)}
                await run(db, _Q["job_left"], left)
            await run(db, _Q["job_answered"], {"job_id": answers.job_id, **counts})
        return [settlement.claim.attempt_id in places for settlement in settlements]

    async def _merge(
        self,
        db: Connection,
        delivered: Sequence[Settlement],
        places: dict[int, tuple[int, int]],
        now: int,
    ) -> list[tuple[int, str | None]]:
        """End what aggregate messages stood for beside their own events; the lanes of them."""
        merging = [
            rows.merging(settlement.claim, settlement.claim.gathered)
            for settlement in delivered
            if settlement.claim.gathered is not None and settlement.claim.attempt_id in places
        ]
        if not merging:
            return []
        values = {f"{name}s": [merged[name] for merged in merging] for name in merging[0]}
        await run(db, _Q["deliveries_merge"], {**values, "now": now})
        return [(merged["connect_id"], merged["lane"]) for merged in merging]

    def settled(self, settlements: Iterable[Settlement]) -> None:
        """Note settlements whose transaction is committed."""
        for settlement in settlements:
            self._claimed.pop(settlement.claim.attempt_id, None)

    async def _add_attempts(
        self,
        db: Connection,
        settlements: Sequence[Settlement],
        places: dict[int, tuple[int, int]],
    ) -> None:
        ours = [settlement for settlement in settlements if settlement.claim.attempt_id in places]
        if ours:
            values = {**attempt_columns(ours), **place_columns(ours, places)}
            await run(db, _Q["attempts_add"], values)
        stale = [
            settlement for settlement in settlements if settlement.claim.attempt_id not in places
        ]
        if stale:
            await run(db, _Q["attempts_close_late"], attempt_columns(stale))

    async def _release(
        self, db: Connection, ended: Iterable[tuple[int, str | None]], now: int
    ) -> None:
        """Let the next of each lane (connect_id, lane) go whose first has ended (R6)."""
        lanes = sorted({(connect_id, lane) for connect_id, lane in ended if lane is not None})
        if lanes:
            connect_ids, names = columns(lanes, 2)
            await run(
                db, _Q["lanes_release"], {"connect_ids": connect_ids, "lanes": names, "now": now}
            )

    async def take_over(self, db: Connection) -> int:
        """See `Store.take_over`."""
        now = self._now()
        dead = [epoch for (epoch,) in await fetch(db, _Q["nodes_dead"], {"now": now})]
        if not dead:
            return 0
        candidates = await fetch(
            db, _Q["take_over_candidates"], {"epochs": dead, "most": BATCH_MOST}
        )
        if len(candidates) < BATCH_MOST:
            await run(db, _Q["node_remove"], (dead,))
        if not candidates:
            return 0
        ids = [delivery_id for delivery_id, _ in candidates]
        failpoint("lease.steal")
        await fetch(
            db, _Q["configurations_shared"], (sorted({connect_id for _, connect_id in candidates}),)
        )
        await self._leave_unknown(db, ids, "the process ended before the outcome was known")
        back = await fetch(
            db,
            _Q["take_over"],
            {
                "delivery_ids": ids,
                "now": now,
                "most": MOST_UNSETTLED_CLAIMS,
                "deleted": rows.DELETED,
                **{f"deleted_{name}": of for name, of in rows.because(rows.DELETED).items()},
                "poison": rows.POISON,
                **{f"poison_{name}": of for name, of in rows.because(rows.POISON).items()},
            },
        )
        await self._release(
            db, [(row.connect_id, row.lane) for row in back if row.state == "failed"], now
        )
        return len(ids)

    async def _leave_unknown(self, db: Connection, delivery_ids: Sequence[int], error: str) -> None:
        """Close the attempts of deliveries in flight, of which nobody hears any more."""
        documents = await fetch(db, _Q["documents_of_deliveries"], (list(delivery_ids),))
        values = {"delivery_ids": delivery_ids, "logged": rows.logged(documents), "error": error}
        await run(db, _Q["attempts_unknown"], values)

    async def requeue(
        self, db: Connection, candidates: Sequence[Any]
    ) -> tuple[list[Requeued], list[int]]:
        """Make open failures (rows of `requeue_page`) due now, where that can be; the deliveries
        of which it could."""
        done: list[Requeued] = []
        by_query: dict[str, list[int]] = {}
        for row in candidates:
            reason = rows.reason_held(row.held)
            requeued, query = rows.requeued(row, deleted=row.deleted, reason=reason)
            done.append(requeued)
            if query is not None:
                by_query.setdefault(query, []).append(requeued.delivery_id)
        for query, ids in by_query.items():
            await run(db, _Q[query], {"delivery_ids": ids, "now": self._now()})
        return done, [one for ids in by_query.values() for one in ids]

    async def cancel(
        self, db: Connection, account_id: str, failure_ids: Sequence[int], who: str
    ) -> int:
        """Delete open failures: their deliveries end as cancelled by `who` (R4)."""
        now = self._now()
        asked = {"account_id": account_id, "delivery_ids": failure_ids}
        found = await fetch(db, _Q["failures_cancellable"], asked)
        in_flight = [row.delivery_id for row in found if row.state == DeliveryState.IN_FLIGHT]
        if in_flight:
            error = "the failure was deleted before the outcome was known"
            await self._leave_unknown(db, in_flight, error)
        ids = [row.delivery_id for row in found]
        ended = {"delivery_ids": ids, "who": who, "now": now}
        gone = await fetch(db, _Q["failures_cancel"], ended)
        await self._release(db, gone, now)
        return len(gone)


def _newer(row: Any, stored: Mapping[int, Any], newest: Mapping[tuple[str, str], Any]) -> Any:
    """The newest event of a row's envelope, if it is newer than the row's own."""
    own = stored[row.event_row]
    last = newest.get((row.account_id, own.envelope_id))
    if last is not None and (last.generated_us, last.event_row) > (own.generated_us, own.event_row):
        return last
    return None


def _document(stored: Any) -> Document:
    return Document(stored.account_id, stored.event_id, stored.name, stored.bytes)
