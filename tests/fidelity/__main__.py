"""Write docs/reference/differences.md from the rows."""

from __future__ import annotations

from tests.fidelity import table

table.PAGE.write_text(table.page(table.read()), encoding="utf-8")
