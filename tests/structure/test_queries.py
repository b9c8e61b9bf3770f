"""Every named query of the store is used, and both engines have what the verbs ask for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import pytest

import heliograph.store
from heliograph.store import sql

STORE = Path(heliograph.store.__file__).parent
ENGINES = ("sqlite", "postgres")
ONLY_HERE = "-- only here: "
FILLED_BY_STEP = {"filters", "order", "within"}


@cache
def words(module: Path) -> list[str]:
    """The texts of a module; what an f-string puts in is `*`, docstrings are left out."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    alone = {id(line.value) for line in ast.walk(tree) if isinstance(line, ast.Expr)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "*" for part in node.values)
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and id(node) not in alone:
            found.append(str(node.value))
    return found


@cache
def names_of(module: Path) -> tuple[frozenset[str], re.Pattern[str]]:
    """What a module may ask for: texts, and what those match that an f-string fills."""
    texts = [text for text in words(module) if len(text.strip("*")) > 2]  # a plural "s" is no name
    filled = (re.escape(text).replace(r"\*", r"\w+") for text in texts if "*" in text)
    return frozenset(texts), re.compile("|".join(filled) or r"(?!)")


def named_in(name: str, modules: Iterable[Path]) -> bool:
    """Whether a module asks for a query of this name."""
    known = map(names_of, modules)
    return any(name in texts or filled.fullmatch(name) for texts, filled in known)


def named_in_queries(name: str, queries: Mapping[str, str]) -> bool:
    """Whether another query is filled with it."""
    return any(re.search(rf"\{{{name}[:}}]", text) for text in queries.values())


def of_verbs(engine: str) -> dict[str, str]:
    """The queries of the verbs, as they are written."""
    queries: dict[str, str] = {}
    for file in sorted((STORE / "verbs").glob("*.sql")):
        queries |= sql.named_queries(f"verbs/{file.name}")
    return queries | dict(sql.named_queries(f"{engine}/verbs.sql"))


def modules(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (STORE / folder).glob("*.py"))


@pytest.mark.parametrize("engine", ENGINES)
def test_every_query_of_the_verbs_is_asked_for(engine: str) -> None:
    queries = of_verbs(engine)
    askers = modules("verbs", engine)
    assert [
        name
        for name in queries
        if not named_in(name, askers) and not named_in_queries(name, queries)
    ] == []


@pytest.mark.parametrize("engine", ENGINES)
def test_every_query_of_an_engine_alone_is_asked_for(engine: str) -> None:
    queries = sql.named_queries(f"{engine}/store.sql")
    askers = [*modules(engine), STORE / "rows.py"]
    assert [name for name in queries if not named_in(name, askers)] == []


def test_every_query_of_a_copy_is_asked_for() -> None:
    queries = sql.named_queries("copying.sql")
    assert [name for name in queries if not named_in(name, [STORE / "copying.py"])] == []


def test_what_fills_a_query_is_there() -> None:
    for engine in ENGINES:
        for name, text in sql.verbs(engine).items():
            left = set(re.findall(r"\{(\w+)(?::\w+)?\}", text))
            assert left <= FILLED_BY_STEP, f"{engine}: {name}"


def test_what_both_engines_say_alike_is_written_once() -> None:
    sqlite, postgres = (
        {
            name: re.sub(r"%\((\w+)\)s|\s+", lambda it: f":{it[1]}" if it[1] else " ", text)
            for file in ("store.sql", "verbs.sql")
            for name, text in sql.named_queries(f"{engine}/{file}").items()
        }
        for engine in ENGINES
    )
    alike = {name for name in sqlite.keys() & postgres.keys() if sqlite[name] == postgres[name]}
    assert alike == set()


def test_both_engines_complete_the_verbs_alike() -> None:
    sqlite, postgres = (sql.verbs(engine).keys() for engine in ENGINES)
    written = {name: text for engine in ENGINES for name, text in of_verbs(engine).items()}
    assert {name for name in sqlite ^ postgres if ONLY_HERE not in written[name]} == set()
