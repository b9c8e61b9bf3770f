"""Applications, consents, sign-ins and grants on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

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
from heliograph.store.postgres.connection import (
    LISTING_PATIENCE,
    Connection,
    Database,
    one,
    row,
    rows,
    run,
)
from heliograph.store.postgres.people import write_token
from heliograph.store.rows import token_hash
from heliograph.store.sign_ins import SWEPT_MOST
from heliograph.store.times import from_microseconds, to_microseconds

T = TypeVar("T")

_Q: Final = sql.filled_queries("postgres/sign_ins.sql")


class PostgresSignIns:
    """The SignIns port on psycopg. `forget` is told when tokens may stand for somebody else."""

    def __init__(self, database: Database, clock: Clock, forget: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._forget = forget

    def _now(self) -> int:
        """Microseconds since 1970 in UTC."""
        return to_microseconds(self._clock.now())

    # --------------------------------------------------------------------- applications

    async def add_application(self, account_id: str, new: NewApplication) -> Application:
        async def work(db: Connection) -> Application:
            await run(
                db,
                _Q["application_add"],
                sign_in_rows.new_application(account_id, new, self._now()),
            )
            return await _managed(db, account_id, new.integration_key)

        return await self._write(work)

    async def change_application(self, account_id: str, change: ApplicationChange) -> Application:
        async def work(db: Connection) -> Application:
            values = sign_in_rows.application_change(account_id, change)
            await run(db, _Q["application_change"], values)
            changed = await _managed(db, account_id, change.integration_key)
            if change.rights is not None:
                now = self._now()
                await run(db, _Q["application_own_tokens_revoke"], {**values, "now": now})
            return changed

        return await self._write_and_forget(work)

    async def delete_application(self, account_id: str, integration_key: str) -> bool:
        async def work(db: Connection) -> bool:
            values = {"account_id": account_id, "integration_key": integration_key}
            if not await run(db, _Q["application_delete"], values):
                return False
            named = {"integration_key": integration_key, "now": self._now()}
            await run(db, _Q["application_tokens_revoke"], named)
            return True

        return await self._write_and_forget(work)

    async def application(self, account_id: str, integration_key: str) -> Application | None:
        values = {"account_id": account_id, "integration_key": integration_key}
        found = await self._database.read(lambda db: _applications(db, "application", values))
        return found[0] if found else None

    async def applications(self, account_id: str, start: int, count: int) -> ApplicationPage:
        values = {"account_id": account_id, "start": start, "count": count}

        async def work(db: Connection) -> ApplicationPage:
            (total,) = await one(db, _Q["applications_count"], values)
            return ApplicationPage(await _applications(db, "applications", values), total)

        return await self._database.read(work, LISTING_PATIENCE)

    async def add_key(
        self, account_id: str, integration_key: str, key_id: str, public_key: str
    ) -> ApplicationKey:
        named = {"account_id": account_id, "integration_key": integration_key}

        async def work(db: Connection) -> ApplicationKey:
            await run(db, _Q["application_locked"], named)
            known = await _managed(db, account_id, integration_key)
            sign_in_rows.check_room(len(known.keys), "keys")
            now = self._now()
            values = {"key_id": key_id, "integration_key": integration_key, "now": now}
            await run(db, _Q["key_add"], {**values, "public_key": public_key})
            return ApplicationKey(key_id, public_key, from_microseconds(now))

        return await self._write(work)

    async def add_secret(
        self, account_id: str, integration_key: str, secret_id: str, secret: Secret
    ) -> ApplicationSecret:
        named = {"account_id": account_id, "integration_key": integration_key}

        async def work(db: Connection) -> ApplicationSecret:
            await run(db, _Q["application_locked"], named)
            known = await _managed(db, account_id, integration_key)
            sign_in_rows.check_room(len(known.secrets), "secrets")
            now, digest = self._now(), token_hash(secret.reveal())
            values = {"secret_id": secret_id, "integration_key": integration_key, "now": now}
            await run(db, _Q["secret_add"], {**values, "secret_hash": digest})
            return ApplicationSecret(secret_id, digest, from_microseconds(now))

        return await self._write(work)

    async def remove_key(self, account_id: str, integration_key: str, key_id: str) -> bool:
        values = {"account_id": account_id, "integration_key": integration_key, "id": key_id}

        async def work(db: Connection) -> bool:
            return await run(db, _Q["key_remove"], values) > 0

        return await self._write(work)

    async def remove_secret(self, account_id: str, integration_key: str, secret_id: str) -> bool:
        values = {"account_id": account_id, "integration_key": integration_key, "id": secret_id}

        async def work(db: Connection) -> bool:
            await run(db, _Q["application_locked"], values)
            if not await run(db, _Q["secret_remove"], values):
                return False
            if (await _managed(db, account_id, integration_key)).public:
                await run(db, _Q["application_refreshes_delete"], values)
            return True

        return await self._write(work)

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

        async def work(db: Connection) -> Consent:
            if not await rows(db, _Q["application_shared"], pair):
                raise no_application()
            await _check_active(db, account_id, user_id)
            text = sign_in_rows.scopes_text(scopes | await _consented(db, pair))
            values = {**pair, "scopes": text, "granted_by": granted_by, "now": self._now()}
            await run(db, _Q["consent_put"], values)
            return sign_in_rows.consent(await one(db, _Q["consent"], pair))

        return await self._write(work)

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

        async def work(db: Connection) -> ConsentPage:
            (total,) = await one(db, _Q["consents_count"], named)
            found = await rows(db, _Q["consents"], named)
            return ConsentPage(tuple(sign_in_rows.consent(each) for each in found), total)

        return await self._database.read(work, LISTING_PATIENCE)

    async def withdraw(self, account_id: str, integration_key: str, user_id: str) -> bool:
        pair = {"integration_key": integration_key, "user_id": user_id}

        async def work(db: Connection) -> bool:
            if not await run(db, _Q["consent_withdraw"], {**pair, "account_id": account_id}):
                return False
            await run(db, _Q["consent_tokens_revoke"], {**pair, "now": self._now()})
            await run(db, _Q["consent_refreshes_delete"], pair)
            await run(db, _Q["consent_codes_delete"], pair)
            return True

        return await self._write_and_forget(work)

    # ------------------------------------------------------------------------- sign-ins

    async def set_password(self, account_id: str, user_id: str, hashed: str | None) -> None:
        values = {"account_id": account_id, "user_id": user_id, "hashed": hashed}

        async def work(db: Connection) -> None:
            if not await run(db, _Q["password_set"], {**values, "now": self._now()}):
                raise people_rows.no_user([user_id])
            await run(db, _Q["sessions_close"], {"user_id": user_id})

        await self._write(work)

    async def login(self, name: str) -> Login | None:
        return sign_in_rows.login(await self._row("login", {"name": name}))

    async def person(self, user_id: str) -> Person | None:
        return sign_in_rows.person(await self._row("person", {"user_id": user_id}))

    async def open_session(
        self, account_id: str, user_id: str, session: Secret, until: datetime
    ) -> None:
        async def work(db: Connection) -> None:
            now = self._now()
            await _sweep(db, now)
            await _check_active(db, account_id, user_id)
            values = {"session_hash": token_hash(session.reveal()), "user_id": user_id}
            await run(
                db, _Q["session_open"], {**values, "now": now, "expires": to_microseconds(until)}
            )

        await self._write(work)

    async def session(self, session: str) -> Person | None:
        values = {"session_hash": token_hash(session), "now": self._now()}
        return sign_in_rows.person(await self._row("session", values))

    async def close_session(self, session: str) -> None:
        values = {"session_hash": token_hash(session)}

        async def work(db: Connection) -> None:
            await run(db, _Q["session_close"], values)

        await self._write(work)

    # --------------------------------------------------------------------------- grants

    async def registered(self, integration_key: str) -> Application | None:
        values = {"integration_key": integration_key}
        found = await self._database.read(
            lambda db: _applications(db, "application_registered", values)
        )
        return found[0] if found else None

    async def consented(self, integration_key: str, user_id: str) -> frozenset[str]:
        pair = {"integration_key": integration_key, "user_id": user_id}
        found = await self._row("consented", pair)
        return frozenset(found[0].split()) if found else frozenset()

    async def issue(
        self, account_id: str, token: Secret, wanted: NewToken, assertion: tuple[bytes, datetime]
    ) -> bool:
        named = {"integration_key": wanted.integration_key, "user_id": wanted.user_id}

        async def work(db: Connection) -> bool:
            now = self._now()
            await _sweep(db, now)
            found = await rows(db, _Q["application_shared"], named)
            sign_in_rows.check_rights([rights for (rights,) in found], wanted)
            if wanted.user_id is not None:
                await _check_active(db, account_id, wanted.user_id)
                if not await _consented(db, named):
                    raise sign_in_rows.no_consent()
            values = sign_in_rows.remembered(assertion)
            if assertion[0] and not await run(db, _Q["assertion_use"], values):
                return False
            await write_token(db, account_id, token, wanted, now)
            return True

        return await self._write(work)

    async def add_code(self, account_id: str, code: Secret, wanted: NewCode) -> None:
        async def work(db: Connection) -> None:
            await _sweep(db, self._now())
            await _check_active(db, account_id, wanted.user_id)
            await run(db, _Q["code_add"], sign_in_rows.new_code(code, wanted))

        await self._write(work)

    async def redeem(
        self, integration_key: str, code: str, proof: CodeProof, pair: Pair
    ) -> Redeemed | None:
        values = {"code_hash": token_hash(code), "integration_key": integration_key}

        async def work(db: Connection) -> Redeemed | None:
            now = self._now()
            found = await rows(db, _Q["code"], values)
            if not found:
                return None
            exchange = sign_in_rows.code_exchange(found[0], proof, pair, now)
            await run(db, _Q["code_use"], {**values, "now": now})
            return await self._exchange(db, integration_key, exchange, exchange.scopes, pair)

        return await self._write_and_forget(work)

    async def refresh(
        self, integration_key: str, refresh: str, scopes: frozenset[str] | None, pair: Pair
    ) -> Redeemed | None:
        values = {"refresh_hash": token_hash(refresh), "integration_key": integration_key}

        async def work(db: Connection) -> Redeemed | None:
            now = self._now()
            found = await rows(db, _Q["refresh"], values)
            if not found:
                return None
            exchange = sign_in_rows.refresh_exchange(found[0], scopes, pair, now)
            if not exchange.worthless:
                await run(db, _Q["refresh_use"], {**values, "now": now})
            whole = frozenset(found[0][2].split())
            return await self._exchange(db, integration_key, exchange, whole, pair)

        return await self._write_and_forget(work)

    async def _exchange(
        self,
        db: Connection,
        integration_key: str,
        exchange: sign_in_rows.Exchange,
        whole: frozenset[str],
        pair: Pair,
    ) -> Redeemed | None:
        now, grant = self._now(), {"grant_id": exchange.grant_id}
        await rows(db, _Q["grant_locked"], grant)
        if exchange.stolen:
            await _revoke_grant(db, exchange.grant_id, now)
            return None
        named = {"integration_key": integration_key, "user_id": exchange.user_id}
        if exchange.worthless or not await _consented(db, named) >= exchange.scopes:
            return None
        await _sweep(db, now)
        token = sign_in_rows.access_token(integration_key, exchange, pair)
        await write_token(db, exchange.account_id, pair.access, token, now)
        digest = token_hash(pair.access.reveal())
        await run(db, _Q["token_of_grant"], {**grant, "token_hash": digest})
        await run(
            db,
            _Q["refresh_add"],
            sign_in_rows.refresh_values(integration_key, exchange, whole, pair.refresh, now),
        )
        return Redeemed(exchange.user_id, exchange.scopes)

    async def revoke(self, integration_key: str, token: str) -> None:
        digest = token_hash(token)
        values = {"integration_key": integration_key, "token_hash": digest}

        async def work(db: Connection) -> None:
            await run(db, _Q["access_revoke"], {**values, "now": self._now()})
            found = await rows(db, _Q["refresh"], {**values, "refresh_hash": digest})
            if found:
                await _revoke_grant(db, found[0][3], self._now())

        await self._write_and_forget(work)

    # ------------------------------------------------------------------------ shorthand

    async def _write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        return await self._database.bounded(self._database.transact(work))

    async def _write_and_forget(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Write what tokens stand for; it goes on when the caller does not wait any more."""
        writing = asyncio.ensure_future(self._write(work))
        writing.add_done_callback(lambda _: self._forget())
        return await asyncio.shield(writing)

    async def _row(self, query: str, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        return await self._database.read(lambda db: row(db, _Q[query], values))


async def _applications(
    db: Connection, query: str, values: Mapping[str, Any]
) -> tuple[Application, ...]:
    found = await rows(db, _Q[query], values)
    named = {"integration_keys": [each[0] for each in found]}
    keys, secrets = await rows(db, _Q["keys"], named), await rows(db, _Q["secrets"], named)
    return sign_in_rows.applications(found, keys, secrets)


async def _managed(db: Connection, account_id: str, integration_key: str) -> Application:
    values = {"account_id": account_id, "integration_key": integration_key}
    found: Sequence[Application] = await _applications(db, "application", values)
    if not found:
        raise no_application()
    return found[0]


async def _check_active(db: Connection, account_id: str, user_id: str) -> None:
    values = {"account_id": account_id, "user_id": user_id}
    if not await rows(db, _Q["user_active"], values):
        raise people_rows.no_user([user_id])


async def _consented(db: Connection, values: Mapping[str, Any]) -> frozenset[str]:
    found = await rows(db, _Q["consented_shared"], values)
    return frozenset(found[0][0].split()) if found else frozenset()


async def _revoke_grant(db: Connection, grant_id: str, now: int) -> None:
    await rows(db, _Q["grant_locked"], {"grant_id": grant_id})
    await run(db, _Q["grant_tokens_revoke"], {"grant_id": grant_id, "now": now})
    await run(db, _Q["grant_refreshes_delete"], {"grant_id": grant_id})


async def _sweep(db: Connection, now: int) -> None:
    for table in sign_in_rows.SWEPT:
        await run(db, _Q[f"sweep_{table}"], {"now": now, "most": SWEPT_MOST})
