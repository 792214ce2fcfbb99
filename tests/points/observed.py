"""One member's rows as the state machine sees them, over a connection and an event loop of its own."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import asyncpg

from app.core.db import connect

DUMP = """
SELECT (SELECT string_agg(t::text, '|') FROM ledger.member_balance t WHERE member_id = $1),
       (SELECT string_agg(t::text, '|' ORDER BY lot_no) FROM ledger.lot t WHERE member_id = $1),
       (SELECT string_agg(t::text, '|' ORDER BY posting_no) FROM ledger.hold t WHERE member_id = $1),
       (SELECT string_agg(t::text, '|' ORDER BY posting_no) FROM ledger.debt t WHERE member_id = $1),
       (SELECT string_agg(t::text, '|' ORDER BY posting_no) FROM ledger.posting t WHERE member_id = $1),
       (SELECT string_agg(t::text, '|' ORDER BY posting_no, line) FROM ledger.movement t WHERE member_id = $1)
"""

IDENTITY = """
SELECT coalesce(sum(points) FILTER (WHERE from_bucket = 'issued'), 0)
     - coalesce(sum(points) FILTER (WHERE to_bucket = 'spent'), 0)
     + coalesce(sum(points) FILTER (WHERE from_bucket = 'spent'), 0)
     - coalesce(sum(points) FILTER (WHERE to_bucket = 'expired'), 0)
     - coalesce(sum(points) FILTER (WHERE to_bucket = 'reversed'), 0)
     + coalesce(sum(points) FILTER (WHERE from_bucket = 'reversed'), 0)
  FROM ledger.movement WHERE member_id = $1
"""

REDEEMED = """
SELECT place, funder, sum(CASE WHEN to_bucket = 'spent' THEN points ELSE -points END)::bigint AS points
  FROM ledger.movement WHERE member_id = $1 AND 'spent' IN (from_bucket, to_bucket) GROUP BY place, funder
"""


class Books:
    """One connection as `club_app` with an event loop of its own, for Hypothesis's synchronous rules."""

    def __init__(self, dsn: str) -> None:
        self.runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.db: asyncpg.Connection = self.run(connect(dsn))

    def run(self, work: Awaitable[Any]) -> Any:
        """Wait for it."""
        return self.runner.run(_waited(work))

    def close(self) -> None:
        """Close the connection and the loop."""
        self.run(self.db.close())
        self.runner.close()


async def _waited(work: Awaitable[Any]) -> Any:
    return await work
