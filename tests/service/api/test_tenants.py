"""S8: no call finds, changes, counts or betrays anything of another account, whatever it names.

Each case of tests/tenants.py is called twice: with the id of something that the other account
has, and with one that nobody has. The answers must be the same but for the id, and afterwards
every row of the other account must be what it was.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import apsw
import psycopg
import pytest

from heliograph.access.credentials_file import Credentials
from heliograph.api.contract.selection import write_cursor
from heliograph.model.accounts import Secret
from heliograph.model.logs import Cursor
from tests import pki
from tests.browser import Visitor
from tests.integration import post_form, private_key, public_pem
from tests.listener import LoopbackListener
from tests.operations import all_operations
from tests.server import Client, Reply, serving
from tests.support import published
from tests.tenants import NEW, Case, Ids, cases, id_places, plain_cases

MARK = "qzfremd"
"""Stands in every text of the other account, and nowhere else."""

TAKEN = {
    ("create_users", "newUsers.*.userId"),
    ("create_users", "newUsers.*.email"),
    ("update_user", "email"),
    ("update_users", "users.*.email"),
}
"""Here the answer says that a user's id or e-mail is taken in some account, as guarantees.md has
it; nothing else of the user may be in it, and nothing may change."""

BY_DESIGN = {
    "delete_application": {"consent", "authorization_code", "refresh_token", "token"},
}
"""What a call about the caller's own things may change of another account: its users' consents
to an application end with the application, and so does all that they brought."""

SAYS_BACK = {
    "list_republish_jobs": [MARK],
    "list_audit": [f'{{"error":"{MARK}"}}', f'{{\\"error\\":\\"{MARK}\\"}}'],
}
"""What shows the caller's own words of the calls before, and so those of the other account: of the
audit only what its republish jobs were to select, in XML and in JSON."""

OPERATORS = {"list_accounts", "create_account"}
"""Calls about accounts themselves: only the first account may make them."""

Dump = Callable[[], dict[str, list[tuple[object, ...]]]]


@asynccontextmanager
async def tenant(operator: Client, name: str) -> AsyncIterator[Client]:
    """A new account of the installation, and a client of its administrator's."""
    body = {"accountName": name}
    made = (await operator.call("POST", "/restapi/v2.1/accounts", body)).json
    token = Secret(made["accessToken"])
    credentials = Credentials(operator.server.base_uri, made["accountId"], token)
    yield replace(operator, credentials=credentials)


async def furnish(client: Client, listener: LoopbackListener, word: str) -> dict[str, str]:
    """One of everything for an account, with `word` in every text; the ids."""
    account, ok = client.account, (200, 201, 202)

    async def call(method: str, path: str, body: Any = None, **headers: Any) -> Any:
        answer = await client.call(method, path, body, **headers)
        assert answer.status in ok, (path, answer.body)
        return answer.json

    url = f"{listener.base}/{word}"
    connect_id = await client.configure(url, name=word, retrySchedule=["86400"])
    group = (await call("POST", f"{account}/groups", {"groups": [{"groupName": word}]}))["groups"]
    group_id = group[0]["groupId"]
    person = {"userName": word, "email": f"{word}@{word}.example"}
    new = {"newUsers": [{**person, "groupList": [{"groupId": group_id}]}]}
    user_id = (await call("POST", f"{account}/users", new))["newUsers"][0]["userId"]
    token = await call("POST", f"{account}/tokens", {"name": word, "userId": user_id})
    key = await call("POST", "secret")
    pair = pki.Authority(word).pair(word)
    mutual = {"certificate": pair.certificate, "privateKey": pair.key}
    await call("PUT", "client_certificate", mutual)
    server = {"authorizationServerUrl": f"{url}/token", "clientId": word, "clientSecret": word * 2}
    await call("POST", "oauth", server)
    await call("POST", "relays", {"name": f"{word}-relay", "hmacSecrets": [word * 9]})
    event = published(envelope_id=f"{word}-envelope", event_id=f"{word}-event")
    event["data"]["envelopeSummary"] |= {"emailSubject": word, "sender": {"userName": word}}
    notified = {"url": f"{url}/notified", "events": ["envelope-sent"], "retrySchedule": "86400"}
    event["eventNotification"] = notified
    await call("POST", "events", event, Idempotency_Key=f"{word}-key")
    await listener.until(lambda got: sum(word in one.path for one in got) == 2)
    while (await call("GET", "failures"))["totalRecords"] != "2":
        pass
    past = {"envelopes": [f"{word}-envelope"], "config": {"urlToPublishTo": f"{url}/past"}}
    past["config"]["retrySchedule"] = ["86400"]  # type: ignore[index]
    transaction = await call("POST", "envelopes/publish/historical", past)
    await listener.until(lambda got: sum(word in one.path for one in got) == 3)
    while (await call("GET", "failures"))["totalRecords"] != "3":
        pass
    applied = await furnish_sign_ins(client, word, user_id)
    failures = (await call("GET", "failures?order=asc"))["failures"]
    logs = (await call("GET", "logs"))["logs"]
    failure_id = next(one["failureId"] for one in failures if one["connectId"] == connect_id)
    return {
        **applied,
        "account": client.credentials.account_id,
        "ACCOUNT": client.credentials.account_id.upper(),
        "address": person["email"],
        "connect": connect_id,
        "cursor": write_cursor(Cursor(2**50, int(failure_id))),
        "envelope": f"{word}-envelope",
        "event": f"{word}-event",
        "failure": failure_id,
        "group": group_id,
        "incident": (await call("GET", "incidents"))["incidents"][0]["incidentId"],
        "job": await furnish_job(client, word),
        "key": key["keyId"],
        "listener": f"{url}/hook",
        "log": logs[0]["logId"],
        "mark": word,
        "relay": f"{word}-relay",
        "token": token["tokenId"],
        "transaction": transaction["envelopePublishTransactionId"],
        "user": user_id,
    }


