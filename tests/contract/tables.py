"""How many rows the tables of a store have, whichever engine it is."""

from __future__ import annotations

from heliograph.store import Store


async def rows_of(store: Store, *tables: str) -> list[int]:
    """The number of rows of each table; the fixture's store is read."""
    statements = [f"select count(*) from {table}" for table in tables]  # noqa: S608
    inner: object = store
    readers = getattr(inner, "_readers", None)
    if readers is not None:
        return [await readers.read(lambda db, s=s: int(db.execute(s).get)) for s in statements]
    database = inner._database  # type: ignore[attr-defined]

    async def read(db: object, statement: str) -> int:
        cursor = await db.execute(statement)  # type: ignore[attr-defined]
        (count,) = await cursor.fetchone()
        return int(count)

    return [await database.read(lambda db, s=s: read(db, s)) for s in statements]


async def change(store: Store, statement: str) -> None:
    """Run a statement that no verb has; the fixture's store, or one of its kind, is written to."""
    inner: object = store
    writer = getattr(inner, "_writer", None)
    if writer is not None:
        await writer.write(lambda db: db.execute(statement))
        return
    database = inner._database  # type: ignore[attr-defined]

    async def write(db: object) -> None:
        await db.execute(statement)  # type: ignore[attr-defined]

    await database.transact(write)
