"""The pytest plugin of the extra `pytest`: the fixture `heliograph_listener`.

pytest loads this module in every run where Heliograph is installed: what it needs is imported
when somebody asks for the fixture.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from heliograph.verify.fixture import HeliographListener


@pytest.fixture
def heliograph_listener() -> Iterator[HeliographListener]:
    """Fires DocuSign Connect messages at a listener, and catches those that are sent to it."""
    with importlib.import_module("heliograph.verify.fixture").running() as listener:
        yield listener
