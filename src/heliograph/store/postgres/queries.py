"""The named queries of PostgreSQL: its own, and those of the verbs in its words."""

from __future__ import annotations

from typing import Final

from heliograph.store import sql
from heliograph.store.postgres.engine import VERBS

QUERIES: Final = {**VERBS, **sql.named_queries("postgres/store.sql")}
