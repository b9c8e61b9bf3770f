"""Operations that make addresses: where a recipient signs, and pages for senders."""

from __future__ import annotations

from collections.abc import Sequence

from heliograph.api.contract.operation import Call, Operation
from heliograph.api.contract.response import Response
from heliograph.clock import Clock
from heliograph.emulator.calls import ACCOUNT, ENVELOPE, answer, body, changes, chosen
from heliograph.emulator.course import Course
from heliograph.emulator.desk import Desk
from heliograph.emulator.signing import PATH
from heliograph.emulator.views import Views, check_url, wanted


class ViewCalls:
    """The addresses of views."""

    def __init__(self, desk: Desk, views: Views, clock: Clock, base_uri: str) -> None:
        self._desk = desk
        self._views = views
        self._clock = clock
        self._base_uri = base_uri

    def operations(self) -> Sequence[Operation]:
        """The operations of this module."""
        views = f"{ENVELOPE}/views"
        return [
            changes(
                "create_recipient_view",
                "POST",
                f"{views}/recipient",
                self._recipient,
                "An address where an embedded recipient signs, once and within five minutes.",
                status=201,
            ),
            *(
                changes(
                    f"create_{name}_view",
                    "POST",
                    f"{views}/{name}",
                    self._of_envelope,
                    "An address for the sender.",
                    status=201,
                )
                for name in ("sender", "edit", "correct")
            ),
            changes(
                "create_console_view",
                "POST",
                f"{ACCOUNT}/views/console",
                self._console,
                "The address of the console.",
                status=201,
            ),
        ]

    async def _recipient(self, call: Call) -> Response:
        request = body(call)
        url = check_url(str(request.get("returnUrl") or ""))
        envelope = self._desk.envelope(call.account_id, chosen(call))
        now = self._clock.now()
        recipient = wanted(envelope, request)
        Course(envelope, now).check_turn(recipient)
        token = self._views.add(
            call.account_id, envelope.envelope_id, recipient["recipientId"], url, now
        )
        return answer({"url": f"{self._base_uri}{PATH}/{token}"}, 201)

    async def _of_envelope(self, call: Call) -> Response:
        envelope = self._desk.envelope(call.account_id, chosen(call))
        found = f"{self._base_uri}/console/envelopes?q={envelope.envelope_id}"
        return answer({"url": found}, 201)

    async def _console(self, call: Call) -> Response:
        envelope_id = body(call).get("envelopeId")
        if not envelope_id:
            return answer({"url": f"{self._base_uri}/console/"}, 201)
        envelope = self._desk.envelope(call.account_id, str(envelope_id))
        return answer({"url": f"{self._base_uri}/console/envelopes?q={envelope.envelope_id}"}, 201)
