"""Every generation of DocuSign's official SDKs signs in and makes every Connect call it has.

    uv run python -m tests.generations              # all of them; prints the figures
    uv run python -m tests.generations python-1.0.3 java-6.4.0
    uv run python -m tests.generations --write      # and writes docs/reference/sdk-generations.md

A lane of its own: it brings in each SDK from its registry (PyPI, npm, Maven Central), unmodified,
into `.generations`. What cannot be had on a machine is a line of the figures, and no failure.
"""
