"""DocuSign's retries on a clock that is only counted: 25 hours pass in as long as answers take.

Pure. Retries are those of the product's own schedule `docusign`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from heliograph.delivery.retry import DOCUSIGN

STORY: Final = timedelta(hours=25)
"""A day, and the hour in which a memory of a day has forgotten."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is posted `at` a time (UTC): the first message for the `retry`-th time, or another."""

    at: datetime
    retry: int | None


def moments(ended: datetime, an_hour: int) -> Sequence[Moment]:
    """The 25 hours that ended then, in order.

    One message is sent, its answer is lost each time, and so it is sent again as DocuSign does; at
    the end somebody republishes it. So many others come `an_hour`.
    """
    began = ended - STORY
    hours = STORY // timedelta(hours=1)
    told = [
        Moment(began + timedelta(hours=(place + 0.5) / an_hour), None)
        for place in range(hours * an_hour)
    ]
    at, retry = began, 0
    while at < ended:
        told.append(Moment(at, retry))
        retry += 1
        at += timedelta(seconds=DOCUSIGN.delay(retry, seed=0))
    told.append(Moment(ended, retry))
    return sorted(told, key=lambda moment: moment.at)