async def furnish_job(client: Client, word: str) -> str:
    """A republish job that waits for a person: it was paused before it had found nothing to do."""
    while True:
        made = (await client.call("POST", f"republish_jobs?error={word}")).json
        paused = await client.call("PUT", f"republish_jobs/{made['jobId']}", {"state": "paused"})
        if paused.status == 200:
            job_id: str = made["jobId"]
            return job_id


async def furnish_sign_ins(client: Client, word: str, user_id: str) -> dict[str, str]:
    """An application of the account with what proves it, and a user who has signed in to it."""
    account = client.account

    async def call(method: str, path: str, body: Any = None) -> Any:
        answer = await client.call(method, f"{account}/{path}", body)
        assert answer.status in (200, 201), (path, answer.body)
        return answer.json if answer.body else None

    redirect_uri = f"https://{word}.example/back"
    application = {"name": word, "redirectUris": [redirect_uri], "role": "viewer"}
    integration_key = (await call("POST", "applications", application))["integrationKey"]
    path, public = f"applications/{integration_key}", public_pem(private_key(word))
    key = await call("POST", f"{path}/keys", {"publicKey": public})
    secret = await call("POST", f"{path}/secrets")
    await call("PUT", f"users/{user_id}/password", {"newPassword": word * 3})
    consent = {"integrationKey": integration_key, "userId": user_id}
    await call("POST", "consents", consent)
    return {
        "application": integration_key,
        "application key": key["keyId"],
        "application secret": secret["secretId"],
        "public key": public,
        "redirect": redirect_uri,
        "secret": secret["secret"],
    }


async def sign_in(client: Client, to: Ids, email: str, password: str) -> str:
    """Sign a user in to an application, on its page; a code."""
    asked = {"response_type": "code", "client_id": to["application"], "scope": "signature"}
    asked |= {"redirect_uri": to["redirect"]}
    async with Visitor(client) as visitor:
        await visitor.open(f"/oauth/auth?{urlencode(asked)}")
        await visitor.sign_in(email, password)
        came = visitor.gone_to or await visitor.allow()
    (code,) = parse_qs(urlsplit(came).query)["code"]
    return code


async def redeem(client: Client, to: Ids, code: str) -> dict[str, str]:
    """The tokens that a code brings."""
    form = {"grant_type": "authorization_code", "code": code, "client_id": to["application"]}
    answer = await post_form(client, "/oauth/token", {**form, "client_secret": to["secret"]})
    assert answer.status == 200, answer.body
    tokens: dict[str, str] = answer.json
    return tokens


def missing(of: Ids) -> dict[str, str]:
    """For each id one of the same length that nobody has."""
    found = {}
    for kind, text in of.items():
        number = text.isdigit()
        found[kind] = "9" * 12 if number else re.sub("[a-z0-9]", "0", text)
        if kind in ("mark", "address", "envelope", "event", "relay"):
            found[kind] = text.replace(MARK, "qznobody")
    found["ACCOUNT"] = found["account"].upper()
    found["cursor"] = write_cursor(Cursor(2**50, 9 * 10**11))
    return found


