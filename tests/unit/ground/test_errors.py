"""The error tree: what the docstring draws is what the classes are."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict

import pytest

from heliograph import errors
from heliograph.errors import ApiError, HeliographError, MethodNotAllowed, Unavailable

CLASSES = {
    name: found
    for name, found in vars(errors).items()
    if inspect.isclass(found) and issubclass(found, Exception)
}
ANSWERS = [found for found in CLASSES.values() if issubclass(found, ApiError) and found != ApiError]

SHARING = {
    (400, "INVALID_REQUEST_PARAMETER"): {"InvalidParameter", "RefusedUrl"},
    (415, "INVALID_CONTENT_TYPE"): {"InvalidContentType", "CodedBody"},
}
"""A refused URL is an invalid parameter; the docstring says so."""


def drawn() -> list[tuple[str, str]]:
    """(class, what is said of it) for each line of the docstring's tree."""
    tree = re.findall(r"^[ │]*(?:[├└]── )?(\w+)(?: {2,}(.*))?$", errors.__doc__ or "", re.MULTILINE)
    return [(name, text) for name, text in tree if name in CLASSES or text]


def test_the_docstring_draws_every_class_once_and_no_other() -> None:
    assert sorted(name for name, _ in drawn()) == sorted(CLASSES)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.__name__)
def test_the_docstring_tells_each_answers_status_and_code(answer: type[ApiError]) -> None:
    assert dict(drawn())[answer.__name__].startswith(f"{answer.status} {answer.code}")


def test_each_status_and_code_is_one_class_but_where_it_is_documented() -> None:
    users = defaultdict(set)
    for answer in ANSWERS:
        users[answer.status, answer.code].add(answer.__name__)
    assert {pair: names for pair, names in users.items() if len(names) > 1} == SHARING


def test_every_error_of_ours_has_one_root_and_says_what_it_means() -> None:
    for found in CLASSES.values():
        assert issubclass(found, HeliographError)
        assert (found.__doc__ or "").endswith(".")


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.__name__)
def test_each_answer_says_what_its_caller_can_do(answer: type[ApiError]) -> None:
    assert answer.advice.endswith(".")


def test_the_table_of_codes_has_every_answer_of_the_tree() -> None:
    assert set(errors.answers()) == set(ANSWERS)


def test_an_answer_carries_its_message() -> None:
    for answer in set(ANSWERS) - {MethodNotAllowed}:
        assert answer("What is wrong.").message == "What is wrong."
        assert str(answer("What is wrong.")) == "What is wrong."


def test_a_method_that_is_not_allowed_names_those_that_are() -> None:
    error = MethodNotAllowed(["GET", "PUT"])
    assert error.message == "This resource takes GET, PUT."
    assert error.allowed == ["GET", "PUT"]


def test_r11_only_where_waiting_helps_is_there_a_retry_after() -> None:
    assert Unavailable.retry_after
    assert {found.__name__ for found in ANSWERS if found.retry_after} == {
        "Unavailable",
        "TooMuchPublished",
        "HourlyLimitExceeded",
        "BurstLimitExceeded",
        "TooManyRefused",
        "TooManyFollowers",
    }
