"""The SQL of repair orders: raw asyncpg, a chunk at a time."""

from collections.abc import Sequence
from datetime import date, datetime
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from app.core.actors import Actor
from app.core.db import Connection
from app.core.problems import NotFound
from app.core.tabular import Rejection
from app.points.ledger import BatchEarning
from app.visits.rules import Order

DOCUMENT = "repair_order"


def cause(dealer_code: str, order_no: str) -> str:
    """The order as the ledger names it."""
    return f"{DOCUMENT}:{dealer_code}:{order_no}"


class Owner(NamedTuple):
    """A stretch of ownership; only an active member earns."""

    member_id: UUID
    is_active: bool
    since: date
    until: date | None


class Known(NamedTuple):
    """The newest revision of an order that was accepted before, whether it still stands, and all its revisions."""

    order: Order
    revision: int
    stands: bool
    revisions: tuple[Order, ...]


async def owners(connection: asyncpg.Connection, vins: Sequence[str]) -> dict[str, list[Owner]]:
    """Who owns or owned these vehicles, oldest first; a known vehicle that nobody did has an empty list."""
    rows = await connection.fetch(
        """SELECT v.vin, m.id, m.status = 'active', o.since, o.until FROM vehicle v
             LEFT JOIN ownership o ON o.vin = v.vin LEFT JOIN member m ON m.id = o.member_id
            WHERE v.vin = ANY ($1) ORDER BY o.since, o.id""",
        vins,
    )
    by_vin: dict[str, list[Owner]] = {}
    for vin, *stretch in rows:
        stretches = by_vin.setdefault(vin, [])
        if stretch[0] is not None:
            stretches.append(Owner(*stretch))
    return by_vin


async def known_orders(connection: Connection, documents: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
    """The accepted orders among these documents. One that was cancelled, or its earning reversed, stands no longer."""
    rows = await connection.fetch(
        """SELECT DISTINCT o.*, o.cancelled_at IS NULL AND (o.points = 0 OR EXISTS (
                    SELECT FROM ledger.lot l
                     WHERE l.document = $3 || ':' || o.dealer_code || ':' || o.order_no AND l.is_live)) AS stands
             FROM unnest($1::text[], $2::text[]) AS d (dealer_code, order_no)
             JOIN repair_order o ON o.dealer_code = d.dealer_code AND o.order_no = d.order_no
            ORDER BY o.dealer_code, o.order_no, o.revision""",
        [dealer for dealer, _ in documents], [number for _, number in documents], DOCUMENT,
    )  # fmt: skip
    known: dict[tuple[str, str], Known] = {}
    for row in rows:
        order = Order(*(row[field] for field in Order._fields))
        earlier = known.get(order[:2])
        revisions = (*earlier.revisions, order) if earlier else (order,)
        known[order[:2]] = Known(order, row["revision"], row["stands"], revisions)
    return known


class Accepted(NamedTuple):
    """An order as it enters the books, and what it earns, if anything."""

    order: Order
    revision: int
    member_id: UUID | None
    earning: BatchEarning | None


async def insert_orders(connection: asyncpg.Connection, accepted: Sequence[Accepted], now: datetime) -> None:
    """Add orders; raises UniqueViolationError when another import was first."""
    await connection.copy_records_to_table(
        "repair_order",
        # in key order, so that two imports of one file wait for each other instead of locking crosswise
        records=[
            (*order, revision, member_id, earning.points if earning else 0, now)
            for order, revision, member_id, earning in sorted(accepted, key=itemgetter(0))
        ],
        columns=[*Order._fields, "revision", "member_id", "points", "received_at"],
    )


async def mark_cancelled(connection: asyncpg.Connection, dealer_code: str, order_no: str, now: datetime) -> bool:
    """Mark the newest revision cancelled; false when it was before.

    Raises:
        NotFound: there is no such order.
    """
    row = await connection.fetchrow(
        """SELECT revision, cancelled_at FROM repair_order WHERE dealer_code = $1 AND order_no = $2
            ORDER BY revision DESC LIMIT 1 FOR UPDATE""",
        dealer_code, order_no,
    )  # fmt: skip
    if row is None:
        raise NotFound("repair order")
    if row["cancelled_at"] is not None:
        return False
    await connection.execute(
        "UPDATE repair_order SET cancelled_at = $4 WHERE dealer_code = $1 AND order_no = $2 AND revision = $3",
        dealer_code, order_no, row["revision"], now,
    )  # fmt: skip
    return True


async def newest(connection: Connection, actor: Actor, dealer_code: str, order_no: str) -> asyncpg.Record:
    """An order's newest revision.

    Raises:
        NotFound: there is no such order, or it is not the actor's to see.
    """
    row = await connection.fetchrow(
        """SELECT * FROM repair_order
            WHERE dealer_code = $1 AND order_no = $2 AND ($3 = 'all' OR dealer_code = $4
                   OR dealer_code IN (SELECT code FROM dealer WHERE region_code = $5))
            ORDER BY revision DESC LIMIT 1""",
        dealer_code, order_no, actor.role.reach, actor.dealer_code, actor.region_code,
    )  # fmt: skip
    if row is None:
        raise NotFound("repair order")
    return row


async def page(
    connection: Connection,
    actor: Actor,
    *,
    dealer_code: str | None,
    vin: str | None,
    after: tuple[str | int, ...] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Orders by dealer and number, all revisions, after a position."""
    rows = await connection.fetch(
        """SELECT * FROM repair_order
            WHERE ($1::text IS NULL OR dealer_code = $1) AND ($2::text IS NULL OR vin = $2)
              AND ($3::text IS NULL OR (dealer_code, order_no, revision) > ($3, $4, $5::bigint))
              AND ($7 = 'all' OR dealer_code = $8 OR dealer_code IN (SELECT code FROM dealer WHERE region_code = $9))
            ORDER BY dealer_code, order_no, revision LIMIT $6""",
        dealer_code, vin, *(after or (None,) * 3), limit, actor.role.reach,
        actor.dealer_code, actor.region_code,
    )  # fmt: skip
    return [dict(row) for row in rows]


async def job(connection: Connection, job_id: UUID, owner: str | None) -> asyncpg.Record:
    """An import, of this owner unless None.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    row = await connection.fetchrow(
        "SELECT * FROM import_job WHERE id = $1 AND ($2::text IS NULL OR owner = $2)", job_id, owner
    )
    if row is None:
        raise NotFound("import")
    return row


async def rejections(connection: Connection, job_id: UUID) -> list[Rejection]:
    """An import's refused rows, by line."""
    rows = await connection.fetch(
        "SELECT line, reason, row FROM import_rejection WHERE job_id = $1 ORDER BY line", job_id
    )
    return [Rejection(*row) for row in rows]
