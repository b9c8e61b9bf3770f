"""Applications, consents, sign-ins and grants (see store/sign_ins.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from heliograph.clock import StoreClock
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
    ConsoleSession,
    Login,
    NewApplication,
    NewCode,
    Pair,
    Person,
    Redeemed,
    no_application,
)
from heliograph.model.audit import Action, Change, differing, given
from heliograph.model.people import NewToken
from heliograph.model.tokens import token_hash
from heliograph.sharing import to_the_end
from heliograph.store.audit import actor
from heliograph.store.sign_ins import SWEPT_MOST
from heliograph.store.times import from_microseconds, to_microseconds
from heliograph.store.verbs import (
    LISTING_PATIENCE,
    Engine,
    Step,
    Verb,
    audit,
    people_rows,
    sign_in_rows,
    verb_of,
)
from heliograph.store.verbs.people import write_token

T = TypeVar("T")


class SignInVerbs:
    """The SignIns port. `forget` is told when tokens may stand for somebody else."""

    def __init__(self, engine: Engine, clock: StoreClock, forget: Callable[[], None]) -> None:
        self._engine = engine
        self._clock = clock
        self._forget = forget

    def _now(self) -> int:
        """Microseconds since 1970 in UTC."""
        return to_microseconds(self._clock.now())

    async def add_application(self, account_id: str, new: NewApplication) -> Application:
        def verb() -> Verb[Application]:
            values = sign_in_rows.new_application(account_id, new, self._now())
            yield Step("application_add", values)
            added = yield from _managed(account_id, new.integration_key)
            what = Change(f"application {new.integration_key}", differing({}, _shown(added)))
            yield from audit.note(account_id, self._now(), Action.APPLICATION_ADDED, what)
            return added

        return await self._engine.write(verb)

    async def change_application(self, account_id: str, change: ApplicationChange) -> Application:
        def verb() -> Verb[Application]:
            values = sign_in_rows.application_change(account_id, change)
            before = yield from _managed(account_id, change.integration_key)
            yield Step("application_change", values)
            changed = yield from _managed(account_id, change.integration_key)
            if change.rights is not None:
                now = self._now()
                yield Step("application_own_tokens_revoke", {**values, "now": now})
            what = Change(
                f"application {change.integration_key}", differing(_shown(before), _shown(changed))
            )
            yield from audit.note_changed(account_id, self._now(), Action.APPLICATION_CHANGED, what)
            return changed

        return await self._write_and_forget(verb)

    async def delete_application(self, account_id: str, integration_key: str) -> bool:
        def verb() -> Verb[bool]:
            values = {"account_id": account_id, "integration_key": integration_key}
            if not (yield Step("application_delete", values)).changed:
                return False
            named = {"integration_key": integration_key, "now": self._now()}
            yield Step("application_tokens_revoke", named)
            gone = Change(f"application {integration_key}")
            yield from audit.note(account_id, self._now(), Action.APPLICATION_DELETED, gone)
            return True

        return await self._write_and_forget(verb)

    async def application(self, account_id: str, integration_key: str) -> Application | None:
        values = {"account_id": account_id, "integration_key": integration_key}
        found = await self._engine.read(lambda: _applications("application", values))
        return found[0] if found else None

    async def applications(self, account_id: str, start: int, count: int) -> ApplicationPage:
        values = {"account_id": account_id, "start": start, "count": count}

        def verb() -> Verb[ApplicationPage]:
            counted = yield Step("applications_count", values)
            page = yield from _applications("applications", values)
            return ApplicationPage(page, counted[0].total)

        return await self._engine.read(verb, LISTING_PATIENCE)

    async def add_key(
        self, account_id: str, integration_key: str, key_id: str, public_key: str
    ) -> ApplicationKey:
        named = {"account_id": account_id, "integration_key": integration_key}

        def verb() -> Verb[ApplicationKey]:
            yield Step("application_locked", named)
            known = yield from _managed(account_id, integration_key)
            sign_in_rows.check_room(len(known.keys), "keys")
            now = self._now()
            values = {"key_id": key_id, "integration_key": integration_key, "now": now}
            yield Step("key_add", {**values, "public_key": public_key})
            added = Change(f"application {integration_key}", given(key=key_id))
            yield from audit.note(account_id, now, Action.APPLICATION_KEY_ADDED, added)
            return ApplicationKey(key_id, public_key, from_microseconds(now))

        return await self._engine.write(verb)

    async def add_secret(
        self, account_id: str, integration_key: str, secret_id: str, secret: Secret
    ) -> ApplicationSecret:
        named = {"account_id": account_id, "integration_key": integration_key}

        def verb() -> Verb[ApplicationSecret]:
            yield Step("application_locked", named)
            known = yield from _managed(account_id, integration_key)
            sign_in_rows.check_room(len(known.secrets), "secrets")
            now, digest = self._now(), token_hash(secret.reveal())
            values = {"secret_id": secret_id, "integration_key": integration_key, "now": now}
            yield Step("secret_add", {**values, "secret_hash": digest})
            added = Change(f"application {integration_key}", given(secret=secret_id))
            yield from audit.note(account_id, now, Action.APPLICATION_SECRET_ADDED, added)
            return ApplicationSecret(secret_id, digest, from_microseconds(now))

        return await self._engine.write(verb)

    async def remove_key(self, account_id: str, integration_key: str, key_id: str) -> bool:
        values = {"account_id": account_id, "integration_key": integration_key, "id": key_id}

        def verb() -> Verb[bool]:
            if not (yield Step("key_remove", values)).changed:
                return False
            removed = Change(f"application {integration_key}", given(key=key_id))
            yield from audit.note(account_id, self._now(), Action.APPLICATION_KEY_REMOVED, removed)
            return True

        return await self._engine.write(verb)

    async def remove_secret(self, account_id: str, integration_key: str, secret_id: str) -> bool:
        values = {"account_id": account_id, "integration_key": integration_key, "id": secret_id}

        def verb() -> Verb[bool]:
            yield Step("application_locked", values)
            if not (yield Step("secret_remove", values)).changed:
                return False
            if (yield from _managed(account_id, integration_key)).public:
                yield Step("application_refreshes_delete", values)
            removed = Change(f"application {integration_key}", given(secret=secret_id))
            yield from audit.note(
                account_id, self._now(), Action.APPLICATION_SECRET_REMOVED, removed
            )
            return True

        return await self._engine.write(verb)

    async def add_consent(
        self,
        account_id: str,
        integration_key: str,
        user_id: str,
        scopes: frozenset[str],
        granted_by: str,
    ) -> Consent:
        pair = {"integration_key": integration_key, "user_id": user_id}

        def verb() -> Verb[Consent]:
            if not (yield Step("application_shared", pair)):
                raise no_application()
            yield from _check_active(account_id, user_id)
            before = yield from _consented(pair)
            text = sign_in_rows.scopes_text(scopes | before)
            values = {**pair, "scopes": text, "granted_by": granted_by, "now": self._now()}
            yield Step("consent_put", values)
            if not scopes <= before:
                what = Change(f"user {user_id}", given(application=integration_key, scopes=text))
                yield from audit.note(account_id, self._now(), Action.CONSENT_GIVEN, what)
            return sign_in_rows.consent((yield Step("consent", pair))[0])

        return await self._engine.write(verb)

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

        def verb() -> Verb[ConsentPage]:
            counted = yield Step("consents_count", named)
            page = yield Step("consents", named)
            return ConsentPage(tuple(map(sign_in_rows.consent, page)), counted[0].total)

        return await self._engine.read(verb, LISTING_PATIENCE)

    async def withdraw(self, account_id: str, integration_key: str, user_id: str) -> bool:
        pair = {"integration_key": integration_key, "user_id": user_id}

        def verb() -> Verb[bool]:
            if not (yield Step("consent_withdraw", {**pair, "account_id": account_id})).changed:
                return False
            yield Step("consent_tokens_revoke", {**pair, "now": self._now()})
            yield Step("consent_refreshes_delete", pair)
            yield Step("consent_codes_delete", pair)
            what = Change(f"user {user_id}", given(application=integration_key))
            yield from audit.note(account_id, self._now(), Action.CONSENT_WITHDRAWN, what)
            return True

        return await self._write_and_forget(verb)

    async def set_password(self, account_id: str, user_id: str, hashed: str | None) -> None:
        values = {"account_id": account_id, "user_id": user_id, "hashed": hashed}

        def verb() -> Verb[None]:
            named = {**values, "now": self._now()}
            if not (yield Step("password_set", named)).changed:
                raise people_rows.no_user([user_id])
            yield Step("user_tokens_of_applications_revoke", named)
            yield Step("user_refreshes_delete", named)
            yield Step("user_codes_delete", named)
            yield Step("sessions_close", named)
            yield Step("console_sessions_close", named)
            what = Change(f"user {user_id}")
            yield from audit.note(account_id, self._now(), Action.USER_PASSWORD_SET, what)

        await self._write_and_forget(verb)

    async def login(self, name: str) -> Login | None:
        return sign_in_rows.login(await self._row("login", {"name": name}))

    async def person(self, user_id: str) -> Person | None:
        return sign_in_rows.person(await self._row("person", {"user_id": user_id}))

    async def open_session(
        self, account_id: str, user_id: str, session: Secret, until: datetime
    ) -> None:
        def verb() -> Verb[None]:
            now = self._now()
            yield from self._sweep()
            yield from _check_active(account_id, user_id)
            digest = token_hash(session.reveal())
            values: dict[str, Any] = {"session_hash": digest, "user_id": user_id}
            values |= {"now": now, "expires": to_microseconds(until)}
            yield Step("session_open", values)
            who = Change(f"user {user_id}")
            yield from audit.note(account_id, now, Action.USER_SIGNED_IN, who)

        await self._engine.write(verb)

    async def note_failed(self, account_id: str, user_id: str) -> None:
        tried = Change(f"user {user_id}")
        action = Action.USER_SIGN_IN_FAILED
        await self._engine.write(lambda: audit.note(account_id, self._now(), action, tried))

    async def session(self, session: str) -> Person | None:
        values = {"session_hash": token_hash(session), "now": self._now()}
        return sign_in_rows.person(await self._row("session", values))

    async def close_session(self, session: str) -> None:
        values = {"session_hash": token_hash(session)}
        await self._engine.write(lambda: verb_of(Step("session_close", values)))

    async def open_console_session(
        self,
        account_id: str,
        session: Secret,
        until: datetime,
        *,
        user_id: str | None = None,
        token: str | None = None,
    ) -> None:
        def verb() -> Verb[None]:
            yield from self._sweep()
            if user_id is not None:
                yield from _check_active(account_id, user_id)
            values = {
                "session_hash": token_hash(session.reveal()),
                "account_id": account_id,
                "user_id": user_id,
                "token_hash": None if token is None else token_hash(token),
            }
            times = {"now": self._now(), "expires": to_microseconds(until)}
            yield Step("console_session_open", {**values, **times})
            who = f"token {actor().token_id}" if user_id is None else f"user {user_id}"
            yield from audit.note(account_id, self._now(), Action.USER_SIGNED_IN, Change(who))

        await self._engine.write(verb)

    async def console_session(self, session: str) -> ConsoleSession | None:
        values = {"session_hash": token_hash(session), "now": self._now()}
        return sign_in_rows.console_session(await self._row("console_session", values))

    async def prolong_console_session(self, account_id: str, session: str, until: datetime) -> None:
        values = {"session_hash": token_hash(session), "account_id": account_id}
        step = Step("console_session_prolong", {**values, "expires": to_microseconds(until)})
        await self._engine.write(lambda: verb_of(step))

    async def close_console_session(
        self, account_id: str, session: str, *, everywhere: bool = False
    ) -> None:
        query = "console_sessions_like" if everywhere else "console_session_close"
        values = {"session_hash": token_hash(session), "account_id": account_id}
        await self._engine.write(lambda: verb_of(Step(query, values)))

    async def registered(self, integration_key: str) -> Application | None:
        values = {"integration_key": integration_key}
        found = await self._engine.read(lambda: _applications("application_registered", values))
        return found[0] if found else None

    async def consented(self, integration_key: str, user_id: str) -> frozenset[str]:
        pair = {"integration_key": integration_key, "user_id": user_id}
        row = await self._row("consented", pair)
        return frozenset() if row is None else frozenset(row.scopes.split())

    async def issue(
        self, account_id: str, token: Secret, wanted: NewToken, assertion: tuple[bytes, datetime]
    ) -> bool:
        named = {"integration_key": wanted.integration_key, "user_id": wanted.user_id}

        def verb() -> Verb[bool]:
            now = self._now()
            yield from self._sweep()
            found = yield Step("application_shared", named)
            sign_in_rows.check_rights([row.rights for row in found], wanted)
            if wanted.user_id is not None:
                yield from _check_active(account_id, wanted.user_id)
                if not (yield from _consented(named)):
                    raise sign_in_rows.no_consent()
            values = sign_in_rows.remembered(assertion)
            if assertion[0] and not (yield Step("assertion_use", values)).changed:
                return False
            yield from write_token(account_id, token, wanted, now)
            return True

        return await self._engine.write(verb)

    async def add_code(self, account_id: str, code: Secret, wanted: NewCode) -> None:
        def verb() -> Verb[None]:
            yield from self._sweep()
            yield from _check_active(account_id, wanted.user_id)
            yield Step("code_add", sign_in_rows.new_code(code, wanted))

        await self._engine.write(verb)

    async def redeem(
        self, integration_key: str, code: str, proof: CodeProof, pair: Pair
    ) -> Redeemed | None:
        values = {"code_hash": token_hash(code), "integration_key": integration_key}

        def verb() -> Verb[Redeemed | None]:
            now = self._now()
            yield from _hold_user("code_user", values)
            row = (yield Step("code", values)).first
            if row is None:
                return None
            exchange = sign_in_rows.code_exchange(row, proof, pair, now)
            yield Step("code_use", {**values, "now": now})
            return (yield from self._exchange(integration_key, exchange, exchange.scopes, pair))

        return await self._write_and_forget(verb)

    async def refresh(
        self, integration_key: str, refresh: str, scopes: frozenset[str] | None, pair: Pair
    ) -> Redeemed | None:
        values = {"refresh_hash": token_hash(refresh), "integration_key": integration_key}

        def verb() -> Verb[Redeemed | None]:
            now = self._now()
            yield from _hold_user("refresh_user", values)
            row = (yield Step("refresh", values)).first
            if row is None:
                return None
            exchange = sign_in_rows.refresh_exchange(row, scopes, pair, now)
            if not exchange.worthless:
                yield Step("refresh_use", {**values, "now": now})
            whole = frozenset(row.scopes.split())
            return (yield from self._exchange(integration_key, exchange, whole, pair))

        return await self._write_and_forget(verb)

    def _exchange(
        self,
        integration_key: str,
        exchange: sign_in_rows.Exchange,
        whole: frozenset[str],
        pair: Pair,
    ) -> Verb[Redeemed | None]:
        now, grant = self._now(), {"grant_id": exchange.grant_id}
        yield Step("grant_locked", grant)
        if exchange.stolen:
            yield from _revoke_grant(exchange.grant_id, now)
            return None
        named = {"integration_key": integration_key, "user_id": exchange.user_id}
        if exchange.worthless or not (yield from _consented(named)) >= exchange.scopes:
            return None
        yield from self._sweep()
        token = sign_in_rows.access_token(integration_key, exchange, pair)
        yield from write_token(exchange.account_id, pair.access, token, now)
        digest = token_hash(pair.access.reveal())
        yield Step("token_of_grant", {**grant, "token_hash": digest})
        values = sign_in_rows.refresh_values(integration_key, exchange, whole, pair.refresh, now)
        yield Step("refresh_add", values)
        return Redeemed(exchange.user_id, exchange.scopes)

    async def revoke(self, integration_key: str, token: str) -> None:
        digest = token_hash(token)
        values = {"integration_key": integration_key, "token_hash": digest}

        def verb() -> Verb[None]:
            yield Step("access_revoke", {**values, "now": self._now()})
            row = (yield Step("refresh", {**values, "refresh_hash": digest})).first
            if row is not None:
                yield from _revoke_grant(row.grant_id, self._now())

        await self._write_and_forget(verb)

    def _sweep(self) -> Verb[None]:
        now = to_microseconds(self._clock.sure())
        for table in sign_in_rows.SWEPT:
            yield Step(f"sweep_{table}", {"now": now, "most": SWEPT_MOST})

    async def _write_and_forget(self, verb: Callable[[], Verb[T]]) -> T:
        return await to_the_end(self._engine.write(verb), self._forget)

    async def _row(self, query: str, values: Mapping[str, Any]) -> Any:
        return (await self._engine.read(lambda: verb_of(Step(query, values)))).first


def _shown(application: Application) -> Mapping[str, object]:
    return {
        "name": application.name,
        "redirect URIs": application.redirect_uris,
        "rights": application.rights,
    }


def _applications(query: str, values: Mapping[str, Any]) -> Verb[tuple[Application, ...]]:
    found = yield Step(query, values)
    named = {"integration_keys": [row.integration_key for row in found]}
    keys, secrets = (yield Step("keys", named)), (yield Step("secrets", named))
    return sign_in_rows.applications(found, keys, secrets)


def _managed(account_id: str, integration_key: str) -> Verb[Application]:
    values = {"account_id": account_id, "integration_key": integration_key}
    found = yield from _applications("application", values)
    if not found:
        raise no_application()
    return found[0]


def _check_active(account_id: str, user_id: str) -> Verb[None]:
    if not (yield Step("user_active", {"account_id": account_id, "user_id": user_id})):
        raise people_rows.no_user([user_id])


def _hold_user(query: str, values: Mapping[str, Any]) -> Verb[None]:
    """Let no new password come before the commit: it ends what this transaction brings."""
    for row in (yield Step(query, values)):
        yield Step("user_active", {"account_id": row.account_id, "user_id": row.user_id})


def _consented(values: Mapping[str, Any]) -> Verb[frozenset[str]]:
    row = (yield Step("consented_shared", values)).first
    return frozenset() if row is None else frozenset(row.scopes.split())


def _revoke_grant(grant_id: str, now: int) -> Verb[None]:
    yield Step("grant_locked", {"grant_id": grant_id})
    yield Step("grant_tokens_revoke", {"grant_id": grant_id, "now": now})
    yield Step("grant_refreshes_delete", {"grant_id": grant_id})
