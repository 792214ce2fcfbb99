"""Reads of one member's points: the wallet as of a day, and its history."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from app.core.actors import Actor, Reach
from app.core.db import Connection
from app.points.ledger import Kind


class OpenLot(NamedTuple):
    """A lot that still has points somewhere."""

    pending: int
    available: int
    held: int
    spendable_from: date
    expires_on: date
    is_extendable: bool = False


class Expiry(NamedTuple):
    """Points that lapse after a day; those that each earning keeps alive (`is_extendable`) at the earliest."""

    expires_on: date
    points: int
    is_extendable: bool = False


class Wallet(NamedTuple):
    """A member's points on a day. `next_expiries`: the soonest three days on which available points end."""

    available: int
    pending: int
    held: int
    owed: int
    next_expiries: list[Expiry]


async def wallet(connection: Connection, member_id: UUID, today: date) -> Wallet | None:
    """A member's points today, whether or not the sweep has been by; None without a wallet."""
    rows = await connection.fetch(
        """SELECT b.owed, l.pending, l.available, l.held, l.spendable_from,
                  CASE WHEN l.activity_months IS NULL OR l.expires_on >= $2 THEN l.expires_on
                       ELSE ledger.active_until(l.member_id, l.expires_on, l.activity_months) END,
                  l.activity_months IS NOT NULL
             FROM ledger.member_balance b LEFT JOIN ledger.lot l ON l.member_id = b.member_id
                   AND l.pending + l.available + l.held > 0
            WHERE b.member_id = $1 ORDER BY l.spendable_from, l.lot_no""",
        member_id,
        today,
    )
    if not rows:
        return None
    lots = [OpenLot(*lot) for _, *lot in rows if lot[0] is not None]
    return as_of(today, rows[0]["owed"], lots)


def as_of(today: date, owed: int, lots: Iterable[OpenLot]) -> Wallet:
    """What the sweep would leave on a day: the matured repays first and is spendable, the lapsed is gone.

    Args:
        lots: in the order in which they mature.
    """
    pending = held = 0
    spendable: dict[tuple[date, bool], int] = defaultdict(int)
    for lot in lots:
        held += lot.held
        matured = lot.pending if lot.spendable_from <= today else 0
        pending += lot.pending - matured
        repaid = min(owed, matured)
        owed -= repaid
        if lot.expires_on >= today:
            spendable[lot.expires_on, lot.is_extendable] += lot.available + matured - repaid
    expiries = [Expiry(day, points, extendable) for (day, extendable), points in sorted(spendable.items()) if points]
    return Wallet(sum(spendable.values()), pending, held, owed, expiries[:3])


@dataclass(frozen=True, slots=True)
class Entry:
    """A posting in a member's history, with the balances (points) it left."""

    posting_no: int
    kind: Kind
    points: int
    cause: str
    place: str
    reason: str | None
    booked_on: date
    period: date
    posted_at: datetime
    resolves: int | None
    available: int
    pending: int
    held: int
    owed: int


_ENTRY = (
    "SELECT posting_no, kind, points, cause, place, reason, booked_on, period, posted_at, resolves,"
    " available, pending, held, owed FROM ledger.posting WHERE member_id = $1 AND "
)


async def history(connection: Connection, member_id: UUID, *, before: int | None, limit: int) -> list[Entry]:
    """A member's postings, newest first, from before a posting number."""
    rows = await connection.fetch(
        _ENTRY + "posting_no < coalesce($2, 9223372036854775807) ORDER BY posting_no DESC LIMIT $3",
        member_id,
        before,
        limit,
    )
    return [_entry(row) for row in rows]


async def entry(connection: Connection, member_id: UUID, posting_no: int) -> Entry | None:
    """One posting of a member."""
    row = await connection.fetchrow(_ENTRY + "posting_no = $2", member_id, posting_no)
    return _entry(row) if row is not None else None


def _entry(row: Iterable[object]) -> Entry:
    posting_no, kind, *rest = row
    return Entry(posting_no, Kind(kind), *rest)  # type: ignore[arg-type]


class Line(NamedTuple):
    """One move of points within a posting: `from_bucket` loses, `to_bucket` gains."""

    lot_no: int | None
    from_bucket: str
    to_bucket: str
    funder: str
    points: int


async def lines(connection: Connection, member_id: UUID, of: Entry) -> list[Line]:
    """The moves of a posting."""
    rows = await connection.fetch(
        """SELECT lot_no, from_bucket::text, to_bucket::text, funder, points FROM ledger.movement
            WHERE member_id = $1 AND posting_no = $2 AND period = $3 ORDER BY line""",
        member_id,
        of.posting_no,
        of.period,
    )
    return [Line(*row) for row in rows]


async def live_earning(connection: Connection, cause: str) -> tuple[UUID, int] | None:
    """The member and posting number of a cause's earning, unless it was reversed."""
    row = await connection.fetchrow(
        "SELECT member_id, posting_no FROM ledger.lot WHERE document = $1 AND is_live", cause
    )
    return (row["member_id"], row["posting_no"]) if row else None


_HAPPENED_WITHIN = """
SELECT EXISTS (SELECT FROM ledger.posting WHERE member_id = $1 AND posting_no = $2
    AND (place = ANY ($3::text[]) OR place IN (SELECT code FROM dealer WHERE region_code = $4)))
"""


async def is_reached(connection: Connection, actor: Actor, member_id: UUID, posting_no: int) -> bool:
    """Whether a posting is the actor's to touch: who is bound to dealers or a region has what happened there."""
    if actor.reach is Reach.ALL:
        return True
    own = (sorted(actor.dealers), actor.region_code)
    return bool(await connection.fetchval(_HAPPENED_WITHIN, member_id, posting_no, *own))
