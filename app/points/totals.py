"""The programme's points as a whole: folds of movements, from the roll-up and what came after its watermark."""

from datetime import date

from pydantic import BaseModel

from app.core.db import Connection


class Totals(BaseModel):
    """Points by business date. issued - redeemed - expired - reversed = outstanding - owed."""

    as_of: date | None
    issued: int
    redeemed: int
    expired: int
    reversed: int
    pending: int
    available: int
    held: int
    owed: int
    outstanding: int


_FOLD = """
WITH flow AS (
  SELECT from_bucket, to_bucket, points FROM ledger.rollup WHERE $1::date IS NULL OR booked_on <= $1
  UNION ALL
  SELECT m.from_bucket, m.to_bucket, m.points FROM ledger.movement m, ledger.rollup_watermark w
   WHERE m.xid >= w.below_xid AND ($1::date IS NULL OR m.booked_on <= $1)
), entry AS (
  SELECT to_bucket AS account, points FROM flow UNION ALL SELECT from_bucket, -points FROM flow
), account AS (
  SELECT account, sum(points)::bigint AS points FROM entry GROUP BY account
)
SELECT coalesce((SELECT -points FROM account WHERE account = 'issued'), 0) AS issued,
       coalesce((SELECT points FROM account WHERE account = 'spent'), 0) AS redeemed,
       coalesce((SELECT points FROM account WHERE account = 'expired'), 0) AS expired,
       coalesce((SELECT points FROM account WHERE account = 'reversed'), 0) AS reversed,
       coalesce((SELECT points FROM account WHERE account = 'pending'), 0) AS pending,
       coalesce((SELECT points FROM account WHERE account = 'available'), 0) AS available,
       coalesce((SELECT points FROM account WHERE account = 'held'), 0) AS held,
       coalesce((SELECT -points FROM account WHERE account = 'owed'), 0) AS owed
"""


async def read(connection: Connection, as_of: date | None = None) -> Totals:
    """The totals of everything booked on or before a business date (None: everything)."""
    row = await connection.fetchrow(_FOLD, as_of)
    assert row is not None
    return Totals(as_of=as_of, outstanding=row["pending"] + row["available"] + row["held"], **dict(row))
