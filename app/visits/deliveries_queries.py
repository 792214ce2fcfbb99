"""The SQL of deliveries, and the one condition on which an actor may see."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import ColumnElement, and_, or_, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor, Role
from app.core.db import Connection, insert_rows, new_id
from app.core.vault import Vault
from app.visits.deliveries_models import MISS, Delivery
from app.visits.deliveries_rules import Delivered


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """A dealer's deliveries are its staff's and its region's to see; a sales consultant sees those under their name."""
    reached = dealer_visible_to(actor, col(Delivery.dealer_code))
    if actor.role is Role.SALES_CONSULTANT:
        return and_(reached, col(Delivery.consultant) == actor.subject)
    return reached


async def delivery(session: AsyncSession, actor: Actor, delivery_id: UUID, *, locked: bool = False) -> Delivery | None:
    """One delivery, if the actor may see it; `locked` for change."""
    query = select(Delivery).where(col(Delivery.id) == delivery_id, visible_to(actor))
    if locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


async def by_vin(session: AsyncSession, actor: Actor, vin: str) -> Delivery | None:
    """The delivery of a car, if the actor may see it."""
    return await session.scalar(select(Delivery).where(col(Delivery.vin) == vin, visible_to(actor)))


class Position(NamedTuple):
    """A place in a list that is ordered by day."""

    delivered_on: date
    id: UUID


async def page(
    session: AsyncSession, actor: Actor, *conditions: ColumnElement[bool], after: Position | None, limit: int
) -> Sequence[Delivery]:
    """The deliveries an actor may see that meet the conditions, oldest first, from after a position."""
    place = tuple_(col(Delivery.delivered_on), col(Delivery.id))
    query = select(Delivery).where(visible_to(actor), *conditions).order_by(place).limit(limit)
    if after is not None:
        query = query.where(place > tuple_(*after))
    return (await session.scalars(query)).all()


def is_miss(*, closed: bool) -> ColumnElement[bool]:
    """Individual owners' cars without a membership: those still open, or those closed with a reason."""
    unmatched = and_(col(Delivery.owner_kind) == "individual", col(Delivery.matched_on).is_(None))
    return and_(unmatched, col(Delivery.closed_at).is_not(None) if closed else col(Delivery.closed_at).is_(None))


async def rematch(session: AsyncSession, vin: str) -> None:
    """Look for the membership of a delivery that was changed."""
    await session.execute(text("SELECT match_deliveries(ARRAY[:vin])"), {"vin": vin})


async def forget_contacts(session: AsyncSession, before: datetime) -> None:
    """Drop who the owners were that never joined; that they did not stays a figure."""
    told = or_(
        col(Delivery.owner_name).is_not(None), col(Delivery.phone).is_not(None), col(Delivery.miss_note).is_not(None)
    )
    await session.execute(
        update(Delivery)
        .where(col(Delivery.owner_kind) == "individual", col(Delivery.received_at) < before, told)
        .values(owner_name=None, phone=None, phone_index=None, miss_note=None)
        .execution_options(synchronize_session=False)
    )


# --- batches ---


class Known(NamedTuple):
    """A delivery as it was taken in; None where it told nothing, or what it told is kept no longer."""

    dealer_code: str
    delivered_on: date
    owner_kind: str
    owner_name: str | None
    phone_index: bytes | None


async def known(connection: asyncpg.Connection, vins: Sequence[str]) -> dict[str, Known]:
    """Which of these cars were delivered, by VIN."""
    rows = await connection.fetch(
        "SELECT vin, dealer_code, delivered_on, owner_kind, owner_name, phone_index FROM delivery WHERE vin = ANY ($1)",
        vins,
    )
    return {vin: Known(*rest) for vin, *rest in rows}


class Sale(NamedTuple):
    """A car's delivery, told from its next one."""

    vin: str
    dealer_code: str
    delivered_on: date


def sale(delivered: Delivered) -> Sale:
    """Which sale a delivery is of."""
    return Sale(delivered.vin, delivered.dealer_code, delivered.delivered_on)


async def cancelled(connection: asyncpg.Connection, vins: Sequence[str]) -> frozenset[Sale]:
    """Which sales of these cars were cancelled."""
    query = "SELECT vin, dealer_code, delivered_on FROM cancelled_delivery WHERE vin = ANY ($1)"
    return frozenset(Sale(*row) for row in await connection.fetch(query, vins))


_COLUMNS = (
    "vin", "id", "dealer_code", "delivered_on", "owner_kind", "owner_name", "phone", "phone_index", "consultant",
    "model", "received_at", "version",
)  # fmt: skip


async def insert(connection: asyncpg.Connection, vault: Vault, deliveries: Iterable[Delivered], now: datetime) -> None:
    """Write deliveries, and match them."""
    rows = [_row(vault, delivered, now) for delivered in deliveries]
    if rows:
        await insert_rows(connection, "delivery", _COLUMNS, rows)
        await match(connection, [row[0] for row in rows])


def _row(vault: Vault, d: Delivered, now: datetime) -> tuple[object, ...]:
    sealed = (vault.seal(d.phone), vault.index(d.phone)) if d.phone else (None, None)
    return (
        d.vin, new_id(), d.dealer_code, d.delivered_on, d.owner_kind.value, d.owner_name, *sealed, d.consultant,
        d.model, now, 1,
    )  # fmt: skip


async def match(connection: Connection, vins: Sequence[object]) -> None:
    """Look for these cars' memberships."""
    await connection.execute("SELECT match_deliveries($1)", vins)


async def match_open(connection: Connection) -> None:
    """Look for the memberships of all open misses: for numbers that were under two data keys when the owner joined."""
    await connection.execute(
        f"SELECT match_deliveries(array_agg(vin)) FROM delivery WHERE {MISS} AND phone_index IS NOT NULL"  # noqa: S608
    )