def comparable(answer: Reply, named: str) -> tuple[object, ...]:
    text = answer.body.decode()
    if named:
        text = re.sub(rf"(?i)(?<!\w){re.escape(named)}(?!\w)", "THE ID", text)
    if answer.status in (200, 201, 202):
        text = re.sub(r"[0-9a-fA-F-]{16,}|[A-Za-z0-9_-]{43}|[0-9.:TZ-]{20,}|[0-9]+", "#", text)
    text = re.sub(r"new-[0-9]+", "new", text)
    kept = {name: value for name, value in answer.headers.items() if name.lower() not in _VARIES}
    return answer.status, text, kept


_VARIES = ("date", "content-length", "link")


@pytest.fixture(params=["sqlite", "postgres"])
async def operator(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Client]:
    """The first account's client, on each engine."""
    url = request.getfixturevalue("database_url") if request.param == "postgres" else ""
    async with serving(tmp_path, database_url=url) as client:
        yield client


@pytest.mark.timeout(600)
async def test_s8_the_tenancy_matrix_holds(
    operator: Client, listener: LoopbackListener, capsys: pytest.CaptureFixture[str]
) -> None:
    listener.status = 500
    # What publishes comes last: the envelopes that it names are the caller's from then on.
    operations = sorted(all_operations(), key=lambda one: bool(one.raw_types))
    async with tenant(operator, "mine") as mine, tenant(operator, MARK) as other:
        own = await furnish(mine, listener, "mine")
        foreign = await furnish(other, listener, MARK)
        # A user of the other account lets an application of the caller's act, as any user may.
        for _ in range(2):
            code = await sign_in(other, own, foreign["address"], MARK * 3)
        await redeem(other, own, code)
        numbers = await external_ids(operator)
        own["account number"] = numbers[own["account"]]
        foreign["account number"] = numbers[foreign["account"]]
        nobodys = missing(foreign)
        own |= {"event": "mine-event"}
        with AccountRows(operator, foreign) as dump:
            before = dump()
            assert sum(len(rows) for rows in before.values()) > 15, "the other account has things"
            count, owns, leaks = 0, 0, []
            pairs = zip(
                cases(operations, own, foreign), cases(operations, own, nobodys), strict=True
            )
            for case, twin in pairs:
                count += 1
                answer = await make(mine, case)
                leaks += found(case, answer)
                if not taken(case):
                    leaks += different(case, answer, await make(mine, twin), twin)
                if (after := dump()) != before:
                    leaks.append(f"{case}: changed {changes(before, after)}")
                    before = after
            for case in plain_cases(operations, own):
                owns += 1
                # Events with that id, and of that envelope, were published above: as its own.
                words = [foreign["envelope"], foreign["event"]]
                words += SAYS_BACK.get(case.operation.operation_id, [])
                leaks += found(case, await make(mine, case), *words)
                after = dump()
                allowed = BY_DESIGN.get(case.operation.operation_id, set())
                if changed := set(changes(before, after)) - allowed:
                    leaks.append(f"{case}: changed {changed}")
                before = after
        with capsys.disabled():
            said = f"{count} cases with a foreign id, {owns} with own ones: {len(leaks)} leaks"
            sys.stdout.write(f"\ntenancy matrix: {said}\n")
    assert not leaks, "\n".join(leaks)
    assert count > 700


def found(case: Case, answer: Reply, *own: str) -> list[str]:
    """What is wrong with an answer as it is: an error of ours, or a word of the other account's."""
    said = f"{answer.headers} {answer.body.decode()}"
    for word in [case.named] if case.named else own:
        said = said.replace(word, "")
    wrong = answer.status >= 500 or MARK in said
    return [f"{case}: {answer.status} {said}"] if wrong else []


def different(case: Case, answer: Reply, nobodys: Reply, twin: Case) -> list[str]:
    """What tells that something is another account's, and not nobody's."""
    pair = comparable(answer, case.named), comparable(nobodys, twin.named)
    if pair[0] != pair[1]:
        return [f"{case}: {pair[0]} and not {pair[1]}"]
    in_path = " path" in case.place and case.operation.operation_id not in OPERATORS
    return [f"{case}: {answer.status} and not 404"] if in_path and answer.status != 404 else []


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """The tables that differ."""
    return [table for table, rows in after.items() if before[table] != rows]


def taken(case: Case) -> bool:
    place = case.place.rpartition(" ")[2]
    return (case.operation.operation_id, place) in TAKEN


