"""How far one post has come; what a Fault says is read from here."""

from __future__ import annotations

from heliograph.egress import Target
from heliograph.model.deliveries import Phase
from heliograph.outbound.answers import Answering


class Trip:
    """One post on its way, and its `answer` as far as that has come.

    It `offers` a client certificate, to who asks for one. `reused` says whether its connection has
    carried a message before, `within` how many seconds it must have done what it is at.
    """

    __slots__ = ("answer", "offers", "phase", "reused", "target", "within")

    def __init__(self, target: Target, answer: Answering, within: float, *, offers: bool) -> None:
        self.target = target
        self.answer = answer
        self.within = within
        self.offers = offers
        self.phase = Phase.CONNECT
        self.reused = False
