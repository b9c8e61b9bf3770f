"""Why a configuration gets nothing, or not all that it names: said when it is made. Pure, total.

What matching says of each event afterwards (`Skip`) follows from the configuration alone here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from heliograph.model.configurations import ConnectConfiguration, Format
from heliograph.model.fidelity import Fidelity
from heliograph.wire import docusign

_MOST_NAMED: Final = 5
_LONGEST: Final = 60
"""Characters of a name that are shown."""


@dataclass(frozen=True, slots=True)
class Silence:
    """What will not arrive, as a person reads it; `whole` tells that nothing will."""

    text: str
    whole: bool = False


def silences(configuration: ConnectConfiguration, fidelity: Fidelity) -> Sequence[Silence]:
    """What will not arrive at a configuration, whatever is published.

    What is held for being paused or disabled arrives later, and is no silence. In the relaxed
    profile any name may be published: one that looks like DocuSign's and is none is doubted.
    """
    interest, found = configuration.interest, []
    if not configuration.publishing and configuration.disabled_by is None:
        found.append(Silence("Nothing is sent to it: allowEnvelopePublish is false.", whole=True))
    if interest.preset is not None:
        text = f"Nothing is sent to configurations of type {interest.preset}."
        found.append(Silence(text, whole=True))
    if not interest.events:
        found.append(Silence("Nothing is sent to it: it names no events.", whole=True))
    users = (interest.user_ids | interest.group_ids) - {""}
    if not (interest.all_users or interest.all_users_except or users):
        text = "allUsers is false, and neither userIds nor groupIds names anybody."
        found.append(Silence(f"Nothing is sent to it: {text}", whole=True))
    return [*found, *_of_events(configuration, fidelity)]


def _of_events(configuration: ConnectConfiguration, fidelity: Fidelity) -> Sequence[Silence]:
    events, found = configuration.interest.events, list[Silence]()
    unknown = sorted(events - docusign.PUBLISHED)
    if unknown and fidelity is Fidelity.DOCUSIGN:
        text = f"Does not arrive, being no event of DocuSign's: {_some(unknown)}."
        found.append(Silence(text, whole=len(unknown) == len(events)))
    elif doubted := [name for name in unknown if name.startswith(docusign.KINDS)]:
        text = f"Arrives only if published by a name that DocuSign does not have: {_some(doubted)}."
        found.append(Silence(text))
    others = sorted(name for name in events if not name.startswith(docusign.ABOUT_ENVELOPES))
    if others and configuration.rendering.format is Format.XML:
        text = f"Arrives only where it names an envelope, the messages being XML: {_some(others)}."
        found.append(Silence(text))
    return found


def _some(names: Sequence[str]) -> str:
    """A few names, and how many more there are: a configuration may list hundreds."""
    shown = ", ".join(name[:_LONGEST] for name in names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown
