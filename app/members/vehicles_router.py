"""Vehicles, their mileage and service intervals over HTTP."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from app.core.actors import Actor, Right
from app.core.http import (
    GUARDED,
    Cursor,
    IfMatch,
    Limit,
    Now,
    Once,
    Requires,
    Session,
    documented,
    tagged,
    version_of,
)
from app.core.paging import Page, decode_cursor, id_after, next_cursor
from app.core.problems import InvalidPayload, KeyConflict, NotFound, PreconditionFailed
from app.members import vehicle_queries as queries
from app.members import vehicles as service
from app.members.problems import IntervalExists
from app.members.vehicle_schemas import (
    HistoryRead,
    IntervalCreate,
    IntervalRead,
    IntervalUpdate,
    MileageCreate,
    MileageNow,
    MileageRead,
    OwnedRead,
    OwnerRead,
    PeriodRead,
    ServiceRead,
    VehicleDetail,
    VehicleList,
    VehicleSearch,
    VehicleUpdate,
    plate_for,
)
from app.members.vehicles import Car

router = APIRouter(tags=["vehicles"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.MEMBERS_READ))]
ReaderOrSelf = Annotated[Actor, Depends(Requires(Right.MEMBERS_READ, Right.OWN_CARD))]
Noting = Annotated[Actor, Depends(Requires(Right.MEMBERS_ENROL, Right.OWN_CARD))]
Editor = Annotated[Actor, Depends(Requires(Right.MEMBERS_WRITE))]
NetworkReader = Annotated[Actor, Depends(Requires(Right.NETWORK_READ))]
NetworkEditor = Annotated[Actor, Depends(Requires(Right.NETWORK_WRITE))]


@router.post("/vehicles/search")
async def vehicles_search(body: VehicleSearch, actor: Reader, session: Session, now: Now) -> VehicleList:
    """The cars of this VIN, or of this plate now, that one may see: a chapter its members', now."""
    found = await service.found(session, actor, vin=body.vin, plate=body.plate, now=now)
    return VehicleList(items=[_read(actor, car) for car in found])


@router.get("/vehicles/{vehicle_id}", responses=documented(NotFound))
async def vehicles_get(
    vehicle_id: UUID, actor: ReaderOrSelf, session: Session, now: Now, response: Response
) -> VehicleDetail:
    """A car: what stays with it, what its owner of the day told, its mileage and its next service."""
    return tagged(response, _read(actor, await service.car(session, actor, vehicle_id, now=now)))


@router.patch("/vehicles/{vehicle_id}", responses=documented(NotFound, PreconditionFailed))
async def vehicles_update(
    vehicle_id: UUID, body: VehicleUpdate, if_match: IfMatch, actor: Noting, session: Session, now: Now,
    response: Response,
) -> VehicleDetail:  # fmt: skip
    """Say more of a car. Its owner may say what is the owner's: plate, purchase, insurance."""
    changed = await service.update(session, actor, vehicle_id, body, version=version_of(if_match), now=now)
    return tagged(response, _read(actor, changed))


@router.get("/vehicles/{vehicle_id}/history", responses=documented(NotFound))
async def vehicles_history(vehicle_id: UUID, actor: ReaderOrSelf, session: Session) -> HistoryRead:
    """The car's owners, oldest first: when it changed hands, and of those whom one sees, who they are."""
    periods, visible = await service.history(session, actor, vehicle_id)
    return HistoryRead(
        items=[
            PeriodRead(since=one.since, until=one.until, member_id=one.member_id if one.member_id in visible else None)
            for one in periods
        ]
    )


