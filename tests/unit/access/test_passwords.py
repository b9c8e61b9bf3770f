"""Passwords: salted, slow, and nobody's takes as long as somebody's."""

from __future__ import annotations

import pytest

from heliograph.access.passwords import Passwords
from heliograph.model.accounts import Secret


async def test_s9_a_password_matches_its_own_hash_and_no_other_does() -> None:
    passwords = Passwords()
    stored = await passwords.hash(Secret("correct horse battery"))
    assert stored.startswith("scrypt$32768$8$3$")
    assert "correct" not in stored
    assert await passwords.matches(Secret("correct horse battery"), stored)
    for wrong in ("correct horse batterz", "", "correct horse battery ", "\ud800"):
        assert not await passwords.matches(Secret(wrong), stored)
    assert await passwords.hash(Secret("correct horse battery")) != stored  # the salt


async def test_s9_without_a_hash_nothing_matches_and_scrypt_runs_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passwords, runs = Passwords(), []
    real = passwords._scrypt

    async def counted(password: Secret, salt: bytes, cost: tuple[int, int, int]) -> bytes:
        runs.append(cost)
        return await real(password, salt, cost)

    monkeypatch.setattr(passwords, "_scrypt", counted)
    assert not await passwords.matches(Secret("anything"), None)
    stored = await passwords.hash(Secret("x"))
    await passwords.matches(Secret("anything"), stored)
    assert runs == [(2**15, 8, 3)] * 3


@pytest.mark.parametrize(
    "stored", ["x", "scrypt$1$2$3$AA==", "md5$32768$8$3$AA==$AA==", "scrypt$x$8$3$AA==$AA=="]
)
async def test_a_hash_that_is_none_is_our_fault_and_said_so(stored: str) -> None:
    with pytest.raises(ValueError, match="password hash"):
        await Passwords().matches(Secret("x"), stored)


async def test_s13_a_hash_cannot_ask_for_more_memory_than_a_few_of_ours() -> None:
    with pytest.raises(ValueError, match="another kind"):
        await Passwords().matches(Secret("x"), f"scrypt${2**30}$8$3$AA==$AA==")
