"""The reference of operations: each example does what its page shows.

A page is followed three times, each time on a new server: with curl, with the Python SDK and with
the Node SDK. Where an SDK has no call for an operation, its curl example is run instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.docs.pages import Block, Page
from tests.docs.reference import INTRODUCTION, OPERATIONS, PAGES
from tests.docs.running import Runner
from tests.docs.showing import check, free_ports
from tests.server import serving

pytestmark = pytest.mark.timeout(300)

LANGUAGES = {"curl": "bash", "Python": "python", "Node": "javascript"}


def followed(page: Page, language: str) -> Sequence[Block]:
    """What a reader of one language runs: what that needs first, then the page."""
    wanted = LANGUAGES[language]
    begin = [one for one in INTRODUCTION.blocks if one.heading in ("curl", language)]
    has = {one.operation for one in page.blocks if one.language == wanted}
    return begin + [
        one
        for one in page.blocks
        if one.language == (wanted if one.operation in has and one.operation else "bash")
    ]


@pytest.mark.parametrize(
    ("name", "language"),
    [
        (name, language)
        for name, page in PAGES.items()
        for language, code in LANGUAGES.items()
        if any(one.language == code for one in page.blocks)
    ],
)
async def test_the_examples_of_a_page_do_what_it_shows(
    name: str, language: str, tmp_path: Path
) -> None:
    heads = tmp_path / "heads"
    (tmp_path / ".curlrc").write_text(f'dump-header = "{heads}"\n')
    async with serving(tmp_path, data_dir=tmp_path / "hg", fidelity="auto") as api:
        environment = {
            "CURL_HOME": str(tmp_path),
            "BASE": f"{api.server.base_uri}/restapi",
            "ACCOUNT": api.credentials.account_id,
            "TOKEN": api.credentials.access_token.reveal(),
        }
        runner = Runner(tmp_path, environment, free_ports("9000", "9100"))
        async for block, written in runner.run(followed(PAGES[name], language)):
            check(block, written)
            if block.language == "bash" and block.operation and "errorCode" not in written:
                (status, *_) = re.findall(r"^HTTP/1.1 (\d+)", heads.read_text())
                assert int(status) == OPERATIONS[block.operation].status, block.text
