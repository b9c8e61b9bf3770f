"""Who may redeem a code, which scopes mean something, and what is said of strange keys."""

from __future__ import annotations

import pytest

from heliograph.model.applications import (
    Application,
    ApplicationSecret,
    CodeProof,
    Rights,
    fits,
    known_scopes,
    no_application,
)
from tests.support import ACCOUNT, START

BACK = "https://crm.example.com/back"


@pytest.mark.parametrize(
    ("uri", "challenge", "asked", "fit"),
    [
        (BACK, "c", "c", True),
        (BACK, None, None, True),
        (None, "c", "c", True),  # the SDK does not repeat it
        (BACK + "/", "c", "c", False),
        (BACK, "d", "c", False),
        (BACK, None, "c", False),
        (BACK, "c", None, False),  # a downgrade of PKCE
    ],
)
def test_a_code_is_for_who_asked_for_it(
    uri: str | None, challenge: str | None, asked: str | None, fit: bool
) -> None:
    assert fits(CodeProof(uri, challenge), BACK, asked) is fit


def test_j6_scopes_that_mean_nothing_here_are_ignored() -> None:
    assert known_scopes("signature extended") == {"signature", "extended"}
    assert known_scopes("openid impersonation  SIGNATURE") == {"impersonation"}
    # As passport-docusign has them.
    assert known_scopes("signature,extended, impersonation") == {
        *("signature", "extended", "impersonation")
    }
    assert known_scopes("") == frozenset()
    assert known_scopes("signature\textended") == frozenset()  # RFC 6749, 3.3: spaces


def test_a_key_of_no_application_is_not_repeated_for_it_may_be_a_secret() -> None:
    assert str(no_application()) == "There is no application with this integration key."


def test_an_application_without_a_secret_proves_itself_by_pkce_alone() -> None:
    made = Application("key", ACCOUNT, "crm", (BACK,), Rights.NONE, START)
    assert made.public
    secret = ApplicationSecret("s", b"digest", START)
    kept = Application("key", ACCOUNT, "crm", (BACK,), Rights.NONE, START, secrets=(secret,))
    assert not kept.public
