"""The car is delivered: the referral is a success, and its points are due. Set-based; raw, in the caller's transaction.

A car is one referral's success, the first registered whose window its delivery falls into. Who was never asked for a
phone number by the feed is found by the VIN that the consultant reported, or by the membership.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from app.core.clock import china_date
from app.core.db import insert_rows, new_id
from app.earning import awards, engine
from app.earning.awards import Event
from app.earning.book import Book
from app.earning.triggers import Trigger
from app.points.ledger import Request
from app.visits.delivered import FEED, award_all

_MATCH = """
WITH cars AS (
  SELECT d.vin, d.dealer_code, d.consultant, d.model, d.delivered_on, d.member_id,
         coalesce(d.phone_index, m.phone_index) AS phone_index
    FROM delivery d LEFT JOIN member m ON m.id = d.member_id
   WHERE d.vin = ANY ($1) AND NOT EXISTS (SELECT FROM referral s WHERE s.vin = d.vin AND s.status = 'delivered')
), matched AS (
  SELECT c.*, r.id, true AS by_vin FROM cars c JOIN referral r ON r.vin = c.vin
   UNION ALL
  SELECT c.*, r.id, false FROM cars c JOIN referral r ON r.phone_index = c.phone_index
), first AS (
  SELECT DISTINCT ON (m.vin) m.* FROM matched m JOIN referral r ON r.id = m.id
   WHERE r.status IN ('open', 'following', 'ordered', 'lapsed') AND m.delivered_on >= r.registered_on
     AND (m.delivered_on <= r.valid_until OR r.status = 'ordered') AND m.member_id IS DISTINCT FROM r.referrer_id
   ORDER BY m.vin, by_vin DESC, r.registered_on, r.id
), chosen AS (
  SELECT DISTINCT ON (f.id) f.*, coalesce(f.model, '') AS told_model,
         EXISTS (SELECT FROM ownership o
                  WHERE o.member_id = f.member_id AND o.vin <> f.vin AND o.since < f.delivered_on) AS has_owned
    FROM first f ORDER BY f.id, f.delivered_on, f.vin
)
UPDATE referral r
   SET status = 'delivered', vin = c.vin, delivered_on = c.delivered_on, buyer_id = c.member_id,
       is_repurchase = c.has_owned, buyer_awarded = false, due_on = NULL, escalated = NULL, ended_on = $2,
       dealer_code = c.dealer_code,
       consultant = CASE WHEN r.dealer_code = c.dealer_code THEN coalesce(r.consultant, c.consultant)
                         ELSE c.consultant END
  FROM chosen c
 WHERE r.id = c.id AND r.status IN ('open', 'following', 'ordered', 'lapsed')
RETURNING r.id, r.referrer_id AS member_id, r.dealer_code, r.delivered_on, r.is_repurchase, c.told_model AS model,
          (SELECT count(*) FROM referral s WHERE s.referrer_id = r.referrer_id AND s.status = 'delivered') AS before,
          (SELECT count(*) FROM referral_step s WHERE s.referral_id = r.id AND s.status = 'delivered') + 1 AS attempt
"""

_BUYERS = """
UPDATE referral r SET buyer_id = d.member_id, buyer_awarded = true
  FROM delivery d
 WHERE d.vin = r.vin AND d.member_id IS NOT NULL AND r.status = 'delivered' AND NOT r.buyer_awarded
   AND ($1::uuid[] IS NULL OR r.id = ANY ($1))
RETURNING r.id, d.member_id, r.dealer_code, r.delivered_on, r.is_repurchase, coalesce(d.model, '') AS model,
          0 AS before,
          (SELECT count(*) FROM referral_step s WHERE s.referral_id = r.id AND s.status = 'delivered') AS attempt
"""

# the referrer's own success is counted with those before it; a buyer who is no member yet earns nothing yet
_OF_A_TIME = """
WITH counted AS (
  SELECT r.*, row_number() OVER (PARTITION BY referrer_id ORDER BY delivered_on, id) - 1 AS before
    FROM referral r WHERE status = 'delivered'
)
SELECT c.id, p.member_id, c.dealer_code, c.delivered_on, c.is_repurchase, coalesce(d.model, '') AS model, p.before,
       1 AS attempt, p.party
  FROM counted c LEFT JOIN delivery d ON d.vin = c.vin
 CROSS JOIN LATERAL (VALUES ('referrer', c.referrer_id, c.before), ('buyer', c.buyer_id, 0))
    AS p (party, member_id, before)
 WHERE c.delivered_on >= $1 AND c.delivered_on < $2 AND p.member_id IS NOT NULL
