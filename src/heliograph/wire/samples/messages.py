"""Events made up, in the form of a publish call: one by its name, or the whole story of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from heliograph.wire import dates, docusign
from heliograph.wire.samples.envelope import Envelope, Scene
from heliograph.wire.samples.stories import STORIES, Step, until

TELLS_NO_ENVELOPE = tuple(
    kind for kind in docusign.KINDS if kind not in ("envelope-", "recipient-")
)
"""How the names of DocuSign's events begin whose messages have no summary of an envelope."""


def sample(name: str, scene: Scene, when: datetime) -> dict[str, Any]:
    """The event of this name, which happens `when`; its envelope has gone as far as it says.

    Raises:
        Unfit: no PDF can have the size that the scene asks for.
    """
    if name.startswith(TELLS_NO_ENVELOPE):
        return _message(name, scene, when, _data(name, scene))
    *_, (step, at, envelope) = _happening(until(name), scene, when)
    return _told(step, scene, at, envelope)


def story(name: str, scene: Scene, when: datetime) -> list[dict[str, Any]]:
    """All events of a story of `STORIES`, of which the last happens `when`.

    Raises:
        Unfit: no PDF can have the size that the scene asks for.
    """
    return [
        _told(step, scene, at, envelope)
        for step, at, envelope in _happening(STORIES[name].steps, scene, when)
    ]


def _happening(
    steps: Sequence[Step], scene: Scene, ended: datetime
) -> Iterator[tuple[Step, datetime, Envelope]]:
    """Each step, when it happens, and the envelope as it is then."""
    at = ended - sum((step.after for step in steps), timedelta())
    envelope = Envelope(scene, at)
    for step in steps:
        at += step.after
        envelope.take(step, at)
        yield step, at, envelope


def _told(step: Step, scene: Scene, at: datetime, envelope: Envelope) -> dict[str, Any]:
    data = {**_data(step.event, scene, step.signer), "envelopeSummary": envelope.summary()}
    return _message(step.event, scene, at, data)


def _message(name: str, scene: Scene, when: datetime, data: dict[str, Any]) -> dict[str, Any]:
    account = {} if scene.account_id is None else {"accountId": scene.account_id}
    return {
        "event": name,
        "generatedDateTime": dates.render(when),
        "data": {**account, **data},
    }


def _data(name: str, scene: Scene, signer: int | None = None) -> dict[str, Any]:
    """What stands beside the summary: whose event it is, and what it is about."""
    data = {"userId": scene.id_of("sender")}
    if signer is not None:
        data["recipientId"] = str(signer + 1)
    if name.startswith("template-"):
        data["templateId"] = scene.envelope_id
    elif not name.startswith(TELLS_NO_ENVELOPE):
        data["envelopeId"] = scene.envelope_id
    return data
