"""The SQL of repair orders: raw asyncpg a chunk at a time, sessions to read; and who may see which."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor
from app.core.db import FEW, Connection, copy_apart, insert_rows
from app.core.problems import NotFound
from app.core.tabular import Rejection, Row
from app.members.models import Ownership
from app.visits.models import RepairOrder
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


async def owners(connection: asyncpg.Connection, vins: Collection[str]) -> dict[str, list[Owner]]:
    """Who owns or owned these vehicles, oldest first; a known vehicle that nobody did has an empty list."""
    rows = await connection.fetch(
        r"""SELECT v.vin, m.id, m.status = 'active', o.since, o.until
              FROM unnest(string_to_array($1, E'\n')) asked (vin) JOIN vehicle v USING (vin)
                   LEFT JOIN ownership o ON o.vin = v.vin LEFT JOIN member m ON m.id = o.member_id
             ORDER BY o.since, o.id""",
        "\n".join(vins),
    )
    by_vin: dict[str, list[Owner]] = {}
    for vin, *stretch in rows:
        stretches = by_vin.setdefault(vin, [])
        if stretch[0] is not None:
            stretches.append(Owner(*stretch))
    return by_vin


# texts travel joined, since asyncpg looks at each of an array; and each order is looked up by itself, since a plan made
# for thousands at once reads all there are
_KNOWN = r"""
SELECT o.*, o.cancelled_at IS NULL AND (o.points = 0 OR (
         SELECT true FROM ledger.lot l
          WHERE l.document = $3 || ':' || o.dealer_code || ':' || o.order_no AND l.is_live LIMIT 1) IS NOT NULL) stands
  FROM (SELECT DISTINCT dealer_code, order_no
          FROM unnest(string_to_array($1, E'\n'), string_to_array($2, E'\n')) d (dealer_code, order_no)) d,
       LATERAL (SELECT * FROM repair_order o
                 WHERE o.dealer_code = d.dealer_code AND o.order_no = d.order_no OFFSET 0) o
 ORDER BY o.dealer_code, o.order_no, o.revision"""


async def known_orders(connection: Connection, documents: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
    """The accepted orders among these documents. One that was cancelled, or its earning reversed, stands no longer."""
    dealers, numbers = "\n".join(dealer for dealer, _ in documents), "\n".join(number for _, number in documents)
    rows = await connection.fetch(_KNOWN, dealers, numbers, DOCUMENT)
    known: dict[tuple[str, str], Known] = {}
    for row in rows:
        order = Order(*(row[field] for field in Order._fields))
        earlier = known.get(order[:2])
        revisions = (*earlier.revisions, order) if earlier else (order,)
        known[order[:2]] = Known(order, row["revision"], row["stands"], revisions)
    return known


class Accepted(NamedTuple):
    """An order as it enters the books, and whose it is, if an active member's."""

    row: Row
    order: Order
    cause: str
    revision: int
    member_id: UUID | None
    mileage_km: int | None


class Earned(NamedTuple):
    """What an order earned, and the version of the one rule that its row is enough to explain, if it is."""

    points: int = 0
    rule_no: int | None = None


_NOTHING = Earned()


async def insert_orders(
    connection: asyncpg.Connection, accepted: Sequence[Accepted], earned: Mapping[str, Earned], now: datetime
) -> str | None:
    """Add orders, and what each earned by its cause.

    Returns:
        a table of the transaction's own with just these, in their order; None: they are too few for one.

    Raises:
        UniqueViolationError: one of them is known.
    """
    records = [
        (*order, revision, member_id, *earned.get(cause, _NOTHING))
        for _, order, cause, revision, member_id, _ in accepted
    ]
    columns = (*Order._fields, "revision", "member_id", *Earned._fields)
    # in key order, so that two imports of one file wait for each other instead of locking crosswise
    if len(records) <= FEW:
        each = [(*record, now) for record in sorted(records, key=itemgetter(0, 1))]
        await insert_rows(connection, "repair_order", [*columns, "received_at"], each)
        return None
    incoming, names = await copy_apart(connection, "repair_order", columns, records), ", ".join(columns)
    await connection.execute(
        f"""INSERT INTO repair_order ({names}, received_at)
            SELECT {names}, $1 FROM {incoming} ORDER BY dealer_code, order_no""",  # noqa: S608 (names of ours)
        now,
    )
    return incoming


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


