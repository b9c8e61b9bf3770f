"""What a configuration asks for, where more than one field decides it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from heliograph.model.accounts import Secret
from heliograph.model.configurations import (
    Authentication,
    BorrowedOAuth,
    ClientCredentials,
    Proof,
    Rendering,
    Switches,
)
from heliograph.model.events import HeldReason
from tests.support import ACCOUNT, OTHER_ACCOUNT, wanted_configuration


@pytest.mark.parametrize(
    ("authentication", "rendering", "shown"),
    [
        (Authentication(), Rendering(), False),
        (Authentication(mutual_tls=True), Rendering(), True),
        (Authentication(offers_certificate=True), Rendering(), True),
        (Authentication(), Rendering(certificate_header=True), True),
    ],
)
def test_s7_a_certificate_is_shown_where_one_of_three_switches_asks_for_it(
    authentication: Authentication, rendering: Rendering, shown: bool
) -> None:
    asked = replace(wanted_configuration(), authentication=authentication, rendering=rendering)
    assert asked.shows_certificate is shown


def test_only_who_asks_for_the_accounts_oauth_client_borrows_it() -> None:
    own = ClientCredentials("https://a.example.com/", "client", Secret("x"))
    borrows = {
        oauth: replace(
            wanted_configuration(), authentication=Authentication(oauth=oauth)
        ).borrows_oauth
        for oauth in (None, own, BorrowedOAuth("none is named"))
    }
    assert list(borrows.values()) == [False, False, True]


def test_documents_of_single_events_are_asked_for_by_name_in_any_case() -> None:
    switches = Switches(documents=False, void_reason=True)
    rendering = Rendering(switches=switches, documents_of={"envelope-completed": True})
    assert rendering.switches_for("envelope-sent") is switches
    assert rendering.switches_for("Envelope-Completed") == replace(switches, documents=True)


def test_r4_a_configuration_that_does_not_publish_is_disabled_also_where_it_is_paused() -> None:
    made = wanted_configuration()
    assert made.held is None
    assert replace(made, paused=True).held is HeldReason.PAUSED
    for paused in (True, False):
        assert replace(made, publishing=False, paused=paused).held is HeldReason.DISABLED


@pytest.mark.parametrize(
    ("authentication", "switches", "asked"),
    [
        (Authentication(include_hmac=False), Switches(), ()),
        (Authentication(), Switches(), (Proof.KEYS,)),
        (Authentication(include_hmac=False, mutual_tls=True), Switches(), (Proof.CLIENT,)),
        (
            Authentication(include_hmac=False, oauth=BorrowedOAuth("none is named")),
            Switches(),
            (Proof.OAUTH,),
        ),
        (Authentication(include_hmac=False), Switches(sender_account=True), (Proof.ACCOUNT,)),
    ],
)
def test_r17_nothing_of_its_account_is_asked_for_that_a_post_does_not_need(
    authentication: Authentication, switches: Switches, asked: tuple[Proof, ...]
) -> None:
    made = replace(
        wanted_configuration(),
        authentication=authentication,
        rendering=Rendering(switches=switches),
    )
    assert made.asks_for == asked


def test_an_integrators_keys_and_oauth_client_are_taken_and_nothing_else_of_it() -> None:
    own = wanted_configuration()
    assert {own.owner_of(proof) for proof in Proof} == {ACCOUNT}
    managed = replace(own, integrator=OTHER_ACCOUNT)
    assert {proof: managed.owner_of(proof) for proof in Proof} == {
        Proof.KEYS: OTHER_ACCOUNT,
        Proof.OAUTH: OTHER_ACCOUNT,
        Proof.CLIENT: ACCOUNT,
        Proof.ACCOUNT: ACCOUNT,
    }
