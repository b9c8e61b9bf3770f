"""What we use of uvicorn that it does not document: named here, and so capped."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import requires
from pathlib import Path
from typing import Final

import pytest

import heliograph

LIBRARIES: Final = ("uvicorn",)

# A new one is a reason to look for a public way first; then name it beside the cap in pyproject.
USED: Final = {
    "uvicorn": {
        "HttpToolsProtocol._unset_keepalive_if_required",
        "uvicorn.protocols.http.httptools_impl.HttpToolsProtocol",
        "uvicorn.protocols.http.httptools_impl.STATUS_LINE",
        "uvicorn.server.ServerState",
    },
}

PRIVATE: Final = re.compile(r"_[a-z]\w*")
OURS: Final = ("self", "cls", "super()")
OF_A_VALUE: Final[dict[str, str]] = {}
"""Privates of values that are no `self`: whose they are."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    root = Path(heliograph.__file__).parent
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root.parent).with_suffix("").parts
        yield ".".join(parts), ast.parse(file.read_text())


def submodule_imports(tree: ast.Module, library: str) -> Iterator[str]:
    for node in ast.walk(tree):
        inner = isinstance(node, ast.ImportFrom) and (node.module or "").startswith(library + ".")
        if isinstance(node, ast.ImportFrom) and inner:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def imports(tree: ast.Module, library: str) -> bool:
    return any(
        (isinstance(node, ast.Import) and any(name.name == library for name in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == library)
        for node in ast.walk(tree)
    )


def of_values(tree: ast.Module) -> Iterator[str]:
    """Privates of what is no `self`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and PRIVATE.fullmatch(node.attr):
            value = ast.unparse(node.value)
            if value not in OURS:
                yield f"{OF_A_VALUE.get(node.attr, value)}.{node.attr}"


def inherited(module: str, tree: ast.Module, library: str) -> Iterator[str]:
    """Privates that a class of ours shares with a class of the library that it is made of."""
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        of_ours = {
            part.attr
            for part in ast.walk(node)
            if isinstance(part, ast.Attribute) and PRIVATE.fullmatch(part.attr)
        }
        of_ours |= {
            part.name
            for part in node.body
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
            and PRIVATE.fullmatch(part.name)
        }
        of_ours |= {
            name.id
            for part in node.body
            if isinstance(part, ast.Assign)
            for name in part.targets
            if isinstance(name, ast.Name) and PRIVATE.fullmatch(name.id)
        }
        for base in getattr(import_module(module), node.name).__mro__:
            if base.__module__.split(".")[0] == library:
                theirs = set(re.findall(r"self\.(_[a-z]\w*)|^    (_[a-z]\w*)", source(base), re.M))
                names = {first or second for first, second in theirs}
                yield from (f"{base.__name__}.{name}" for name in of_ours & names)


def source(base: type) -> str:
    """The class, with its methods as if they were attributes."""
    return re.sub(r"(async )?def _", "_", inspect.getsource(base))


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_is_used_of_a_librarys_inside_is_named(library: str) -> None:
    used: set[str] = set()
    for module, tree in modules():
        if imports(tree, library):
            used |= {*submodule_imports(tree, library), *of_values(tree)}
            used |= set(inherited(module, tree, library))
    assert used == USED[library]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_whose_inside_is_used_has_a_ceiling(library: str) -> None:
    (wanted,) = [one for one in requires("heliograph") or () if re.match(rf"{library}\b", one)]
    assert "<" in wanted
