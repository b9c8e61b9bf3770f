"""Fixtures: a server for the tests of a module, and a configuration for a listener."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.listener import LoopbackListener
from tests.service.cli.shell import Shell, running_server


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of a running server."""
    with running_server(tmp_path_factory.mktemp("cli") / "data") as folder:
        yield folder


@pytest.fixture
def shell(data_dir: Path) -> Shell:
    return Shell(data_dir)


@pytest.fixture
async def crm(shell: Shell, listener: LoopbackListener) -> AsyncIterator[str]:
    """A configuration for the listener; what is left of it is gone after the test."""
    made = await shell.json(
        *("configurations", "create", "--name", "crm", "--all-users", "--log"),
        *("--url", f"{listener.base}/hook", "--event", "envelope-sent"),
    )
    connect_id: str = made["connectId"]
    yield connect_id
    await shell.run("configurations", "delete", connect_id, "--yes")
    await shell.run("failures", "delete", "--connect-id", connect_id, "--yes")
