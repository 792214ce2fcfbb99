"""Short hands for tests that post: requests, earnings, wallets, and what the checks name."""

from datetime import date, datetime
from uuid import UUID

import asyncpg

from app.core.clock import add_months, china_date
from app.core.db import Database, new_id
from app.points import ledger
from app.points.ledger import Earning, Request
from app.points.verify import CHECKS
from tests.now import NOW

TODAY = china_date(NOW)
FIRST = "SELECT min(period) FROM ledger.period"


def request(key: str | None = None, now: datetime = NOW) -> Request:
    """A request of the tests' actor; without a key, one with a key of its own."""
    return Request("tests", key or new_id().hex, now)


def earning(
    member: UUID, points: int, cause: str | None = None, *, funder: str = "HQ", booked_on: date = TODAY,
    spendable_from: date | None = None, expires_on: date = date(2027, 12, 31),
) -> Earning:  # fmt: skip
    """An earning at dealer GZ003; without a cause, of a document of its own."""
    return Earning(
        member,
        points,
        funder,
        "GZ003",
        cause or f"order:{new_id().hex}",
        booked_on,
        spendable_from or booked_on,
        expires_on,
    )


async def open_wallets(database: Database, count: int = 1) -> list[UUID]:
    """New members with open wallets, committed."""
    members = [new_id() for _ in range(count)]
    async with database.transaction() as connection:
        await ledger.open_wallets(connection, members)
    return members


async def balances(db: asyncpg.Connection | asyncpg.Pool, member: UUID) -> tuple[int, int, int, int]:
    """A member's available, pending, held and owed points as stored."""
    row = await db.fetchrow(
        "SELECT available, pending, held, owed FROM ledger.member_balance WHERE member_id = $1", member
    )
    assert row is not None
    return row["available"], row["pending"], row["held"], row["owed"]


async def failures(connection: asyncpg.Connection) -> dict[str, list[str]]:
    """What each check that fails names."""
    return {check.name: rows for check in CHECKS if (rows := await check.run(connection))}


async def seal_through(database: Database, last: date) -> None:
    """Close every open month up to and with `last`, each in a transaction of its own, as the closer does."""
    while True:
        async with database.transaction() as connection:
            sealed = await connection.fetchval("SELECT max(period) FROM ledger.period WHERE sealed_at IS NOT NULL")
            month = add_months(sealed, 1) if sealed else await connection.fetchval(FIRST)
            if month > last:
                return
            await seal(connection, month)


async def seal(connection: asyncpg.Connection, month: date) -> None:
    """Close one month inside the caller's transaction."""
    assert await ledger.lock_period(connection, month, now=NOW) == "ready"
    await ledger.seal_period(connection, month, b"statements", now=NOW)
