"""The store contract: users, groups and tokens of an account, and what matching needs of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from heliograph.delivery.matching import match_all
from heliograph.delivery.publisher import Publisher
from heliograph.delivery.signals import Signals
from heliograph.errors import ApiError, ConfigurationsChanged, NotFound, UserExists
from heliograph.model.accounts import Account, Role, Secret
from heliograph.model.people import (
    ADMINISTRATORS_ID,
    EVERYONE_ID,
    GroupKind,
    Named,
    NewToken,
    NewUser,
    UserChange,
    UserQuery,
    UserStatus,
)
from heliograph.store import Store
from tests.busy import hang
from tests.conftest import OpenStore
from tests.support import (
    ACCOUNT,
    OTHER_ACCOUNT,
    ManualClock,
    claim_all,
    deliver,
    new_event,
    wanted_configuration,
)

ADA, BOB, CYD = (f"{number}aaaaaaa-0000-4000-8000-000000000000" for number in (1, 2, 3))
ALL = UserQuery()
T = TypeVar("T")
ADMINISTRATOR = NewToken("ci", Role.ADMINISTRATOR)


def new_user(user_id: str, name: str, **fields: object) -> NewUser:
    email = f"{name.partition(' ')[0].lower()}@example.com"
    return NewUser(**{"user_id": user_id, "email": email, "name": name, **fields})  # type: ignore[arg-type]


def done(changed: Sequence[T | ApiError]) -> list[T]:
    """What was changed: all of it."""
    assert not [one for one in changed if isinstance(one, ApiError)]
    return [one for one in changed if not isinstance(one, ApiError)]


def told(changed: Sequence[Any]) -> list[str]:
    """The names of what was changed, and the codes of what was not."""
    return [
        one.code if isinstance(one, ApiError) else one.name.partition(" ")[0] for one in changed
    ]


async def fill(store: Store) -> int:
    """Ada, Bob and Cyd; Ada and Bob are in the group whose id is given."""
    (group,) = done(await store.people.add_groups(ACCOUNT, ["sales"]))
    inside = frozenset({group.group_id})
    await store.people.add_users(
        ACCOUNT,
        [
            new_user(ADA, "ada lovelace", role=Role.ADMINISTRATOR, group_ids=inside),
            new_user(BOB, "bob", group_ids=inside),
            new_user(CYD, "cyd"),
        ],
    )
    return group.group_id


async def names(store: Store, query: UserQuery = ALL) -> list[str]:
    page = await store.people.users(ACCOUNT, query, 0, 100)
    assert page.total == len(page.users)
    return [one.name.partition(" ")[0] for one in page.users]


async def works(store: Store, *tokens: str) -> list[str]:
    """Those of the tokens that stand for somebody."""
    return [token for token in tokens if await store.principal(token) is not None]


# ------------------------------------------------------------------------------------- users


async def test_users_are_added_found_changed_and_closed(store: Store, clock: ManualClock) -> None:
    people = store.people
    (made,) = await people.add_users(
        ACCOUNT, [new_user(ADA, "ada lovelace", given_name="Ada", role=Role.ADMINISTRATOR)]
    )
    assert (made.user_id, made.account_id, made.email) == (ADA, ACCOUNT, "ada@example.com")
    assert (made.role, made.status, made.created_at) == (
        *(Role.ADMINISTRATOR, UserStatus.ACTIVE),
        clock.now(),
    )
    assert await people.user(ACCOUNT, ADA) == made

    (changed,) = await people.change_users(
        ACCOUNT, [UserChange(ADA, name="Ada King", role=Role.VIEWER)]
    )
    assert (changed.name, changed.role) == ("Ada King", Role.VIEWER)
    assert (changed.email, changed.given_name) == ("ada@example.com", "Ada")

    (closed,) = await people.close_users(ACCOUNT, [ADA])
    assert closed.status is UserStatus.CLOSED
    assert await people.user(ACCOUNT, ADA) == closed
    with pytest.raises(NotFound):
        await people.close_users(ACCOUNT, [ADA])
    with pytest.raises(NotFound):
        await people.change_users(ACCOUNT, [UserChange(ADA, name="x")])


async def test_an_email_stands_for_one_active_user_and_a_closed_one_gives_it_up(
    store: Store,
) -> None:
    people = store.people
    await people.add_users(ACCOUNT, [new_user(ADA, "ada"), new_user(BOB, "bob")])
    with pytest.raises(UserExists, match=r"ADA@EXAMPLE\.COM"):
        await people.add_users(ACCOUNT, [new_user(CYD, "cyd", email="ADA@EXAMPLE.COM")])
    with pytest.raises(UserExists):
        await people.change_users(ACCOUNT, [UserChange(BOB, email="Ada@example.com")])
    await people.close_users(ACCOUNT, [ADA])
    await people.add_users(ACCOUNT, [new_user(CYD, "cyd", email="ada@example.com")])
    assert await names(store) == ["ada", "bob", "cyd"]


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (new_user(CYD, "ada"), r"already: ada@example\.com\.$"),
        (new_user(ADA, "cyd"), r"already: cyd@example\.com\.$"),
        (new_user(CYD, "bob"), r"already: bob@example\.com\.$"),
        (new_user(BOB, "cyd"), r"already: cyd@example\.com\.$"),
        (new_user(CYD, "cyd", group_ids=frozenset({99})), "no group 99"),
    ],
    ids=["known e-mail", "known id", "e-mail twice", "id twice", "unknown group"],
)
async def test_users_are_added_all_or_none(store: Store, bad: NewUser, told: str) -> None:
    await store.people.add_users(ACCOUNT, [new_user(ADA, "ada")])
    with pytest.raises((UserExists, NotFound), match=told):
        await store.people.add_users(ACCOUNT, [new_user(BOB, "bob"), bad])
    assert await names(store) == ["ada"]


async def test_the_first_five_of_many_users_that_are_there_already_are_named(store: Store) -> None:
    people = [new_user(f"{n}{ADA[1:]}", f"u{n}") for n in range(7)]
    await store.people.add_users(ACCOUNT, people)
    with pytest.raises(UserExists, match=r": u0@\S+ u1@\S+ u2@\S+ u3@\S+ u4@\S+ and 2 more\.$"):
        await store.people.add_users(ACCOUNT, people)
    with pytest.raises(UserExists, match=r" u4@example\.com\.$"):
        await store.people.add_users(ACCOUNT, people[:5])


async def test_changes_and_closings_are_all_or_none(store: Store) -> None:
    await fill(store)
    unknown = "9" * 36
    with pytest.raises(NotFound):
        await store.people.change_users(ACCOUNT, [UserChange(ADA, name="x"), UserChange(unknown)])
    with pytest.raises(NotFound):
        await store.people.close_users(ACCOUNT, [ADA, unknown])
    assert await names(store, UserQuery(statuses=frozenset({UserStatus.ACTIVE}))) == [
        *("ada", "bob", "cyd")
    ]


async def test_users_are_filtered(store: Store) -> None:
    group_id = await fill(store)
    await store.people.add_users(
        ACCOUNT,
        [
            new_user("4" + ADA[1:], "dan_100%", email="dan@other.example"),
            new_user("5" + ADA[1:], r"e\ve", email="e%ve@x.example.com"),
        ],
    )
    await store.people.close_users(ACCOUNT, [CYD])
    for query, expected in (
        (UserQuery(name="LOVE"), ["ada"]),
        (UserQuery(name="_1"), ["dan_100%"]),
        (UserQuery(name="a_a"), []),
        (UserQuery(name="0%"), ["dan_100%"]),
        (UserQuery(name="%"), ["dan_100%"]),
        (UserQuery(name="\\"), [r"e\ve"]),
        (UserQuery(email_part="OTHER"), ["dan_100%"]),
        (UserQuery(email_part="%"), [r"e\ve"]),
        (UserQuery(email="Bob@Example.com"), ["bob"]),
        (UserQuery(email="ob@example.com"), []),
        (UserQuery(domain="EXAMPLE.com"), ["ada", "bob", "cyd"]),
        (UserQuery(statuses=frozenset({UserStatus.CLOSED})), ["cyd"]),
        (UserQuery(statuses=frozenset()), []),
        (UserQuery(group_id=group_id), ["ada", "bob"]),
        (UserQuery(group_id=99), []),
        (UserQuery(name="a", email_part="bob"), []),
    ):
        assert await names(store, query) == expected, query


async def test_users_are_those_that_a_configuration_names_or_all_others(store: Store) -> None:
    group_id = await fill(store)
    group = frozenset({str(group_id), "no number", "9" * 19, "9" * 40})
    for named, expected in (
        (Named(frozenset({CYD}), frozenset(), inside=True), ["cyd"]),
        (Named(frozenset({CYD}), frozenset(), inside=False), ["ada", "bob"]),
        (Named(frozenset(), group, inside=True), ["ada", "bob"]),
        (Named(frozenset({CYD}), group, inside=False), []),
        (Named(frozenset(), frozenset(), inside=True), []),
        (Named(frozenset(), frozenset(), inside=False), ["ada", "bob", "cyd"]),
    ):
        assert await names(store, UserQuery(named=named)) == expected, named


async def test_s13_users_groups_and_tokens_come_in_pages_with_their_total(
    store: Store, clock: ManualClock
) -> None:
    people = store.people
    users = [new_user(f"{n:08}{ADA[8:]}", f"u{n}", email=f"u{n}@x.example") for n in range(7)]
    await people.add_users(ACCOUNT, users)
    await people.add_groups(ACCOUNT, [f"g{n}" for n in range(7)])
    for number in range(7):
        await people.add_token(ACCOUNT, Secret(f"t{number}"), NewToken(f"t{number}", Role.VIEWER))
        clock.move(1)
    found = [await people.users(ACCOUNT, ALL, start, 3) for start in (0, 3, 6, 9)]
    assert [[one.name for one in page.users] for page in found] == [
        *(["u0", "u1", "u2"], ["u3", "u4", "u5"], ["u6"], [])
    ]
    assert {page.total for page in found} == {7}
    groups = await people.groups(ACCOUNT, 7, 3)
    assert ([one.name for one in groups.groups], groups.total) == (["g5", "g6"], 9)
    assert (await people.groups(ACCOUNT, 0, 9, "G3")).total == 1
    tokens = await people.tokens(ACCOUNT, 1, 2)
    assert ([one.name for one in tokens.tokens], tokens.total) == (["t5", "t4"], 7)


# ------------------------------------------------------------------------------------ groups


async def test_groups_are_added_renamed_and_deleted_each_that_can_be(store: Store) -> None:
    people = store.people
    first, second = done(await people.add_groups(ACCOUNT, ["sales", "legal"]))
    added = await people.add_groups(ACCOUNT, ["new", "sales", "new", "Everyone"])
    assert told(added) == ["new", *3 * ["INVALID_GROUP_NAME"]]
    assert "'sales'" in str(added[1])
    (new,) = done(added[:1])
    renamed = await people.rename_groups(
        ACCOUNT, {first.group_id: "legal", 99: "y", new.group_id: "newer", EVERYONE_ID: "all"}
    )
    assert told(renamed) == ["INVALID_GROUP_NAME", "INVALID_GROUP_ID", "newer", "INVALID_GROUP_ID"]
    # One after the other: the name that the first gives up is free for the second.
    moved = {second.group_id: "law", first.group_id: "legal", new.group_id: "newer"}
    assert told(await people.rename_groups(ACCOUNT, moved)) == ["law", "legal", "newer"]
    deleted = await people.delete_groups(
        ACCOUNT, [second.group_id, 99, new.group_id, ADMINISTRATORS_ID]
    )
    assert told(deleted) == ["law", "INVALID_GROUP_ID", "newer", "INVALID_GROUP_ID"]
    listed = (await people.groups(ACCOUNT, 0, 10)).groups
    assert [one.name for one in listed] == ["Administrators", "Everyone", "legal"]
    assert await people.group(ACCOUNT, second.group_id) is None
    # Its number is never another group's: a configuration may still name it.
    (third,) = done(await people.add_groups(ACCOUNT, ["law"]))
    assert third.group_id > new.group_id


async def test_s17_users_join_and_leave_groups_and_come_back_with_the_change(store: Store) -> None:
    people, group_id = store.people, await fill(store)
    joined = done(await people.add_members(ACCOUNT, group_id, [CYD, BOB]))
    assert [user.user_id for user in joined] == [CYD, BOB]
    for _ in range(2):
        left = done(await people.remove_members(ACCOUNT, group_id, [ADA]))
        assert [user.user_id for user in left] == [ADA]
    assert await names(store, UserQuery(group_id=group_id)) == ["bob", "cyd"]
    group = await people.group(ACCOUNT, group_id)
    assert group is not None
    assert group.users == 2
    text = frozenset({str(group_id)})
    assert await people.group_members(ACCOUNT, [group_id]) == {BOB: text, CYD: text}
    groups = await people.groups_of(ACCOUNT, [ADA, BOB])
    assert {user: told(found) for user, found in groups.items()} == {
        ADA: ["Administrators", "Everyone"],
        BOB: ["Everyone", "sales"],
    }
    assert group in groups[BOB]
    nobody = "9" * 36
    assert told(await people.add_members(ACCOUNT, group_id, [nobody, ADA])) == [
        *("INVALID_USERID", "ada")
    ]
    assert await names(store, UserQuery(group_id=group_id)) == ["ada", "bob", "cyd"]
    assert told(await people.remove_members(ACCOUNT, group_id, [ADA, nobody])) == [
        *("ada", "INVALID_USERID")
    ]
    for change in (people.add_members, people.remove_members):
        for missing in (99, EVERYONE_ID):
            with pytest.raises(NotFound):
                await change(ACCOUNT, missing, [BOB])
    assert await names(store, UserQuery(group_id=group_id)) == ["bob", "cyd"]


async def test_every_account_has_administrators_and_everyone(store: Store) -> None:
    people = store.people
    await fill(store)
    (administrators, everyone, sales) = (await people.groups(ACCOUNT, 0, 10)).groups
    assert (administrators.group_id, administrators.users) == (ADMINISTRATORS_ID, 1)
    assert (everyone.group_id, everyone.users) == (EVERYONE_ID, 3)
    kinds = [one.kind.value for one in (administrators, everyone, sales)]
    assert kinds == ["administrators", "everyone", "custom"]
    assert (await people.groups(ACCOUNT, 1, 1)).groups == (everyone,)
    found = await people.groups(ACCOUNT, 0, 10, "VERY")
    assert (found.groups, found.total) == ((everyone,), 1)
    assert await people.group(ACCOUNT, ADMINISTRATORS_ID) == administrators
    assert await names(store, UserQuery(group_id=EVERYONE_ID)) == ["ada", "bob", "cyd"]
    assert await names(store, UserQuery(group_id=ADMINISTRATORS_ID)) == ["ada"]
    for group_id, inside in ((EVERYONE_ID, ["ada", "bob", "cyd"]), (ADMINISTRATORS_ID, ["ada"])):
        named = Named(frozenset(), frozenset({str(group_id)}), inside=True)
        assert await names(store, UserQuery(named=named)) == inside
        others = [one for one in ("ada", "bob", "cyd") if one not in inside]
        assert await names(store, UserQuery(named=replace(named, inside=False))) == others
    other = (await people.groups(OTHER_ACCOUNT, 0, 10)).groups
    assert [(one.name, one.users) for one in other] == [("Administrators", 0), ("Everyone", 0)]


async def test_a_closed_user_stays_in_groups_can_leave_them_and_joins_none(store: Store) -> None:
    people, group_id = store.people, await fill(store)
    await people.close_users(ACCOUNT, [ADA, CYD])
    assert await names(store, UserQuery(group_id=group_id)) == ["ada", "bob"]
    assert told(await people.add_members(ACCOUNT, group_id, [CYD])) == ["INVALID_USERID"]
    done(await people.remove_members(ACCOUNT, group_id, [ADA]))
    assert await names(store, UserQuery(group_id=group_id)) == ["bob"]


# ---------------------------------------------------------------------------------- matching


async def publish(by: Publisher, user_id: str, number: int) -> int:
    """How many deliveries an event of a user makes."""
    event = new_event(
        envelope_id=f"env-{number}",
        data={"userId": user_id, "envelopeId": f"env-{number}"},
    )
    (receipt,) = await by.publish(ACCOUNT, [event])
    return receipt.accepted.deliveries


async def test_a_configuration_that_names_a_group_gets_the_events_of_who_is_in_it_now(
    store: Store,
) -> None:
    people, group_id = store.people, await fill(store)
    await store.create_configuration(
        wanted_configuration(allUsers="false", groupIds=[str(group_id)])
    )
    by = Publisher(store, Signals())
    assert [await publish(by, one, at) for at, one in enumerate((ADA.upper(), BOB, CYD))] == [
        *(1, 1, 0)
    ]
    await people.add_members(ACCOUNT, group_id, [CYD])
    await people.remove_members(ACCOUNT, group_id, [ADA])
    assert [await publish(by, one, at) for at, one in enumerate((ADA, BOB, CYD), 10)] == [0, 1, 1]
    (dan,) = await people.add_users(
        ACCOUNT, [new_user("4" + ADA[1:], "dan", group_ids=frozenset({group_id}))]
    )
    assert await publish(by, dan.user_id, 20) == 1
    await people.delete_groups(ACCOUNT, [group_id])
    assert await publish(by, BOB, 30) == 0
    await deliver(store, await claim_all(store))


async def test_a_configuration_that_names_everyone_or_administrators_gets_their_events(
    store: Store,
) -> None:
    people = store.people
    await fill(store)
    by = Publisher(store, Signals())
    administrators, everyone = [str(ADMINISTRATORS_ID)], [str(EVERYONE_ID)]
    await store.create_configuration(
        wanted_configuration(allUsers="false", groupIds=administrators)
    )
    assert [await publish(by, one, at) for at, one in enumerate((ADA, BOB))] == [1, 0]
    await people.change_users(ACCOUNT, [UserChange(BOB, role=Role.ADMINISTRATOR)])
    await people.change_users(ACCOUNT, [UserChange(ADA, role=Role.VIEWER)])
    eve = new_user("5" + ADA[1:], "eve", role=Role.ADMINISTRATOR)
    await people.add_users(ACCOUNT, [eve])
    assert [await publish(by, one, at) for at, one in enumerate((ADA, BOB, eve.user_id), 10)] == [
        *(0, 1, 1)
    ]
    await store.create_configuration(wanted_configuration(allUsers="false", groupIds=everyone))
    assert await publish(by, CYD, 20) == 1
    assert await publish(by, "somebody of whom nobody told", 21) == 1
    without = wanted_configuration(allUsersExcept="true", groupIds=everyone)
    await store.create_configuration(without)
    assert await publish(by, CYD, 22) == 1
    await deliver(store, await claim_all(store))


async def test_only_members_of_groups_that_configurations_name_are_read(store: Store) -> None:
    group_id = await fill(store)
    (other,) = done(await store.people.add_groups(ACCOUNT, ["other"]))
    await store.people.add_members(ACCOUNT, other.group_id, [CYD])
    assert (await store.configurations(ACCOUNT)).groups == {}
    await store.create_configuration(wanted_configuration(groupIds=[str(group_id), "nonsense"]))
    groups = frozenset({str(group_id)})
    assert (await store.configurations(ACCOUNT)).groups == {ADA: groups, BOB: groups}


async def test_an_accept_that_matched_with_older_groups_must_match_again(store: Store) -> None:
    people, group_id = store.people, await fill(store)
    await store.create_configuration(wanted_configuration(groupIds=[str(group_id)]))

    async def stale(change: object) -> None:
        known = await store.configurations(ACCOUNT)
        event = new_event()
        verdicts = match_all(known.all, event, known.groups)
        await change  # type: ignore[misc]
        with pytest.raises(ConfigurationsChanged):
            await store.accept(ACCOUNT, known.version, [(event, verdicts)])

    await stale(people.add_members(ACCOUNT, group_id, [CYD]))
    await stale(people.remove_members(ACCOUNT, group_id, [CYD]))
    joins = new_user("4" + ADA[1:], "dan", group_ids=frozenset({group_id}))
    await stale(people.add_users(ACCOUNT, [joins]))
    await stale(people.change_users(ACCOUNT, [UserChange(BOB, role=Role.ADMINISTRATOR)]))
    await stale(people.delete_groups(ACCOUNT, [group_id]))


# ------------------------------------------------------------------------------------ tokens


async def test_a_token_stands_for_a_user_with_scopes_and_an_end(
    store: Store, clock: ManualClock
) -> None:
    await fill(store)
    ends = clock.now() + timedelta(hours=1)
    wanted = NewToken("app", Role.VIEWER, ADA, frozenset({"signature", "x"}), ends, "key-1")
    made = await store.people.add_token(ACCOUNT, Secret("canary-8f1c"), wanted)
    assert (made.name, made.user_id, made.scopes) == ("app", ADA, frozenset({"signature", "x"}))
    assert (made.expires_at, made.integration_key) == (ends, "key-1")
    assert (await store.people.tokens(ACCOUNT, 0, 10)).tokens == (made,)
    principal = await store.principal("canary-8f1c")
    assert principal is not None
    assert (principal.user_id, principal.role) == (ADA, Role.VIEWER)
    assert (principal.scopes, principal.expires_at) == (wanted.scopes, ends)
    assert (principal.token_id, principal.name) == (made.token_id, "app")
    assert (await store.people.tokens(ACCOUNT, 0, 10, BOB)).total == 0


async def test_a_token_of_nobody_is_refused(store: Store) -> None:
    await fill(store)
    await store.people.close_users(ACCOUNT, [BOB])
    for user_id in (BOB, "9" * 36):
        with pytest.raises(NotFound):
            await store.people.add_token(
                ACCOUNT, Secret("x"), NewToken("x", Role.VIEWER, user_id=user_id)
            )


async def test_an_expired_token_is_nobody_from_its_last_moment_on(
    store: Store, clock: ManualClock
) -> None:
    ends = clock.now() + timedelta(seconds=10)
    wanted = NewToken("x", Role.VIEWER, expires_at=ends)
    for known_before in (True, False):
        await store.people.add_token(ACCOUNT, Secret(f"t{known_before}"), wanted)
    assert await works(store, "tTrue") == ["tTrue"]
    clock.move(9.9)
    assert await works(store, "tTrue") == ["tTrue"]
    clock.move(0.1)
    assert await works(store, "tTrue", "tFalse") == []
    assert (await store.people.tokens(ACCOUNT, 0, 10)).total == 0


async def test_a_revoked_token_is_nobody_at_once(store: Store) -> None:
    people = store.people
    first = await people.add_token(ACCOUNT, Secret("t1"), ADMINISTRATOR)
    await people.add_token(ACCOUNT, Secret("t2"), ADMINISTRATOR)
    assert await works(store, "t1", "t2") == ["t1", "t2"]
    assert await people.revoke_token(ACCOUNT, first.token_id)
    assert await works(store, "t1", "t2") == ["t2"]
    assert [one.name for one in (await people.tokens(ACCOUNT, 0, 10)).tokens] == ["ci"]
    for token_id in (first.token_id, "", "x", "00" * 16, "00" * 32):
        assert not await people.revoke_token(ACCOUNT, token_id)


async def test_a_revocation_that_nobody_waits_for_counts_too(store: Store) -> None:
    token = await store.people.add_token(ACCOUNT, Secret("t1"), ADMINISTRATOR)
    assert await works(store, "t1") == ["t1"]
    gone = asyncio.ensure_future(store.people.revoke_token(ACCOUNT, token.token_id))
    await asyncio.sleep(0)
    gone.cancel()
    async with hang(10):
        while (await store.people.tokens(ACCOUNT, 0, 10)).total:
            await asyncio.sleep(0)
        while await works(store, "t1"):
            await asyncio.sleep(0)


async def test_calls_at_once_are_one_question_and_each_is_answered(store: Store) -> None:
    await store.people.add_token(ACCOUNT, Secret("t1"), ADMINISTRATOR)
    calls = [asyncio.ensure_future(store.principal("t1")) for _ in range(50)]
    await asyncio.sleep(0)
    calls[0].cancel()  # whoever asked first goes away
    answers = await asyncio.gather(*calls[1:])
    assert {one and one.name for one in answers} == {"ci"}


async def test_the_tokens_of_a_closed_user_stop_working(store: Store) -> None:
    await fill(store)
    for user_id, token in ((ADA, "ada"), (BOB, "bob"), (None, "ours")):
        wanted = NewToken(token, Role.VIEWER, user_id=user_id)
        await store.people.add_token(ACCOUNT, Secret(token), wanted)
    assert await works(store, "ada", "bob", "ours") == ["ada", "bob", "ours"]
    await store.people.close_users(ACCOUNT, [ADA])
    assert await works(store, "ada", "bob", "ours") == ["bob", "ours"]
    assert (await store.people.tokens(ACCOUNT, 0, 10)).total == 2


async def test_a_users_token_may_do_no_more_than_the_user(store: Store) -> None:
    await fill(store)

    async def roles() -> list[Role]:
        found = [await store.principal(token) for token in ("ada", "bob")]
        return [one.role for one in found if one is not None]

    for user_id, token in ((ADA, "ada"), (BOB, "bob")):
        wanted = NewToken(token, Role.ADMINISTRATOR, user_id=user_id)
        await store.people.add_token(ACCOUNT, Secret(token), wanted)
    assert await roles() == [Role.ADMINISTRATOR, Role.VIEWER]
    await store.people.change_users(
        ACCOUNT, [UserChange(ADA, role=Role.VIEWER), UserChange(BOB, role=Role.ADMINISTRATOR)]
    )
    assert await roles() == [Role.VIEWER, Role.ADMINISTRATOR]


async def test_s7_a_token_is_stored_as_its_hash_alone(store: Store, tmp_path: Path) -> None:
    made = await store.people.add_token(ACCOUNT, Secret("canary-token-8f1c"), ADMINISTRATOR)
    assert "canary" not in repr(made)
    assert b"canary-token" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


async def test_people_are_there_after_a_restart(store: Store, open_store: OpenStore) -> None:
    group_id = await fill(store)
    await store.people.add_token(ACCOUNT, Secret("t1"), NewToken("x", Role.VIEWER, user_id=ADA))
    await store.close()
    again = await open_store()
    assert await names(again, UserQuery(group_id=group_id)) == ["ada", "bob"]
    assert await works(again, "t1") == ["t1"]


# ---------------------------------------------------------------------------------- accounts


async def test_an_account_is_added_with_the_next_number_and_a_token(store: Store) -> None:
    made = [
        *await asyncio.gather(
            *(store.people.add_account(f"new {n}", Secret(f"first-{n}")) for n in range(5))
        )
    ]
    assert sorted(one.external_id for one in made) == [3, 4, 5, 6, 7]
    assert set(made) <= set(await store.accounts())
    principal = await store.principal("first-0")
    assert principal is not None
    assert (principal.account.name, principal.role) == ("new 0", Role.ADMINISTRATOR)


async def refused(*calls: object) -> Sequence[bool]:
    """Which of the calls find nothing."""
    found = []
    for call in calls:
        try:
            await call  # type: ignore[misc]
        except NotFound:
            found.append(True)
        else:
            found.append(False)
    return found


async def test_s8_another_accounts_users_groups_and_tokens_are_not_there(store: Store) -> None:
    people, group_id = store.people, await fill(store)
    token = await people.add_token(ACCOUNT, Secret("t1"), ADMINISTRATOR)
    (theirs,) = done(await people.add_groups(OTHER_ACCOUNT, ["sales"]))
    (eve,) = await people.add_users(OTHER_ACCOUNT, [new_user("4" + ADA[1:], "eve")])
    joins = new_user("5" + ADA[1:], "fay", group_ids=frozenset({group_id}))
    assert all(
        await refused(
            people.change_users(OTHER_ACCOUNT, [UserChange(ADA, name="x")]),
            people.close_users(OTHER_ACCOUNT, [ADA]),
            people.add_users(OTHER_ACCOUNT, [joins]),
            people.add_members(OTHER_ACCOUNT, group_id, [eve.user_id]),
            people.remove_members(OTHER_ACCOUNT, group_id, [eve.user_id]),
            people.add_token(OTHER_ACCOUNT, Secret("x"), NewToken("x", Role.VIEWER, user_id=ADA)),
        )
    )
    for changed in (
        await people.rename_groups(OTHER_ACCOUNT, {group_id: "x"}),
        await people.delete_groups(OTHER_ACCOUNT, [group_id]),
    ):
        assert told(changed) == ["INVALID_GROUP_ID"]
    for change in (people.add_members, people.remove_members):
        assert told(await change(OTHER_ACCOUNT, theirs.group_id, [ADA])) == ["INVALID_USERID"]
    assert not await people.revoke_token(OTHER_ACCOUNT, token.token_id)
    assert await people.user(OTHER_ACCOUNT, ADA) is None
    assert await people.group(OTHER_ACCOUNT, group_id) is None
    assert await people.group_members(OTHER_ACCOUNT, [group_id]) == {}
    assert await people.groups_of(OTHER_ACCOUNT, [ADA]) == {}
    assert (await people.users(OTHER_ACCOUNT, UserQuery(group_id=group_id), 0, 9)).total == 0
    assert [one.name for one in (await people.users(OTHER_ACCOUNT, ALL, 0, 9)).users] == ["eve"]
    own = [
        one.group_id
        for one in (await people.groups(OTHER_ACCOUNT, 0, 9)).groups
        if one.kind is GroupKind.CUSTOM
    ]
    assert own == [theirs.group_id]
    assert (await people.tokens(OTHER_ACCOUNT, 0, 9)).total == 0
    named = wanted_configuration(OTHER_ACCOUNT, groupIds=[str(group_id)])
    await store.create_configuration(named)
    assert (await store.configurations(OTHER_ACCOUNT)).groups == {}
    assert await names(store) == ["ada", "bob", "cyd"]
    assert await works(store, "t1") == ["t1"]


async def test_an_account_without_people_has_empty_pages(store: Store) -> None:
    await store.create_account(Account("third", 3, "Third"))
    people = store.people
    assert await people.add_users("third", []) == []
    assert (await people.users("third", ALL, 0, 9)).users == ()
    groups = (await people.groups("third", 0, 9)).groups
    assert [(one.name, one.users) for one in groups] == [("Administrators", 0), ("Everyone", 0)]
    assert (await people.tokens("third", 0, 9)).tokens == ()
