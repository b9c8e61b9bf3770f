"""Which path leads where: one look for each part of it, however many paths there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from heliograph.incoming.exchange import Application, Receive, Scope, Send

SLASH: Final = "heliograph.slash"
"""The name in a scope that tells of a slash at the path's end."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path, and what answers there.

    A part in braces is a parameter: `{name}` stands for one part that is not empty, `{name:path}`
    for one or more, whatever they are.
    """

    path: str
    endpoint: Application


@dataclass(slots=True)
class _Place:
    """Where a path has led so far, and where its next part leads."""

    fixed: dict[str, _Place] = field(default_factory=dict)
    parameter: _Place | None = None
    several: _Place | None = None
    """Behind a parameter of several parts."""
    endpoint: Application | None = None
    is_fixed: bool = True
    """Whether no parameter follows."""
    names: Sequence[str] = ()
    """Of the parameters on the way here, in their order."""


class Routes:
    """The ASGI application of all paths.

    A part that is fixed comes before a parameter in its place, so that connect/failures is never
    taken for connect/{connectId}. A path with a slash at its end is the same path without it, as
    with DocuSign; one of two slashes is another path.
    """

    def __init__(self, routes: Iterable[Route], nowhere: Application) -> None:
        """`nowhere` answers for every path that there is not."""
        self._nowhere = nowhere
        self._root = _Place()
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        place, names = self._root, []
        for part in route.path.split("/"):
            if part[:1] != "{":
                place = place.fixed.setdefault(part, _Place())
                continue
            place.is_fixed = False
            name, _, kind = part[1:-1].partition(":")
            names.append(name)
            if kind == "path":
                place.several = place.several or _Place()
                place = place.several
            else:
                place.parameter = place.parameter or _Place()
                place = place.parameter
        place.endpoint, place.names = route.endpoint, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        # A slash that was encoded belongs to what stands before it.
        if path[-1:] == "/" and len(path) > 1 and scope["raw_path"][-1:] == b"/":
            path = path[:-1]
            scope.update(path=path, raw_path=scope["raw_path"][:-1])
            scope[SLASH] = True
        values: list[str] = []
        place = _found(self._root, path.split("/"), 0, values)
        if place is None or place.endpoint is None:
            await self._nowhere(scope, receive, send)
            return
        scope["path_params"] = dict(zip(place.names, values, strict=True))
        await place.endpoint(scope, receive, send)


def _found(place: _Place, parts: Sequence[str], number: int, values: list[str]) -> _Place | None:
    """Where the parts from `number` on lead; `values` gets those of the parameters."""
    while place.is_fixed and number < len(parts):  # there is but one way
        following = place.fixed.get(parts[number])
        if following is None:
            return None
        place, number = following, number + 1
    if number == len(parts):
        return None if place.endpoint is None else place
    part = parts[number]
    fixed = place.fixed.get(part)
    if fixed is not None and (found := _found(fixed, parts, number + 1, values)):
        return found
    if place.parameter is not None and part:
        behind: list[str] = []
        if found := _found(place.parameter, parts, number + 1, behind):
            values += [part, *behind]
            return found
    if place.several is not None:
        for end in range(len(parts), number, -1):
            behind = []
            if found := _found(place.several, parts, end, behind):
                values += ["/".join(parts[number:end]), *behind]
                return found
    return None
