"""Tokens: enough bits, made in one place, and a hash that databases of earlier versions hold."""

from __future__ import annotations

from heliograph.model.tokens import new_token, token_hash


def test_j10_a_new_token_has_256_bits_and_is_never_the_same() -> None:
    made = {new_token().reveal() for _ in range(100)}
    assert len(made) == 100
    assert {len(text) for text in made} == {43}  # 32 bytes in base64url


def test_what_is_stored_of_a_token_is_its_sha_256_also_where_it_is_no_unicode() -> None:
    assert token_hash("a").hex() == (
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    )
    assert len(token_hash("\udcff")) == 32
