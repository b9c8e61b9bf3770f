"""The store contract: tokens, HMAC keys, secrets of configurations."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from heliograph.errors import TooManyKeys, UnsafeStorage
from heliograph.model.accounts import Account, Role, Secret
from heliograph.model.configurations import ClientCredentials
from heliograph.store import FIRST_TOKEN, Store
from heliograph.wire.configurations import INTEGRATOR
from heliograph.wire.messages.signing import MOST_KEYS
from tests.conftest import OpenStore
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, OTHER_ACCOUNT, wanted_configuration


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


async def test_an_account_is_listed_and_its_first_token_is_an_administrators(store: Store) -> None:
    third = Account("third", 3, "Third")
    await store.create_account(third, Secret("of the third"))
    accounts = [Account(ACCOUNT, 1, "First"), Account(OTHER_ACCOUNT, 2, "Other"), third]
    assert await store.accounts() == accounts
    principal = await store.principal("of the third")
    assert principal is not None
    assert (principal.account, principal.role) == (third, Role.ADMINISTRATOR)
    assert principal.name == FIRST_TOKEN


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


async def test_s7_the_next_claim_shows_the_keys_and_the_certificate_of_now(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure(signMessageWithX509Certificate="true")
    published = 0

    async def shown() -> tuple[list[str], tuple[str, Secret] | None]:
        nonlocal published
        published += 1
        await traffic.publish(envelope_id=f"env-{published}")
        (claim,) = await traffic.claim_all()
        await traffic.deliver([claim])
        return [key.key_id for key in claim.proofs.keys], claim.proofs.client

    assert await shown() == ([], None)
    await store.add_hmac_key(ACCOUNT, "k1", Secret("x"))
    assert await shown() == (["k1"], None)
    for name in ("first", "second"):
        await store.set_client_certificate(ACCOUNT, name, Secret(f"key of the {name}"))
        assert await shown() == (["k1"], (name, Secret(f"key of the {name}")))
    assert await store.delete_client_certificate(ACCOUNT)
    assert await shown() == (["k1"], None)
    assert await store.retire_hmac_key(ACCOUNT, "k1")
    assert await shown() == ([], None)
    assert not await store.delete_client_certificate(ACCOUNT)


async def test_s8_another_accounts_keys_and_certificate_are_not_there(store: Store) -> None:
    await store.add_hmac_key(ACCOUNT, "k1", Secret("x"))
    await store.set_client_certificate(ACCOUNT, "certificate", Secret("key"))
    assert list(await store.hmac_keys(OTHER_ACCOUNT)) == []
    assert await store.client_certificate(OTHER_ACCOUNT) is None
    assert not await store.retire_hmac_key(OTHER_ACCOUNT, "k1")
    assert not await store.delete_client_certificate(OTHER_ACCOUNT)
    assert [key.key_id for key in await store.hmac_keys(ACCOUNT)] == ["k1"]
    assert await store.client_certificate(ACCOUNT) == ("certificate", Secret("key"))


async def test_s8_a_claim_shows_its_own_account_where_the_message_names_it(store: Store) -> None:
    for account_id in (ACCOUNT, OTHER_ACCOUNT):
        own = Traffic(store, account_id)
        for named in ("true", "false"):
            await own.configure(includeSenderAccountasCustomField=named)
        await own.publish()
    claims = await Traffic(store).claim_all()
    shown = {claim.configuration.connect_id: claim.proofs.account for claim in claims}
    assert [shown[connect_id] for connect_id in sorted(shown)] == [
        *(Account(ACCOUNT, 1, "First"), None),
        *(Account(OTHER_ACCOUNT, 2, "Other"), None),
    ]
    await Traffic(store).deliver(claims)


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
    assert b"canary-" not in _files(tmp_path)

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


async def test_s7_every_secret_is_sealed_anew_and_opens_without_the_older_key(
    store: Store, open_store: OpenStore, tmp_path: Path
) -> None:
    created = await store.create_configuration(wanted_configuration(password="of the listener"))
    await store.create_configuration(wanted_configuration())  # without a secret
    await store.add_hmac_key(ACCOUNT, "k1", Secret("of the key"))
    await store.set_client_certificate(ACCOUNT, "certificate", Secret("of the certificate"))
    client = ClientCredentials("https://a.example.com/", "a", Secret("of the client"))
    await store.oauth.create(ACCOUNT, client)
    await store.close()
    key = tmp_path / "master.key"
    newer = b"n" * 32

    key.write_bytes(newer + key.read_bytes())
    both = await open_store()
    assert await both.reseal() == 4
    await both.close()
    key.write_bytes(newer)
    again = await open_store()
    assert await again.configuration(ACCOUNT, created.connect_id) == created
    assert [one.secret for one in await again.hmac_keys(ACCOUNT)] == [Secret("of the key")]
    assert await again.client_certificate(ACCOUNT) == ("certificate", Secret("of the certificate"))
    assert await again.oauth.get(ACCOUNT) == client


def _files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_fidelity_integrator_managed_posts_take_keys_and_client_of_the_integrators_account(
    store: Store, traffic: Traffic
) -> None:
    """A change of the other account holds at the next claim; the certificate stays one's own."""
    client = ClientCredentials("https://login.example.com/token", "integrator", Secret("theirs"))
    await store.oauth.create(OTHER_ACCOUNT, client)
    await store.oauth.create(ACCOUNT, replace(client, client_id="own"))
    await store.add_hmac_key(ACCOUNT, "own", Secret("own"))
    await store.add_hmac_key(OTHER_ACCOUNT, "theirs", Secret("theirs"))
    wanted = wanted_configuration(
        includeOAuth="true", integratorManaged="true", signMessageWithX509Certificate="true"
    )
    document = {**json.loads(wanted.document), INTEGRATOR: OTHER_ACCOUNT}
    await store.create_configuration(replace(wanted, document=json.dumps(document).encode()))
    await traffic.configure(name="own", includeOAuth="true")
    await store.set_client_certificate(ACCOUNT, "certificate", Secret("key"))
    await traffic.publish()
    claims = {claim.configuration.name: claim.proofs for claim in await traffic.claim_all()}
    assert [key.key_id for key in claims["crm"].keys] == ["theirs"]
    assert claims["crm"].oauth == client
    assert claims["crm"].client == ("certificate", Secret("key"))
    assert [key.key_id for key in claims["own"].keys] == ["own"]
    assert claims["own"].oauth is not None
    assert claims["own"].oauth.client_id == "own"

    await store.add_hmac_key(OTHER_ACCOUNT, "newer", Secret("newer"))
    await traffic.publish(envelope_id="env-2")
    claims = {claim.configuration.name: claim.proofs for claim in await traffic.claim_all()}
    assert {key.key_id for key in claims["crm"].keys} == {"theirs", "newer"}
