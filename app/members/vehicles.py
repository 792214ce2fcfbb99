"""Vehicles' use cases: what is known of a car, its mileage, and when it wants service.

What stays with the car is a `Vehicle`'s, what its owner of the day told is the `Ownership`'s.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import service as audit
from app.audit.models import Action
from app.core.actors import Actor, Reach
from app.core.clock import china_date
from app.core.db import flush_unless, raw, unrestricted
from app.core.editing import edit, require_version
from app.core.problems import Forbidden, InvalidPayload, NotFound
from app.members import vehicle_queries as queries
from app.members.models import Member, Ownership, Vehicle
from app.members.problems import IntervalExists
from app.members.vehicle_models import Mileage, ServiceInterval
from app.members.vehicle_queries import Owned, Period
from app.members.vehicle_rules import Due, Interval, Read, next_service
from app.members.vehicle_schemas import IntervalCreate, IntervalUpdate, MileageCreate, VehicleUpdate
from app.members.visibility import visible_member

LastService = Callable[[AsyncSession, str], Awaitable[date | None]]
"""The day of a car's last service, by VIN; None: none is known."""

_SERVICES: list[LastService] = []
_CARS = frozenset({"model", "warranty_ends_on"})
"""What stays with the car, and is not its owner's to say."""


def register_services(last: LastService) -> None:
    """Make known where services are on record; other domains do so through wiring."""
    _SERVICES.append(last)


class Service(NamedTuple):
    """A car's last service (None: none is known), and when the next is due."""

    last_on: date | None
    due: Due


@dataclass(frozen=True, slots=True)
class Car:
    """A car, whose it is now (None: nobody's), its mileage and its service."""

    vehicle: Vehicle
    ownership: Ownership | None
    owner: Member | None
    mileage: Read | None
    service: Service | None


async def car(session: AsyncSession, actor: Actor, vehicle_id: UUID, *, now: datetime) -> Car:
    """What is known of one car.

    Raises:
        NotFound: there is none, or its owner is not the actor's to see.
    """
    return await _known_of(session, await _visible(session, actor, vehicle_id), china_date(now))


async def found(session: AsyncSession, actor: Actor, *, vin: str | None, plate: str | None, now: datetime) -> list[Car]:
    """The cars an actor may see of this VIN, or of this plate now.

    Raises:
        InvalidPayload: both were asked for, or neither.
    """
    if (vin is None) == (plate is None):
        raise InvalidPayload.at("", "exactly_one", names="vin, plate")
    vehicles = await queries.vehicles(session, actor, vin=vin, plate=plate)
    return [await _known_of(session, vehicle, china_date(now)) for vehicle in vehicles]


async def _visible(session: AsyncSession, actor: Actor, vehicle_id: UUID, *, locked: bool = False) -> Vehicle:
    vehicle = await queries.vehicle(session, actor, vehicle_id, locked=locked)
    if vehicle is None:
        raise NotFound("vehicle")
    return vehicle


async def _known_of(session: AsyncSession, vehicle: Vehicle, today: date) -> Car:
    # a car's past lies with whichever chapters it was
    await unrestricted(session)
    ownership, owner = await queries.owner_now(session, vehicle.vin) or (None, None)
    mileage = await queries.mileage_at(session, vehicle.vin, today)
    return Car(vehicle, ownership, owner, mileage, await _service(session, vehicle, mileage, today))


async def _service(session: AsyncSession, vehicle: Vehicle, mileage: Read | None, today: date) -> Service | None:
    interval = await queries.interval_for(session, vehicle.model)
    last_on = max(filter(None, [await last(session, vehicle.vin) for last in _SERVICES]), default=None)
    begun_on = last_on or await _first_day(session, vehicle.vin)
    if interval is None or begun_on is None:
        return None
    then = await queries.mileage_at(session, vehicle.vin, begun_on) if last_on else None
    last = Read(begun_on, then.km if then else 0)
    return Service(
        last_on, next_service(Interval(interval.months, interval.km), last, mileage.km if mileage else None, today)
    )


async def _first_day(session: AsyncSession, vin: str) -> date | None:
    periods = await queries.periods(session, vin)
    return periods[0].since if periods else None


async def history(session: AsyncSession, actor: Actor, vehicle_id: UUID) -> tuple[list[Period], set[UUID]]:
    """A car's owners, oldest first, and whom of them the actor may see; of the others it is told the time alone.

    Raises:
        NotFound.
    """
    vehicle = await _visible(session, actor, vehicle_id)
    await unrestricted(session)
    periods = await queries.periods(session, vehicle.vin)
    return periods, await queries.visible_members(session, actor, [period.member_id for period in periods])


async def owned(
    session: AsyncSession, actor: Actor, member_id: UUID, *, after: UUID | None, limit: int
) -> tuple[Member, list[Owned]]:
    """A member and the cars it owns or owned, from after an ownership's id.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
    """
    member = await visible_member(session, actor, member_id)
    return member, await queries.owned_by(session, member_id, after=after, limit=limit)


