"""Tiers (等级): up at once when enough is counted, down when a period ends with too little. Source: docs/tiers.md.

What is counted are rows of the last months that stand: awards here, repair orders as visits registers them. All moves
are set-based and leave a `tier_change`. Nothing is asked of the database for tiers while no programme is active but
whether one is.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple, Self
from uuid import UUID

import asyncpg

from app.core.clock import add_months, china_date, month_end, month_of
from app.core.db import Connection, Database
from app.earning.tiers_models import Measure

log = logging.getLogger("club.tiers")

_CHUNK = 10_000
_FIRST = UUID(int=0)

_MEASURES = {
    Measure.STATUS_POINTS: """
SELECT p.member_id, a.status_points AS amount FROM person p JOIN award a ON a.member_id = p.id
 WHERE a.booked_on > p.since AND a.booked_on <= p.until AND a.reversed_at IS NULL""",
}


def register(measure: Measure, query: str) -> None:
    """Make known how something is counted: (member_id, amount) of each `person` (id, member_id), of the days after
    its `since` to its `until`; through wiring."""
    assert measure not in _MEASURES, f"{measure} is counted already"
    _MEASURES[measure] = query


class Programme(NamedTuple):
    """The active programme."""

    measure: Measure
    window_months: int
    period_months: int
    warn_days: int

    @classmethod
    async def active(cls, connection: Connection) -> Self | None:
        """The programme, if it is active."""
        row = await connection.fetchrow(f"SELECT {', '.join(cls._fields)} FROM tier_programme WHERE is_active")  # noqa: S608
        return None if row is None else cls(Measure(row[0]), *row[1:])

    def held_until(self, day: date) -> date:
        """The last day of a tier that is won on a day."""
        return month_end(add_months(month_of(day), self.period_months))


# $1 whom, $2 months of the window; who was merged into a member counts for it
_COUNTED = """
WITH wanted AS ({wanted}),
person AS (
  SELECT w.member_id AS id, w.member_id, w.until, (w.until - make_interval(months => $2))::date AS since FROM wanted w
  UNION ALL
  SELECT m.id, w.member_id, w.until, (w.until - make_interval(months => $2))::date
    FROM wanted w JOIN member m ON m.merged_into = w.member_id),
counted AS (
  SELECT w.member_id, coalesce(sum(c.amount), 0)::bigint AS amount
    FROM wanted w LEFT JOIN ({measure}) c USING (member_id) GROUP BY w.member_id)"""

_AMOUNT = """
SELECT amount FROM counted"""

# the highest tier reached, where it is higher than the one held
_RISE = """,
reached AS (
  SELECT DISTINCT ON (c.member_id) c.member_id, c.amount, t.code
    FROM counted c JOIN tier t ON t.threshold BETWEEN 1 AND c.amount ORDER BY c.member_id, t.threshold DESC),
before AS MATERIALIZED (
  SELECT h.member_id, h.tier_code FROM reached r JOIN member_tier h USING (member_id)
   WHERE (SELECT threshold FROM tier WHERE code = h.tier_code) < (SELECT threshold FROM tier WHERE code = r.code)
   ORDER BY h.member_id FOR UPDATE OF h),
risen AS (
  INSERT INTO member_tier AS held (member_id, tier_code, since, held_until)
  SELECT member_id, code, $3, $4 FROM reached LEFT JOIN before USING (member_id) ORDER BY member_id
  ON CONFLICT (member_id) DO UPDATE
     SET tier_code = excluded.tier_code, since = excluded.since, held_until = excluded.held_until, warned_on = NULL
   WHERE (SELECT threshold FROM tier WHERE code = held.tier_code)
       < (SELECT threshold FROM tier WHERE code = excluded.tier_code)
  RETURNING member_id, tier_code)
