"""Moving an installation from SQLite to PostgreSQL."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from heliograph.delivery.publisher import Publisher
from heliograph.delivery.signals import Signals
from heliograph.errors import UnsafeStorage
from heliograph.model.accounts import Account, Role, Secret
from heliograph.model.applications import CodeProof, NewApplication, NewCode, Pair, Rights
from heliograph.model.configurations import ClientCredentials
from heliograph.model.logs import Cursor, LogQuery
from heliograph.model.people import Group, NewToken, NewUser, UserQuery
from heliograph.model.relays import Refusal, Relay
from heliograph.model.republishing import Care, NewRepublishJob, Source
from heliograph.store import Store, copying
from heliograph.store.historical import Wish
from heliograph.store.keyring import KeyRing
from heliograph.store.postgres.store import PostgresStore
from heliograph.store.relays import MessageId
from heliograph.store.sqlite.store import SqliteStore
from tests.support import (
    ACCOUNT,
    OTHER_ACCOUNT,
    START,
    ManualClock,
    accept,
    claim_all,
    deliver,
    give_up,
    new_event,
    retry_in,
    settled,
    wanted_configuration,
)

ALL = LogQuery()
APPLICATION = "1bbbbbbb-0000-4000-8000-000000000000"
OAUTH = ClientCredentials("https://a.example.com/", "a", Secret("c"), "s", (("b", "d"),))
RELAY = Relay("r", ACCOUNT, "docusign", (Secret("a key"),), ("d", Secret("p")), START)
REFUSED = Refusal(START, "CODE", "203.0.113.7", 2, (("a", "b"),), b"\0\xff")
MESSAGE = MessageId(ACCOUNT, "m")
ADA, BOB = "1aaaaaaa-0000-4000-8000-000000000000", "2aaaaaaa-0000-4000-8000-000000000000"


async def fill(folder: Path, clock: ManualClock) -> None:
    """An installation with every state of a delivery, and secrets."""
    store = await SqliteStore.open(
        folder / "heliograph.db", KeyRing.load(folder / "master.key"), clock
    )
    await store.create_account(Account(ACCOUNT, 1, "First"), Secret("token"))
    await store.create_account(Account(OTHER_ACCOUNT, 2, "Other"))
    await store.add_hmac_key(ACCOUNT, "k1", Secret("hmac"))
    await store.oauth.create(ACCOUNT, OAUTH)
    assert await store.relays.create(RELAY)
    await store.relays.refuse(RELAY, REFUSED)
    for number in range(12):
        await store.relays.keep(MESSAGE, "event", number, b"\0\xff")
    await fill_people(store, clock)
    await store.create_configuration(wanted_configuration(password="secret", groupIds=["1"]))
    paused = wanted_configuration(name="paused", pausePublish="true")
    await store.create_configuration(paused)
    for number in range(6):
        await accept(store, new_event(envelope_id=f"env-{number}", event_id=f"event-{number}"))
    await accept(store, new_event(envelope_id="env-1", event_id="behind"))
    claims = {claim.event.event_id: claim for claim in await claim_all(store)}
    await deliver(store, [claims["event-0"]])
    await store.settle([settled(claims["event-1"], retry_in(3600, clock.now()))])
    await give_up(store, [claims["event-2"], claims["event-3"]])
    assert await store.delete_failure(ACCOUNT, claims["event-3"].delivery_id, "alice")
    hook = {"url": "https://one.example.com/", "events": ["envelope-sent"]}
    named = new_event(envelope_id="env-7", event_id="named", eventNotification=hook)
    await Publisher(store, Signals()).publish(ACCOUNT, [named])
    archive = wanted_configuration(urlToPublishTo="https://archive.example.com/")
    await store.historical.submit(Wish("past", archive, ("env-0", "env-1"), "alice"))
    await fill_jobs(store)
    await store.close()  # event-4 and event-5 were in flight


def wanted_job() -> NewRepublishJob:
    query, care = LogQuery(envelope_id="env-2"), Care(rate=3, canary=1)
    return NewRepublishJob(Source.FAILURES, query, "ada", care)


async def fill_jobs(store: Store) -> None:
    """A job that has asked for a failure, which waits and is in no hand yet."""
    job = await store.republishing.start(ACCOUNT, wanted_job())
    assert await store.republishing.ask(job, 1, job.paced_at)


async def fill_people(store: Store, clock: ManualClock) -> None:
    (group,) = await store.people.add_groups(ACCOUNT, ["sales"])
    assert isinstance(group, Group)
    inside = frozenset({group.group_id})
    await store.people.add_users(
        ACCOUNT,
        [
            NewUser(ADA, "ada@example.com", "Ada", "Ada", "Lovelace", Role.ADMINISTRATOR, inside),
            NewUser(BOB, "bob@example.com", "Bob", group_ids=inside),
        ],
    )
    scopes, ends = frozenset({"signature", "click"}), clock.now() + timedelta(days=1)
    wanted = NewToken("app", Role.VIEWER, ADA, scopes, ends, "integration key")
    await store.people.add_token(ACCOUNT, Secret("ada's"), wanted)
    await store.people.add_token(ACCOUNT, Secret("bob's"), NewToken("x", Role.VIEWER, BOB))
    await fill_oauth(store, clock)
    await store.people.close_users(ACCOUNT, [BOB])


async def fill_oauth(store: Store, clock: ManualClock) -> None:
    """An application with everything, and rows of each kind that a grant leaves."""
    oauth, scopes, soon = store.sign_ins, frozenset({"signature"}), clock.now() + timedelta(days=1)
    await oauth.add_application(
        ACCOUNT, NewApplication(APPLICATION, "crm", ("https://a/b",), Rights.VIEWER)
    )
    await oauth.add_key(ACCOUNT, APPLICATION, "key", "PEM")
    await oauth.add_secret(ACCOUNT, APPLICATION, "secret", Secret("s"))
    await oauth.add_consent(ACCOUNT, APPLICATION, ADA, scopes, "ci")
    await oauth.set_password(ACCOUNT, ADA, "hash")
    await oauth.open_session(ACCOUNT, ADA, Secret("session"), soon)
    for code in ("used", "unused"):
        wanted = NewCode(APPLICATION, ADA, scopes, "https://a/b", None, soon)
        await oauth.add_code(ACCOUNT, Secret(code), wanted)
    pair = Pair(Secret("access"), soon, Secret("refresh"), soon)
    assert await oauth.redeem(APPLICATION, "used", CodeProof(None, None), pair)
    own = NewToken("own", Role.VIEWER, None, scopes, soon, APPLICATION)
    assert await oauth.issue(ACCOUNT, Secret("own"), own, (b"assertion", soon))


async def listed(store: Store) -> dict[str, object]:
    failures = (await store.failures(ACCOUNT, ALL, 100)).entries
    logs = (await store.logs(ACCOUNT, ALL, 100)).entries
    return {
        "failures": failures,
        "logs": logs,
        "keys": await store.hmac_keys(ACCOUNT),
        "oauth": await store.oauth.get(ACCOUNT),
        "relays": await store.relays.all(ACCOUNT),
        "refusals": await store.relays.refusals(RELAY),
        "parts": [await store.relays.part(MESSAGE, number) for number in range(13)],
        "configurations": await store.configurations(ACCOUNT),
        "principal": await store.principal("token"),
        "users": await store.people.users(ACCOUNT, UserQuery(), 0, 10),
        "groups": await store.people.groups(ACCOUNT, 0, 10),
        "tokens": await store.people.tokens(ACCOUNT, 0, 10),
        "principals": [await store.principal(token) for token in ("ada's", "bob's")],
        "applications": await store.sign_ins.applications(ACCOUNT, 0, 10),
        "consents": await store.sign_ins.consents(ACCOUNT, 0, 10),
        "login": await store.sign_ins.login("ada@example.com"),
        "session": await store.sign_ins.session("session"),
        "envelope": await store.envelope(ACCOUNT, "env-0"),
        "notified": await store.notified(ACCOUNT, ["env-7"]),
        "historical": await store.historical.transactions(ACCOUNT, 10),
        "jobs": await store.republishing.jobs(ACCOUNT, 10, Cursor(2**62, 2**62)),
    }


async def grants_go_on(store: Store, clock: ManualClock) -> None:
    """What was used stays used, and what was not is not lost."""
    soon, proof = clock.now() + timedelta(days=1), CodeProof(None, None)
    own = NewToken("own", Role.VIEWER, None, None, soon, APPLICATION)
    assert not await store.sign_ins.issue(ACCOUNT, Secret("x"), own, (b"assertion", soon))
    pair = Pair(Secret("a1"), soon, Secret("r1"), soon)
    assert await store.sign_ins.redeem(APPLICATION, "unused", proof, pair)
    assert await store.principal("access")
    assert await store.sign_ins.redeem(APPLICATION, "used", proof, pair) is None  # stolen
    assert await store.principal("access") is None


async def opened(url: str, folder: Path, clock: ManualClock) -> PostgresStore:
    return await PostgresStore.open(
        *(url, KeyRing.load(folder / "master.key"), clock), instance="x", accept_data_loss=True
    )


async def before(folder: Path, clock: ManualClock) -> dict[str, object]:
    store = await SqliteStore.open(
        folder / "heliograph.db", KeyRing.load(folder / "master.key"), clock
    )
    try:
        return await listed(store)
    finally:
        await store.close()


async def test_everything_is_the_same_after_a_copy_and_goes_on(
    tmp_path: Path, clock: ManualClock, empty_database_url: str
) -> None:
    await fill(tmp_path, clock)
    expected = await before(tmp_path, clock)

    compared = await copying.copy(tmp_path / "heliograph.db", empty_database_url)
    assert {one.name: one.rows for one in compared}["delivery"] == 19
    store = await opened(empty_database_url, tmp_path, clock)
    assert list(await store.orphans()) == []
    assert await listed(store) == expected

    await grants_go_on(store, clock)
    claims = await claim_all(store)
    begun = {claim.event.event_id: claim for claim in claims if claim.number == 2}
    assert set(begun) == {"event-2", "event-4", "event-5"}
    archived = {
        claim.event.event_id
        for claim in claims
        if claim.configuration.url == "https://archive.example.com/"
    }
    assert archived == {"event-0", "behind"}  # the newest of both envelopes
    assert {claim.event.event_id for claim in claims} - archived - set(begun) == {"named"}
    assert all(await deliver(store, claims))
    (job,) = await store.republishing.running()
    assert (job.asked, job.delivered, job.pending) == (1, 1, 0)
    assert (await store.republishing.start(ACCOUNT, wanted_job())).job_id == job.job_id + 1
    clock.move(3600)
    await store.renew_lease()
    (retried,) = await claim_all(store)
    assert retried.event.event_id == "event-1"
    await deliver(store, [retried])
    (behind,) = await claim_all(store)  # it was held for its turn
    assert behind.event.event_id == "behind"
    await deliver(store, [behind])
    (again,) = await accept(store, new_event(envelope_id="env-0", event_id="event-0"))
    assert again.repeated
    made = await store.create_configuration(wanted_configuration(name="new"))
    assert made.connect_id == 5
    (group,) = await store.people.add_groups(ACCOUNT, ["new"])
    assert isinstance(group, Group)
    assert group.group_id == 2
    await accept(store, new_event(envelope_id="env-new", event_id="new"))
    await store.close()


async def test_a_copy_that_is_cut_short_anywhere_goes_on_and_nobody_starts_on_it(
    tmp_path: Path, clock: ManualClock, empty_database_url: str
) -> None:
    await fill(tmp_path, clock)
    expected = await before(tmp_path, clock)
    cuts = 0
    while True:
        calls = 0

        def cut(name: str, done: int, total: int, at: int = cuts) -> None:
            nonlocal calls
            calls += 1
            if calls > at + 1:
                raise KeyboardInterrupt

        try:
            await copying.copy(tmp_path / "heliograph.db", empty_database_url, cut)
        except KeyboardInterrupt:
            cuts += 1
            with pytest.raises(UnsafeStorage, match="not finished: run `heliograph copy` again"):
                await opened(empty_database_url, tmp_path, clock)
        else:
            break
    assert cuts > len(copying.TABLES)
    store = await opened(empty_database_url, tmp_path, clock)
    assert await listed(store) == expected
    await store.close()


async def test_a_copy_into_another_installation_or_of_a_running_server_is_refused(
    tmp_path: Path, clock: ManualClock, database_url: str, empty_database_url: str
) -> None:
    await fill(tmp_path, clock)
    (tmp_path / "other").mkdir()
    store = await opened(database_url, tmp_path / "other", clock)
    await store.close()
    with pytest.raises(UnsafeStorage, match="has an installation already"):
        await copying.copy(tmp_path / "heliograph.db", database_url)
    running = await SqliteStore.open(
        tmp_path / "heliograph.db", KeyRing.load(tmp_path / "master.key"), clock
    )
    with pytest.raises(UnsafeStorage, match="Another Heliograph"):
        await copying.copy(tmp_path / "heliograph.db", empty_database_url)
    await running.close()


async def test_a_difference_between_both_sides_is_noticed(
    tmp_path: Path, clock: ManualClock, empty_database_url: str
) -> None:
    await fill(tmp_path, clock)

    def tamper(name: str, done: int, total: int) -> None:
        if name == "attempt" and done:  # deliveries are copied
            with psycopg.connect(empty_database_url) as connection:
                connection.execute("update delivery set seed = seed + 1 where state = 'held'")

    with pytest.raises(UnsafeStorage, match="copies of delivery differ"):
        await copying.copy(tmp_path / "heliograph.db", empty_database_url, tamper)


async def test_the_command_shows_what_was_compared(
    tmp_path: Path, clock: ManualClock, empty_database_url: str
) -> None:
    await fill(tmp_path, clock)
    done = await asyncio.to_thread(
        subprocess.run,
        [
            *(sys.executable, "-m", "heliograph.cli", "copy"),
            *("--from", f"sqlite:{tmp_path / 'heliograph.db'}", "--to", empty_database_url),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "delivery" in done.stdout
    assert "THE SAME ON BOTH SIDES" in done.stdout
    assert "never start the server on SQLite again" in done.stdout
