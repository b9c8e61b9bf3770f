"""Calls that change all that filters select: shown and asked about first, then batch by batch."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.progress import Progress, SpinnerColumn, TextColumn

from heliograph.access.credentials_file import Credentials
from heliograph.cli import asking
from heliograph.cli.connection import Connection
from heliograph.cli.exits import wrong
from heliograph.cli.terminal import notes, output, print_json, print_text


@dataclass(frozen=True, slots=True)
class Bulk:
    """A call in bulk: what it is to the server, and in words.

    `asks_above` is how many it changes without a question; `goes_on` tells that an answer's
    cursor is where the next batch begins, and not that the same call finds more.
    """

    method: Literal["PUT", "DELETE"]
    path: str
    noun: str
    plural: str
    question: str
    asks_above: int = asking.MOST_UNASKED
    goes_on: bool = True

    def run(
        self,
        credentials: Credentials,
        chosen: Mapping[str, str],
        *,
        yes: bool,
        dry_run: bool,
        as_json: bool = False,
    ) -> dict[str, Any] | None:
        """Do it, once it is clear that it is meant: the sums of all batches, in the API's
        spelling; None where it was to be shown only. The arguments are those of `is_meant`.
        """
        meant = self.is_meant(credentials, chosen, yes=yes, dry_run=dry_run, as_json=as_json)
        return asyncio.run(self._change(credentials, _query(chosen))) if meant else None

    def is_meant(
        self,
        credentials: Credentials,
        chosen: Mapping[str, str],
        *,
        yes: bool,
        dry_run: bool,
        as_json: bool = False,
    ) -> bool:
        """Show what it is about, and ask where that is called for; False where that was all.

        Args:
            credentials: Whose things.
            chosen: The filters, in the API's spelling; none stands for all.
            yes: Ask nothing.
            dry_run: Only show what it is about.
            as_json: Show that as the API's document.
        """
        if yes and not dry_run:
            return True
        shown = asyncio.run(self._preview(credentials, _query(chosen)))
        if dry_run and as_json:
            print_json(shown)
        elif dry_run:
            asking.print_preview(output(), shown, self.noun, self.plural)
        elif int(shown["count"]) > self.asks_above:
            asking.print_preview(notes(), shown, self.noun, self.plural)
            asking.confirm(self.question)
        return not dry_run

    async def _preview(self, credentials: Credentials, query: Mapping[str, str]) -> Any:
        async with Connection(credentials) as connection:
            asked = {**query, "dry_run": "true"}
            return (await connection.call(self.method, self.path, query=asked)).json

    async def _change(self, credentials: Credentials, query: dict[str, str]) -> dict[str, Any]:
        """Repeat the call until nothing more matches."""
        changed = unchanged = 0
        reasons = Counter[str]()
        console = notes()
        progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.completed:,} " + self.plural),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        with progress:
            shown = progress.add_task("", total=None)
            async with Connection(credentials) as connection:
                while True:
                    answer = (await connection.call(self.method, self.path, query=query)).json
                    changed += int(answer["changed"])
                    unchanged += int(answer.get("unchanged", "0"))
                    for one in answer.get("unchangedReasons", ()):
                        reasons[one["reason"]] += int(one["count"])
                    progress.update(shown, completed=changed + unchanged)
                    if not answer.get("nextCursor"):
                        break
                    if self.goes_on:
                        query["cursor"] = answer["nextCursor"]
        sums: dict[str, Any] = {"changed": str(changed)}
        if self.goes_on:
            sums["unchanged"] = str(unchanged)
        if reasons:
            sums["unchangedReasons"] = [
                {"reason": reason, "count": str(count)} for reason, count in reasons.most_common()
            ]
        return sums


def _query(chosen: Mapping[str, str]) -> dict[str, str]:
    return dict(chosen) or {"all": "true"}


def print_unchanged(done: Mapping[str, Any]) -> None:
    """How many are left as they were, and why."""
    for one in done.get("unchangedReasons", ()):
        print_text(output(), f"{int(one['count']):,} cannot be sent now: {one['reason']}", 0)


def choose_one(
    ids: Sequence[str], chosen: Mapping[str, str], everything: bool, others: str
) -> None:
    """A change must be asked for by ids, by filters or by --all, and by one of them only.

    Raises:
        Stop: it is not; the message begins with `others`, what there is beside --all.
    """
    if sum([bool(ids), bool(chosen), everything]) != 1:
        raise wrong(f"{others}, or --all.")