# --- change ---


async def update(
    session: AsyncSession, actor: Actor, vehicle_id: UUID, body: VehicleUpdate, *, version: int, now: datetime
) -> Car:
    """Change what the body names.

    Raises:
        NotFound, PreconditionFailed.
        Forbidden: model and warranty are not its owner's to say.
        InvalidPayload: it was bought in the future, or nobody owns it and something of its owner's was said.
    """
    vehicle = await _visible(session, actor, vehicle_id, locked=True)
    require_version(vehicle, version)
    said = body.model_dump(exclude_unset=True)
    if actor.reach is Reach.SELF and _CARS & said.keys():
        raise Forbidden
    if body.purchased_on is not None and body.purchased_on > china_date(now):
        raise InvalidPayload.at("/purchased_on", "date_in_future")
    await _say_of_car(session, vehicle, {name: said[name] for name in _CARS & said.keys()})
    await _say_of_owner(session, vehicle, {name: said[name] for name in said.keys() - _CARS})
    vehicle.version += 1
    await session.flush()
    return await _known_of(session, vehicle, china_date(now))


async def _say_of_car(session: AsyncSession, vehicle: Vehicle, said: Mapping[str, Any]) -> None:
    changes = {name: (getattr(vehicle, name), value) for name, value in said.items() if getattr(vehicle, name) != value}
    for name, (_, value) in changes.items():
        setattr(vehicle, name, value)
    if changes:
        # by its id: the key of the row is the VIN
        await audit.record(session, Action.CHANGED, "vehicle", [vehicle.id], changes=changes)


async def _say_of_owner(session: AsyncSession, vehicle: Vehicle, said: Mapping[str, Any]) -> None:
    if not said:
        return
    owned_now = await queries.owner_now(session, vehicle.vin, locked=True)
    if owned_now is None:
        raise InvalidPayload.at(f"/{min(said)}", "vehicle_unowned")
    for name, value in said.items():
        setattr(owned_now[0], name, value)


# --- mileage ---


async def note_mileage(
    session: AsyncSession, actor: Actor, vehicle_id: UUID, body: MileageCreate, *, now: datetime
) -> Mileage:
    """Note what was read of a car. What contradicts an earlier note is kept as a drop.

    Raises:
        NotFound.
        InvalidPayload: it was read in the future.
    """
    if body.read_on > china_date(now):
        raise InvalidPayload.at("/read_on", "date_in_future")
    vehicle = await _visible(session, actor, vehicle_id, locked=True)
    source = "owner" if actor.reach is Reach.SELF else "staff"
    noted = Mileage(
        vin=vehicle.vin, km=body.km, read_on=body.read_on, source=source, noted_by=actor.subject, noted_at=now
    )
    session.add(noted)
    return await _judged(session, noted)


async def withdraw_mileage(
    session: AsyncSession, actor: Actor, vehicle_id: UUID, reading_id: UUID, *, now: datetime
) -> Mileage:
    """Take back a reading that was wrong: what contradicted it alone counts again. Twice changes nothing.

    Raises:
        NotFound.
    """
    vehicle = await _visible(session, actor, vehicle_id, locked=True)
    noted = await queries.reading(session, vehicle.vin, reading_id)
    if noted is None:
        raise NotFound("reading")
    if noted.withdrawn_at is None:
        noted.withdrawn_at, noted.withdrawn_by = now, actor.subject
        await audit.record(session, Action.CANCELLED, "vehicle_mileage", [noted.id])
    return await _judged(session, noted)


async def _judged(session: AsyncSession, noted: Mileage) -> Mileage:
    await session.flush()
    await queries.judge(await raw(session), [noted.vin])
    await session.refresh(noted)
    return noted


# --- service intervals ---


async def add_interval(session: AsyncSession, body: IntervalCreate) -> ServiceInterval:
    """Say how often a model wants service.

    Raises:
        IntervalExists: the model has an interval.
    """
    interval = ServiceInterval(**body.model_dump())
    session.add(interval)
    await flush_unless(session, "uq_service_interval_model", IntervalExists)
    return interval


async def interval(session: AsyncSession, interval_id: UUID) -> ServiceInterval:
    """One interval.

    Raises:
        NotFound.
    """
    found_one = await session.get(ServiceInterval, interval_id)
    if found_one is None:
        raise NotFound("service interval")
    return found_one


async def update_interval(
    session: AsyncSession, interval_id: UUID, body: IntervalUpdate, *, version: int
) -> ServiceInterval:
    """Change what the body names.

    Raises:
        NotFound, PreconditionFailed.
    """
    changed = await session.get(ServiceInterval, interval_id, with_for_update=True)
    if changed is None:
        raise NotFound("service interval")
    edit(changed, body.model_dump(exclude_unset=True), version)
    await session.flush()
    return changed
