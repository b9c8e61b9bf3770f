"""Settings: the account, who one is here, its keys, and what the rest of the account is set by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from heliograph.console.calls import ProblemOfCall
from heliograph.console.visits import Page, Place, Same, Visit


def places() -> Sequence[Place]:
    """The pages of this module."""
    return [Place("settings", _settings)]


async def _settings(visit: Visit) -> Page:
    return Page(
        "settings.html",
        "Settings",
        {
            "users": (await _unless_refused(visit, "/users") or {}).get("users"),
            "tokens": (await _unless_refused(visit, "/tokens") or {}).get("tokens"),
            "secrets": (await _unless_refused(visit, "secret") or {}).get("secrets"),
            "certificate": await _unless_refused(visit, "client_certificate"),
        },
        [
            Same.of(visit, "/users", "heliograph users list"),
            Same.of(visit, "/tokens", "heliograph tokens list"),
            Same.of(visit, "secret", "heliograph hmac-keys list"),
        ],
    )


async def _unless_refused(visit: Visit, path: str) -> Any:
    """The answer; None where there is no such thing, or it is not for viewers."""
    try:
        return await visit.get(path)
    except ProblemOfCall as refused:
        if refused.status not in (401, 404):
            raise
        return None
