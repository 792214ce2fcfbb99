"""The SQL of repair orders: raw asyncpg, a chunk at a time."""

from collections.abc import Sequence
from datetime import date, datetime
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

import asyncpg

from app.points.ledger import BatchEarning
from app.visits.rules import Order

DOCUMENT = "repair_order"


def cause(dealer_code: str, order_no: str) -> str:
    """The order as the ledger names it."""
    return f"{DOCUMENT}:{dealer_code}:{order_no}"


class Owner(NamedTuple):
    """A stretch of ownership by a member who may earn."""

    member_id: UUID
    since: date
    until: date | None


class Known(NamedTuple):
    """The newest revision of an order that was accepted before, and whether it still stands."""

    order: Order
    revision: int
    stands: bool


async def owners(connection: asyncpg.Connection, vins: Sequence[str]) -> dict[str, list[Owner]]:
    """The active members who own or owned these vehicles; a known vehicle without one has an empty list."""
    rows = await connection.fetch(
        """SELECT v.vin, m.id, o.since, o.until FROM vehicle v
             LEFT JOIN ownership o ON o.vin = v.vin LEFT JOIN member m ON m.id = o.member_id AND m.status = 'active'
            WHERE v.vin = ANY ($1)""",
        vins,
    )
    by_vin: dict[str, list[Owner]] = {}
    for vin, member_id, since, until in rows:
        stretches = by_vin.setdefault(vin, [])
        if member_id is not None:
            stretches.append(Owner(member_id, since, until))
    return by_vin


async def known_orders(connection: asyncpg.Connection, documents: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
    """The accepted orders among these documents. One whose earning was reversed stands no longer."""
    rows = await connection.fetch(
        """SELECT DISTINCT ON (o.dealer_code, o.order_no) o.*, o.points = 0 OR EXISTS (
                    SELECT FROM ledger.lot l
                     WHERE l.document = $3 || ':' || o.dealer_code || ':' || o.order_no AND l.is_live) AS stands
             FROM unnest($1::text[], $2::text[]) AS d (dealer_code, order_no)
             JOIN repair_order o ON o.dealer_code = d.dealer_code AND o.order_no = d.order_no
            ORDER BY o.dealer_code, o.order_no, o.revision DESC""",
        [dealer for dealer, _ in documents], [number for _, number in documents], DOCUMENT,
    )  # fmt: skip
    return {
        (row["dealer_code"], row["order_no"]): Known(
            Order(*(row[field] for field in Order._fields)), row["revision"], row["stands"]
        )
        for row in rows
    }


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
