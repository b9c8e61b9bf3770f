"""What happens to an envelope: its state machine, and the events of each step in DocuSign's order.

Pure. An envelope is created and sent; then those of the lowest routing order are sent it, view it
and complete it, and those of the next are sent it. It counts as sent until all have viewed it
(DocuSign: event triggers); the last signature gives one recipient's event and then the envelope's
(DocuSign: JSON SIM event model). Where two happen in the same moment and neither says which goes
first, the order is that of `wire/samples/stories.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any, Final

from heliograph.emulator.envelope import ACTING, RECEIVING, UNDER_WAY, Envelope
from heliograph.errors import (
    EnvelopeIncomplete,
    EnvelopeNotVoidable,
    EnvelopeStatusRefused,
    InvalidParameter,
    RecipientOutOfSequence,
)
from heliograph.wire import dates
from heliograph.wire.samples.stories import EXPIRED

_DONE: Final = frozenset({"completed", "declined"})
_SEEN: Final = _DONE | {"delivered"}
_LONGEST_REASON: Final = 2000


class Course:
    """Lets things happen to an envelope at one moment, and keeps the events that tell of them.

    The methods change the envelope in place; who keeps it does so once all has happened. They
    raise the refusals that DocuSign answers such calls with.
    """

    def __init__(self, envelope: Envelope, when: datetime) -> None:
        self.envelope = envelope
        self.happened: list[dict[str, Any]] = []
        """Published objects, in the order in which they happened."""
        self._when = when
        self._at = dates.render(when)

    def create(self) -> None:
        """It has come to be, as a draft."""
        self._tell("envelope-created")

    def send(self) -> None:
        """A draft goes to its recipients.

        Raises:
            EnvelopeStatusRefused: it is no draft.
            EnvelopeIncomplete: it has no document, recipient or subject.
        """
        envelope, summary = self.envelope, self.envelope.summary
        if envelope.status != "created":
            raise EnvelopeStatusRefused(
                f"Invalid envelope status. The envelope is {envelope.status}: only a draft is sent."
            )
        if not summary["envelopeDocuments"] or not any(True for _ in envelope.recipients()):
            raise EnvelopeIncomplete(_INCOMPLETE)
        if not summary.get("emailSubject"):
            raise EnvelopeIncomplete(_INCOMPLETE)
        self._becomes("sent")
        summary["initialSentDateTime"] = self._at
        envelope.folder = "sentitems"
        self.reckon()
        self._tell("envelope-sent")
        self._go_on()

    def reckon(self) -> None:
        """Note when what is under way will expire."""
        summary = self.envelope.summary
        expirations = summary["notification"]["expirations"]
        summary.pop("expireDateTime", None)
        if self.envelope.status in UNDER_WAY and expirations["expireEnabled"] == "true":
            sent, days = dates.parse(summary["sentDateTime"]), int(expirations["expireAfter"])
            summary["expireDateTime"] = dates.render(sent + timedelta(days=days))
            summary |= {"expireEnabled": "true", "expireAfter": expirations["expireAfter"]}

    def check_turn(self, recipient: dict[str, Any]) -> None:
        """See that a recipient may have the envelope now.

        Raises:
            EnvelopeStatusRefused: it is not under way.
            RecipientOutOfSequence: others come first, or the recipient has done its part.
        """
        if self.envelope.status not in UNDER_WAY:
            raise EnvelopeStatusRefused(
                f"Invalid envelope status. The envelope is {self.envelope.status}."
            )
        if recipient["status"] not in ("sent", "delivered"):
            raise RecipientOutOfSequence(
                "The token for an out of sequence recipient cannot be generated: the recipient is "
                f"{recipient['status']}."
            )

    def view(self, recipient: dict[str, Any]) -> None:
        """A recipient opens it. Raises as `check_turn`."""
        self.check_turn(recipient)
        if recipient["status"] == "delivered":
            return
        recipient |= {"status": "delivered", "deliveredDateTime": self._at}
        self._tell("recipient-delivered", recipient)
        acting = [one for kind, one in self.envelope.recipients() if kind in ACTING]
        if self.envelope.status == "sent" and all(one["status"] in _SEEN for one in acting):
            self._becomes("delivered")
            self._tell("envelope-delivered")

    def finish_later(self, recipient: dict[str, Any]) -> None:
        """A recipient leaves it for another time. Raises as `check_turn`."""
        self.view(recipient)
        self._tell("recipient-finish-later", recipient)

    def complete(self, recipient: dict[str, Any], values: dict[str, str]) -> None:
        """A recipient signs, or finishes; `values` are those of text tabs, by their ids.

        Raises as `check_turn`.
        """
        self.view(recipient)
        recipient |= {"status": "completed", "signedDateTime": self._at}
        for kind, tabs in recipient.get("tabs", {}).items():
            for tab in tabs:
                tab["status"] = "signed"
                if kind == "textTabs":
                    tab["value"] = values.get(tab["tabId"], tab.get("value", ""))
                elif kind in _FILLED:
                    tab["value"] = _FILLED[kind](recipient, self._at)
        self._tell("recipient-completed", recipient)
        self._go_on()

    def decline(self, recipient: dict[str, Any], reason: str) -> None:
        """A recipient refuses, and the envelope ends. Raises as `check_turn`."""
        self.view(recipient)
        recipient |= {
            "status": "declined",
            "declinedDateTime": self._at,
            "declinedReason": reason[:_LONGEST_REASON],
        }
        self._tell("recipient-declined", recipient)
        self._becomes("declined")
        self._tell("envelope-declined")

    def void(self, reason: str) -> None:
        """Its sender takes it back.

        Raises:
            EnvelopeNotVoidable: it is not under way.
            InvalidParameter: nobody says why.
        """
        if self.envelope.status not in UNDER_WAY:
            raise EnvelopeNotVoidable(
                "Only envelopes in the 'Sent' or 'Delivered' states may be voided."
            )
        if not reason.strip():
            raise InvalidParameter("The request has no voidedReason: say why it is voided.")
        self._becomes("voided")
        self.envelope.summary["voidedReason"] = reason[:_LONGEST_REASON]
        self._tell("envelope-voided")

    def resend(self) -> None:
        """Those whose turn it is are sent it once more. Raises EnvelopeStatusRefused."""
        self._check_under_way()
        self._tell("envelope-resent")
        for _, recipient in self.envelope.recipients():
            if recipient["status"] in ("sent", "delivered"):
                self._tell("recipient-resent", recipient)

    def correct(self) -> None:
        """Its sender has changed it under way; who comes first may be another one now."""
        self._check_under_way()
        self._tell("envelope-corrected")
        self._go_on()

    def delete(self) -> None:
        """Its sender throws it away; what is under way is voided by that (DocuSign: folders)."""
        if self.envelope.status in UNDER_WAY:
            self.void("The sender deleted the envelope.")
        elif self.envelope.status == "created":
            self._becomes("deleted")
        self.envelope.folder = "recyclebin"
        self._tell("envelope-deleted")

    def pass_time(self) -> None:
        """What is due by now happens: it is reminded of, or has expired."""
        ends, reminds = self.envelope.ends_at(), self.envelope.reminds_at()
        if ends is not None and ends <= self._when:
            self.void(EXPIRED)
        elif reminds is not None and reminds <= self._when:
            self.envelope.reminded.append(self._when)
            self._tell("envelope-reminder-sent")

    def _go_on(self) -> None:
        """Send it to those whose turn it is; complete it when nobody is left."""
        recipients = self.envelope.summary["recipients"]
        while waiting := [
            (kind, one) for kind, one in self.envelope.recipients() if one["status"] not in _DONE
        ]:
            turn = min(int(one["routingOrder"]) for _, one in waiting)
            recipients["currentRoutingOrder"] = str(turn)
            these = [found for found in waiting if int(found[1]["routingOrder"]) == turn]
            for kind, one in these:
                if one["status"] == "created":
                    one |= {"status": "sent", "sentDateTime": self._at}
                    self._tell("recipient-sent", one)
                if kind in RECEIVING:
                    one |= {"status": "completed", "completedDateTime": self._at}
                    self._tell("recipient-completed", one)
            if any(kind in ACTING for kind, _ in these):
                return
        self._becomes("completed")
        self._tell("envelope-completed")

    def _check_under_way(self) -> None:
        if self.envelope.status not in UNDER_WAY:
            raise EnvelopeStatusRefused(
                f"Invalid envelope status. The envelope is {self.envelope.status}: it must be sent "
                "or delivered."
            )

    def _becomes(self, status: str) -> None:
        self.envelope.summary |= {
            "status": status,
            f"{status}DateTime": self._at,
            "statusChangedDateTime": self._at,
        }

    def _tell(self, event: str, recipient: dict[str, Any] | None = None) -> None:
        envelope = self.envelope
        envelope.summary["lastModifiedDateTime"] = self._at
        about = {} if recipient is None else {"recipientId": recipient["recipientId"]}
        self.happened.append(
            {
                "event": event,
                "generatedDateTime": self._at,
                "data": {
                    "accountId": envelope.account_id,
                    "userId": envelope.user_id,
                    **about,
                    "envelopeId": envelope.envelope_id,
                    "envelopeSummary": deepcopy(envelope.summary),
                },
            }
        )


def names(happened: Sequence[dict[str, Any]]) -> list[str]:
    """The names of what has happened."""
    return [one["event"] for one in happened]


_INCOMPLETE: Final = (
    "The Envelope is not Complete. A Complete Envelope Requires Documents, Recipients, Tabs, and a "
    "Subject Line."
)

_FILLED: Final[dict[str, Any]] = {
    "fullNameTabs": lambda recipient, _: recipient.get("name", ""),
    "emailAddressTabs": lambda recipient, _: recipient.get("email", ""),
    "dateSignedTabs": lambda _, at: at[:10],
}
"""Tabs that fill themselves when their recipient signs."""
