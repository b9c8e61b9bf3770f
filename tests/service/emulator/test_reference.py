"""The page about the emulator lists its operations, and no other."""

from __future__ import annotations

import re

from tests.docs.pages import DOCS
from tests.emulating import operations
from tests.operations import all_operations

PAGE = DOCS / "reference" / "emulator.md"


def test_the_page_lists_every_operation_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+) (\S+)` \|$", PAGE.read_text(), re.MULTILINE)
    assert rows == [
        (one.operation_id, one.method, one.path.removeprefix("/accounts/{accountId}"))
        for one in operations()
    ]


def test_no_operation_takes_the_place_of_one_of_the_api() -> None:
    taken = {(one.method, one.path) for one in all_operations()}
    assert not taken & {(one.method, one.path) for one in operations()}
