"""The store contract: applications, consents, sign-ins and grants."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from heliograph.errors import InvalidParameter, NotFound
from heliograph.model.accounts import Role, Secret
from heliograph.model.applications import (
    ACCESS_SECONDS,
    MOST_KEYS,
    REFRESH_SECONDS,
    ApplicationChange,
    CodeProof,
    NewApplication,
    NewCode,
    Pair,
    Rights,
)
from heliograph.model.people import NewToken, NewUser
from heliograph.store import Store
from tests.contract.tables import rows_of
from tests.support import ACCOUNT, OTHER_ACCOUNT, ManualClock

ADA, BOB, CYD = (f"{number}aaaaaaa-0000-4000-8000-000000000000" for number in (1, 2, 3))
KEY, OTHER_KEY = (f"{number}bbbbbbb-0000-4000-8000-000000000000" for number in (1, 2))
BACK = "https://app.example/back"
SIGNATURE = frozenset({"signature"})
EXTENDED = frozenset({"signature", "extended"})
PEM = "-----BEGIN PUBLIC KEY-----"


async def fill(store: Store) -> None:
    """Ada in the first account, Bob in the other; each account manages an application."""
    for account, user, name in ((ACCOUNT, ADA, "Ada"), (OTHER_ACCOUNT, BOB, "Bob")):
        new = NewUser(user, f"{name.lower()}@example.com", name, role=Role.VIEWER)
        await store.people.add_users(account, [new])
    await store.sign_ins.add_application(ACCOUNT, NewApplication(KEY, "crm", (BACK,)))
    await store.sign_ins.add_application(OTHER_ACCOUNT, NewApplication(OTHER_KEY, "theirs"))


def code_for(clock: ManualClock, challenge: str | None = None, **over: object) -> NewCode:
    values = {
        "integration_key": KEY,
        "user_id": ADA,
        "scopes": SIGNATURE,
        "redirect_uri": BACK,
        "challenge": challenge,
        "expires_at": clock.now() + timedelta(seconds=120),
    }
    return NewCode(**{**values, **over})  # type: ignore[arg-type]


def pair(clock: ManualClock, name: str = "1") -> Pair:
    now = clock.now()
    return Pair(
        *(Secret(f"access-{name}"), now + timedelta(seconds=ACCESS_SECONDS)),
        *(Secret(f"refresh-{name}"), now + timedelta(seconds=REFRESH_SECONDS)),
    )


async def works(store: Store, *names: str) -> list[str]:
    """Those whose access token stands for somebody."""
    return [one for one in names if await store.principal(f"access-{one}") is not None]


async def granted(
    store: Store, clock: ManualClock, scopes: frozenset[str] = SIGNATURE, name: str = "1"
) -> None:
    """Ada consents, and a code of hers is redeemed."""
    await store.sign_ins.add_consent(ACCOUNT, KEY, ADA, scopes, ADA)
    await store.sign_ins.add_code(ACCOUNT, Secret(f"code-{name}"), code_for(clock, scopes=scopes))
    proof = CodeProof(None, None)
    redeemed = await store.sign_ins.redeem(KEY, f"code-{name}", proof, pair(clock, name))
    assert redeemed is not None
    assert (redeemed.user_id, redeemed.scopes) == (ADA, scopes)


def token_of(user_id: str | None, clock: ManualClock, role: Role = Role.ADMINISTRATOR) -> NewToken:
    until = clock.now() + timedelta(seconds=ACCESS_SECONDS)
    return NewToken("app", role, user_id, SIGNATURE, until, KEY)


def assertion(clock: ManualClock, digest: bytes = b"digest") -> tuple[bytes, datetime]:
    return digest, clock.now() + timedelta(seconds=3600)


# ------------------------------------------------------------------------------ applications


async def test_applications_are_added_listed_changed_and_deleted(
    store: Store, clock: ManualClock
) -> None:
    oauth = store.sign_ins
    wanted = NewApplication(KEY, "crm", (BACK, "http://127.0.0.1:9/x"), Rights.VIEWER)
    made = await oauth.add_application(ACCOUNT, wanted)
    assert (made.integration_key, made.account_id, made.name) == (KEY, ACCOUNT, "crm")
    assert (made.redirect_uris, made.rights) == ((BACK, "http://127.0.0.1:9/x"), Rights.VIEWER)
    assert (made.created_at, made.public) == (clock.now(), True)
    assert await oauth.application(ACCOUNT, KEY) == await oauth.registered(KEY) == made

    changed = await oauth.change_application(ACCOUNT, ApplicationChange(KEY, name="CRM"))
    assert (changed.name, changed.redirect_uris, changed.rights) == (
        *("CRM", made.redirect_uris),
        Rights.VIEWER,
    )
    change = ApplicationChange(KEY, redirect_uris=(), rights=Rights.NONE)
    changed = await oauth.change_application(ACCOUNT, change)
    assert (changed.name, changed.redirect_uris, changed.rights) == ("CRM", (), Rights.NONE)

    await oauth.add_application(ACCOUNT, NewApplication(OTHER_KEY, "a second one"))
    page = await oauth.applications(ACCOUNT, 0, 1)
    assert ([one.name for one in page.applications], page.total) == (["CRM"], 2)
    page = await oauth.applications(ACCOUNT, 1, 10)
    assert [one.name for one in page.applications] == ["a second one"]

    assert await oauth.delete_application(ACCOUNT, KEY)
    assert not await oauth.delete_application(ACCOUNT, KEY)
    assert await oauth.registered(KEY) is None


async def test_keys_and_secrets_are_added_up_to_a_limit_and_taken_away(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth = store.sign_ins
    ids = [str(uuid.uuid4()) for _ in range(2 * MOST_KEYS)]
    for one in ids[:MOST_KEYS]:
        await oauth.add_key(ACCOUNT, KEY, one, PEM)
        clock.move(1)
    for one in ids[MOST_KEYS:]:
        made = await oauth.add_secret(ACCOUNT, KEY, one, Secret(f"secret {one}"))
        clock.move(1)
    found = await oauth.registered(KEY)
    assert found is not None
    assert [one.key_id for one in found.keys] == ids[:MOST_KEYS]
    assert [one.secret_id for one in found.secrets] == ids[MOST_KEYS:]
    assert found.secrets[-1] == made
    assert {one.public_key for one in found.keys} == {PEM}
    assert not found.public
    with pytest.raises(InvalidParameter, match=rf"at most {MOST_KEYS} keys: "):
        await oauth.add_key(ACCOUNT, KEY, str(uuid.uuid4()), PEM)
    with pytest.raises(InvalidParameter, match=rf"at most {MOST_KEYS} secrets: "):
        await oauth.add_secret(ACCOUNT, KEY, str(uuid.uuid4()), Secret("x"))

    assert await oauth.remove_key(ACCOUNT, KEY, ids[0])
    assert not await oauth.remove_key(ACCOUNT, KEY, ids[0])
    assert await oauth.remove_secret(ACCOUNT, KEY, ids[-1])
    assert not await oauth.remove_secret(ACCOUNT, OTHER_KEY, ids[-2])
    found = await oauth.registered(KEY)
    assert found is not None
    assert (len(found.keys), len(found.secrets)) == (MOST_KEYS - 1, MOST_KEYS - 1)


async def test_keys_and_secrets_that_are_added_at_once_are_no_more_than_the_limit(
    store: Store,
) -> None:
    await fill(store)
    oauth = store.sign_ins
    for number in range(MOST_KEYS - 1):
        await oauth.add_key(ACCOUNT, KEY, f"key {number}", PEM)
        await oauth.add_secret(ACCOUNT, KEY, f"secret {number}", Secret(f"s{number}"))
    at_once = range(MOST_KEYS, MOST_KEYS + 6)
    calls: list[Awaitable[object]] = [
        *(oauth.add_key(ACCOUNT, KEY, f"key {number}", PEM) for number in at_once),
        *(oauth.add_secret(ACCOUNT, KEY, f"secret {n}", Secret(f"s{n}")) for n in at_once),
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(answer, InvalidParameter) for answer in answers) == 10
    found = await oauth.registered(KEY)
    assert found is not None
    assert (len(found.keys), len(found.secrets)) == (MOST_KEYS, MOST_KEYS)


async def test_another_account_s_application_is_as_if_it_did_not_exist_s8(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth = store.sign_ins
    key = await oauth.add_key(OTHER_ACCOUNT, OTHER_KEY, str(uuid.uuid4()), PEM)
    secret = await oauth.add_secret(OTHER_ACCOUNT, OTHER_KEY, str(uuid.uuid4()), Secret("s"))
    before = await oauth.registered(OTHER_KEY)
    await oauth.add_consent(OTHER_ACCOUNT, OTHER_KEY, BOB, SIGNATURE, BOB)

    assert await oauth.application(ACCOUNT, OTHER_KEY) is None
    assert [one.integration_key for one in (await oauth.applications(ACCOUNT, 0, 9)).applications]
    assert not await oauth.delete_application(ACCOUNT, OTHER_KEY)
    assert not await oauth.remove_key(ACCOUNT, OTHER_KEY, key.key_id)
    assert not await oauth.remove_secret(ACCOUNT, OTHER_KEY, secret.secret_id)
    assert not await oauth.withdraw(ACCOUNT, OTHER_KEY, BOB)
    assert (await oauth.consents(ACCOUNT, 0, 9)).total == 0
    refused: list[Callable[[], Awaitable[object]]] = [
        lambda: oauth.change_application(ACCOUNT, ApplicationChange(OTHER_KEY, name="mine")),
        lambda: oauth.add_key(ACCOUNT, OTHER_KEY, str(uuid.uuid4()), PEM),
        lambda: oauth.add_secret(ACCOUNT, OTHER_KEY, str(uuid.uuid4()), Secret("s")),
        lambda: oauth.add_consent(ACCOUNT, KEY, BOB, SIGNATURE, "x"),
        lambda: oauth.set_password(ACCOUNT, BOB, "hash"),
        lambda: oauth.open_session(ACCOUNT, BOB, Secret("s"), clock.now()),
        lambda: oauth.add_code(ACCOUNT, Secret("c"), code_for(clock, user_id=BOB)),
        lambda: oauth.issue(ACCOUNT, Secret("t"), token_of(BOB, clock), assertion(clock)),
    ]
    for attempt in refused:
        with pytest.raises(NotFound):
            await attempt()
    await oauth.add_consent(OTHER_ACCOUNT, KEY, BOB, SIGNATURE, BOB)
    with pytest.raises(NotFound):  # who consented is still a user of the other account
        await oauth.issue(ACCOUNT, Secret("t"), token_of(BOB, clock), assertion(clock))
    assert await oauth.registered(OTHER_KEY) == before
    assert await oauth.consented(OTHER_KEY, BOB) == SIGNATURE


# ---------------------------------------------------------------------------------- consents


async def test_consents_add_up_are_listed_for_the_user_s_account_and_withdrawn(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth = store.sign_ins
    assert await oauth.consented(KEY, ADA) == frozenset()
    await oauth.add_consent(ACCOUNT, KEY, ADA, SIGNATURE, ADA)
    clock.move(1)
    made = await oauth.add_consent(ACCOUNT, KEY, ADA, frozenset({"impersonation"}), "ci")
    assert made.scopes == await oauth.consented(KEY, ADA) == {"signature", "impersonation"}
    assert (made.application_name, made.granted_by, made.created_at) == ("crm", "ci", clock.now())
    clock.move(1)
    # A user of another account may consent too; who manages the application does not see it.
    theirs = await oauth.add_consent(OTHER_ACCOUNT, KEY, BOB, SIGNATURE, BOB)
    assert (await oauth.consents(ACCOUNT, 0, 10)).consents == (made,)
    assert (await oauth.consents(OTHER_ACCOUNT, 0, 10)).consents == (theirs,)
    assert (await oauth.consents(ACCOUNT, 0, 10, user_id=BOB)).total == 0
    assert (await oauth.consents(ACCOUNT, 0, 10, integration_key=OTHER_KEY)).total == 0
    assert (await oauth.consents(ACCOUNT, 0, 10, ADA, KEY)).total == 1
    with pytest.raises(NotFound):
        await oauth.add_consent(ACCOUNT, str(uuid.uuid4()), ADA, SIGNATURE, ADA)

    assert await oauth.withdraw(ACCOUNT, KEY, ADA)
    assert not await oauth.withdraw(ACCOUNT, KEY, ADA)
    assert await oauth.consented(KEY, ADA) == frozenset()
    assert await oauth.consented(KEY, BOB) == SIGNATURE


async def test_s9_withdrawing_a_consent_or_deleting_the_application_ends_its_tokens_at_once(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth = store.sign_ins
    await granted(store, clock, name="a")
    assert await works(store, "a") == ["a"]
    await oauth.withdraw(ACCOUNT, KEY, ADA)
    assert await works(store, "a") == []
    await oauth.add_consent(ACCOUNT, KEY, ADA, SIGNATURE, ADA)
    assert await oauth.refresh(KEY, "refresh-a", None, pair(clock, "b")) is None

    await granted(store, clock, name="c")
    change = ApplicationChange(KEY, rights=Rights.ADMINISTRATOR)
    await oauth.change_application(ACCOUNT, change)
    await oauth.issue(ACCOUNT, Secret("access-d"), token_of(None, clock), assertion(clock))
    assert await works(store, "c", "d") == ["c", "d"]
    await oauth.delete_application(ACCOUNT, KEY)
    assert await works(store, "c", "d") == []
    assert await oauth.refresh(KEY, "refresh-c", None, pair(clock, "e")) is None
    with pytest.raises(NotFound):
        await oauth.issue(ACCOUNT, Secret("t"), token_of(None, clock), assertion(clock, b"2"))


async def test_s9_an_application_s_own_tokens_end_when_its_role_changes(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth = store.sign_ins

    async def own(name: str, role: Role) -> None:
        token, wanted = Secret(f"access-{name}"), token_of(None, clock, role)
        assert await oauth.issue(ACCOUNT, token, wanted, assertion(clock, name.encode()))

    async def becomes(rights: Rights) -> None:
        await oauth.change_application(ACCOUNT, ApplicationChange(KEY, rights=rights))

    await granted(store, clock, name="user")
    await becomes(Rights.ADMINISTRATOR)
    await own("a", Role.ADMINISTRATOR)
    await becomes(Rights.ADMINISTRATOR)
    await oauth.change_application(ACCOUNT, ApplicationChange(KEY, name="another"))
    change = ApplicationChange(KEY, rights=Rights.NONE)
    with pytest.raises(NotFound):
        await oauth.change_application(OTHER_ACCOUNT, change)
    assert await works(store, "user", "a") == ["user", "a"]
    await becomes(Rights.VIEWER)
    assert await works(store, "user", "a") == ["user"]
    with pytest.raises(NotFound):  # what was read before the change
        await own("late", Role.ADMINISTRATOR)
    await own("v", Role.VIEWER)
    await becomes(Rights.NONE)
    assert await works(store, "user", "v") == ["user"]


async def test_s9_with_the_last_secret_go_the_refresh_tokens(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth = store.sign_ins
    for name in ("one", "two"):
        await oauth.add_secret(ACCOUNT, KEY, name, Secret(f"secret {name}"))
    await granted(store, clock, name="a")
    assert not await oauth.remove_secret(OTHER_ACCOUNT, KEY, "one")
    assert await oauth.remove_secret(ACCOUNT, KEY, "one")
    assert await oauth.refresh(KEY, "refresh-a", None, pair(clock, "b")) is not None
    assert await oauth.remove_secret(ACCOUNT, KEY, "two")
    assert await oauth.refresh(KEY, "refresh-b", None, pair(clock, "c")) is None
    assert await works(store, "b") == ["b"]


# ------------------------------------------------------------------------------ who signs in


async def test_a_user_is_found_by_e_mail_whatever_its_case_or_id_until_closed(
    store: Store,
) -> None:
    await fill(store)
    oauth = store.sign_ins
    for name in ("ada@example.com", "ADA@Example.COM", ADA, ADA.upper()):
        found = await oauth.login(name)
        assert found is not None
        assert (found.person.user.user_id, found.person.account.account_id) == (ADA, ACCOUNT)
        assert found.password_hash is None
        assert (await oauth.person(ADA)) == found.person
    assert await oauth.login("nobody@example.com") is None
    await oauth.set_password(ACCOUNT, ADA, "hash")
    found = await oauth.login(ADA)
    assert found is not None
    assert found.password_hash == "hash"
    await store.people.close_users(ACCOUNT, [ADA])
    assert await oauth.login("ada@example.com") is None
    assert await oauth.person(ADA) is None
    with pytest.raises(NotFound):
        await oauth.set_password(ACCOUNT, ADA, "other")


async def test_a_session_lasts_until_its_end_a_sign_out_a_new_password_or_a_closed_user(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth = store.sign_ins

    async def signed_in(name: str) -> bool:
        return await oauth.session(name) is not None

    until = clock.now() + timedelta(seconds=60)
    for name in ("ends", "signs out", "new password", "closed"):
        await oauth.open_session(ACCOUNT, ADA, Secret(name), until)
        assert await signed_in(name)
        if name == "ends":
            clock.move(61)
            until = clock.now() + timedelta(hours=1)
        elif name == "signs out":
            await oauth.close_session(name)
        elif name == "new password":
            await oauth.set_password(ACCOUNT, ADA, "other")
        else:
            await store.people.close_users(ACCOUNT, [ADA])
        assert not await signed_in(name)
    assert not await signed_in("never opened")


@pytest.mark.parametrize("hashed", ["other", None])
async def test_s18_a_new_password_or_none_ends_what_applications_got_for_the_user(
    store: Store, clock: ManualClock, hashed: str | None
) -> None:
    await fill(store)
    oauth, people = store.sign_ins, store.people
    await granted(store, clock, EXTENDED)
    await oauth.add_code(ACCOUNT, Secret("code-2"), code_for(clock))
    assert await oauth.issue(ACCOUNT, Secret("access-jwt"), token_of(ADA, clock), assertion(clock))
    own = NewToken("made by an administrator", Role.VIEWER, ADA)
    await people.add_token(ACCOUNT, Secret("access-own"), own)
    # Of others: another user's, and the application's own.
    for user_id, name in ((CYD, "cyd"), (None, "app")):
        role = Role.ADMINISTRATOR if user_id else Role.VIEWER
        if user_id:
            await people.add_users(ACCOUNT, [NewUser(CYD, "cyd@example.com", "Cyd")])
            await oauth.add_consent(ACCOUNT, KEY, CYD, SIGNATURE, CYD)
        else:
            await oauth.change_application(ACCOUNT, ApplicationChange(KEY, rights=Rights.VIEWER))
        wanted = token_of(user_id, clock, role)
        proof = assertion(clock, name.encode())
        assert await oauth.issue(ACCOUNT, Secret(f"access-{name}"), wanted, proof)
    names = ("1", "jwt", "own", "cyd", "app")
    assert await works(store, *names) == list(names)

    await oauth.set_password(ACCOUNT, ADA, hashed)
    assert await works(store, *names) == ["own", "cyd", "app"]
    assert await oauth.refresh(KEY, "refresh-1", None, pair(clock, "3")) is None
    assert await oauth.redeem(KEY, "code-2", CodeProof(None, None), pair(clock, "4")) is None
    # The consent stays: what the user signs in with now brings new tokens.
    assert await oauth.consented(KEY, ADA) == EXTENDED
    await granted(store, clock, name="5")
    assert await works(store, "5") == ["5"]


async def test_s18_what_is_exchanged_while_a_new_password_is_set_ends_with_the_old_one(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth = store.sign_ins
    await oauth.add_consent(ACCOUNT, KEY, ADA, SIGNATURE, ADA)
    names = ["1", "2", "3"]
    for name in names:
        await oauth.add_code(ACCOUNT, Secret(f"code-{name}"), code_for(clock))
    proof = CodeProof(None, None)
    redeeming = [oauth.redeem(KEY, f"code-{name}", proof, pair(clock, name)) for name in names]
    await asyncio.gather(*redeeming, oauth.set_password(ACCOUNT, ADA, "other"))
    assert await works(store, *names) == []
    for name in names:
        assert await oauth.refresh(KEY, f"refresh-{name}", None, pair(clock, f"{name}-2")) is None


async def test_s9_a_session_is_no_token_and_a_token_no_session(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    until = clock.now() + timedelta(hours=1)
    await store.sign_ins.open_session(ACCOUNT, ADA, Secret("session"), until)
    await granted(store, clock)
    assert await store.principal("session") is None
    for text in ("access-1", "refresh-1", "code-1"):
        assert await store.sign_ins.session(text) is None
    assert await store.principal("refresh-1") is await store.principal("code-1") is None


# ------------------------------------------------------------------------------- assertions


async def test_s9_an_assertion_brings_one_token_also_where_many_come_at_once(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    await store.sign_ins.add_consent(ACCOUNT, KEY, ADA, SIGNATURE, ADA)
    used = assertion(clock)

    async def once(number: int) -> bool:
        token = Secret(f"access-{number}")
        return await store.sign_ins.issue(ACCOUNT, token, token_of(ADA, clock), used)

    assert sorted(await asyncio.gather(*map(once, range(8)))) == [False] * 7 + [True]
    assert len(await works(store, *map(str, range(8)))) == 1
    # Not remembered: as often as it comes.
    for number in ("a", "b"):
        token = Secret(f"access-{number}")
        free = assertion(clock, b"")
        assert await store.sign_ins.issue(ACCOUNT, token, token_of(ADA, clock), free)
    assert await works(store, "a", "b") == ["a", "b"]
    # Once it is past its time it is forgotten, and is not valid for other reasons.
    clock.move(3601)
    assert await store.sign_ins.issue(
        ACCOUNT, Secret("access-c"), token_of(ADA, clock), assertion(clock)
    )


async def test_a_token_of_an_assertion_needs_the_application_the_user_and_the_consent(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    issue = store.sign_ins.issue
    with pytest.raises(NotFound, match=r"^The application or the user's consent is gone\.$"):
        await issue(ACCOUNT, Secret("access-1"), token_of(ADA, clock), assertion(clock))
    await store.sign_ins.add_consent(ACCOUNT, KEY, ADA, SIGNATURE, ADA)
    assert await issue(ACCOUNT, Secret("access-1"), token_of(ADA, clock), assertion(clock))
    principal = await store.principal("access-1")
    assert principal is not None
    # The user is a viewer, and so is the token; it follows the user.
    assert (principal.user_id, principal.role, principal.scopes) == (ADA, Role.VIEWER, SIGNATURE)
    clock.move(ACCESS_SECONDS)
    assert await works(store, "1") == []
    await store.people.close_users(ACCOUNT, [ADA])
    with pytest.raises(NotFound):
        await issue(ACCOUNT, Secret("access-2"), token_of(ADA, clock), assertion(clock, b"2"))


# ------------------------------------------------------------------- codes, refresh tokens


@pytest.mark.parametrize(
    "proof",
    [
        CodeProof("https://app.example/other", "challenge"),
        CodeProof(BACK, "wrong"),
        CodeProof(BACK, None),
    ],
    ids=["another redirect", "another verifier", "no verifier"],
)
async def test_s9_a_code_that_does_not_fit_is_spent(
    store: Store, clock: ManualClock, proof: CodeProof
) -> None:
    await fill(store)
    oauth = store.sign_ins
    await oauth.add_consent(ACCOUNT, KEY, ADA, SIGNATURE, ADA)
    await oauth.add_code(ACCOUNT, Secret("code"), code_for(clock, "challenge"))
    right = CodeProof(BACK, "challenge")
    assert await oauth.redeem(OTHER_KEY, "code", right, pair(clock)) is None  # not spent by it
    assert await oauth.redeem(KEY, "code", proof, pair(clock)) is None
    assert await oauth.redeem(KEY, "code", right, pair(clock)) is None
    assert await works(store, "1") == []
    await oauth.add_code(ACCOUNT, Secret("again"), code_for(clock, "challenge"))
    assert await oauth.redeem(KEY, "again", right, pair(clock)) is not None
    assert await works(store, "1") == ["1"]


async def test_s9_a_verifier_without_a_challenge_a_late_code_and_a_lost_consent_are_refused(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth = store.sign_ins
    await oauth.add_consent(ACCOUNT, KEY, ADA, SIGNATURE, ADA)
    await oauth.add_code(ACCOUNT, Secret("plain"), code_for(clock))
    assert await oauth.redeem(KEY, "plain", CodeProof(None, "c"), pair(clock)) is None
    await oauth.add_code(ACCOUNT, Secret("late"), code_for(clock))
    clock.move(120)
    assert await oauth.redeem(KEY, "late", CodeProof(None, None), pair(clock)) is None
    await oauth.add_code(ACCOUNT, Secret("more"), code_for(clock, scopes=EXTENDED))
    assert await oauth.redeem(KEY, "more", CodeProof(None, None), pair(clock)) is None
    assert await works(store, "1") == []


async def test_s9_a_code_ends_with_the_consent_that_it_was_made_for(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth = store.sign_ins
    await oauth.add_consent(ACCOUNT, KEY, ADA, SIGNATURE, ADA)
    await oauth.add_code(ACCOUNT, Secret("code"), code_for(clock))
    assert await oauth.withdraw(ACCOUNT, KEY, ADA)
    await oauth.add_consent(ACCOUNT, KEY, ADA, SIGNATURE, ADA)
    assert await oauth.redeem(KEY, "code", CodeProof(None, None), pair(clock)) is None
    assert await works(store, "1") == []


async def test_s9_a_code_used_twice_revokes_what_it_brought(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    await granted(store, clock)
    assert await works(store, "1") == ["1"]
    proof = CodeProof(None, None)
    assert await store.sign_ins.redeem(KEY, "code-1", proof, pair(clock, "2")) is None
    assert await works(store, "1", "2") == []
    assert await store.sign_ins.refresh(KEY, "refresh-1", None, pair(clock, "3")) is None


async def test_s9_refresh_tokens_rotate_and_an_old_one_revokes_the_family(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth = store.sign_ins
    await granted(store, clock, name="1")
    await granted(store, clock, name="apart")
    assert await oauth.refresh(OTHER_KEY, "refresh-1", None, pair(clock, "x")) is None
    redeemed = await oauth.refresh(KEY, "refresh-1", None, pair(clock, "2"))
    assert redeemed is not None
    assert (redeemed.user_id, redeemed.scopes) == (ADA, SIGNATURE)
    assert await oauth.refresh(KEY, "refresh-2", None, pair(clock, "3")) is not None
    assert await works(store, "1", "2", "3") == ["1", "2", "3"]
    assert await oauth.refresh(KEY, "refresh-1", None, pair(clock, "4")) is None  # stolen
    assert await works(store, "1", "2", "3", "4") == []
    assert await oauth.refresh(KEY, "refresh-3", None, pair(clock, "5")) is None
    assert await works(store, "apart") == ["apart"]  # another grant of the same user


async def test_s9_of_many_refreshes_at_once_one_wins_and_then_the_family_is_gone(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    await granted(store, clock)
    again = [store.sign_ins.refresh(KEY, "refresh-1", None, pair(clock, name)) for name in "abcdef"]
    won = [one for one in await asyncio.gather(*again) if one is not None]
    assert len(won) == 1
    assert await works(store, "1", *"abcdef") == []


async def test_scopes_shrink_for_one_access_token_and_never_grow(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth = store.sign_ins
    await granted(store, clock, EXTENDED)
    impersonation = SIGNATURE | {"impersonation"}
    assert await oauth.refresh(KEY, "refresh-1", impersonation, pair(clock, "2")) is None
    redeemed = await oauth.refresh(KEY, "refresh-1", SIGNATURE, pair(clock, "3"))
    assert redeemed is not None
    principal = await store.principal("access-3")
    assert principal is not None
    assert redeemed.scopes == principal.scopes == SIGNATURE
    redeemed = await oauth.refresh(KEY, "refresh-3", None, pair(clock, "4"))
    assert redeemed is not None
    assert redeemed.scopes == EXTENDED


async def test_a_refresh_token_ends_after_thirty_days_and_begins_anew_where_it_is_extended(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth = store.sign_ins
    await granted(store, clock, SIGNATURE, "plain")
    await granted(store, clock, EXTENDED, "long")
    clock.move(REFRESH_SECONDS - 10)
    assert await oauth.refresh(KEY, "refresh-plain", None, pair(clock, "p2")) is not None
    assert await oauth.refresh(KEY, "refresh-long", None, pair(clock, "l2")) is not None
    clock.move(10)
    assert await oauth.refresh(KEY, "refresh-p2", None, pair(clock, "p3")) is None
    assert await oauth.refresh(KEY, "refresh-l2", None, pair(clock, "l3")) is not None


async def test_revoking_an_access_token_spares_the_grant_and_a_refresh_token_ends_it(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth = store.sign_ins
    await granted(store, clock)
    await oauth.revoke(OTHER_KEY, "access-1")
    await oauth.revoke(OTHER_KEY, "refresh-1")
    assert await works(store, "1") == ["1"]  # another application's word
    await oauth.revoke(KEY, "access-1")
    assert await works(store, "1") == []
    assert await oauth.refresh(KEY, "refresh-1", None, pair(clock, "2")) is not None
    await oauth.revoke(KEY, "refresh-2")
    assert await works(store, "2") == []
    assert await oauth.refresh(KEY, "refresh-2", None, pair(clock, "3")) is None
    await oauth.revoke(KEY, "unknown")


async def test_r13_what_has_expired_is_swept_as_new_rows_come(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    await granted(store, clock, name="1")
    until = clock.now() + timedelta(seconds=60)
    await store.sign_ins.open_session(ACCOUNT, ADA, Secret("session"), until)
    await store.sign_ins.issue(ACCOUNT, Secret("access-x"), token_of(ADA, clock), assertion(clock))
    made = NewToken("an administrator's", Role.VIEWER, expires_at=until)
    await store.people.add_token(ACCOUNT, Secret("access-y"), made)
    assert await _counts(store) == [3, 1, 1, 1, 1]
    clock.move(REFRESH_SECONDS + 1)
    await granted(store, clock, name="2")
    assert await _counts(store) == [1, 0, 1, 1, 0]


# ------------------------------------------------------------------------------ the console


async def test_a_session_of_the_console_stands_for_its_user_and_ends_with_the_password(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth, until = store.sign_ins, clock.now() + timedelta(seconds=60)
    await oauth.open_console_session(ACCOUNT, Secret("one"), until, user_id=ADA)
    found = await oauth.console_session("one")
    assert found is not None
    principal = found.principal
    assert (principal.account.account_id, principal.user_id) == (ACCOUNT, ADA)
    assert (principal.role, principal.name) == (Role.VIEWER, "ada@example.com")
    assert (principal.expires_at, principal.ends, found.created_at) == (until, True, clock.now())
    assert await oauth.session("one") is None
    await oauth.set_password(ACCOUNT, ADA, "scrypt$new")
    assert await oauth.console_session("one") is None
    await oauth.open_console_session(ACCOUNT, Secret("two"), until, user_id=ADA)
    await store.people.close_users(ACCOUNT, [ADA])
    assert await oauth.console_session("two") is None
    with pytest.raises(NotFound):
        await oauth.open_console_session(ACCOUNT, Secret("three"), until, user_id=ADA)


async def test_a_session_of_the_console_ends_with_its_token(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth, until = store.sign_ins, clock.now() + timedelta(hours=1)
    for name, role in (("one", Role.ADMINISTRATOR), ("two", Role.VIEWER)):
        made = NewToken(name, role, expires_at=clock.now() + timedelta(minutes=30))
        await store.people.add_token(ACCOUNT, Secret(name), made)
        await oauth.open_console_session(ACCOUNT, Secret(f"of {name}"), until, token=name)
        found = await oauth.console_session(f"of {name}")
        assert found is not None
        assert (found.principal.name, found.principal.role) == (name, role)
    page = await store.people.tokens(ACCOUNT, 0, 10)
    (first,) = [one.token_id for one in page.tokens if one.name == "one"]
    await store.people.revoke_token(ACCOUNT, first)
    assert await oauth.console_session("of one") is None
    clock.move(1800)
    assert await oauth.console_session("of two") is None


async def test_a_session_of_the_console_lasts_while_it_is_prolonged_and_ends_alone_or_everywhere(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    oauth, until = store.sign_ins, clock.now() + timedelta(seconds=60)
    for name in ("one", "two", "three"):
        await oauth.open_console_session(ACCOUNT, Secret(name), until, user_id=ADA)
    await oauth.open_console_session(OTHER_ACCOUNT, Secret("bob's"), until, user_id=BOB)
    await oauth.prolong_console_session(ACCOUNT, "one", until + timedelta(seconds=60))
    await oauth.prolong_console_session(ACCOUNT, "one", until)  # it does not end earlier
    await oauth.prolong_console_session(OTHER_ACCOUNT, "two", until + timedelta(seconds=60))
    clock.move(59)

    async def last() -> list[str]:
        names = ("one", "two", "three", "bob's")
        return [one for one in names if await oauth.console_session(one) is not None]

    assert await last() == ["one", "two", "three", "bob's"]
    await oauth.close_console_session(OTHER_ACCOUNT, "three", everywhere=True)
    await oauth.close_console_session(ACCOUNT, "three")
    assert await last() == ["one", "two", "bob's"]
    clock.move(1)
    assert await last() == ["one"]
    await oauth.open_console_session(ACCOUNT, Secret("four"), clock.now(), user_id=ADA)
    await oauth.close_console_session(ACCOUNT, "one", everywhere=True)
    assert await last() == []


@pytest.mark.parametrize("way", ["session", "assertion", "code", "grant"])
async def test_r13_whatever_adds_rows_sweeps(store: Store, clock: ManualClock, way: str) -> None:
    await fill(store)
    oauth = store.sign_ins
    await oauth.add_consent(ACCOUNT, KEY, ADA, SIGNATURE, ADA)
    await oauth.add_code(ACCOUNT, Secret("code"), code_for(clock))
    await oauth.open_session(ACCOUNT, ADA, Secret("old"), clock.now() + timedelta(seconds=60))
    clock.move(61)
    until = clock.now() + timedelta(hours=1)
    if way == "session":
        await oauth.open_session(ACCOUNT, ADA, Secret("new"), until)
    elif way == "assertion":
        assert await oauth.issue(ACCOUNT, Secret("t"), token_of(ADA, clock), assertion(clock))
    elif way == "code":
        await oauth.add_code(ACCOUNT, Secret("more"), code_for(clock))
    else:
        assert await oauth.redeem(KEY, "code", CodeProof(None, None), pair(clock))
    *_, sessions = await _counts(store)
    assert sessions == (1 if way == "session" else 0)


async def _counts(store: Store) -> list[int]:
    """Tokens and the rows of the other tables that are swept."""
    tables = ("token", "used_assertion", "authorization_code", "refresh_token", "sign_in_session")
    return await rows_of(store, *tables)
