"""Phone numbers at rest: brought under the newest key while the service runs, and read over by `club verify`."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

import asyncpg

from app.core.checks import SHOWN, Check
from app.core.db import Connection, Database
from app.core.vault import Vault, WrongKeys

TABLES = ("member", "application", "delivery", "referral", "staff_phone")
BATCH = 1_000
_START = UUID(int=0)


async def reseal(db: Database) -> int:
    """Bring every phone number under the newest key, a batch a transaction; how many were not.

    Meant to run while others write: passes are repeated until one finds nothing left. What it stopped at is done.

    Raises:
        WrongKeys: one cannot be opened; those before it are done.
    """
    return sum([await _reseal(db, table) for table in TABLES])


async def _reseal(db: Database, table: str) -> int:
    total = changed = await _pass(db, table)
    while changed:
        # a process that had not read the new key yet may have committed behind us
        total += (changed := await _pass(db, table))
    return total


async def _pass(db: Database, table: str) -> int:
    changed, after = 0, _START
    while True:
        async with db.transaction() as connection:
            rows = await connection.fetch(
                f"SELECT id, phone FROM {table} WHERE id > $1 AND phone IS NOT NULL"  # noqa: S608
                " ORDER BY id LIMIT $2 FOR UPDATE",
                after, BATCH,
            )  # fmt: skip
            changed += await _under_newest(connection, db.vault, table, rows)
        if len(rows) < BATCH:
            return changed
        after = rows[-1]["id"]


async def _under_newest(
    connection: asyncpg.Connection, vault: Vault, table: str, rows: Sequence[asyncpg.Record]
) -> int:
    phones = {row["id"]: vault.open(row["phone"]) for row in rows if not vault.is_newest(row["phone"])}
    if phones:
        await connection.execute(
            f"UPDATE {table} t SET phone = n.phone, phone_index = n.phone_index"  # noqa: S608
            " FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS n (id, phone, phone_index) WHERE t.id = n.id",
            list(phones), [*map(vault.seal, phones.values())], [*map(vault.index, phones.values())],
        )  # fmt: skip
    return len(phones)


async def fits(connection: Connection, vault: Vault) -> bool:
    """Whether the keys at hand open what was stored last; said before anything is served or written."""
    sealed = await connection.fetchval("SELECT phone FROM member WHERE phone IS NOT NULL ORDER BY id DESC LIMIT 1")
    try:
        return sealed is None or bool(vault.open(sealed))
    except WrongKeys:
        return False


def phones_readable(vault: Vault) -> Check:
    """A check that reads every number, at some 20 µs each."""
    return Check(
        "phones-readable",
        "the keys at hand open every stored phone number, and its index is that number's",
        partial(_unreadable, vault),
    )


async def _unreadable(vault: Vault, connection: asyncpg.Connection) -> list[str]:
    rows: list[str] = []
    for table in TABLES:
        query = f"SELECT id, phone, phone_index FROM {table} WHERE phone IS NOT NULL"  # noqa: S608
        async for row_id, phone, index in connection.cursor(query, prefetch=BATCH):
            if (fault := _fault(vault, phone, index)) and len(rows) < SHOWN:
                rows.append(f"{table} {row_id}: {fault}")
    return rows


def _fault(vault: Vault, phone: bytes, index: bytes) -> str | None:
    try:
        number = vault.open(phone)
    except WrongKeys:
        return "no key at hand opens the phone number"
    return None if index in vault.indexes(number) else "the index is not the phone number's"
