"""An outage on DocuSign's schedule, with a dispatcher and a listener in place of the network."""

from __future__ import annotations

import json

from heliograph.model.deliveries import PENDING, Answer, Fault
from heliograph.model.logs import LogQuery, Order
from heliograph.store import Store
from tests.service.delivery.test_dispatcher import BROKEN, OK, Listener, Part, dispatching
from tests.support import ACCOUNT, ManualClock, new_event, wanted_configuration


async def test_fidelity_order_after_an_outage(store: Store, clock: ManualClock) -> None:
    await store.create_configuration(wanted_configuration(retrySchedule=["docusign"]))
    answers = {"now": BROKEN}

    async def behave(_url: str, _body: bytes) -> Answer | Fault:
        return answers["now"]

    listener = Listener(behave)

    def received() -> list[int]:
        ids = [json.loads(body)["data"]["envelopeId"] for _, body in listener.received]
        return [int(envelope_id.removeprefix("env-")) for envelope_id in ids]

    async with dispatching(store, clock, listener) as part:
        await part.publisher.publish(ACCOUNT, [new_event()])
        await part.settled(lambda: _logged(part, 1))
        await part.signals_seen()
        for number in range(2, 7):
            clock.move(1)
            await part.publisher.publish(ACCOUNT, [new_event(envelope_id=f"env-{number}")])
        await part.signals_seen()
        oldest_first = LogQuery(order=Order.OLDEST_FIRST)
        page = await store.failures(ACCOUNT, oldest_first, 10)
        assert [one.error for one in page.entries][1:] == [PENDING] * 5
        await clock.until_waited_for()
        clock.move(10)  # the probe, which fails
        await part.settled(lambda: _logged(part, 2))
        await part.signals_seen()
        assert received() == [1, 1]
        answers["now"] = OK
        await clock.until_waited_for()
        clock.move(30)
        await part.settled(lambda: _logged(part, 8))
        assert received() == [1, 1, 1, 2, 3, 4, 5, 6]
        assert await part.failures() == 0


async def _logged(part: Part, posts: int) -> bool:
    return await part.logs() == posts
