"""The SQL of vehicles, mileages and claims, and the conditions on which of them an actor may see."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import ColumnElement, Select, and_, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor, Reach
from app.core.db import new_id, raw
from app.members.models import Application, Member, Ownership, Vehicle
from app.members.queries import applications_visible_to
from app.members.queries import visible_to as member_visible_to
from app.members.vehicle_models import Mileage, ServiceInterval, VehicleClaim
from app.members.vehicle_rules import ClaimStatus, Read, drops

# --- vehicles ---


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """A car is seen by those who see its owner of the day; headquarters and programs see all."""
    if actor.reach is Reach.ALL:
        return true()
    return col(Vehicle.vin).in_(_owned_vins(actor))


def _owned_vins(actor: Actor) -> Select[str]:
    owned = select(col(Ownership.vin)).join(Member, col(Member.id) == col(Ownership.member_id))
    return owned.where(col(Ownership.until).is_(None), member_visible_to(actor))


async def vehicle(session: AsyncSession, actor: Actor, vehicle_id: UUID, *, locked: bool = False) -> Vehicle | None:
    """One car, if the actor may see it; `locked` for change."""
    query = select(Vehicle).where(col(Vehicle.id) == vehicle_id, visible_to(actor))
    if locked:
        query = query.with_for_update(of=Vehicle, key_share=True).execution_options(populate_existing=True)
    return await session.scalar(query)


async def vehicles(session: AsyncSession, actor: Actor, *, vin: str | None, plate: str | None) -> Sequence[Vehicle]:
    """The cars an actor may see that have this VIN, or this plate now; a plate seldom names two."""
    query = select(Vehicle).where(visible_to(actor)).order_by(col(Vehicle.vin)).limit(200)
    if vin is not None:
        query = query.where(col(Vehicle.vin) == vin)
    if plate is not None:
        owned = select(col(Ownership.vin)).where(col(Ownership.plate) == plate, col(Ownership.until).is_(None))
        query = query.where(col(Vehicle.vin).in_(owned))
    return (await session.scalars(query)).all()


async def by_vin(session: AsyncSession, vin: str) -> Vehicle | None:
    """The car of this VIN, whoever asks."""
    return await session.get(Vehicle, vin)


async def owner_now(session: AsyncSession, vin: str, *, locked: bool = False) -> tuple[Ownership, Member] | None:
    """Who owns a car now, of those whom the session reads; `locked` for change."""
    query = (
        select(Ownership, Member)
        .join(Member, col(Member.id) == col(Ownership.member_id))
        .where(col(Ownership.vin) == vin, col(Ownership.until).is_(None))
    )
    if locked:
        query = query.with_for_update(of=Ownership).execution_options(populate_existing=True)
    row = (await session.execute(query)).one_or_none()
    return (row[0], row[1]) if row is not None else None


class Period(NamedTuple):
    """Somebody's time with a car; who it was stays with them."""

    member_id: UUID
    since: date
    until: date | None


_PERIODS = """
SELECT member_id, since, until FROM ownership WHERE vin = $1
UNION ALL SELECT pseudonym, since, until FROM restricted.past_owners(ARRAY[$1])
 ORDER BY since, until NULLS LAST
"""


async def periods(session: AsyncSession, vin: str) -> list[Period]:
    """A car's owners, oldest first, those who were erased as well; of all chapters if the session reads all."""
    return [Period(*row) for row in await (await raw(session)).fetch(_PERIODS, vin)]


class Owned(NamedTuple):
    """A member's time with a car."""

    ownership: Ownership
    vehicle: Vehicle


async def owned_by(session: AsyncSession, member_id: UUID, *, after: UUID | None, limit: int) -> list[Owned]:
    """The cars a member owns or owned, in the order they were noted, from after an id."""
    query = (
        select(Ownership, Vehicle)
        .join(Vehicle, col(Vehicle.vin) == col(Ownership.vin))
        .where(col(Ownership.member_id) == member_id)
        .order_by(col(Ownership.id))
        .limit(limit)
    )
    if after is not None:
        query = query.where(col(Ownership.id) > after)
    return [Owned(ownership, vehicle) for ownership, vehicle in await session.execute(query)]


