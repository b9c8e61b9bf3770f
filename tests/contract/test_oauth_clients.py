"""The store contract: the OAuth client of an account."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from heliograph.errors import ConfigurationsChanged
from heliograph.model.accounts import Secret
from heliograph.model.configurations import ClientCredentials
from heliograph.store import Store
from heliograph.store.keyring import KeyRing
from heliograph.store.postgres.store import PostgresStore
from tests.conftest import YEARS, OpenStore
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, OTHER_ACCOUNT, ManualClock

CLIENT = ClientCredentials(
    "https://login.example.com/oauth/token",
    "heliograph",
    Secret("canary-oauth-5d1e"),
    "hooks:write",
    (("audience", "https://hooks.example.com/?a=b"), ("résource", "é")),
)
OWN = {
    "authorizationServerUrl": "https://own.example.com/",
    "clientId": "own",
    "clientSecret": "own secret",
}


async def test_a_client_is_made_once_changed_and_taken_away(store: Store) -> None:
    assert await store.oauth.get(ACCOUNT) is None
    assert not await store.oauth.update(ACCOUNT, CLIENT, await version(store))
    assert not await store.oauth.delete(ACCOUNT)
    assert await store.oauth.create(ACCOUNT, CLIENT)
    assert not await store.oauth.create(ACCOUNT, replace(CLIENT, client_id="second"))
    assert await store.oauth.get(ACCOUNT) == CLIENT
    bare = ClientCredentials("https://b.example.com/", "b", Secret("ü"))
    assert await store.oauth.update(ACCOUNT, bare, await version(store))
    assert await store.oauth.get(ACCOUNT) == bare
    assert await store.oauth.delete(ACCOUNT)
    assert await store.oauth.get(ACCOUNT) is None


async def test_s8_a_client_is_its_accounts_alone(store: Store) -> None:
    await store.oauth.create(ACCOUNT, CLIENT)
    assert await store.oauth.get(OTHER_ACCOUNT) is None
    other = replace(CLIENT, client_id="other")
    assert not await store.oauth.update(OTHER_ACCOUNT, other, await version(store, OTHER_ACCOUNT))
    assert not await store.oauth.delete(OTHER_ACCOUNT)
    assert await store.oauth.create(OTHER_ACCOUNT, other)
    await store.oauth.delete(OTHER_ACCOUNT)
    assert await store.oauth.get(ACCOUNT) == CLIENT


async def test_two_updates_of_one_client_cannot_undo_each_other(store: Store) -> None:
    await store.oauth.create(ACCOUNT, CLIENT)
    read = await version(store)
    newer = replace(CLIENT, client_secret=Secret("newer"))
    assert await store.oauth.update(ACCOUNT, newer, read)
    with pytest.raises(ConfigurationsChanged):
        await store.oauth.update(ACCOUNT, replace(CLIENT, scope="x"), read)
    assert await store.oauth.get(ACCOUNT) == newer


async def test_only_who_borrows_the_client_gets_it_and_a_change_holds_at_the_next_claim(
    store: Store, traffic: Traffic
) -> None:
    partial = {"clientId": "own", "authorizationServerUrl": "https://own.example.com/"}
    configured: dict[str, dict[str, Any]] = {
        "none": {"includeOAuth": "true"},
        "partial": {"includeOAuth": "true", "oAuthConfiguration": partial},
        "not its own": {
            "includeOAuth": "true",
            "oAuthConfiguration": OWN,
            "enableOAuthPerConfiguration": "false",
        },
        "own": {"includeOAuth": "true", "oAuthConfiguration": OWN},
        "off": {"includeOAuth": "false"},
    }
    for name, fields in configured.items():
        await traffic.configure(name=name, **fields)

    async def claimed(event_id: str) -> dict[str, ClientCredentials | None]:
        await traffic.publish(event_id=event_id, envelope_id=event_id)
        claims = await traffic.claim_all()
        await traffic.deliver(claims)
        return {claim.configuration.name: claim.proofs.oauth for claim in claims}

    nobody = {"own": None, "off": None}
    borrowers = ("none", "partial", "not its own")
    assert await claimed("one") == dict.fromkeys(borrowers) | nobody
    await store.oauth.create(ACCOUNT, CLIENT)
    assert await claimed("two") == dict.fromkeys(borrowers, CLIENT) | nobody
    newer = replace(CLIENT, client_secret=Secret("newer"))
    await store.oauth.update(ACCOUNT, newer, await version(store))
    assert await claimed("three") == dict.fromkeys(borrowers, newer) | nobody
    await store.oauth.delete(ACCOUNT)
    assert await claimed("four") == dict.fromkeys(borrowers) | nobody


async def test_s7_the_secret_is_sealed_and_opens_after_a_restart(
    store: Store, open_store: OpenStore, tmp_path: Path
) -> None:
    await store.oauth.create(ACCOUNT, CLIENT)
    await store.close()
    assert b"canary-" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert await (await open_store()).oauth.get(ACCOUNT) == CLIENT


@pytest.fixture
async def second_node(
    store: Store, tmp_path: Path, clock: ManualClock, database_url: str
) -> AsyncIterator[Store]:
    keyring = KeyRing.load(tmp_path / "master.key")
    opened = await PostgresStore.open(
        *(database_url, keyring, clock), instance="second", lease=YEARS, accept_data_loss=True
    )
    yield opened
    await opened.close()


@pytest.mark.parametrize("engine", ["postgres"], indirect=False)
async def test_a_change_on_one_node_holds_at_the_next_claim_of_another(
    store: Store, traffic: Traffic, second_node: Store
) -> None:
    await traffic.configure(includeOAuth="true")
    wanted: ClientCredentials | None
    for number, wanted in enumerate((CLIENT, None, CLIENT)):
        if wanted is None:
            assert await store.oauth.delete(ACCOUNT)
        else:
            assert await store.oauth.create(ACCOUNT, wanted)
        await traffic.publish(event_id=f"e-{number}", envelope_id=f"e-{number}")
        claims = await Traffic(second_node).claim_all()
        assert [claim.proofs.oauth for claim in claims] == [wanted]
        await Traffic(second_node).deliver(claims)


async def version(store: Store, account_id: str = ACCOUNT) -> int:
    return (await store.configurations(account_id)).version