async def revisions(connection: asyncpg.Connection, dealer_code: str, order_no: str) -> list[int]:
    """The revisions of an order there are."""
    query = "SELECT revision FROM repair_order WHERE dealer_code = $1 AND order_no = $2"
    return [revision for (revision,) in await connection.fetch(query, dealer_code, order_no)]


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Everyone sees the orders of the dealers it reaches."""
    return dealer_visible_to(actor, col(RepairOrder.dealer_code))


async def newest(session: AsyncSession, actor: Actor, dealer_code: str, order_no: str) -> RepairOrder:
    """An order's newest revision.

    Raises:
        NotFound: there is no such order, or it is not the actor's to see.
    """
    document = (col(RepairOrder.dealer_code) == dealer_code, col(RepairOrder.order_no) == order_no)
    query = select(RepairOrder).where(*document, visible_to(actor)).order_by(col(RepairOrder.revision).desc()).limit(1)
    found = await session.scalar(query)
    if found is None:
        raise NotFound("repair order")
    return found


async def page(
    session: AsyncSession, actor: Actor, *, dealer_code: str | None, vin: str | None,
    after: tuple[str | int, ...] | None, limit: int,
) -> Sequence[RepairOrder]:  # fmt: skip
    """Orders by dealer and number, all revisions, after a position."""
    place = (col(RepairOrder.dealer_code), col(RepairOrder.order_no), col(RepairOrder.revision))
    query = select(RepairOrder).where(visible_to(actor)).order_by(*place).limit(limit)
    if dealer_code is not None:
        query = query.where(col(RepairOrder.dealer_code) == dealer_code)
    if vin is not None:
        query = query.where(col(RepairOrder.vin) == vin)
    if after is not None:
        query = query.where(tuple_(*place) > tuple_(*after))
    return (await session.scalars(query)).all()


async def last_service(session: AsyncSession, vin: str) -> date | None:
    """The day of a car's last maintenance that stands, with any dealer if the session reads all, by its members."""
    # by the owners' index: orders have none by VIN
    owners = select(col(Ownership.member_id)).where(col(Ownership.vin) == vin)
    query = select(func.max(col(RepairOrder.business_date))).where(
        col(RepairOrder.member_id).in_(owners), col(RepairOrder.vin) == vin, col(RepairOrder.kind) == "maintenance",
        col(RepairOrder.cancelled_at).is_(None),
    )  # fmt: skip
    return await session.scalar(query)


async def job(
    connection: Connection, job_id: UUID, owner: str | None = None, dealers: frozenset[str] | None = None,
    kind: str = "orders",
) -> asyncpg.Record:  # fmt: skip
    """An import of a kind, of this owner, for these dealers unless None: who changed dealers leaves theirs behind.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    row = await connection.fetchrow(
        """SELECT * FROM import_job
            WHERE id = $1 AND ($2::text IS NULL OR owner = $2) AND ($3::text[] IS NULL OR only_dealers <@ $3)
              AND kind = $4""",
        job_id, owner, None if dealers is None else sorted(dealers), kind,
    )  # fmt: skip
    if row is None:
        raise NotFound("import")
    return row


async def lock_waiting(connection: asyncpg.Connection, owner: str) -> tuple[int, int]:
    """How many imports of an owner are not worked off, and their bytes; none is added while the transaction lasts."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('imports of ' || $1, 0))", owner)
    row = await connection.fetchrow(
        """SELECT count(*), coalesce(sum(bytes), 0)::bigint FROM import_job
            WHERE owner = $1 AND status IN ('queued', 'running')""",
        owner,
    )
    assert row is not None
    return row[0], row[1]


async def picks_of_running(connection: Connection, queued: int, job_id: UUID) -> int:
    """How often workers have picked a queued import up, if one has begun it before; else 0, at no cost."""
    count: int = await connection.fetchval(
        """SELECT count(*) FROM pgqueuer_log WHERE job_id = $1 AND status = 'picked'
              AND (SELECT status FROM import_job WHERE id = $2) = 'running'""",
        queued, job_id,
    )  # fmt: skip
    return count


async def rejections(connection: Connection, job_id: UUID) -> list[Rejection]:
    """An import's refused rows, by line."""
    rows = await connection.fetch(
        "SELECT line, reason, row FROM import_rejection WHERE job_id = $1 ORDER BY line", job_id
    )
    return [Rejection(*row) for row in rows]
