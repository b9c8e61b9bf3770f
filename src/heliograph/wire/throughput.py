"""How fast messages go out, as the API shows it. An extension: DocuSign has no such thing."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from heliograph.model.throughput import Throughput
from heliograph.wire.codec import Wire


def _about(description: str) -> msgspec.Meta:
    return msgspec.Meta(description=description)


class ConnectThroughput(Wire):
    """What goes out, by the last posts that were logged, and what has not gone out yet."""

    ours: ClassVar[bool] = True

    waiting: Annotated[str, _about("Deliveries that are due, or will be.")]
    held: Annotated[str, _about("Deliveries that wait for a person, or for an earlier one.")]
    in_flight: Annotated[str, _about("Deliveries that are being sent.")]
    capped: Annotated[str, _about('"true" where one of the three may be more than 10,000.')]
    posts: Annotated[str, _about("The figures below are of so many posts, the last.")]
    seconds: Annotated[str, _about("These go back so long.")]
    delivered_per_minute: str
    failed_per_minute: str
    servers: Annotated[str, _about("How many are at work for all accounts.")]
    median_milliseconds: Annotated[
        str | None, _about("Half of the answers took no longer; none came where it is missing.")
    ] = None
    p99_milliseconds: Annotated[str | None, _about("Of a hundred answers 99 took no longer.")] = (
        None
    )
    drain_seconds: Annotated[
        str | None,
        _about(
            "In so long what waits or is in flight will have gone out at this rate; missing "
            "where nothing was delivered lately."
        ),
    ] = None


def to_wire(found: Throughput, servers: int) -> ConnectThroughput:
    """The answer's form: times are whole seconds and milliseconds, rates have a digit after the
    point."""
    return ConnectThroughput(
        waiting=str(found.backlog.waiting),
        held=str(found.backlog.held),
        in_flight=str(found.backlog.in_flight),
        capped="true" if found.backlog.capped else "false",
        posts=str(found.posts),
        seconds=str(round(found.seconds)),
        delivered_per_minute=f"{found.delivered:.1f}",
        failed_per_minute=f"{found.failed:.1f}",
        servers=str(servers),
        median_milliseconds=_milliseconds(found.median),
        p99_milliseconds=_milliseconds(found.p99),
        drain_seconds=None if found.drain is None else str(round(found.drain)),
    )


def _milliseconds(seconds: float | None) -> str | None:
    return None if seconds is None else str(round(seconds * 1000))
