"""The store contract: one configuration by its id, and changing what others change too."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from heliograph.errors import ConfigurationsChanged, Unavailable
from heliograph.model.accounts import Account
from heliograph.model.deliveries import DeliveryState
from heliograph.model.events import HeldReason
from heliograph.model.logs import LogQuery
from heliograph.store import Configurations, Store, rows, undisturbed
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, OTHER_ACCOUNT, wanted_configuration


async def test_a_configuration_is_found_by_its_id_with_its_secrets(store: Store) -> None:
    await store.create_configuration(wanted_configuration(name="other"))
    created = await store.create_configuration(wanted_configuration(password="of the listener"))
    assert await store.configuration(ACCOUNT, created.connect_id) == created
    assert await store.configuration(ACCOUNT, created.connect_id + 1) is None
    ad_hoc = await store.create_configuration(wanted_configuration(), b"digest")
    assert await store.configuration(ACCOUNT, ad_hoc.connect_id) == ad_hoc
    assert ad_hoc not in (await store.configurations(ACCOUNT)).all


async def test_a_deleted_configuration_is_not_found(store: Store) -> None:
    created = await store.create_configuration(wanted_configuration())
    assert await store.delete_configuration(ACCOUNT, created.connect_id)
    assert await store.configuration(ACCOUNT, created.connect_id) is None


async def test_r4_what_a_deleted_configuration_did_not_get_is_a_failure(
    store: Store, traffic: Traffic
) -> None:
    made = await traffic.configure()
    await traffic.publish()
    await store.delete_configuration(ACCOUNT, made.connect_id)
    (failure,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
    assert (failure.state, failure.error) == (DeliveryState.FAILED, rows.DELETED)
    assert await traffic.claim_all() == []


async def test_r4_what_is_held_says_why_it_is_held_now(store: Store, traffic: Traffic) -> None:
    made = await traffic.configure()
    await traffic.publish()
    for changes, reason in (
        ({"pausePublish": "true"}, HeldReason.PAUSED),
        ({"allowEnvelopePublish": "false"}, HeldReason.DISABLED),
        ({"pausePublish": "true"}, HeldReason.PAUSED),
    ):
        changed = wanted_configuration(connect_id=made.connect_id, **changes)
        await store.update_configuration(changed)
        (failure,) = (await store.failures(ACCOUNT, LogQuery(), 10)).entries
        assert (failure.state, failure.held) == (DeliveryState.HELD, reason)


async def test_s8_another_accounts_configuration_is_not_found(store: Store) -> None:
    created = await store.create_configuration(wanted_configuration())
    assert await store.configuration(OTHER_ACCOUNT, created.connect_id) is None


async def test_what_is_not_there_is_neither_changed_nor_deleted(store: Store) -> None:
    created = await store.create_configuration(wanted_configuration())
    unknown = created.connect_id + 1
    for account_id, connect_id in (
        (ACCOUNT, unknown),
        (OTHER_ACCOUNT, created.connect_id),
        ("nobody", created.connect_id),
    ):
        wanted = wanted_configuration(account_id, connect_id=connect_id, name="changed")
        assert await store.update_configuration(wanted) is False
        assert await store.delete_configuration(account_id, connect_id) is False
    assert await store.configuration(ACCOUNT, created.connect_id) == created


async def test_the_version_is_that_of_the_configurations_and_grows_with_each_change(
    store: Store,
) -> None:
    versions = [await store.configurations_version(ACCOUNT)]
    created = await store.create_configuration(wanted_configuration())
    versions.append(await store.configurations_version(ACCOUNT))
    await store.update_configuration(created, versions[-1])
    versions.append(await store.configurations_version(ACCOUNT))
    await store.delete_configuration(ACCOUNT, created.connect_id)
    versions.append(await store.configurations_version(ACCOUNT))
    assert versions == sorted(set(versions))
    assert versions[-1] == (await store.configurations(ACCOUNT)).version
    await store.create_account(Account("third", 3, "Third"))
    assert await store.configurations_version("third") == 0
    assert await store.configurations_version("nobody") == 0


@pytest.mark.parametrize("disturbances", [0, 1, 3])
async def test_a_change_that_others_disturb_is_done_anew(store: Store, disturbances: int) -> None:
    created = await store.create_configuration(wanted_configuration())
    tries = 0

    async def rename() -> bool:
        nonlocal tries
        version = await store.configurations_version(ACCOUNT)
        if tries < disturbances:
            await store.create_configuration(wanted_configuration(name="another"))
        tries += 1
        renamed = wanted_configuration(connect_id=created.connect_id, name=f"try {tries}")
        return await store.update_configuration(renamed, version)

    assert await undisturbed(rename, "rename")
    after = await store.configuration(ACCOUNT, created.connect_id)
    assert after is not None
    assert (tries, after.name) == (disturbances + 1, f"try {disturbances + 1}")


async def test_a_change_that_is_always_disturbed_is_refused_in_the_end() -> None:
    async def never() -> None:
        raise ConfigurationsChanged

    with pytest.raises(Unavailable, match="keep changing: rename again"):
        await undisturbed(never, "rename")


async def test_of_what_is_known_only_what_has_changed_since_is_read(store: Store) -> None:
    same, other, gone = [
        await store.create_configuration(wanted_configuration(name=name, password=name))
        for name in ("same", "other", "gone")
    ]
    known = await store.configurations(ACCOUNT)
    changed = wanted_configuration(connect_id=other.connect_id, name="changed", password="new")
    assert await store.update_configuration(changed)
    assert await store.delete_configuration(ACCOUNT, gone.connect_id)
    new = await store.create_configuration(wanted_configuration(name="new"))
    await store.create_configuration(wanted_configuration(OTHER_ACCOUNT))
    await store.create_configuration(wanted_configuration(), b"ad hoc")
    again = await store.configurations(ACCOUNT, known)
    assert again.all == (same, changed, new)
    assert again == await store.configurations(ACCOUNT)
    assert again.all[0] is known.all[0]
    assert known.all == (same, other, gone)
    once_more = await store.configurations(ACCOUNT, again)
    assert [one is two for one, two in zip(again.all, once_more.all, strict=True)] == [True] * 3


async def test_what_is_known_of_another_past_is_not_believed(store: Store) -> None:
    created = await store.create_configuration(wanted_configuration())
    lost = wanted_configuration(connect_id=created.connect_id, name="lost with a disk")
    version = await store.configurations_version(ACCOUNT)
    known = Configurations(version + 1, (lost,))
    assert (await store.configurations(ACCOUNT, known)).all == (created,)


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_read_of_changes_is_what_is_read_anew(store: Store, seed: int) -> None:
    chance = Random(seed)
    known = await store.configurations(ACCOUNT)
    for number in range(80):
        there = (await store.configurations(ACCOUNT)).all
        connect_id = chance.choice(there).connect_id if there else 0
        fields: dict[str, Any] = {
            "name": f"{number}",
            "password": f"{number}",
            "groupIds": [f"{number % 5}"],
        }
        match chance.choice(("create", "create", "update", "delete", "key", "ad hoc", "reseal")):
            case "create":
                await store.create_configuration(wanted_configuration(**fields))
            case "update":
                wanted = wanted_configuration(connect_id=connect_id, **fields)
                await store.update_configuration(wanted)
            case "delete":
                await store.delete_configuration(ACCOUNT, connect_id)
            case "key":
                await store.retire_hmac_key(ACCOUNT, "none")
            case "ad hoc":
                digest = f"{number % 3}".encode()
                ad_hoc = await store.create_configuration(wanted_configuration(**fields), digest)
                await store.update_configuration(ad_hoc)
            case "reseal":
                await store.reseal()
        if chance.random() < 0.3:
            known = await store.configurations(ACCOUNT, known)
            assert known == await store.configurations(ACCOUNT), number