@router.get("/members/{member_id}/vehicles", responses=documented(NotFound))
async def vehicles_of_member(
    member_id: UUID, actor: ReaderOrSelf, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[OwnedRead]:
    """The cars a member owns or owned."""
    member, found = await service.owned(session, actor, member_id, after=id_after(cursor), limit=limit + 1)
    items = [
        OwnedRead.model_validate(
            dict(ownership)
            | {"plate": plate_for(actor, member, ownership), "vehicle_id": vehicle.id, "model": vehicle.model}
        )
        for ownership, vehicle in found[:limit]
    ]
    return Page[OwnedRead](items=items, next_cursor=next_cursor(found, limit, lambda owned: (str(owned.ownership.id),)))


# --- mileage ---


@router.get("/vehicles/{vehicle_id}/mileage", responses=documented(NotFound))
async def vehicles_mileage(
    vehicle_id: UUID, actor: ReaderOrSelf, session: Session, now: Now, limit: Limit = 50, cursor: Cursor = None
) -> Page[MileageRead]:
    """What was read of a car, newest first, drops and what was withdrawn as well."""
    car = await service.car(session, actor, vehicle_id, now=now)
    found = await queries.readings(session, car.vehicle.vin, after=_day_and_id(cursor), limit=limit + 1)
    items = [MileageRead(**dict(one)) for one in found[:limit]]
    return Page[MileageRead](
        items=items, next_cursor=next_cursor(found, limit, lambda reading: (str(reading.read_on), str(reading.id)))
    )


@router.post(
    "/vehicles/{vehicle_id}/mileage",
    status_code=201,
    response_model=MileageRead,
    responses=documented(NotFound, KeyConflict),
)
async def vehicles_note_mileage(
    vehicle_id: UUID, body: MileageCreate, actor: Noting, session: Session, now: Now, once: Once
) -> Response:
    """Note a car's mileage. What contradicts an earlier note is kept and flagged: `is_drop`."""

    async def note() -> MileageRead:
        return MileageRead(**dict(await service.note_mileage(session, actor, vehicle_id, body, now=now)))

    return await once(body, note)


@router.post("/vehicles/{vehicle_id}/mileage/{reading_id}/withdrawal", responses=documented(NotFound))
async def vehicles_withdraw_mileage(
    vehicle_id: UUID, reading_id: UUID, actor: Editor, session: Session, now: Now
) -> MileageRead:
    """Take back a reading that was wrong; it stays on record and counts for nothing."""
    return MileageRead(**dict(await service.withdraw_mileage(session, actor, vehicle_id, reading_id, now=now)))


# --- service intervals ---


@router.get("/service-intervals")
async def intervals_list(
    actor: NetworkReader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[IntervalRead]:
    """How often each model wants service."""
    found = await queries.intervals(session, after=id_after(cursor), limit=limit + 1)
    items = [IntervalRead(**dict(one)) for one in found[:limit]]
    return Page[IntervalRead](items=items, next_cursor=next_cursor(found, limit, lambda interval: (str(interval.id),)))


@router.post(
    "/service-intervals",
    status_code=201,
    response_model=IntervalRead,
    responses=documented(IntervalExists, KeyConflict),
)
async def intervals_create(body: IntervalCreate, actor: NetworkEditor, session: Session, once: Once) -> Response:
    """Say how often a model wants service; without a model, all that have no interval of their own."""

    async def create() -> IntervalRead:
        return IntervalRead(**dict(await service.add_interval(session, body)))

    return await once(body, create)


@router.get("/service-intervals/{interval_id}", responses=documented(NotFound))
async def intervals_get(interval_id: UUID, actor: NetworkReader, session: Session, response: Response) -> IntervalRead:
    """One model's interval."""
    return tagged(response, IntervalRead(**dict(await service.interval(session, interval_id))))


@router.patch("/service-intervals/{interval_id}", responses=documented(NotFound, PreconditionFailed))
async def intervals_update(
    interval_id: UUID, body: IntervalUpdate, if_match: IfMatch, actor: NetworkEditor, session: Session,
    response: Response,
) -> IntervalRead:  # fmt: skip
    """Change how often a model wants service."""
    changed = await service.update_interval(session, interval_id, body, version=version_of(if_match))
    return tagged(response, IntervalRead(**dict(changed)))


# --- answers ---


def _read(actor: Actor, car: Car) -> VehicleDetail:
    owner = None
    if car.ownership is not None and car.owner is not None:
        plate = plate_for(actor, car.owner, car.ownership)
        owner = OwnerRead(**dict(car.ownership) | {"plate": plate})
    mileage = MileageNow(km=car.mileage.km, read_on=car.mileage.read_on) if car.mileage else None
    due = None
    if car.service is not None:
        last_on, next_one = car.service
        due = ServiceRead(last_on=last_on, due_on=next_one.due_on, due_km=next_one.due_km, is_due=next_one.is_due)
    return VehicleDetail(**dict(car.vehicle), owner=owner, mileage=mileage, next_service=due)


def _day_and_id(cursor: str | None) -> tuple[date, UUID] | None:
    if cursor is None:
        return None
    day, reading_id = decode_cursor(cursor, str, str)
    try:
        return date.fromisoformat(str(day)), UUID(str(reading_id))
    except ValueError:
        raise InvalidPayload.at("/query/cursor", "cursor_invalid") from None
