from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.console.person import Person, people


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Person]:
    async with people(tmp_path) as api:
        yield Person(api)
