"""What attempts of one event share of its message (S17), and that it stays the same message."""

from __future__ import annotations

from typing import Any

import pytest

from heliograph.delivery.attempt import Post, Renderings, compose
from heliograph.model.accounts import HmacKey, Secret
from heliograph.model.deliveries import Proofs
from heliograph.model.events import Event
from heliograph.wire.messages import message, signing
from tests.support import ACCOUNT, START, new_event, wanted_configuration

KEYS = (HmacKey("one", Secret("first"), START), HmacKey("two", Secret("c2Vjb25k"), START))
NEW = new_event(filler="x" * 100_000)
EVENT = Event(ACCOUNT, NEW.event_id, NEW.name, "env-1", START, NEW.document)


def post(renderings: Renderings, connect_id: int, number: int = 1, **fields: Any) -> Post:
    wanted = wanted_configuration(connect_id=connect_id, **fields)
    return compose(
        *(EVENT, wanted, Proofs(KEYS)),
        number=number,
        attempt_id=connect_id,
        at=START,
        renderings=renderings,
    )


@pytest.mark.parametrize(
    "fields", [{}, {"deliveryMode": "aggregate"}, {"eventData": {"format": "xml"}}]
)
def test_s17_messages_that_differ_in_their_head_alone_share_the_rest(
    fields: dict[str, Any],
) -> None:
    renderings = Renderings()
    first, again, other = (
        post(renderings, connect_id, number, **fields)
        for connect_id, number in ((1, 1), (1, 2), (2, 1))
    )
    assert first.rendering is again.rendering is other.rendering
    for connect_id, number, made in ((1, 1, first), (1, 2, again), (2, 1, other)):
        wanted = wanted_configuration(connect_id=connect_id, **fields)
        assert made.body == message.render(EVENT, wanted, number - 1).body


def test_s17_another_form_shares_nothing_and_what_nobody_sends_is_not_kept() -> None:
    renderings = Renderings()
    first = post(renderings, 1)
    other = post(renderings, 2, eventData={"version": "restv2.1", "includeData": ["recipients"]})
    assert first.rendering is not other.rendering
    assert len(renderings._known) == 2
    del first, other
    assert len(renderings._known) == 0


def test_s6_a_message_in_parts_is_signed_as_its_bytes() -> None:
    made = post(Renderings(), 7)
    assert isinstance(made.message, tuple)
    headers = dict(made.headers)
    for place, key in enumerate(KEYS, start=1):
        whole = signing.signature(key.secret, made.body)
        assert headers[f"X-DocuSign-Signature-{place}"] == whole
    name = headers["webhook-id"]
    assert signing.standard_headers(KEYS, name, START, made.body)[2] == (
        "webhook-signature",
        headers["webhook-signature"],
    )
