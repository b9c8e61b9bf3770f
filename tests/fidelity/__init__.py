"""How Heliograph does what DocuSign does: rows, a test for each, and the page made of them.

    uv run python -m tests.fidelity      # writes docs/reference/differences.md

A row stands in a file of `rows/` by its subject, and a test that begins with `test_fidelity_` and
its id shows it, wherever that test belongs.
"""
