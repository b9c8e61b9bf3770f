"""The list of mutants that may survive: what it explains, and when it is out of date."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutation.explanations import Explanation, Survivor, read, sort_out
from tests.mutation.modules import MODULES

ONE = Survivor("retry", "judge", "if due > end:", "if due >= end:")
OTHER = Survivor("retry", "judge", "if due > end:", "if due < end:")


def explanation(*becomes: str, function: str = "judge", module: str = "retry") -> Explanation:
    listed = frozenset(becomes) if becomes else None
    return Explanation(module, function, "if due > end:", listed, "because")


def test_an_entry_explains_what_it_names_and_nothing_else() -> None:
    assert sort_out([ONE, OTHER], [explanation("if due >= end:")], ["retry"]) == ([OTHER], [])
    assert sort_out([ONE, OTHER], [explanation()], ["retry"]) == ([], [])
    both = explanation("if due >= end:", "if due < end:")
    assert sort_out([ONE, OTHER], [both], ["retry"]) == ([], [])
    for strange in (explanation(function="explain"), explanation(module="pacing")):
        assert sort_out([ONE], [strange], ["retry", "pacing"]) == ([ONE], [strange])


def test_an_entry_of_a_mutant_that_is_noticed_is_out_of_date_where_its_module_was_run() -> None:
    both = explanation("if due >= end:", "if due < end:")
    assert sort_out([ONE], [both], ["retry"]) == ([], [both])
    assert sort_out([], [explanation()], ["retry"]) == ([], [explanation()])
    assert sort_out([], [explanation()], ["pacing"]) == ([], [])


@pytest.mark.parametrize("missing", ["module", "function", "was", "why"])
def test_an_entry_without_a_place_or_a_reason_is_refused(tmp_path: Path, missing: str) -> None:
    entry = {"module": "retry", "function": "judge", "was": "x", "why": "y"}
    del entry[missing]
    lines = ["[[survivor]]", *(f'{key} = "{value}"' for key, value in entry.items())]
    (tmp_path / "list.toml").write_text("\n".join(lines))
    with pytest.raises(ValueError, match="needs module"):
        read(tmp_path / "list.toml")


def test_the_committed_list_and_the_table_name_what_there_is() -> None:
    root = Path(__file__).parents[2]
    names = [one.name for one in MODULES]
    assert len(set(names)) == len(names)
    assert {one.module for one in read()} <= set(names)
    for module in MODULES:
        assert (root / "src/heliograph" / module.source).is_file()
        assert all((root / "tests" / one).exists() for one in module.tests)


@pytest.mark.parametrize("room", ["delivery", "model", "store/verbs"])
def test_each_module_of_a_room_that_is_mutated_is_in_the_table(room: str) -> None:
    source = Path(__file__).parents[2] / "src/heliograph"
    files = sorted((source / room).glob("*.py"))
    assert files
    wanted = {str(one.relative_to(source)) for one in files if _does_something(one)}
    assert wanted <= {one.source for one in MODULES}


def _does_something(file: Path) -> bool:
    """Whether it has a function with more than its docstring."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(
        isinstance(node, functions) and not isinstance(node.body[-1], ast.Expr | ast.Pass)
        for node in ast.walk(ast.parse(file.read_text()))
    )
