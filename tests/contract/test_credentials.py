"""The store contract: tokens, HMAC keys, secrets of configurations."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliograph.errors import TooManyKeys, UnsafeStorage
from heliograph.model.accounts import Role, Secret
from heliograph.store import Store
from heliograph.wire.messages.signing import MOST_KEYS
from tests.conftest import OpenStore
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, OTHER_ACCOUNT


async def test_a_token_stands_for_its_account_and_only_its_hash_is_stored(
    store: Store, tmp_path: Path
) -> None:
    token = Secret("canary-token-8f1c")
    await store.add_token(ACCOUNT, token, Role.ADMINISTRATOR, "ci")

    principal = await store.principal("canary-token-8f1c")
    assert principal is not None
    assert (principal.account.account_id, principal.name) == (ACCOUNT, "ci")
    assert await store.principal("canary-token-8f1") is None
    assert await store.principal("") is None
    assert await store.principal("\udcff") is None
    assert b"canary-token" not in _files(tmp_path)


async def test_active_keys_sign_oldest_first_and_a_retired_key_never_again(
    store: Store, traffic: Traffic
) -> None:
    for key_id in ("k1", "k2", "k3"):
        await store.add_hmac_key(ACCOUNT, key_id, Secret(f"secret of {key_id}"))
    assert await store.retire_hmac_key(ACCOUNT, "k2")
    assert not await store.retire_hmac_key(ACCOUNT, "k2")
    assert not await store.retire_hmac_key(OTHER_ACCOUNT, "k1")
    await traffic.configure()
    await traffic.publish()

    (claim,) = await traffic.claim_all()
    assert [key.key_id for key in claim.proofs.keys] == ["k1", "k3"]
    assert [key.secret.reveal() for key in claim.proofs.keys] == ["secret of k1", "secret of k3"]
    assert [key.key_id for key in await store.hmac_keys(ACCOUNT)] == ["k1", "k3"]
    assert list(await store.hmac_keys(OTHER_ACCOUNT)) == []
    await traffic.deliver([claim])


async def test_a_configuration_without_hmac_is_not_signed(store: Store, traffic: Traffic) -> None:
    await store.add_hmac_key(ACCOUNT, "k1", Secret("x"))
    await traffic.configure(includeHMAC="false")
    await traffic.publish()
    (claim,) = await traffic.claim_all()
    assert claim.proofs.keys == ()
    await traffic.deliver([claim])


async def test_an_account_has_at_most_a_hundred_keys(store: Store) -> None:
    for number in range(MOST_KEYS):
        await store.add_hmac_key(ACCOUNT, f"k{number}", Secret("x"))
    with pytest.raises(TooManyKeys, match="retire one first"):
        await store.add_hmac_key(ACCOUNT, "one more", Secret("x"))


async def test_s7_secrets_are_encrypted_at_rest(
    store: Store, traffic: Traffic, open_store: OpenStore, tmp_path: Path
) -> None:
    await store.add_hmac_key(ACCOUNT, "k1", Secret("canary-hmac-77aa"))
    await traffic.configure(
        userName="user",
        password="canary-password-77aa",
        oAuthConfiguration={"clientId": "c", "clientSecret": "canary-client-77aa"},
    )
    await store.close()
    assert b"canary" not in _files(tmp_path)

    again = await open_store()
    (configuration,) = (await again.configurations(ACCOUNT)).all
    assert {name: secret.reveal() for name, secret in configuration.secrets.items()} == {
        "password": "canary-password-77aa",
        "clientSecret": "canary-client-77aa",
    }


async def test_s7_secrets_do_not_open_with_another_master_key(
    store: Store, open_store: OpenStore, tmp_path: Path
) -> None:
    key = tmp_path / "master.key"
    await store.add_hmac_key(ACCOUNT, "k1", Secret("x"))
    await store.close()
    ours = key.read_bytes()
    key.unlink()

    async def use() -> None:
        again = await open_store()
        try:
            await again.hmac_keys(ACCOUNT)
        finally:
            await again.close()

    with pytest.raises(UnsafeStorage, match=r"master\.key"):
        await use()
    key.write_bytes(ours)
    assert len(await (await open_store()).hmac_keys(ACCOUNT)) == 1


def _files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())
