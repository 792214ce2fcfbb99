"""A tier when two memberships become one: the higher of both goes on, until its own last day."""

from datetime import date
from uuid import UUID

import asyncpg
import orjson

from app.earning.tiers import put, take
from app.members.merging import Mover

_HIGHER = """
SELECT s.tier_code, s.since, s.held_until, t.tier_code AS before, t.since AS before_since, t.held_until AS before_until,
       t.member_id IS NULL OR own.threshold < theirs.threshold AS is_higher
  FROM member_tier s JOIN tier theirs ON theirs.code = s.tier_code
  LEFT JOIN member_tier t ON t.member_id = $2 LEFT JOIN tier own ON own.code = t.tier_code
 WHERE s.member_id = $1"""
_NOTE = """
INSERT INTO tier_change (member_id, kind, from_tier, to_tier, day, held_until, at, by)
VALUES ($1, $2, $3, $4, (now() AT TIME ZONE 'Asia/Shanghai')::date, $5, now(), 'system')"""


async def _move(connection: asyncpg.Connection, source: UUID, target: UUID) -> list[str]:
    held = await connection.fetchrow(_HIGHER, source, target)
    if held is None:
        return []
    await _end(connection, source, "merged")
    if held["is_higher"]:
        await _begin(connection, target, "merged", held["tier_code"], held["since"], held["held_until"])
    return [orjson.dumps(dict(held)).decode()]


async def _restore(connection: asyncpg.Connection, source: UUID, target: UUID, moved: list[str]) -> None:
    held = orjson.loads(moved[0])
    since, until = date.fromisoformat(held["since"]), date.fromisoformat(held["held_until"])
    await _begin(connection, source, "parted", held["tier_code"], since, until)
    still = "SELECT tier_code = $2 AND since = $3 AND held_until = $4 FROM member_tier WHERE member_id = $1"
    # what has moved since then stays
    if held["is_higher"] and await connection.fetchval(still, target, held["tier_code"], since, until):
        if held["before"] is None:
            await _end(connection, target, "parted")
        else:
            days = (date.fromisoformat(held[f"before_{name}"]) for name in ("since", "until"))
            await _begin(connection, target, "parted", held["before"], *days)


async def _begin(
    connection: asyncpg.Connection, member_id: UUID, kind: str, tier: str, since: date, until: date
) -> None:
    before = await put(connection, member_id, tier, since, until)
    await connection.execute(_NOTE, member_id, kind, before, tier, until)


async def _end(connection: asyncpg.Connection, member_id: UUID, kind: str) -> None:
    await connection.execute(_NOTE, member_id, kind, await take(connection, member_id), None, None)


MOVER = Mover("tier", _move, _restore)
