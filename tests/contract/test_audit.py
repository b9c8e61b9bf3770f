"""The store contract: the audit of an account."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from heliograph.errors import ConfigurationsChanged
from heliograph.model.accounts import Role, Secret
from heliograph.model.applications import ApplicationChange, NewApplication
from heliograph.model.audit import (
    ITSELF,
    Action,
    Actor,
    AuditEntry,
    AuditQuery,
    Change,
    Detail,
    given,
)
from heliograph.model.configurations import ClientCredentials, ConnectConfiguration
from heliograph.model.logs import Cursor, LogQuery, Order
from heliograph.model.people import NewToken, NewUser, UserChange
from heliograph.model.republishing import Care, JobState, NewRepublishJob, Source
from heliograph.store import Store
from heliograph.store.audit import acting
from heliograph.store.postgres.engine import VERBS as POSTGRES
from heliograph.store.sqlite.connection import fetch
from heliograph.store.sqlite.engine import VERBS as SQLITE
from heliograph.store.sqlite.store import SqliteStore
from heliograph.store.verbs import Step
from heliograph.store.verbs.audit import listing
from tests.contract.tables import rows_of
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, OTHER_ACCOUNT, START, ManualClock, wanted_configuration

CLIENT = ClientCredentials("https://login.example.com/", "heliograph", Secret("canary-1"))
ANN = Actor("Ann's token", "192.0.2.7", "a1b2", "u1")


async def entries(store: Store, **query: object) -> list[AuditEntry]:
    asked = AuditQuery(**query)  # type: ignore[arg-type]
    return list((await store.audit.entries(ACCOUNT, asked, 100)).entries)


async def told(store: Store, **query: object) -> list[tuple[str, str]]:
    return [(entry.action, entry.change.what) for entry in await entries(store, **query)]


async def test_a_change_of_a_configuration_is_noted_with_who_and_what_but_no_secret(
    store: Store, clock: ManualClock
) -> None:
    with acting(ANN):
        wanted = wanted_configuration(userName="u", password="canary-9f2b")
        made = await store.create_configuration(wanted)
        clock.move(60)
        after = wanted_configuration(
            connect_id=made.connect_id, name="erp", userName="u", password="canary-77aa"
        )
        assert await store.update_configuration(after)
    changed, created, *_ = await entries(store)
    what = f"configuration {made.connect_id}"
    assert (created.action, created.change.what, created.actor) == (
        Action.CONFIGURATION_CREATED,
        what,
        ANN,
    )
    assert Detail("name", None, "crm") in created.change.details
    assert Detail("allUsers", None, "true") in created.change.details
    assert (changed.action, changed.created_at) == (
        Action.CONFIGURATION_CHANGED,
        START + timedelta(minutes=1),
    )
    assert changed.change.details == (
        Detail("name", "crm", "erp"),
        Detail("password", "********", "********"),
    )
    assert "canary" not in repr(await entries(store))


async def test_parts_of_a_configuration_are_noted_each_and_custom_parameters_without_values(
    store: Store,
) -> None:
    def wanted(connect_id: int, scope: str, key: str) -> ConnectConfiguration:
        client = {"scope": scope, "customParameters": {"api_key": key}}
        made = wanted_configuration(connect_id=connect_id)
        document = {**json.loads(made.document), "oAuthConfiguration": client}
        return replace(made, document=json.dumps(document).encode())

    made = await store.create_configuration(wanted(0, "a", "canary-1"))
    assert await store.update_configuration(wanted(made.connect_id, "b", "canary-2"))
    (changed, created, *_) = await entries(store)
    masked = "oAuthConfiguration.customParameters"
    assert changed.change.details == (
        Detail("oAuthConfiguration.scope", "a", "b"),
        Detail(masked, "********", "********"),
    )
    assert Detail(masked, None, "********") in created.change.details
    assert "canary" not in repr(await entries(store))


async def test_s8_what_no_answer_shows_of_a_configuration_is_not_in_the_audit_either(
    store: Store,
) -> None:
    wanted = wanted_configuration(integratorManaged="true")
    kept = {"integratorAccount": OTHER_ACCOUNT, "documentsOf": {"sent": True}}
    document = json.dumps({**json.loads(wanted.document), **kept}).encode()
    await store.create_configuration(replace(wanted, document=document))
    (made, *_) = await entries(store)
    names = {detail.name for detail in made.change.details}
    assert "integratorManaged" in names
    assert not names & kept.keys()


@pytest.mark.parametrize(
    ("fields", "action"),
    [
        ({"pausePublish": "true"}, Action.CONFIGURATION_PAUSED),
        ({"allowEnvelopePublish": "false"}, Action.CONFIGURATION_SWITCHED_OFF),
    ],
)
async def test_a_pause_and_its_end_have_words_of_their_own(
    store: Store, traffic: Traffic, fields: dict[str, str], action: Action
) -> None:
    made = await traffic.configure()
    await store.update_configuration(wanted_configuration(connect_id=made.connect_id, **fields))
    await store.update_configuration(wanted_configuration(connect_id=made.connect_id))
    ends = {
        Action.CONFIGURATION_PAUSED: Action.CONFIGURATION_RESUMED,
        Action.CONFIGURATION_SWITCHED_OFF: Action.CONFIGURATION_SWITCHED_ON,
    }
    assert [action for action, _ in (await told(store))[:2]] == [ends[action], action]


async def test_what_is_undone_is_not_noted(store: Store, traffic: Traffic) -> None:
    made = await traffic.configure()
    before = await told(store)
    changed = replace(wanted_configuration(connect_id=made.connect_id, name="erp"))
    with pytest.raises(ConfigurationsChanged):
        await store.update_configuration(changed, version=0)
    assert not await store.update_configuration(wanted_configuration(connect_id=99))
    assert not await store.delete_configuration(ACCOUNT, 99)
    assert not await store.retire_hmac_key(ACCOUNT, "nothing")
    assert not await store.delete_failure(ACCOUNT, 99, "ann")
    assert not await store.delete_log(ACCOUNT, 99)
    assert await store.delete_logs(ACCOUNT) == 0
    assert await told(store) == before


async def test_a_save_of_what_was_there_is_not_noted(store: Store, traffic: Traffic) -> None:
    made = await traffic.configure()
    people, apps = store.people, store.sign_ins
    await people.add_users(ACCOUNT, [NewUser("u2", "b@example.com", "Bob")])
    (group,) = await people.add_groups(ACCOUNT, ["Sales"])
    number = group.group_id  # type: ignore[union-attr]
    await people.add_members(ACCOUNT, number, ["u2"])
    await apps.add_application(ACCOUNT, NewApplication("k1", "crm"))
    await apps.add_consent(ACCOUNT, "k1", "u2", frozenset({"signature"}), "u2")
    await store.oauth.create(ACCOUNT, CLIENT)
    job = await store.republishing.start(
        ACCOUNT, NewRepublishJob(Source.FAILURES, LogQuery(), "a", Care())
    )
    before = await told(store)
    assert await store.update_configuration(wanted_configuration(connect_id=made.connect_id))
    await people.change_users(ACCOUNT, [UserChange("u2", name="Bob")])
    await people.rename_groups(ACCOUNT, {number: "Sales"})
    await people.add_members(ACCOUNT, number, ["u2"])
    await apps.change_application(ACCOUNT, ApplicationChange("k1", name="crm"))
    await apps.add_consent(ACCOUNT, "k1", "u2", frozenset({"signature"}), "u2")
    version = (await store.configurations(ACCOUNT)).version
    assert await store.oauth.update(ACCOUNT, CLIENT, version)
    assert await store.republishing.change(ACCOUNT, job.job_id, lambda same: same)
    assert await told(store) == before
    await people.remove_members(ACCOUNT, number, ["u2", "u2"])
    await people.remove_members(ACCOUNT, number, ["u2"])
    assert await told(store) == [("group.left", "user u2"), *before]


async def test_a_new_secret_of_an_oauth_client_is_noted_without_it(store: Store) -> None:
    await store.oauth.create(ACCOUNT, CLIENT)
    newer = replace(CLIENT, client_secret=Secret("canary-2"), scope="hooks")
    newer = replace(newer, parameters=(("audience", "canary-3"),))
    version = (await store.configurations(ACCOUNT)).version
    assert await store.oauth.update(ACCOUNT, newer, version)
    changed, created, *_ = await entries(store)
    assert changed.change.details == (
        Detail("scope", None, "hooks"),
        Detail("client secret", "********", "********"),
        Detail("parameters", "********", "********"),
    )
    assert Detail("client id", None, "heliograph") in created.change.details
    assert "canary" not in repr(await entries(store))


async def test_a_job_that_ends_by_itself_is_noted_as_heliographs(store: Store) -> None:
    with acting(ANN):
        wanted = NewRepublishJob(Source.FAILURES, LogQuery(), ANN.name, Care())
        job = await store.republishing.start(ACCOUNT, wanted)
    assert await store.republishing.rule(replace(job, canary_passed=True))
    ended = replace(job, step=job.step + 1, state=JobState.STOPPED, why="9 of the last 9 failed.")
    assert await store.republishing.rule(ended)
    assert not await store.republishing.rule(ended)  # it was overtaken: nothing is done
    stopped, started, *_ = await entries(store)
    assert (started.action, started.actor) == (Action.REPUBLISH_JOB_STARTED, ANN)
    assert (stopped.action, stopped.actor) == (Action.REPUBLISH_JOB_CHANGED, ITSELF)
    assert stopped.change == Change(
        f"republish job {job.job_id}",
        (Detail("state", "running", "stopped"), Detail("why", None, "9 of the last 9 failed.")),
    )


async def test_a_new_master_key_is_noted_for_every_account(store: Store) -> None:
    await store.reseal()
    for account in (ACCOUNT, OTHER_ACCOUNT):
        (last, *_) = (await store.audit.entries(account, AuditQuery(), 9)).entries
        assert (last.action, last.change.what) == (Action.SECRETS_RESEALED, "master key")


async def test_keys_people_and_tokens_are_noted(store: Store) -> None:
    with acting(ANN):
        await store.add_hmac_key(ACCOUNT, "k1", Secret("canary"))
        await store.retire_hmac_key(ACCOUNT, "k1")
        await store.set_client_certificate(ACCOUNT, "PEM", Secret("canary"))
        await store.delete_client_certificate(ACCOUNT)
        people = store.people
        await people.add_users(ACCOUNT, [NewUser("u2", "b@example.com", "Bob")])
        await people.change_users(ACCOUNT, [UserChange("u2", name="Rob")])
        (group,) = await people.add_groups(ACCOUNT, ["Sales"])
        number = group.group_id  # type: ignore[union-attr]
        await people.rename_groups(ACCOUNT, {number: "Shop"})
        await people.add_members(ACCOUNT, number, ["u2"])
        await people.remove_members(ACCOUNT, number, ["u2"])
        await people.delete_groups(ACCOUNT, [number])
        token = await people.add_token(
            ACCOUNT, Secret("canary"), NewToken("ci", Role.VIEWER, user_id="u2")
        )
        await people.revoke_token(ACCOUNT, token.token_id)
        await people.close_users(ACCOUNT, ["u2"])
    shown = await entries(store, order=Order.OLDEST_FIRST, actor=ANN.name)
    assert [(entry.action, entry.change.what) for entry in shown] == [
        ("hmac_key.added", "HMAC key k1"),
        ("hmac_key.retired", "HMAC key k1"),
        ("client_certificate.set", "client certificate"),
        ("client_certificate.deleted", "client certificate"),
        ("user.added", "user u2"),
        ("user.changed", "user u2"),
        ("group.added", f"group {number}"),
        ("group.renamed", f"group {number}"),
        ("group.joined", "user u2"),
        ("group.left", "user u2"),
        ("group.deleted", f"group {number}"),
        ("token.added", f"token {token.token_id}"),
        ("token.revoked", f"token {token.token_id}"),
        ("user.closed", "user u2"),
    ]
    assert shown[5].change.details == (Detail("name", "Bob", "Rob"),)
    assert shown[7].change.details == (Detail("name", "Sales", "Shop"),)
    assert {entry.actor for entry in shown} == {ANN}
    assert "canary" not in repr(shown)


async def test_republishing_deleting_and_resending_are_noted_with_how_many(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure()
    for number in range(3):
        await traffic.publish(envelope_id=f"env-{number}")
    first, second, third = await traffic.claim_all()
    await traffic.give_up([first, second])
    await traffic.deliver([third])
    with acting(ANN):
        await store.requeue_failures(ACCOUNT, LogQuery())
        await store.requeue_envelopes(ACCOUNT, ["env-0"])
        await store.resend_delivered(ACCOUNT, LogQuery(), "ann")
        await store.delete_failure(ACCOUNT, first.delivery_id, "ann")
        await store.delete_failures(ACCOUNT, LogQuery(), "ann")
        await store.delete_logs(ACCOUNT)
    both = f"{first.delivery_id}, {second.delivery_id}"
    shown = await entries(store, order=Order.OLDEST_FIRST, actor=ANN.name)
    assert [(entry.action, entry.change.what) for entry in shown] == [
        ("failures.republished", "deliveries"),
        ("failures.republished", f"delivery {first.delivery_id}"),
        ("delivered.resent", f"delivery {third.delivery_id}"),
        ("failures.deleted", f"delivery {first.delivery_id}"),
        ("failures.deleted", f"delivery {second.delivery_id}"),
        ("logs.deleted", "log entries"),
    ]
    assert shown[0].change.details == (
        Detail("count", None, "2"),
        Detail("deliveries", None, both),
    )
    assert shown[-1].change.details == (Detail("count", None, "3"),)


async def test_only_what_was_republished_is_noted_as_such(store: Store, traffic: Traffic) -> None:
    first = await traffic.configure()
    await traffic.publish(envelope_id="env-1")
    await traffic.give_up(await traffic.claim_all())
    assert await store.delete_configuration(ACCOUNT, first.connect_id)
    await traffic.configure()
    for number in (2, 3):
        await traffic.publish(envelope_id=f"env-{number}")
    claims = await traffic.claim_all()
    await traffic.give_up(claims)
    before = await told(store)
    assert len(await store.requeue_envelopes(ACCOUNT, ["env-1"])) == 1
    assert await told(store) == before
    page = await store.requeue_failures(ACCOUNT, LogQuery())
    assert len(page.requeued) == 3
    (noted, *others) = await entries(store)
    assert [(entry.action, entry.change.what) for entry in others] == before
    assert noted.change.details == given(
        count=2, deliveries=sorted(claim.delivery_id for claim in claims)
    )


async def test_each_filter_narrows_the_audit_and_pages_follow_each_other(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    for number in range(5):
        clock.move(60)
        with acting(Actor("ann" if number % 2 else "bob")):
            await traffic.configure(name=f"c{number}")
    whole = await told(store)
    assert [what for _, what in whole] == [f"configuration {n}" for n in (5, 4, 3, 2, 1)] + [
        f"account {ACCOUNT}"
    ]
    assert await told(store, order=Order.OLDEST_FIRST) == whole[::-1]
    minute = timedelta(minutes=1)
    assert await told(store, from_date=START + 4 * minute) == whole[:2]
    assert await told(store, to_date=START + minute) == whole[4:]
    assert await told(store, actor="ann") == [whole[1], whole[3]]
    assert await told(store, action="account.created") == whole[5:]
    assert await told(store, what="configuration 3") == [whole[2]]
    for order in Order:
        asked, walked, after = AuditQuery(order=order), [], None
        while True:
            page = await store.audit.entries(ACCOUNT, asked, 4, after)
            walked += [(entry.action, entry.change.what) for entry in page.entries]
            if (after := page.next_cursor) is None:
                break
        assert walked == (whole if order is Order.NEWEST_FIRST else whole[::-1])


async def test_s8_an_accounts_audit_is_its_own(store: Store, traffic: Traffic) -> None:
    await traffic.configure()
    other = await store.audit.entries(OTHER_ACCOUNT, AuditQuery(), 100)
    assert [entry.change.what for entry in other.entries] == [f"account {OTHER_ACCOUNT}"]


async def test_an_entry_is_deleted_by_its_age_alone_and_changed_by_nobody(
    store: Store, traffic: Traffic, clock: ManualClock
) -> None:
    clock.move(3600)
    await traffic.configure()
    assert await store.audit.retire(START + timedelta(minutes=30)) == 2
    assert [action for action, _ in await told(store)] == ["configuration.created"]
    await run(store, "delete from audit_kept")
    statements = ["delete from audit_entry", "update audit_entry set actor = 'nobody'"]
    if isinstance(store, SqliteStore):
        statements.append("replace into audit_entry select * from audit_entry")
    for statement in statements:
        with pytest.raises(Exception, match="an entry of the audit is"):
            await run(store, statement)
    assert await rows_of(store, "audit_entry") == [1]


MANY = """
insert into audit_entry
(account_id, created_us, actor, token_id, address, action, what, details)
with recursive n (i) as (select 1 union all select i + 1 from n where i < 3000)
select
    case i % 2 when 0 then '{account}' else '{other}' end, i, 'a' || (i % 6), '', '',
    'action ' || (i % 6), 'w' || (i % 6), '[]'
