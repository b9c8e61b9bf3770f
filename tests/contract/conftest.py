"""What the contract's tests begin with."""

from __future__ import annotations

import pytest

from heliograph.store import Store
from tests.contract.traffic import Traffic


@pytest.fixture
def traffic(store: Store) -> Traffic:
    """The traffic of the first account, which has nothing yet."""
    return Traffic(store)