"""

_CANCEL = """
UPDATE referral SET status = 'cancelled', ended_on = $2 WHERE vin = ANY ($1) AND status = 'delivered' RETURNING id
"""

# cars that came before what leads to them: a membership's phone, a corrected one, a VIN reported
_WAITING = """
WITH waiting AS (
  SELECT phone_index, vin, registered_on FROM referral
   WHERE status IN ('open', 'following', 'ordered', 'lapsed') AND ($1::uuid IS NULL OR id = $1)
)
SELECT vin FROM waiting JOIN delivery USING (vin)
UNION
SELECT d.vin FROM waiting w JOIN delivery d ON d.phone_index = w.phone_index AND d.matched_on IS NULL
 WHERE d.delivered_on >= w.registered_on
UNION
SELECT d.vin FROM waiting w JOIN member m ON m.phone_index = w.phone_index JOIN delivery d ON d.member_id = m.id
 WHERE d.delivered_on >= w.registered_on
"""


class Success(NamedTuple):
    """A party of a success: whose points are due.

    `before` is how many successes the member had, `attempt` how often the referral was one: a sale may be cancelled.
    """

    id: UUID
    member_id: UUID
    dealer_code: str
    delivered_on: date
    is_repurchase: bool
    model: str
    before: int
    attempt: int


async def match(connection: asyncpg.Connection, vins: Sequence[str], now: datetime) -> None:
    """Make these cars' referrals successes, and award who is due."""
    found = [Success(*row) for row in await connection.fetch(_MATCH, vins, china_date(now))]
    if not found:
        return
    await _note(connection, [one.id for one in found], "delivered", FEED, now)
    await _award(connection, _counted(found), "referrer", now)
    await award_buyers(connection, now, [one.id for one in found])


def _counted(found: Sequence[Success]) -> list[Success]:
    """Of a referrer's several cars at once each comes after the one before."""
    seen: Counter[UUID] = Counter()
    counted = []
    for one in found:
        counted.append(one._replace(before=one.before + seen[one.member_id]))
        seen[one.member_id] += 1
    return counted


async def match_waiting(connection: asyncpg.Connection, now: datetime, referral_id: UUID | None = None) -> None:
    """Look for the car of a referral that is without, or of all (None), among those delivered already."""
    vins = [vin for (vin,) in await connection.fetch(_WAITING, referral_id)]
    if vins:
        await match(connection, vins, now)


async def award_buyers(
    connection: asyncpg.Connection, now: datetime, referral_ids: Sequence[UUID] | None = None
) -> None:
    """Award the buyers who are members by now: those of some successes, or of all (None)."""
    rows = await connection.fetch(_BUYERS, referral_ids)
    await _award(connection, [Success(*row) for row in rows], "buyer", now)


async def events_of(connection: asyncpg.Connection, book: Book, begin: date, end: date) -> list[engine.Event]:
    """The successes that stand, from a day to before another: what draft rules are tried on."""
    rows = await connection.fetch(_OF_A_TIME, begin, end)
    return [_event(Success(*one), party).typed(book) for *one, party in rows]


async def cancel(connection: asyncpg.Connection, vins: Sequence[str], now: datetime) -> None:
    """The sales of these cars were cancelled: their successes end, their points are taken back."""
    rows = await connection.fetch(_CANCEL, vins, china_date(now))
    cancelled = [row["id"] for row in rows]
    await _note(connection, cancelled, "cancelled", FEED, now)
    await take_back(connection, cancelled, FEED, now)


async def take_back(connection: asyncpg.Connection, referral_ids: Sequence[UUID], by: str, now: datetime) -> None:
    """Reverse what successes gave, whichever rule gave it.

    Raises:
        WalletClosed: who got the points has left.
    """
    for referral_id in referral_ids:
        for party in ("referrer", "buyer"):
            document = _document(referral_id, party)
            request = Request(by, f"{document}:reversal", now)
            await awards.reverse(connection, document, reason="the sale was cancelled", request=request)


async def _award(connection: asyncpg.Connection, successes: Sequence[Success], party: str, now: datetime) -> None:
    await award_all(connection, [_event(one, party) for one in successes], now)


def _event(one: Success, party: str) -> Event:
    fields = {"party": party, "model": one.model, "is_repurchase": one.is_repurchase, "successes": one.before + 1}
    return Event(
        Trigger.REFERRAL_SUCCESS, _document(one.id, party), one.member_id, one.dealer_code, one.delivered_on, fields,
        one.attempt,
    )  # fmt: skip


def _document(referral_id: UUID, party: str) -> str:
    return f"referral:{referral_id}:{party}"


async def _note(
    connection: asyncpg.Connection, referral_ids: Sequence[UUID], status: str, by: str, now: datetime
) -> None:
    if referral_ids:
        rows = [(new_id(), referral_id, status, by, now) for referral_id in referral_ids]
        await insert_rows(connection, "referral_step", ("id", "referral_id", "status", "actor", "at"), rows)
