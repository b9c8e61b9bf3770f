"""Whether Heliograph does as DocuSign does, or as publishers of their own events want it."""

from __future__ import annotations

from enum import StrEnum


class Fidelity(StrEnum):
    """A profile of the server; docs/reference/differences.md says what differs by it.

    DOCUSIGN: refuses what DocuSign refuses, with its codes, and sends what it sends by default.
    RELAXED: takes whatever can be used, and warns where something will not arrive.
    """

    DOCUSIGN = "docusign"
    RELAXED = "relaxed"
