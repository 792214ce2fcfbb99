"""How often something happened of late: counters in the database, which all processes share and a restart keeps.

For what a few times too many would give away, such as guessing codes; the edge's counters (`rates`) are for load.
A key is a keyed digest: neither addresses nor subjects are stored.
"""

import math
from datetime import datetime, timedelta
from typing import NamedTuple

from limits import parse

from app.core.db import Connection


class Limit(NamedTuple):
    """So many within a span, which begins with the first of them."""

    most: int
    span: timedelta

    @classmethod
    def of(cls, rate: str) -> "Limit":
        """Of a setting such as 20/hour."""
        item = parse(rate)
        return cls(item.amount, timedelta(seconds=item.get_expiry()))


class Window(NamedTuple):
    """How many were counted in the present span, and when it ends; `has_room` is false when this one was one too many.

    What is refused is not counted.
    """

    counted: int
    ends_at: datetime
    has_room: bool

    def seconds_left(self, now: datetime) -> int:
        """Until it ends."""
        return max(1, math.ceil((self.ends_at - now).total_seconds()))


_COUNT = """
INSERT INTO tally AS t (key, count, ends_at) VALUES ($1, 1, $2)
ON CONFLICT (key) DO UPDATE
   SET count = CASE WHEN t.ends_at > $3 THEN t.count + 1 ELSE 1 END,
       ends_at = CASE WHEN t.ends_at > $3 THEN t.ends_at ELSE excluded.ends_at END
 WHERE t.ends_at <= $3 OR t.count < $4
RETURNING count, ends_at
"""
_READ = "SELECT count, ends_at FROM tally WHERE key = $1 AND ends_at > $2"
_TAKE_BACK = "UPDATE tally SET count = count - 1 WHERE key = $1 AND ends_at > $2 AND count > 0"


async def count(db: Connection, limit: Limit, key: bytes, now: datetime) -> Window:
    """Count one, if there is room for it."""
    row = await db.fetchrow(_COUNT, key, now + limit.span, now, limit.most)
    if row is None:
        return await look(db, limit, key, now)
    return Window(row["count"], row["ends_at"], True)


async def look(db: Connection, limit: Limit, key: bytes, now: datetime) -> Window:
    """Where a counter stands, without counting."""
    row = await db.fetchrow(_READ, key, now)
    if row is None:
        return Window(0, now + limit.span, True)
    return Window(row["count"], row["ends_at"], row["count"] < limit.most)


async def take_back(db: Connection, key: bytes, now: datetime) -> None:
    """What was counted was nothing to count after all."""
    await db.execute(_TAKE_BACK, key, now)


async def forget(db: Connection, now: datetime) -> None:
    """Delete the counters whose span has ended."""
    await db.execute("DELETE FROM tally WHERE ends_at <= $1", now)
