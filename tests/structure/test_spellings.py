"""A wire spelling, such as urlToPublishTo, lives only in wire/ (and with who reads our JSON)."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator, Sequence, Set
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
import pytest

import heliograph.wire
from tests.operations import all_operations

PACKAGE: Final = Path(__file__).parents[2] / "src" / "heliograph"

READERS: Final = frozenset({"bench", "cli", "console", "emulator", "listen", "verify"})
"""Programs of their own, and pages: they read our JSON as any other client does. The emulator
keeps DocuSign's documents as DocuSign shows them (docs/decisions/0049)."""

OPENAPIS: Final = {
    "requestBody": "OpenAPI's word for the body of an operation",
    "accessToken": "what the document calls the security scheme of our tokens",
}
"""What api/contract/openapi.py alone may write beside the names of path parameters, and why."""

CAMEL: Final = re.compile(r"[a-z0-9][A-Z]")


def structs() -> Iterator[type[msgspec.Struct]]:
    for module in pkgutil.walk_packages(heliograph.wire.__path__, "heliograph.wire."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, msgspec.Struct):
                yield value


@cache
def spellings() -> frozenset[str]:
    names = (field.encode_name for shape in structs() for field in msgspec.structs.fields(shape))
    return frozenset(name for name in names if name != name.lower())


@cache
def path_parameters() -> frozenset[str]:
    """They are names of operations, which api/ declares: the path is a spelling of its own."""
    paths = (operation.path for operation in all_operations())
    return frozenset(name for path in paths for name in re.findall(r"\{(\w+)", path))


def strays(source: str, names: Set[str]) -> list[str]:
    """The names that stand in a module as whole texts."""
    nodes = ast.walk(ast.parse(source))
    texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return [text for text in texts if isinstance(text, str) and text in names]


def literals(sql: str) -> Sequence[str]:
    """The quoted texts of an .sql file, and the quoted names: columns have no capitals."""
    code = re.sub(r"--[^\n]*", "", sql)
    return re.findall(r"'[^']*'|\"[^\"]*\"", code)


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


MODULES: Final = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if relative(path).partition("/")[0] not in READERS | {"wire"}
]
STATEMENTS: Final = [
    path for path in sorted(PACKAGE.rglob("*.sql")) if "migrations" not in path.parts
]


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_wire_spelling_lives_only_in_wire(path: Path) -> None:
    module, allowed = relative(path), frozenset[str]()
    if module.startswith("api/"):
        allowed = path_parameters()
    if module == "api/contract/openapi.py":
        allowed |= OPENAPIS.keys()
    astray = strays(path.read_text(encoding="utf-8"), spellings() - allowed)
    assert not astray


@pytest.mark.parametrize("path", STATEMENTS, ids=relative)
def test_no_statement_reads_a_wire_spelling_out_of_a_document(path: Path) -> None:
    texts = literals(path.read_text(encoding="utf-8"))
    spelled = [text for text in texts if CAMEL.search(text)]
    assert not spelled


def test_what_is_looked_for_is_there_and_would_be_seen() -> None:
    assert {"urlToPublishTo", "connectId", "failingSince", "oAuthConfiguration"} <= spellings()
    assert {"connectId", "failureId"} <= path_parameters()
    assert strays("x = fields['urlToPublishTo']", spellings()) == ["urlToPublishTo"]
    statement = "SELECT document->>'enableLog' FROM configurations  -- 'enableLog'"
    assert [text for text in literals(statement) if CAMEL.search(text)] == ["'enableLog'"]
    assert len(MODULES) > 100
    assert len(STATEMENTS) > 10


def test_each_exception_is_needed() -> None:
    openapi = (PACKAGE / "api" / "contract" / "openapi.py").read_text(encoding="utf-8")
    assert set(strays(openapi, OPENAPIS.keys() & spellings())) == OPENAPIS.keys()
