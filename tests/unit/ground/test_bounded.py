"""R13: memory within bounds of entries and of bytes, and what is forgotten first."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.bounded import ENTRY_BYTES, LARGEST, Bounded, size_of
from heliograph.model.accounts import Account, Principal, Role, Secret
from heliograph.model.configurations import TlsIdentity

MIB = 2**20


def test_r13_what_was_used_longest_ago_is_forgotten_and_looking_up_is_using() -> None:
    memory = Bounded[str, int](3, MIB)
    for number, key in enumerate("abc"):
        memory[key] = number
    assert memory.get("a") == 0
    memory["d"] = 3
    assert list(memory) == ["c", "a", "d"]
    memory["c"] = 4
    memory["e"] = 5
    assert list(memory) == ["d", "c", "e"]
    assert [memory.get(key) for key in "dce"] == [3, 4, 5]
    assert ("a" in memory, memory.get("a")) == (False, None)


def test_r13_bytes_are_a_bound_of_their_own() -> None:
    memory = Bounded[int, bytes](1_000, 10_000)
    for number in range(100):
        memory[number] = bytes(1_000)
        assert memory.bytes <= 10_000
    assert list(memory) == list(range(93, 100))


def test_r13_what_is_larger_than_all_may_be_is_not_kept_and_neither_is_what_it_replaced() -> None:
    memory = Bounded[str, bytes](10, 10_000)
    memory["a"] = b"small"
    memory["a"] = bytes(10_000)
    assert (len(memory), memory.bytes) == (0, 0)


def test_s17_nothing_above_64_kib_is_kept_where_a_place_does_not_say_otherwise() -> None:
    memory = Bounded[str, bytes](10, 100 * MIB)
    memory["a"] = bytes(LARGEST - 1_000)
    memory["b"] = bytes(LARGEST)
    assert list(memory) == ["a"]
    larger = Bounded[str, bytes](10, 100 * MIB, largest=MIB)
    larger["b"] = bytes(LARGEST)
    larger["c"] = bytes(MIB)
    assert list(larger) == ["b"]


def test_a_value_that_is_set_again_or_taken_out_counts_no_more() -> None:
    memory = Bounded[str, str](10, MIB)
    memory["a"] = "x" * 1_000
    memory["a"] = "x"
    assert memory.bytes == ENTRY_BYTES + size_of("a") + size_of("x")
    assert (memory.pop("a"), memory.pop("a")) == ("x", None)
    assert memory.bytes == 0
    memory["b"] = "y"
    memory.clear()
    assert (len(memory), memory.bytes, memory.get("b")) == (0, 0, None)


def test_s7_what_a_secret_holds_counts_without_being_shown() -> None:
    assert size_of(Secret("x" * 5_000)) > 5_000
    assert size_of(TlsIdentity("c" * 5_000, Secret("k" * 5_000), None)) > 10_000
    assert size_of({"a": ("b" * 100, [frozenset({"c" * 100})])}) > 200


@given(
    st.lists(st.tuples(st.integers(0, 9), st.one_of(st.none(), st.binary(max_size=400)))),
    st.integers(1, 5),
    st.integers(1, 2_000),
)
def test_r13_neither_bound_is_ever_passed_and_bytes_are_the_sum_of_what_is_kept(
    steps: list[tuple[int, bytes | None]], most: int, most_bytes: int
) -> None:
    memory = Bounded[int, bytes](most, most_bytes)
    for key, value in steps:
        if value is None:
            memory.pop(key)
        else:
            memory[key] = value
        assert len(memory) <= most
        assert memory.bytes <= most_bytes
        kept = [ENTRY_BYTES + size_of(key) + size_of(memory.get(key)) for key in list(memory)]
        assert memory.bytes == sum(kept)


@pytest.mark.parametrize("kind", ["flat", "principals"])
def test_r13_the_count_of_bytes_is_about_what_python_takes(kind: str) -> None:
    memory = Bounded[str, object](1_000_000, MIB)
    tracemalloc.start()
    try:
        for number in range(20_000):
            account = Account(f"account {number}", 10_000 + number, f"Name {number}")
            principal = Principal(account, Role.VIEWER, f"token {number}", f"id {number}", None)
            memory[f"key {number}"] = float(number) if kind == "flat" else principal
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert memory.bytes > 0.9 * MIB
    assert 0.5 * MIB < taken < 1.25 * MIB


def test_a_value_whose_bytes_are_known_counts_as_many() -> None:
    memory = Bounded[str, str](10, 10_000, 5_000)
    memory.keep("a", "x", 3_000)
    assert memory.bytes == 3_000 + ENTRY_BYTES + size_of("a")
    memory.keep("a", "y", 5_000)
    assert (memory.get("a"), memory.bytes) == (None, 0)
