"""The SQL of figures, across domains. Read past row-level security: what a caller sees is `service.visible_to`."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

import asyncpg

from app.core.clock import CHINA
from app.core.db import Connection, new_id
from app.reports.rules import Counts

_FREEZING = 7_330_000_001


class Place(NamedTuple):
    """A dealer's counts; without codes: headquarters' own roll."""

    dealer_code: str | None
    region_code: str | None
    has_chapter: bool
    has_after_sales: bool
    members: int
    applying: int
    owners: int
    new_members: int
    delivered: int
    joined: int

    @property
    def counts(self) -> Counts:
        """As they are summed: owners count where there is a chapter."""
        return Counts(
            members=self.members,
            applying=self.applying,
            owners=self.owners if self.has_chapter else 0,
            chapters=int(self.has_chapter),
            covered=int(self.has_chapter and self.has_after_sales),
            dealers_after_sales=int(self.has_after_sales),
            new_members=self.new_members,
            delivered=self.delivered,
            joined=self.joined,
        )


_COLUMNS = ", ".join(Place._fields)

# $1: the month's first day, $2: the day whose end is looked back from, $3: the moment after it.
# A status stands from its moment on, a place from its day on; who joined is at the first place of all.
# An owner of several cars of a dealer is known as one by the membership or the phone number.
# Memberships merged since are one person's, who joined with the first and counts where it goes on.
_COUNTED = """
WITH merged AS (
  SELECT m.id FROM member m JOIN member o ON o.id = m.merged_into WHERE o.joined_on <= $2
), steps AS (
  SELECT DISTINCT ON (member_id) member_id, to_status FROM member_status_change
   WHERE at < $3 ORDER BY member_id, at DESC, id DESC
), standing AS (
  SELECT p.dealer_code, count(*) AS members
    FROM member m
    JOIN member_place p ON p.member_id = m.id AND p.since <= $2 AND (p.until IS NULL OR p.until > $2)
    LEFT JOIN steps s ON s.member_id = m.id
   WHERE m.joined_on <= $2 AND s.to_status IS DISTINCT FROM 'left' AND m.id NOT IN (SELECT id FROM merged) GROUP BY 1
), first_places AS (
  SELECT DISTINCT ON (m.id) p.dealer_code FROM member m JOIN member_place p ON p.member_id = m.id
   WHERE m.joined_on BETWEEN $1 AND $2 AND NOT EXISTS (
           SELECT FROM member o WHERE (o.id = m.merged_into OR o.merged_into = coalesce(m.merged_into, m.id))
                                  AND (o.joined_on, o.id) < (m.joined_on, m.id))
   ORDER BY m.id, p.since
), joining AS (
  SELECT dealer_code, count(*) AS new_members FROM first_places GROUP BY 1
), applications AS (
  SELECT dealer_code, count(*) AS applying FROM application
   WHERE applied_at < $3 AND (decided_at IS NULL OR decided_at >= $3) GROUP BY 1
), people AS (
  SELECT DISTINCT v.dealer_code, coalesce(m.merged_into::text, member_id::text, encode(v.phone_index, 'hex'), vin)
    FROM delivery v LEFT JOIN member m ON m.id = v.member_id AND m.merged_into IS NOT NULL
   WHERE owner_kind = 'individual' AND delivered_on <= $2
), owning AS (
  SELECT dealer_code, count(*) AS owners FROM people GROUP BY 1
), deliveries AS (
  SELECT dealer_code, count(*) AS delivered, count(*) FILTER (WHERE matched_on <= $2) AS joined FROM delivery
   WHERE owner_kind = 'individual' AND delivered_on BETWEEN $1 AND $2 GROUP BY 1
), chapters AS (
  SELECT dealer_code, opened_on, closed_on FROM chapter
  UNION ALL SELECT dealer_code, opened_on, closed_on FROM former_chapter
), places AS (
  SELECT code AS dealer_code, region_code, has_after_sales FROM dealer UNION ALL SELECT NULL, NULL, false
)
SELECT d.dealer_code, d.region_code, c.dealer_code IS NOT NULL AS has_chapter, d.has_after_sales,
       coalesce(members, 0) AS members, coalesce(applying, 0) AS applying, coalesce(owners, 0) AS owners,
       coalesce(new_members, 0) AS new_members, coalesce(delivered, 0) AS delivered, coalesce(joined, 0) AS joined
  FROM places d
  LEFT JOIN chapters c ON c.dealer_code = d.dealer_code AND c.opened_on <= $2
                      AND (c.closed_on IS NULL OR c.closed_on > $2)
  LEFT JOIN standing s ON s.dealer_code IS NOT DISTINCT FROM d.dealer_code
  LEFT JOIN joining j ON j.dealer_code IS NOT DISTINCT FROM d.dealer_code
  LEFT JOIN applications a ON a.dealer_code = d.dealer_code
  LEFT JOIN owning o ON o.dealer_code = d.dealer_code
  LEFT JOIN deliveries v ON v.dealer_code = d.dealer_code
 ORDER BY d.dealer_code
"""


async def counted(connection: Connection, month: date, day: date) -> list[Place]:
    """Every place as it stood at the end of a day of the month (China), from what is on record now."""
    after = datetime.combine(day + timedelta(days=1), time(), CHINA)
    return [Place(*row) for row in await connection.fetch(_COUNTED, month, day, after)]


class Frozen(NamedTuple):
    """A month's places as they were frozen, and when."""

    at: datetime
    places: list[Place]


async def frozen(connection: Connection, month: date) -> Frozen | None:
    """A frozen month; None: it is not (yet)."""
    query = f"SELECT frozen_at, {_COLUMNS} FROM network_month WHERE month = $1 ORDER BY dealer_code"  # noqa: S608
    rows = await connection.fetch(query, month)
    return Frozen(rows[0]["frozen_at"], [Place(*row[1:]) for row in map(tuple, rows)]) if rows else None


async def lock_freezing(connection: asyncpg.Connection) -> None:
    """Until commit nobody else freezes a month."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _FREEZING)


async def freeze(connection: asyncpg.Connection, month: date, places: Iterable[Place], at: datetime) -> None:
    """Write a month's places, once and for all."""
    marks = ", ".join(f"${number}" for number in range(1, len(Place._fields) + 4))
    await connection.executemany(
        f"INSERT INTO network_month (id, month, frozen_at, {_COLUMNS}) VALUES ({marks})",  # noqa: S608
        [(new_id(), month, at, *place) for place in places],
    )


async def months_to_freeze(connection: Connection, last: date, most: int) -> list[date]:
    """The months up to `last` that are not frozen, oldest first: from the first chapter on, at most so many back."""
    rows = await connection.fetch(
        """SELECT month::date
             FROM (SELECT date_trunc('month', greatest(min(opened_on), $1::date - make_interval(months => $2))) AS first
                     FROM (SELECT opened_on FROM chapter UNION ALL SELECT opened_on FROM former_chapter) c) since,
                  generate_series(since.first, $1::date, '1 month') month
            WHERE NOT EXISTS (SELECT FROM network_month n WHERE n.month = month.month::date) ORDER BY month""",
        last, most - 1,
    )  # fmt: skip
    return [month for (month,) in rows]


async def dealer_names(connection: Connection) -> dict[str, str | None]:
    """What dealers are called, by code."""
    rows = await connection.fetch("SELECT code, name FROM dealer")
    return {code: name for code, name in rows}  # noqa: C416 (records are no tuples)
