"""Pages that somebody follows from the first line to the last: their code does what they show."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.running import Runner
from tests.docs.showing import check, free_ports
from tests.needed import program

pytestmark = pytest.mark.timeout(300)

PAGES = (
    "how-to/move-from-docusign-in-a-test-suite.md",
    "how-to/use-the-official-sdk.md",
    "how-to/publish-your-own-events.md",
    "how-to/fire-a-sample.md",
    "how-to/verify-a-listener.md",
    "how-to/test-your-listener-with-pytest.md",
    "how-to/put-heliograph-behind-docusign-connect.md",
    "how-to/run-docusign-quickstarts-on-your-laptop.md",
    "tutorial/three-minutes.md",
)

ONE_PLUGIN = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_PLUGINS": "heliograph.verify.plugin",
}
"""Where pages run pytest: those of this project take seconds to load, and readers have them not."""


@pytest.mark.parametrize("name", PAGES)
async def test_the_code_of_a_page_does_what_it_shows(name: str, tmp_path: Path) -> None:
    page = pages.read(pages.DOCS / name)
    if any(block.text.startswith("node ") for block in page.blocks):
        program("node")
    runner = Runner(tmp_path, ONE_PLUGIN, free_ports("8080", "8443", "9000", "9001"))
    async for block, written in runner.run(page.blocks):
        check(block, written)


async def test_the_server_of_the_reference_starts_and_answers_as_it_shows(tmp_path: Path) -> None:
    page = pages.read(pages.DOCS / "reference" / "operations" / "README.md")
    shell = [one for one in page.blocks if one.language == "bash"]
    async for block, written in Runner(tmp_path, {}, free_ports("8080")).run(shell):
        check(block, written)
