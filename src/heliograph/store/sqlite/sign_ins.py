"""Applications, consents, sign-ins and grants on SQLite."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import apsw

from heliograph.clock import Clock
from heliograph.model.accounts import Secret
from heliograph.model.applications import (
    Application,
    ApplicationChange,
    ApplicationKey,
    ApplicationPage,
    ApplicationSecret,
    CodeProof,
    Consent,
    ConsentPage,
    Login,
    NewApplication,
    NewCode,
    Pair,
    Person,
    Redeemed,
    no_application,
)
from heliograph.model.people import NewToken
from heliograph.store import people_rows, sign_in_rows, sql
from heliograph.store.rows import token_hash
from heliograph.store.sign_ins import SWEPT_MOST
from heliograph.store.sqlite.connection import Readers, Writer, fetch
from heliograph.store.sqlite.people import write_token
from heliograph.store.times import from_microseconds, to_microseconds

T = TypeVar("T")

_Q: Final = sql.filled_queries("sqlite/sign_ins.sql")


class SqliteSignIns:
    """The SignIns port on apsw. `forget` is told when tokens may stand for somebody else."""

    def __init__(
        self, writer: Writer, readers: Readers, clock: Clock, forget: Callable[[], None]
    ) -> None:
        self._writer = writer
        self._readers = readers
        self._clock = clock
        self._forget = forget

    def _now(self) -> int:
        """Microseconds since 1970 in UTC."""
        return to_microseconds(self._clock.now())

    # --------------------------------------------------------------------- applications

    async def add_application(self, account_id: str, new: NewApplication) -> Application:
        def run(db: apsw.Connection) -> Application:
            db.execute(
                _Q["application_add"], sign_in_rows.new_application(account_id, new, self._now())
            )
            return _managed(db, account_id, new.integration_key)

        return await self._writer.write(run)

    async def change_application(self, account_id: str, change: ApplicationChange) -> Application:
        def run(db: apsw.Connection) -> Application:
            values = sign_in_rows.application_change(account_id, change)
            db.execute(_Q["application_change"], values)
            changed = _managed(db, account_id, change.integration_key)
            if change.rights is not None:
                db.execute(_Q["application_own_tokens_revoke"], {**values, "now": self._now()})
            return changed

        return await self._write_and_forget(run)

    async def delete_application(self, account_id: str, integration_key: str) -> bool:
        def run(db: apsw.Connection) -> bool:
            values = {"account_id": account_id, "integration_key": integration_key}
            db.execute(_Q["application_delete"], values)
            if not db.changes():
                return False
            named = {"integration_key": integration_key, "now": self._now()}
            db.execute(_Q["application_tokens_revoke"], named)
            return True

        return await self._write_and_forget(run)

    async def application(self, account_id: str, integration_key: str) -> Application | None:
        values = {"account_id": account_id, "integration_key": integration_key}
        found = await self._readers.read(lambda db: _applications(db, "application", values))
        return found[0] if found else None

    async def applications(self, account_id: str, start: int, count: int) -> ApplicationPage:
        values = {"account_id": account_id, "start": start, "count": count}
        found, total = await self._readers.read(
            lambda db: (
                _applications(db, "applications", values),
                int(db.execute(_Q["applications_count"], values).get),
            )
        )
        return ApplicationPage(found, total)

    async def add_key(
        self, account_id: str, integration_key: str, key_id: str, public_key: str
    ) -> ApplicationKey:
        def run(db: apsw.Connection) -> ApplicationKey:
            known = _managed(db, account_id, integration_key)
            sign_in_rows.check_room(len(known.keys), "keys")
            now = self._now()
            values = {"key_id": key_id, "integration_key": integration_key, "now": now}
            db.execute(_Q["key_add"], {**values, "public_key": public_key})
            return ApplicationKey(key_id, public_key, from_microseconds(now))

        return await self._writer.write(run)

    async def add_secret(
        self, account_id: str, integration_key: str, secret_id: str, secret: Secret
    ) -> ApplicationSecret:
        def run(db: apsw.Connection) -> ApplicationSecret:
            known = _managed(db, account_id, integration_key)
            sign_in_rows.check_room(len(known.secrets), "secrets")
            now, digest = self._now(), token_hash(secret.reveal())
            values = {"secret_id": secret_id, "integration_key": integration_key, "now": now}
            db.execute(_Q["secret_add"], {**values, "secret_hash": digest})
            return ApplicationSecret(secret_id, digest, from_microseconds(now))

        return await self._writer.write(run)

    async def remove_key(self, account_id: str, integration_key: str, key_id: str) -> bool:
        values = {"account_id": account_id, "integration_key": integration_key, "id": key_id}

        def run(db: apsw.Connection) -> bool:
            db.execute(_Q["key_remove"], values)
            return db.changes() > 0

        return await self._writer.write(run)

    async def remove_secret(self, account_id: str, integration_key: str, secret_id: str) -> bool:
        values = {"account_id": account_id, "integration_key": integration_key, "id": secret_id}

        def run(db: apsw.Connection) -> bool:
            db.execute(_Q["secret_remove"], values)
            if not db.changes():
                return False
            if _managed(db, account_id, integration_key).public:
                db.execute(_Q["application_refreshes_delete"], values)
            return True

        return await self._writer.write(run)

    # ------------------------------------------------------------------------- consents

    async def add_consent(
        self,
        account_id: str,
        integration_key: str,
        user_id: str,
        scopes: frozenset[str],
        granted_by: str,
    ) -> Consent:
        pair = {"integration_key": integration_key, "user_id": user_id}

        def run(db: apsw.Connection) -> Consent:
            if not _applications(db, "application_registered", pair):
                raise no_application()
            _check_active(db, account_id, user_id)
            text = sign_in_rows.scopes_text(scopes | _consented(db, pair))
            values = {**pair, "scopes": text, "granted_by": granted_by, "now": self._now()}
            db.execute(_Q["consent_put"], values)
            return sign_in_rows.consent(fetch(db, _Q["consent"], pair)[0])

        return await self._writer.write(run)

    async def consents(
        self,
        account_id: str,
        start: int,
        count: int,
        user_id: str | None = None,
        integration_key: str | None = None,
    ) -> ConsentPage:
        named: Mapping[str, Any] = {
            "account_id": account_id,
            "user_id": user_id,
            "integration_key": integration_key,
            "start": start,
            "count": count,
        }
        found, total = await self._readers.read(
            lambda db: (
                fetch(db, _Q["consents"], named),
                int(db.execute(_Q["consents_count"], named).get),
            )
        )
        return ConsentPage(tuple(sign_in_rows.consent(row) for row in found), total)

    async def withdraw(self, account_id: str, integration_key: str, user_id: str) -> bool:
        pair = {"integration_key": integration_key, "user_id": user_id}

        def run(db: apsw.Connection) -> bool:
            db.execute(_Q["consent_withdraw"], {**pair, "account_id": account_id})
            if not db.changes():
                return False
            db.execute(_Q["consent_tokens_revoke"], {**pair, "now": self._now()})
            db.execute(_Q["consent_refreshes_delete"], pair)
            db.execute(_Q["consent_codes_delete"], pair)
            return True

        return await self._write_and_forget(run)

    # ------------------------------------------------------------------------- sign-ins

    async def set_password(self, account_id: str, user_id: str, hashed: str | None) -> None:
        values = {"account_id": account_id, "user_id": user_id, "hashed": hashed}

        def run(db: apsw.Connection) -> None:
            db.execute(_Q["password_set"], {**values, "now": self._now()})
            if not db.changes():
                raise people_rows.no_user([user_id])
            db.execute(_Q["sessions_close"], {"user_id": user_id})

        await self._writer.write(run)

    async def login(self, name: str) -> Login | None:
        return sign_in_rows.login(await self._row("login", {"name": name}))

    async def person(self, user_id: str) -> Person | None:
        return sign_in_rows.person(await self._row("person", {"user_id": user_id}))

    async def open_session(
        self, account_id: str, user_id: str, session: Secret, until: datetime
    ) -> None:
        def run(db: apsw.Connection) -> None:
            now = self._now()
            _sweep(db, now)
            _check_active(db, account_id, user_id)
            values = {"session_hash": token_hash(session.reveal()), "user_id": user_id}
            db.execute(
                _Q["session_open"], {**values, "now": now, "expires": to_microseconds(until)}
            )

        await self._writer.write(run)

    async def session(self, session: str) -> Person | None:
        values = {"session_hash": token_hash(session), "now": self._now()}
        return sign_in_rows.person(await self._row("session", values))

    async def close_session(self, session: str) -> None:
        values = {"session_hash": token_hash(session)}
        await self._writer.write(lambda db: db.execute(_Q["session_close"], values) and None)

    # --------------------------------------------------------------------------- grants

    async def registered(self, integration_key: str) -> Application | None:
        values = {"integration_key": integration_key}
        found = await self._readers.read(
            lambda db: _applications(db, "application_registered", values)
        )
        return found[0] if found else None

    async def consented(self, integration_key: str, user_id: str) -> frozenset[str]:
        pair = {"integration_key": integration_key, "user_id": user_id}
        return await self._readers.read(lambda db: _consented(db, pair))

    async def issue(
        self, account_id: str, token: Secret, wanted: NewToken, assertion: tuple[bytes, datetime]
    ) -> bool:
        named = {"integration_key": wanted.integration_key, "user_id": wanted.user_id}

        def run(db: apsw.Connection) -> bool:
            now = self._now()
            _sweep(db, now)
            found = _applications(db, "application_registered", named)
            sign_in_rows.check_rights([one.rights for one in found], wanted)
            if wanted.user_id is not None:
                _check_active(db, account_id, wanted.user_id)
                if not _consented(db, named):
                    raise sign_in_rows.no_consent()
            if assertion[0]:
                db.execute(_Q["assertion_use"], sign_in_rows.remembered(assertion))
                if not db.changes():
                    return False
            write_token(db, account_id, token, wanted, now)
            return True

        return await self._writer.write(run)

    async def add_code(self, account_id: str, code: Secret, wanted: NewCode) -> None:
        def run(db: apsw.Connection) -> None:
            _sweep(db, self._now())
            _check_active(db, account_id, wanted.user_id)
            db.execute(_Q["code_add"], sign_in_rows.new_code(code, wanted))

        await self._writer.write(run)

    async def redeem(
        self, integration_key: str, code: str, proof: CodeProof, pair: Pair
    ) -> Redeemed | None:
        values = {"code_hash": token_hash(code), "integration_key": integration_key}

        def run(db: apsw.Connection) -> Redeemed | None:
            now = self._now()
            found = fetch(db, _Q["code"], values)
            if not found:
                return None
            exchange = sign_in_rows.code_exchange(found[0], proof, pair, now)
            db.execute(_Q["code_use"], {**values, "now": now})
            return self._exchange(db, integration_key, exchange, exchange.scopes, pair)

        return await self._write_and_forget(run)

    async def refresh(
        self, integration_key: str, refresh: str, scopes: frozenset[str] | None, pair: Pair
    ) -> Redeemed | None:
        values = {"refresh_hash": token_hash(refresh), "integration_key": integration_key}

        def run(db: apsw.Connection) -> Redeemed | None:
            now = self._now()
            found = fetch(db, _Q["refresh"], values)
            if not found:
                return None
            exchange = sign_in_rows.refresh_exchange(found[0], scopes, pair, now)
            if not exchange.worthless:
                db.execute(_Q["refresh_use"], {**values, "now": now})
            whole = frozenset(found[0][2].split())
            return self._exchange(db, integration_key, exchange, whole, pair)

        return await self._write_and_forget(run)

    def _exchange(
        self,
        db: apsw.Connection,
        integration_key: str,
        exchange: sign_in_rows.Exchange,
        whole: frozenset[str],
        pair: Pair,
    ) -> Redeemed | None:
        now, grant = self._now(), {"grant_id": exchange.grant_id}
        if exchange.stolen:
            _revoke_grant(db, exchange.grant_id, now)
            return None
        named = {"integration_key": integration_key, "user_id": exchange.user_id}
        if exchange.worthless or not _consented(db, named) >= exchange.scopes:
            return None
        _sweep(db, now)
        token = sign_in_rows.access_token(integration_key, exchange, pair)
        write_token(db, exchange.account_id, pair.access, token, now)
        digest = token_hash(pair.access.reveal())
        db.execute(_Q["token_of_grant"], {**grant, "token_hash": digest})
        db.execute(
            _Q["refresh_add"],
            sign_in_rows.refresh_values(integration_key, exchange, whole, pair.refresh, now),
        )
        return Redeemed(exchange.user_id, exchange.scopes)

    async def revoke(self, integration_key: str, token: str) -> None:
        digest = token_hash(token)
        values = {"integration_key": integration_key, "token_hash": digest}

        def run(db: apsw.Connection) -> None:
            db.execute(_Q["access_revoke"], {**values, "now": self._now()})
            found = fetch(db, _Q["refresh"], {**values, "refresh_hash": digest})
            if found:
                _revoke_grant(db, found[0][3], self._now())

        await self._write_and_forget(run)

    # ------------------------------------------------------------------------ shorthand

    async def _write_and_forget(self, run: Callable[[apsw.Connection], T]) -> T:
        """Write what tokens stand for; it goes on when the caller does not wait any more."""
        writing = asyncio.ensure_future(self._writer.write(run))
        writing.add_done_callback(lambda _: self._forget())
        return await asyncio.shield(writing)

    async def _row(self, query: str, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        found = await self._readers.read(lambda db: fetch(db, _Q[query], values))
        return found[0] if found else None


def _applications(
    db: apsw.Connection, query: str, values: Mapping[str, Any]
) -> tuple[Application, ...]:
    found = fetch(db, _Q[query], values)
    named = {"integration_keys": json.dumps([row[0] for row in found])}
    keys, secrets = fetch(db, _Q["keys"], named), fetch(db, _Q["secrets"], named)
    return sign_in_rows.applications(found, keys, secrets)


def _managed(db: apsw.Connection, account_id: str, integration_key: str) -> Application:
    values = {"account_id": account_id, "integration_key": integration_key}
    found: Sequence[Application] = _applications(db, "application", values)
    if not found:
        raise no_application()
    return found[0]


def _check_active(db: apsw.Connection, account_id: str, user_id: str) -> None:
    values = {"account_id": account_id, "user_id": user_id}
    if not fetch(db, _Q["user_active"], values):
        raise people_rows.no_user([user_id])


def _consented(db: apsw.Connection, values: Mapping[str, Any]) -> frozenset[str]:
    found = fetch(db, _Q["consented"], values)
    return frozenset(found[0][0].split()) if found else frozenset()


def _revoke_grant(db: apsw.Connection, grant_id: str, now: int) -> None:
    db.execute(_Q["grant_tokens_revoke"], {"grant_id": grant_id, "now": now})
    db.execute(_Q["grant_refreshes_delete"], {"grant_id": grant_id})


def _sweep(db: apsw.Connection, now: int) -> None:
    for table in sign_in_rows.SWEPT:
        db.execute(_Q[f"sweep_{table}"], {"now": now, "most": SWEPT_MOST})