async def make(client: Client, case: Case) -> Reply:
    headers = {name.replace("-", "_"): value for name, value in case.headers.items()}
    body = case.body and case.body.replace(NEW.encode(), f"new-{next(_NUMBERS)}".encode())
    return await client.call(case.method, case.url, data=body, **headers)


_NUMBERS = itertools.count(1)


async def external_ids(operator: Client) -> dict[str, str]:
    accounts = (await operator.call("GET", "/restapi/v2.1/accounts")).json["accounts"]
    return {one["accountId"]: one["externalAccountId"] for one in accounts}


# ------------------------------------------------------------------- rows of one account

_OF_NOBODY = {
    *("legal_move", "schema_migration", "node", "installation", "sqlite_sequence", "clock", "beat"),
    "audit_kept",
    "used_assertion",
    "clock_beat",
    "clock_leap",
    *("incident_minute", "incident_change"),  # written by the server's own looks
}

_CALLED_FOR = {
    "incident": "incident_id, account_id, connect_id, phase, what, acknowledged_us, "
    "acknowledged_by, note"
}
"""The columns of a table that calls alone change, where the server's own looks change others."""


class AccountRows:
    """Every row of an account, read past the server, on either engine."""

    def __init__(self, operator: Client, ids: Ids) -> None:
        self._settings = operator.server.settings
        self._ids = ids
        self._close: Callable[[], None] = lambda: None

    def __enter__(self) -> Dump:
        account_id = self._ids["account"]
        if self._settings.database_url:
            database = psycopg.connect(self._settings.database_url, autocommit=True)
            self._close = database.close

            def fetch(text: str, *values: object) -> Sequence[tuple[object, ...]]:
                return database.execute(text.replace("?", "%s"), values).fetchall()

            columns = fetch(
                "select c.table_name, c.column_name from information_schema.columns as c "
                "inner join information_schema.tables as t using (table_schema, table_name) "
                "where table_schema = 'public' and table_type = 'BASE TABLE'"
                # A partition is read with its table: of each there are as many as days.
                "and not exists (select from pg_class as p "
                "where p.relname = t.table_name and p.relispartition)"
            )
        else:
            file = apsw.Connection(
                str(self._settings.data_dir / "heliograph.db"), flags=apsw.SQLITE_OPEN_READONLY
            )
            self._close = file.close

            def fetch(text: str, *values: object) -> Sequence[tuple[object, ...]]:
                return list(file.execute(text, values))

            columns = fetch(
                "select m.name, c.name from sqlite_schema as m, pragma_table_info(m.name) as c "
                "where m.type = 'table'"
            )
        tables: dict[str, set[str]] = {}
        for table, column in columns:
            tables.setdefault(str(table), set()).add(str(column))

        def dump() -> dict[str, list[tuple[object, ...]]]:
            return {
                table: sorted(map(plain, fetch(query, account_id)), key=repr)
                for table, query in queries.items()
            }

        queries = dict(of_account(tables))
        return dump

    def __exit__(self, *_: object) -> None:
        self._close()


def of_account(tables: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
    """How the rows of an account are found in each table."""
    through = {
        "connect_id": "select connect_id from connect_configuration where account_id = ?",
        "group_id": "select group_id from user_group where account_id = ?",
        "user_id": "select user_id from account_user where account_id = ?",
        "integration_key": "select integration_key from application where account_id = ?",
    }
    for table, columns in tables.items():
        if "account_id" in columns:
            named = _CALLED_FOR.get(table, "*")
            yield table, f"select {named} from {table} where account_id = ?"  # noqa: S608
            continue
        for column, inside in through.items():
            if column in columns:
                yield table, f"select * from {table} where {column} in ({inside})"  # noqa: S608
                break
        else:
            assert table in _OF_NOBODY, f"{table}: whose are its rows?"


def plain(row: Sequence[object]) -> tuple[object, ...]:
    return tuple(bytes(one) if isinstance(one, memoryview) else one for one in row)


# --------------------------------------------------------------- that the matrix is whole


def test_every_place_of_an_id_in_a_body_is_known() -> None:
    places = {
        operation.operation_id: [".".join(place) for place, _ in id_places(operation.body)]
        for operation in all_operations()
        if operation.body is not None
    }
    assert places["update_configuration"] == ["connectId", "groupIds.*", "userIds.*"]
    assert places["retry_event_for_envelopes"] == ["envelopeIds.*"]
    assert "config.userIds.*" in places["create_historical_envelope_publish_transaction"]