async def visible_members(session: AsyncSession, actor: Actor, ids: Iterable[UUID]) -> set[UUID]:
    """Those of the members whom an actor may see."""
    query = select(col(Member.id)).where(col(Member.id).in_(set(ids)), member_visible_to(actor))
    return set((await session.scalars(query)).all())


# --- mileage ---


async def readings(
    session: AsyncSession, vin: str, *, after: tuple[date, UUID] | None, limit: int
) -> Sequence[Mileage]:
    """What was read of a car, newest first, from after a day and id."""
    place = (col(Mileage.read_on), col(Mileage.id))
    query = select(Mileage).where(col(Mileage.vin) == vin).order_by(*(part.desc() for part in place)).limit(limit)
    if after is not None:
        day, last = after
        query = query.where(or_(place[0] < day, and_(place[0] == day, place[1] < last)))
    return (await session.scalars(query)).all()


async def reading(session: AsyncSession, vin: str, reading_id: UUID) -> Mileage | None:
    """One reading of a car."""
    return await session.scalar(select(Mileage).where(col(Mileage.id) == reading_id, col(Mileage.vin) == vin))


async def mileage_at(session: AsyncSession, vin: str, day: date) -> Read | None:
    """A car's mileage as last read on a day or before; drops and what was withdrawn do not count."""
    query = (
        select(col(Mileage.read_on), col(Mileage.km))
        .where(
            col(Mileage.vin) == vin, col(Mileage.read_on) <= day, col(Mileage.is_drop).is_(False),
            col(Mileage.withdrawn_at).is_(None),
        )
        .order_by(col(Mileage.km).desc(), col(Mileage.read_on).desc())
        .limit(1)
    )  # fmt: skip
    row = (await session.execute(query)).one_or_none()
    return Read(*row) if row is not None else None


class WorkshopReading(NamedTuple):
    """A car's mileage (km) as a repair order tells it; `document` names the order."""

    vin: str
    km: int
    read_on: date
    document: str


async def note_workshop(
    connection: asyncpg.Connection, readings: Sequence[WorkshopReading], *, actor: str, now: datetime
) -> None:
    """Note what repair orders tell of cars that are known; an order tells it once."""
    vins = sorted({reading.vin for reading in readings})
    # before anything is noted: of two who note at once, the second judges what both have noted
    await connection.execute(_LOCK_CARS, vins)
    await connection.execute(
        """INSERT INTO vehicle_mileage (id, vin, km, read_on, document, source, is_drop, noted_by, noted_at)
           SELECT *, 'workshop', false, $6, $7
             FROM unnest($1::uuid[], $2::text[], $3::int[], $4::date[], $5::text[])
           ON CONFLICT (document) DO NOTHING""",
        [new_id() for _ in readings], *map(list, zip(*readings, strict=True)), actor, now,
    )  # fmt: skip
    await judge(connection, vins)


async def withdraw_workshop(
    connection: asyncpg.Connection, documents: Sequence[str], *, actor: str, now: datetime
) -> None:
    """Take back what repair orders told that are cancelled."""
    vins = await connection.fetch("SELECT vin FROM vehicle_mileage WHERE document = ANY ($1)", documents)
    if not vins:
        return
    await connection.execute(_LOCK_CARS, [vin for (vin,) in vins])
    await connection.execute(
        """UPDATE vehicle_mileage SET withdrawn_at = $2, withdrawn_by = $3
            WHERE document = ANY ($1) AND withdrawn_at IS NULL""",
        documents, now, actor,
    )  # fmt: skip
    await judge(connection, [vin for (vin,) in vins])


_LOCK_CARS = "SELECT FROM vehicle WHERE vin = ANY ($1) ORDER BY vin FOR NO KEY UPDATE"


async def judge(connection: asyncpg.Connection, vins: Sequence[str]) -> None:
    """Flag anew which of these cars' readings are drops; nobody else adds to them until commit."""
    await connection.execute(_LOCK_CARS, vins)
    rows = await connection.fetch(
        "SELECT vin, id, read_on, km, is_drop FROM vehicle_mileage"
        " WHERE vin = ANY ($1) AND withdrawn_at IS NULL ORDER BY vin, noted_at, id",
        vins,
    )
    by_car: dict[str, list[asyncpg.Record]] = {}
    for row in rows:
        by_car.setdefault(row["vin"], []).append(row)
    changed = [
        row["id"]
        for noted in by_car.values()
        for row, is_drop in zip(noted, drops(Read(row["read_on"], row["km"]) for row in noted), strict=True)
        if row["is_drop"] != is_drop
    ]
    await connection.execute("UPDATE vehicle_mileage SET is_drop = NOT is_drop WHERE id = ANY ($1)", changed)


