"""mutmut, with three things that it lacks, run in the folder that the command prepared.

- A statement is left out: `task.cancel()` becomes `pass`, and so does `yield Step(…)`.
- A condition that is no comparison is negated: `if synchronous` becomes `if not synchronous`.
- Properties and context managers are mutated as well: their decorators are put on again outside
  of the function that picks the mutant.

They hang on inner parts of mutmut's, whose version is pinned; `_check` says so when they moved.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import libcst as cst
from mutmut import __main__ as program
from mutmut.mutation import file_mutation, mutators
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import orig_function_and_class_names_from_key

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.mutation.modules import UNMUTATED

RESULTS: Final = Path("results.json")

_HARMLESS: Final = frozenset(("property", "asynccontextmanager", "contextmanager"))
_CONDITIONS: Final = (cst.Name, cst.Attribute, cst.Call, cst.Await)


def left_out(node: cst.Expr) -> Iterator[cst.Pass]:
    """A statement that is a call, or a step of a verb; a docstring says nothing to the machine."""
    call = isinstance(node.value, cst.Call | cst.Await | cst.Yield)
    if call and re.match(UNMUTATED, cst.Module([]).code_for_node(node)) is None:
        yield cst.Pass(semicolon=node.semicolon)


def negated(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """An `if`, `while` or a comprehension's `if`. Comparisons and `not` mutmut sees to itself."""
    if isinstance(node, cst.If | cst.While | cst.CompIf) and isinstance(node.test, _CONDITIONS):
        whole = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        yield node.with_changes(test=cst.UnaryOperation(cst.Not(), whole))


def _names(function: cst.FunctionDef) -> set[str]:
    named = {one.decorator for one in function.decorators}
    return {one.value if isinstance(one, cst.Name) else "" for one in named}


def _harmless(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.FunctionDef) and bool(node.decorators) and _names(node) <= _HARMLESS


def _extend() -> None:
    operators: Any = mutators.mutation_operators
    operators.extend([(cst.Expr, left_out), (cst.CSTNode, negated)])
    skips, arranged = (
        file_mutation.MutationVisitor._skip_node_and_children,
        file_mutation.function_trampoline_arrangement,
    )

    def skip(self: Any, node: Any) -> Any:
        return skips(self, node.with_changes(decorators=[]) if _harmless(node) else node)

    def arrange(function: Any, mutants: Any, class_name: Any) -> Any:
        if not _harmless(function):
            return arranged(function, mutants, class_name)
        bare = function.with_changes(decorators=[])
        declared, nodes, assigned, names = arranged(bare, mutants, class_name)
        first: Any = nodes[0]
        outside = [*function.decorators, *first.decorators]
        return declared, [first.with_changes(decorators=outside), *nodes[1:]], assigned, names

    setattr(file_mutation.MutationVisitor, "_skip_node_and_children", skip)  # noqa: B010
    setattr(file_mutation, "function_trampoline_arrangement", arrange)  # noqa: B010


_SAMPLE: Final = """
class Sample:
    @property
    def shown(self):
        if self.ready:
            self.tell()
        return 1
"""


def _check() -> None:
    made = file_mutation.mutate_file_contents("sample.py", _SAMPLE).code
    for wanted in ("if not (self.ready):", "            pass", "return 2", "    @property\n    @_"):
        if wanted not in made:
            raise RuntimeError(f"mutmut has changed: its mutants hold no {wanted.strip()!r}.")


def _results() -> list[dict[str, str]]:
    """What became of each mutant; what it is, of those that the tests did not notice."""
    found = []
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for mutant, code in data.exit_code_by_key.items():
            function, owner = orig_function_and_class_names_from_key(mutant)
            status = str(status_by_exit_code[code])
            one = {"function": f"{owner}.{function}" if owner else function, "status": status}
            if status in ("survived", "no tests"):
                lines = get_diff_for_mutant(mutant, path=path).split("\n")[2:]
                for key, sign in (("was", "-"), ("becomes", "+")):
                    signed = [line[1:].strip() for line in lines if line.startswith(sign)]
                    one[key] = " ".join(signed)
            found.append(one)
    return found


if __name__ == "__main__":
    _extend()
    _check()
    try:
        program.cli(standalone_mode=False)
    finally:
        RESULTS.write_text(json.dumps(_results()))