from n
"""


async def test_each_filter_of_the_audit_has_an_index_that_has_its_order_too(store: Store) -> None:
    await run(store, MANY.format(account=ACCOUNT, other=OTHER_ACCOUNT))
    await run(store, "analyze audit_entry")
    looked_up = {
        "audit_entry_by_time": AuditQuery(to_date=START),
        "audit_entry_by_actor": AuditQuery(actor="a2"),
        "audit_entry_by_action": AuditQuery(action="action 2"),
        "audit_entry_by_what": AuditQuery(what="w2"),
    }
    for index, query in looked_up.items():
        for after in (None, Cursor(2000, 2000)):
            plan = await explained(store, listing(ACCOUNT, query, 10, after))
            assert index in plan, plan
            assert not re.search("sort|temp b-tree", plan, re.IGNORECASE), plan


async def explained(store: Store, step: Step) -> str:
    inner: Any = store
    if hasattr(inner, "_readers"):
        asked = f"explain query plan {step.text(SQLITE)}"
        found = await inner._readers.read(lambda db: fetch(db, asked, dict(step.values)))
        return "\n".join(row[3] for row in found)

    async def read(db: Any) -> str:
        cursor = await db.execute(f"explain {step.text(POSTGRES)}", step.values)
        return "\n".join(row[0] for row in await cursor.fetchall())

    return str(await inner._database.read(read))


async def run(store: Store, statement: str) -> None:
    """Run a statement past the store's verbs, as somebody with a shell would."""
    inner: Any = store
    if hasattr(inner, "_writer"):
        await inner._writer.write(lambda db: db.execute(statement))
    else:
        await inner._database.transact(lambda db: db.execute(statement))
