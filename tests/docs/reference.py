"""The reference of operations, read: its introduction, its pages, and what they are about."""

from __future__ import annotations

from typing import Final

from tests.docs import pages
from tests.operations import all_operations

_FOLDER: Final = pages.DOCS / "reference" / "operations"

INTRODUCTION: Final = pages.read(_FOLDER / "README.md")
PAGES: Final = {path.stem: pages.read(path) for path in sorted(_FOLDER.glob("[a-z]*.md"))}
OPERATIONS: Final = {operation.operation_id: operation for operation in all_operations()}