INSERT INTO tier_change (member_id, kind, from_tier, to_tier, amount, day, held_until, at, by)
SELECT member_id, 'risen', before.tier_code, risen.tier_code, amount, $3, $4, $5, 'system'
  FROM risen JOIN reached USING (member_id) LEFT JOIN before USING (member_id)"""

# locked: who rises meanwhile has another period
_ENDED = """
SELECT member_id, $3::date AS until FROM member_tier
 WHERE member_id = ANY ($1::uuid[]) AND held_until < $3 ORDER BY member_id FOR UPDATE"""
_JUDGE = """,
judged AS (
  SELECT c.member_id, c.amount, h.tier_code AS before,
         (SELECT code FROM tier WHERE threshold BETWEEN 1 AND c.amount ORDER BY threshold DESC LIMIT 1) AS after
    FROM counted c JOIN member_tier h USING (member_id)),
ended AS (
  DELETE FROM member_tier h USING judged j WHERE h.member_id = j.member_id AND j.after IS NULL),
kept AS (
  UPDATE member_tier h SET tier_code = j.after, held_until = $4, warned_on = NULL,
                           since = CASE WHEN j.after = j.before THEN h.since ELSE $3 END
    FROM judged j WHERE h.member_id = j.member_id AND j.after IS NOT NULL)
INSERT INTO tier_change (member_id, kind, from_tier, to_tier, amount, day, held_until, at, by)
SELECT member_id, CASE WHEN after = before THEN 'renewed' ELSE 'fallen' END, before, after, amount, $3,
       CASE WHEN after IS NOT NULL THEN $4::date END, $5, 'system' FROM judged"""

# what will still count on the last day
_ENDING = """
SELECT member_id, held_until AS until FROM member_tier
 WHERE member_id = ANY ($1::uuid[]) AND warned_on IS NULL AND held_until <= $4 FOR UPDATE"""
_WARN = """,
short AS (
  SELECT c.member_id, c.amount, h.tier_code, h.held_until
    FROM counted c JOIN member_tier h USING (member_id) JOIN tier t ON t.code = h.tier_code
   WHERE c.amount < t.threshold),
told AS (UPDATE member_tier h SET warned_on = $3 FROM short s WHERE h.member_id = s.member_id)
INSERT INTO tier_change (member_id, kind, from_tier, to_tier, amount, day, held_until, at, by)
SELECT member_id, 'warned', tier_code, tier_code, amount, $3, held_until, $5, 'system' FROM short"""

_GIVEN = "SELECT member_id, $3::date AS until FROM unnest($1::uuid[]) AS given (member_id)"


def _statement(programme: Programme, wanted: str, rest: str) -> str:
    return _COUNTED.format(wanted=wanted, measure=_MEASURES[programme.measure]) + rest


async def amount(connection: asyncpg.Connection, programme: Programme, member_id: UUID, until: date) -> int:
    """How much of the measure a member has in the window that ends with a day."""
    counted: int = await connection.fetchval(
        _statement(programme, _GIVEN, _AMOUNT), [member_id], programme.window_months, until
    )
    return counted


async def rise(
    connection: asyncpg.Connection, measures: Collection[Measure], member_ids: Collection[UUID], now: datetime
) -> None:
    """Move members up who have enough now, in the transaction in which what is counted was written after its ledger
    postings; nothing, unless tiers are of one of these measures.
    """
    programme = await Programme.active(connection)
    if programme is not None and programme.measure in measures:
        if len(member_ids) == 1:
            await _lock(connection, *member_ids)
        await _rise(connection, programme, list(member_ids), now)


async def _lock(connection: asyncpg.Connection, member_id: UUID) -> None:
    # two that together are enough must not miss each other: without points to spend, no wallet is locked
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 30))", str(member_id))


async def _rise(connection: asyncpg.Connection, programme: Programme, ids: Sequence[UUID], now: datetime) -> int:
    today = china_date(now)
    return _rows(
        await connection.execute(
            _statement(programme, _GIVEN, _RISE),
            ids, programme.window_months, today, programme.held_until(today), now,
        )
    )  # fmt: skip


# --- the night ---


class Moved(NamedTuple):
    """How many members rose, were judged at the end of their period, and were warned."""

    risen: int = 0
    judged: int = 0
    warned: int = 0


async def work(database: Database, *, now: datetime) -> Moved:
    """Judge periods that ended and warn ahead of those that will; move up who was not at once, as after a programme's
    start or a new threshold.
    """
    moved, last = Moved(), _FIRST
    programme = await Programme.active(database.pool)
    while programme is not None and (ids := [row["id"] for row in await database.pool.fetch(_MEMBERS, last, _CHUNK)]):
        async with database.transaction() as connection:
            done = await _judge(connection, programme, ids, now)
        moved, last = Moved(*map(sum, zip(moved, done, strict=True))), ids[-1]
    log.info("%d members rose, %d periods of tiers ended, %d members warned", *moved)
    return moved


_MEMBERS = """
SELECT id FROM member WHERE id > $1 AND status = 'active' AND merged_into IS NULL ORDER BY id LIMIT $2"""


async def _judge(connection: asyncpg.Connection, programme: Programme, ids: Sequence[UUID], now: datetime) -> Moved:
    today = china_date(now)
    risen = await _rise(connection, programme, ids, now)
    # the new period follows on the old one
    held_until = programme.held_until(today - timedelta(days=1))
    judged = await connection.execute(
        _statement(programme, _ENDED, _JUDGE), ids, programme.window_months, today, held_until, now
    )
    horizon = today + timedelta(days=programme.warn_days)
    warned = await connection.execute(
        _statement(programme, _ENDING, _WARN), ids, programme.window_months, today, horizon, now
    )
    return Moved(risen, _rows(judged), _rows(warned))


def _rows(status: str) -> int:
    return int(status.rpartition(" ")[2])


# --- by hand, and in merges ---


_PUT = """
WITH before AS (SELECT tier_code FROM member_tier WHERE member_id = $1 FOR UPDATE), put AS (
  INSERT INTO member_tier (member_id, tier_code, since, held_until) VALUES ($1, $2, $3, $4)
  ON CONFLICT (member_id) DO UPDATE
     SET tier_code = excluded.tier_code, since = excluded.since, held_until = excluded.held_until, warned_on = NULL)
