"""Each recipient's message is a delivery of its own, which stays that recipient's."""

from __future__ import annotations

from heliograph.delivery.attempt import message_id
from heliograph.model.logs import LogQuery
from heliograph.store import Store
from tests.contract.traffic import Traffic
from tests.support import ACCOUNT, new_event

SIGNERS = [{"userId": "user-1"}, {"userId": "user-2"}]
DATA = {"envelopeId": "env-1", "envelopeSummary": {"recipients": {"signers": SIGNERS}}}


async def test_fidelity_message_for_each_recipient_stays_its_recipients(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure(configurationType="customrecipient", deliveryOrder="none")
    (accepted,) = await traffic.accept(new_event(data=DATA))
    assert accepted.deliveries == 2
    (repeated,) = await traffic.accept(new_event(data=DATA))
    assert (repeated.repeated, repeated.deliveries) == (True, 2)
    claims = await traffic.claim_all()
    assert [claim.recipient for claim in claims] == ["user-1", "user-2"]
    first, second = claims
    await traffic.retry(first, 0)
    (again,) = await traffic.claim_all()
    assert (again.recipient, again.delivery_id) == ("user-1", first.delivery_id)
    await traffic.deliver([again, second])
    logged = (await store.logs(ACCOUNT, LogQuery(), 10)).entries
    assert len(logged) == 3
    shown = [await store.log(ACCOUNT, one.log_id or 0) for one in logged]
    recipients = [detail.recipient for detail in shown if detail is not None]
    assert sorted(map(str, recipients)) == ["user-1", "user-1", "user-2"]
    assert list(await store.orphans()) == []


async def test_in_one_envelope_a_recipient_waits_for_the_one_before(
    store: Store, traffic: Traffic
) -> None:
    await traffic.configure(configurationType="customrecipient")
    await traffic.accept(new_event(data=DATA))
    for recipient in ("user-1", "user-2"):
        (claim,) = await traffic.claim_all()
        assert claim.recipient == recipient
        await traffic.deliver([claim])


async def test_messages_of_two_recipients_have_names_of_their_own(traffic: Traffic) -> None:
    await traffic.configure(configurationType="customrecipient", deliveryOrder="none")
    await traffic.accept(new_event(data=DATA))
    claims = await traffic.claim_all()
    names = {
        message_id(claim.event, claim.configuration.connect_id, claim.recipient) for claim in claims
    }
    assert len(names) == 2
    await traffic.deliver(claims)
