"""What is joined only at the top: the books' opening, and the invariants `club verify` checks."""

from datetime import date

from app.core import db
from app.points import ledger


async def open_books(dsn: str, first_period: date) -> None:
    """Give an empty ledger its first month; a ledger that has one keeps it."""
    connection = await db.connect(dsn)
    try:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM ledger.period)"):
            await ledger.open_period(connection, first_period)
    finally:
        await connection.close()
