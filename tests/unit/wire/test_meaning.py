"""What an event means, however it is written."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.wire import meaning

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # No surrogate alone is JSON, nor is one read.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc\u00e9\U0001f600"), inner),
    max_leaves=20,
)


def of(text: str, *notifications: bytes) -> bytes:
    return meaning.of_event("sent", meaning.decode(text.encode()), notifications)


def turned(value: Any) -> Any:
    """The same value with the members of its objects the other way round."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


@given(VALUES)
def test_r2_order_white_space_and_escapes_mean_nothing(value: Any) -> None:
    plain = of(json.dumps(value, ensure_ascii=False))
    assert of(json.dumps(turned(value), indent=3)) == plain


@given(VALUES, VALUES)
def test_r2_values_that_differ_mean_different_things(one: Any, other: Any) -> None:
    if json.loads(json.dumps(one)) != json.loads(json.dumps(other)):
        assert of(json.dumps(one)) != of(json.dumps(other))


@given(st.integers(-(10**300), 10**300))
def test_r2_integers_are_exact_in_each_of_their_forms(value: int) -> None:
    forms = [f"{value}", f"{value}.000", f"{value}e0", f"{value * 10}E-1"]
    assert len({of(form) for form in forms}) == 1
    assert of(f"{value + 1}") != of(f"{value}")
    assert of(f"{value + 1}.0") != of(f"{value}.0")


@pytest.mark.parametrize("text", ["0", "-0", "0.0", "-0.0e9", "0e99999999999", "1e-999999999"])
def test_r2_nothing_is_nothing(text: str) -> None:
    assert of(text) == of("0")


@pytest.mark.parametrize("text", ["1e400", "-1e309", "NaN", "01", "1.", "9" * 5000])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        meaning.decode(text.encode())


def test_r2_a_repeat_may_name_fewer_notifications_and_no_more() -> None:
    one, both = of("1", b"a"), of("1", b"b", b"a")
    assert meaning.is_repeat(one, both)
    assert meaning.names_more(one, both)
    assert not meaning.names_more(both, one)
    assert not meaning.names_more(of("1", b"a", b"b"), both)
    assert not meaning.is_repeat(one, of("2", b"a"))