# --- service ---


async def interval_for(session: AsyncSession, model: str | None) -> ServiceInterval | None:
    """The interval of a model, else the general one."""
    query = (
        select(ServiceInterval)
        .where(or_(col(ServiceInterval.model) == model, col(ServiceInterval.model).is_(None)))
        .order_by(col(ServiceInterval.model).nulls_last())
        .limit(1)
    )
    return await session.scalar(query)


async def intervals(session: AsyncSession, *, after: UUID | None, limit: int) -> Sequence[ServiceInterval]:
    """The intervals in the order they were set, from after an id."""
    query = select(ServiceInterval).order_by(col(ServiceInterval.id)).limit(limit)
    return (await session.scalars(query if after is None else query.where(col(ServiceInterval.id) > after))).all()


# --- claims ---


def _claimant_visible_to(actor: Actor) -> ColumnElement[bool]:
    members = select(col(Member.id)).where(member_visible_to(actor))
    applications = select(col(Application.id)).where(applications_visible_to(actor))
    return or_(col(VehicleClaim.claimant_id).in_(members), col(VehicleClaim.application_id).in_(applications))


def _owner_visible_to(actor: Actor) -> ColumnElement[bool]:
    members = select(col(Member.id)).where(member_visible_to(actor))
    is_open = and_(col(VehicleClaim.status) == ClaimStatus.ASKED, col(VehicleClaim.vin).in_(_owned_vins(actor)))
    return or_(col(VehicleClaim.from_member_id).in_(members), is_open)


class Sides(NamedTuple):
    """A claim, and on which sides of it an actor stands."""

    claim: VehicleClaim
    is_claimants: bool
    is_owners: bool


def _claims(actor: Actor) -> Select[VehicleClaim, bool, bool]:
    claimants, owners = _claimant_visible_to(actor), _owner_visible_to(actor)
    if actor.reach is Reach.ALL:
        return select(VehicleClaim, true(), true())
    return select(VehicleClaim, claimants, owners).where(or_(claimants, owners))


async def claims(
    session: AsyncSession, actor: Actor, *, status: ClaimStatus | None, after: UUID | None, limit: int
) -> list[Sides]:
    """The claims an actor may see, oldest first, from after an id; None does not filter."""
    query = _claims(actor).order_by(col(VehicleClaim.id)).limit(limit)
    if status is not None:
        query = query.where(col(VehicleClaim.status) == status)
    if after is not None:
        query = query.where(col(VehicleClaim.id) > after)
    return [Sides(claim, bool(claimants), bool(owners)) for claim, claimants, owners in await session.execute(query)]


async def claims_by(session: AsyncSession, member_id: UUID) -> Sequence[VehicleClaim]:
    """What a member ever claimed, oldest first."""
    query = select(VehicleClaim).where(col(VehicleClaim.claimant_id) == member_id).order_by(col(VehicleClaim.id))
    return (await session.scalars(query)).all()


async def claim(session: AsyncSession, actor: Actor, claim_id: UUID, *, locked: bool = False) -> Sides | None:
    """One claim, if the actor may see it; `locked` for change."""
    query = _claims(actor).where(col(VehicleClaim.id) == claim_id)
    if locked:
        query = query.with_for_update(of=VehicleClaim).execution_options(populate_existing=True)
    row = (await session.execute(query)).one_or_none()
    return Sides(row[0], bool(row[1]), bool(row[2])) if row is not None else None


async def open_claim(
    session: AsyncSession, vin: str, claimant_id: UUID | None, application_id: UUID | None
) -> VehicleClaim | None:
    """The open claim of this car by this claimant."""
    return await session.scalar(
        select(VehicleClaim).where(
            col(VehicleClaim.vin) == vin,
            col(VehicleClaim.claimant_id).is_not_distinct_from(claimant_id),
            col(VehicleClaim.application_id).is_not_distinct_from(application_id),
            col(VehicleClaim.status) == ClaimStatus.ASKED,
        )
    )
