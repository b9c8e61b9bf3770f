"""The reference of operations: each has examples, and each example does what its page shows.

A page is followed three times, each time on a new server: with curl, with the Python SDK and with
the Node SDK. Where an SDK has no call for an operation, its curl example is run instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from heliograph.model.accounts import Role
from tests.docs import pages
from tests.docs.pages import Block, Page
from tests.docs.running import Runner
from tests.docs.showing import check, free_ports
from tests.operations import all_operations
from tests.server import serving

pytestmark = pytest.mark.timeout(300)

REFERENCE = pages.DOCS / "reference" / "operations"
INTRODUCTION = pages.read(REFERENCE / "README.md")
PAGES = {path.stem: pages.read(path) for path in sorted(REFERENCE.glob("[a-z]*.md"))}
LANGUAGES = {"curl": "bash", "Python": "python", "Node": "javascript"}
OPERATIONS = {one.operation_id: one for one in all_operations()}
ROLES = {Role.VIEWER: "viewer", Role.ADMINISTRATOR: "administrator"}


def sections() -> dict[str, tuple[Page, str]]:
    """The page of each operation, and its text there."""
    return {
        heading.strip("`"): (page, text)
        for page in PAGES.values()
        for heading, text in page.sections.items()
        if heading[:1] == "`"
    }


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
    async with serving(tmp_path, data_dir=tmp_path / "hg") as api:
        environment = {
            "CURL_HOME": str(tmp_path),
            "BASE": f"{api.server.base_uri}/restapi",
            "ACCOUNT": api.credentials.account_id,
            "TOKEN": api.credentials.access_token.reveal(),
        }
        runner = Runner(tmp_path, environment, free_ports("9000"))
        async for block, written in runner.run(followed(PAGES[name], language)):
            check(block, written)
            if block.language == "bash" and block.operation and "errorCode" not in written:
                (status, *_) = re.findall(r"^HTTP/1.1 (\d+)", heads.read_text())
                assert int(status) == OPERATIONS[block.operation].status, block.text


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_its_path_status_role_parameters_and_an_example(name: str) -> None:
    operation = OPERATIONS[name]
    page, text = sections()[name]
    path = re.sub(r":path(?=})", "", operation.path)
    about = f"`{operation.method} /v2.1{path}` · {operation.status} · {ROLES[operation.role]}"
    assert about + " · extension" * operation.extension in text.splitlines()
    for parameter in (*operation.query, *operation.headers):
        assert f"`{parameter.name}" in text, parameter.name
    examples = {one.language for one in page.blocks if one.operation == name}
    assert "bash" in examples
    assert f"[`{name}`]({page.path.name}#{name})" in INTRODUCTION.path.read_text()


def test_no_section_is_about_an_operation_that_there_is_not() -> None:
    assert sections().keys() - OPERATIONS.keys() == set()
