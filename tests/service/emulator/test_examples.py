"""The calls of DocuSign's code examples hold where the table says so, with the official SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.docs.pages import DOCS
from tests.emulating import Emulated, definition, emulating
from tests.service.emulator.examples import ACCEPTED, EXAMPLES, rows

PAGE = DOCS / "reference" / "emulator-examples.md"


@pytest.fixture
async def emulated(tmp_path: Path) -> AsyncIterator[Emulated]:
    async with emulating(tmp_path) as started:
        yield started


async def test_every_example_that_the_table_says_holds_makes_its_calls(emulated: Emulated) -> None:
    envelope_id = await emulated.create(definition())
    for one in EXAMPLES:
        if one.program is not None:
            await one.program(emulated, envelope_id)


async def test_what_the_emulator_has_not_does_not_stop_an_envelope(emulated: Emulated) -> None:
    for program in ACCEPTED:
        await program(emulated, "")


def test_the_page_has_the_table() -> None:
    assert f"|---|---|---|---|\n{rows()}\n" in PAGE.read_text(encoding="utf-8")


def test_an_example_holds_or_says_why_not() -> None:
    assert all((one.program is None) == bool(one.missing) for one in EXAMPLES)
    assert [one.number for one in EXAMPLES] == [*range(1, 21), *range(22, 46)]