SELECT tier_code FROM before"""


async def put(
    connection: asyncpg.Connection, member_id: UUID, tier_code: str, since: date, held_until: date
) -> str | None:
    """Let a member hold a tier; the one held before. The step is the caller's to note."""
    before: str | None = await connection.fetchval(_PUT, member_id, tier_code, since, held_until)
    return before


async def take(connection: asyncpg.Connection, member_id: UUID) -> str | None:
    """Let a member hold no tier; the one held before. The step is the caller's to note."""
    before: str | None = await connection.fetchval(
        "DELETE FROM member_tier WHERE member_id = $1 RETURNING tier_code", member_id
    )
    return before


# --- which tier on a day ---


class Tiers(NamedTuple):
    """The tiers that members have had: `turns` are each one's changes in order, from days on; `base` is everybody's."""

    base: str
    turns: Mapping[UUID, Sequence[tuple[date, str | None]]]

    def on(self, member_id: UUID, day: date) -> str:
        """A member's tier on a day, empty for none. Of several in a day, the last."""
        held = [tier for since, tier in self.turns.get(member_id, ()) if since <= day]
        return held[-1] or self.base if held else self.base


NOBODYS = Tiers("", {})
_TURNS = """
SELECT member_id, day, to_tier FROM tier_change
 WHERE member_id = ANY ($1) AND to_tier IS DISTINCT FROM from_tier ORDER BY no"""


async def tiers_of(connection: Connection, member_ids: Collection[UUID]) -> Tiers:
    """The tiers of members, today and on earlier days."""
    active = await connection.fetchrow(
        "SELECT (SELECT code FROM tier WHERE threshold = 0) FROM tier_programme WHERE is_active"
    )
    if active is None:
        return NOBODYS
    turns: dict[UUID, list[tuple[date, str | None]]] = {}
    for member_id, day, tier in await connection.fetch(_TURNS, list(member_ids)):
        turns.setdefault(member_id, []).append((day, tier))
    return Tiers(active[0] or "", turns)
