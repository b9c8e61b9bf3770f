"""Tests of the tests: `python -m tests.mutation` (CONTRIBUTING.md)."""
