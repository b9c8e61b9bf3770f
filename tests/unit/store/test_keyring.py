"""Secrets at rest."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.errors import UnsafeStorage
from heliograph.store.keyring import KeyRing, next_file, write_keys

RING = KeyRing(b"k" * 32)
PLACE = "hmac_key:1:sealed"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "master.key"


def test_s7_the_first_use_makes_a_key_that_only_its_owner_can_read(path: Path) -> None:
    before = os.umask(0)
    try:
        KeyRing.load(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == 32


def test_s7_the_next_use_reads_the_same_key(path: Path) -> None:
    sealed = KeyRing.load(path).seal(b"secret", PLACE)
    assert KeyRing.load(path).open(sealed, PLACE) == b"secret"


def test_s7_two_directories_get_two_keys(path: Path) -> None:
    other = path.with_name("other.key")
    KeyRing.load(path)
    KeyRing.load(other)
    assert path.read_bytes() != other.read_bytes()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o601, 0o777])
def test_s7_a_key_that_others_can_reach_is_refused_with_the_cure(path: Path, mode: int) -> None:
    KeyRing.load(path)
    path.chmod(mode)
    with pytest.raises(UnsafeStorage, match=f"chmod 600 {path}"):
        KeyRing.load(path)
    path.chmod(0o600)
    KeyRing.load(path)


@pytest.mark.parametrize("size", [0, 16, 31, 33, 63])
def test_s7_a_file_that_is_no_key_is_refused_and_kept(path: Path, size: int) -> None:
    path.write_bytes(b"x" * size)
    path.chmod(0o600)
    with pytest.raises(UnsafeStorage, match="not a master key of 32 bytes"):
        KeyRing.load(path)
    assert len(path.read_bytes()) == size


@given(st.binary(), st.text(st.characters(exclude_categories=["Cs"])))
def test_s7_what_is_sealed_opens_in_its_place_and_shows_nothing(plain: bytes, place: str) -> None:
    sealed = RING.seal(plain, place)
    assert RING.open(sealed, place) == plain
    assert len(plain) < 4 or plain not in sealed


def test_s7_the_same_secret_never_looks_the_same_twice() -> None:
    assert len({RING.seal(b"secret", PLACE) for _ in range(100)}) == 100


@pytest.mark.parametrize("place", ["hmac_key:2:sealed", "hmac_key:1:other", "", PLACE + " "])
def test_s7_a_secret_copied_to_another_place_does_not_open(place: str) -> None:
    with pytest.raises(UnsafeStorage, match=r"put the master\.key"):
        RING.open(RING.seal(b"secret", PLACE), place)


def test_s7_another_master_key_does_not_open_it() -> None:
    with pytest.raises(UnsafeStorage):
        KeyRing(b"K" * 32).open(RING.seal(b"secret", PLACE), PLACE)


@given(st.data())
def test_s7_one_changed_bit_anywhere_is_noticed(data: st.DataObject) -> None:
    sealed = bytearray(RING.seal(b"secret", PLACE))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(UnsafeStorage):
        RING.open(bytes(sealed), PLACE)


@pytest.mark.parametrize("length", range(34))
def test_s7_a_truncated_secret_is_refused_at_every_length(length: int) -> None:
    # Below eight bytes the cipher itself complains of the nonce.
    with pytest.raises(UnsafeStorage):
        RING.open(RING.seal(b"secret", PLACE)[:length], PLACE)


def test_s7_a_refusal_names_the_place_and_not_the_secret() -> None:
    with pytest.raises(UnsafeStorage) as caught:
        RING.open(RING.seal(b"canary", "a:1:x"), PLACE)
    assert PLACE in str(caught.value)
    assert "canary" not in str(caught.value)
    assert "k" * 32 not in repr(vars(RING))


def test_s7_a_ring_seals_with_its_first_key_and_opens_with_each() -> None:
    old, new = KeyRing(b"o" * 32), KeyRing(b"n" * 32)
    ring = KeyRing(b"n" * 32, b"o" * 32)
    assert ring.open(old.seal(b"secret", PLACE), PLACE) == b"secret"
    assert new.open(ring.seal(b"secret", PLACE), PLACE) == b"secret"
    with pytest.raises(UnsafeStorage):
        old.open(ring.seal(b"secret", PLACE), PLACE)


def test_s7_the_next_key_opens_and_does_not_seal(path: Path) -> None:
    first = KeyRing.load(path)
    write_keys(next_file(path), [b"n" * 32])
    assert stat.S_IMODE(next_file(path).stat().st_mode) == 0o600
    ring = KeyRing.load(path)
    assert ring.open(KeyRing(b"n" * 32).seal(b"x", PLACE), PLACE) == b"x"
    assert first.open(ring.seal(b"x", PLACE), PLACE) == b"x"
