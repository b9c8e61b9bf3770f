"""Where the emulator keeps its envelopes: an SQLite file of its own in the data directory.

An envelope and the events that tell of its newest step are written together; those that were not
published yet, since the process was killed between, are published at the next start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from heliograph.emulator.envelope import Envelope

FILE_NAME: Final = "emulator.db"

_TABLES: Final = """
pragma journal_mode = wal;
create table if not exists envelope (
    account_id text, envelope_id text, kind text, document blob, outbox blob,
    primary key (account_id, kind, envelope_id)) strict;
create table if not exists content (
    account_id text, envelope_id text, document_id text, body blob,
    primary key (account_id, envelope_id, document_id)) strict;
"""

_decoder = msgspec.json.Decoder(Envelope)


class Cabinet:
    """Envelopes and templates of all accounts, by account; `kind` is envelope or template."""

    def __init__(self, data_dir: Path) -> None:
        self._db = apsw.Connection(str(data_dir / FILE_NAME))
        self._db.execute(_TABLES).fetchall()  # the pragma has a row, and stops there

    def close(self) -> None:
        """Nothing can be asked afterwards."""
        self._db.close()

    def save(
        self,
        envelope: Envelope,
        outbox: Sequence[dict[str, Any]] = (),
        contents: Mapping[str, bytes] | None = None,
        kind: str = "envelope",
    ) -> None:
        """Write an envelope with events to publish, and contents of its documents, at once."""
        key = (envelope.account_id, envelope.envelope_id)
        with self._db:
            self._db.execute(
                "insert or replace into envelope values (?, ?, ?, ?, ?)",
                (*key, kind, msgspec.json.encode(envelope), msgspec.json.encode(outbox)),
            )
            for document_id, body in (contents or {}).items():
                self._db.execute(
                    "insert or replace into content values (?, ?, ?, ?)", (*key, document_id, body)
                )

    def published(self, account_id: str, envelope_id: str) -> None:
        """Forget the events of an envelope's newest step."""
        self._db.execute(
            "update envelope set outbox = cast('[]' as blob)"
            " where account_id = ? and envelope_id = ? and kind = 'envelope'",
            (account_id, envelope_id),
        )

    def unpublished(self) -> list[tuple[str, str, list[dict[str, Any]]]]:
        """Events that were written and perhaps not published, with their envelope."""
        rows = self._db.execute(
            "select account_id, envelope_id, outbox from envelope"
            " where outbox <> cast('[]' as blob)"
        )
        return [(account, envelope, msgspec.json.decode(box)) for account, envelope, box in rows]

    def pending(self, account_id: str, envelope_id: str) -> list[dict[str, Any]]:
        """An envelope's events that were written and perhaps not published."""
        for (box,) in self._db.execute(
            "select outbox from envelope"
            " where account_id = ? and envelope_id = ? and kind = 'envelope'",
            (account_id, envelope_id),
        ):
            found: list[dict[str, Any]] = msgspec.json.decode(box)
            return found
        return []

    def find(self, account_id: str, envelope_id: str, kind: str = "envelope") -> Envelope | None:
        """One of an account by its id, whatever the case of its letters."""
        for (document,) in self._db.execute(
            "select document from envelope where account_id = ? and envelope_id = ? and kind = ?",
            (account_id, envelope_id.lower(), kind),
        ):
            return _decoder.decode(document)
        return None

    def all(self, account_id: str, kind: str = "envelope") -> Iterator[Envelope]:
        """All of an account, the oldest first."""
        for (document,) in self._db.execute(
            "select document from envelope where account_id = ? and kind = ? order by rowid",
            (account_id, kind),
        ):
            yield _decoder.decode(document)

    def every(self) -> Iterator[Envelope]:
        """The envelopes of all accounts."""
        for (document,) in self._db.execute(
            "select document from envelope where kind = 'envelope' order by rowid"
        ):
            yield _decoder.decode(document)

    def contents(self, account_id: str, envelope_id: str) -> dict[str, bytes]:
        """What the documents of an envelope, or a template, came as, by their ids."""
        return dict(
            self._db.execute(
                "select document_id, body from content where account_id = ? and envelope_id = ?",
                (account_id, envelope_id.lower()),
            )
        )

    def reset(self, account_id: str) -> int:
        """Forget every envelope and template of an account; how many there were."""
        with self._db:
            self._db.execute("delete from content where account_id = ?", (account_id,))
            self._db.execute("delete from envelope where account_id = ?", (account_id,))
        return self._db.changes()
