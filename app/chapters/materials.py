"""Headquarters' materials and gifts: a catalogue with stock, and chapters' requests from asking to receipt.

Whoever changes several things locks the chapter first, then requests, then materials by id.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.chapters import materials_queries as queries
from app.chapters import queries as network
from app.chapters import service
from app.chapters.materials_models import Material, MaterialMovement, MaterialRequest, MaterialRequestLine
from app.chapters.materials_queries import LineShown
from app.chapters.materials_rules import REQUEST_TRANSITIONS, RequestStatus
from app.chapters.materials_schemas import (
    Approval,
    DifferingLine,
    MaterialCreate,
    MaterialUpdate,
    Receipt,
    RequestCreate,
    Shipment,
    StockChange,
)
from app.chapters.problems import MaterialExists, StockShort
from app.core.actors import Actor
from app.core.db import flush_unless
from app.core.editing import edit
from app.core.problems import InvalidPayload, NotFound
from app.core.transitions import require_step

CLOSED = "the chapter was closed"


class Shown(NamedTuple):
    """A request and its lines."""

    request: MaterialRequest
    lines: Sequence[LineShown]


# --- the catalogue ---


async def create(session: AsyncSession, body: MaterialCreate) -> Material:
    """Take something into the catalogue.

    Raises:
        MaterialExists: the name is in use.
    """
    created = Material(**body.model_dump())
    session.add(created)
    await flush_unless(session, "uq_material_name", MaterialExists)
    return created


async def material(session: AsyncSession, material_id: UUID) -> Material:
    """An entry of the catalogue.

    Raises:
        NotFound: there is none.
    """
    found = await session.get(Material, material_id)
    if found is None:
        raise NotFound("material")
    return found


async def update(session: AsyncSession, material_id: UUID, body: MaterialUpdate, *, version: int) -> Material:
    """Change what the body names.

    Raises:
        NotFound, PreconditionFailed.
        MaterialExists: the name is in use.
    """
    found = await _locked(session, material_id)
    edit(found, body.model_dump(exclude_unset=True), version)
    await flush_unless(session, "uq_material_name", MaterialExists)
    return found


async def change_stock(
    session: AsyncSession, actor: Actor, material_id: UUID, body: StockChange, *, now: datetime
) -> Material:
    """Book what came in, or is gone.

    Raises:
        NotFound: there is no such material.
        StockShort: there is less than is to go.
        InvalidPayload: nothing changes.
    """
    if body.change == 0:
        raise InvalidPayload.at("/change", "change_zero")
    found = await _locked(session, material_id)
    session.add(_moved(found, body.change, actor, now, reason=body.reason))
    await session.flush()
    return found


async def _locked(session: AsyncSession, material_id: UUID) -> Material:
    found = await queries.locked_materials(session, [material_id])
    if material_id not in found:
        raise NotFound("material")
    return found[material_id]


def _moved(
    material: Material, change: int, actor: Actor, now: datetime, *, request_id: UUID | None = None,
    reason: str | None = None,
) -> MaterialMovement:  # fmt: skip
    if material.stock + change < 0:
        raise StockShort(material_id=material.id, name=material.name, needed=-change, stock=material.stock)
    material.stock += change
    return MaterialMovement(
        material_id=material.id, request_id=request_id, change=change, reason=reason, at=now, by=actor.subject
    )


# --- requests ---


async def ask(session: AsyncSession, actor: Actor, code: str, body: RequestCreate, *, now: datetime) -> Shown:
    """Ask headquarters for materials, for a chapter.

    Raises:
        NotFound: the dealer has no chapter, or is not the actor's.
        InvalidPayload: a material is unknown, no longer offered, or named twice.
    """
    await service.chapter(session, actor, code)
    if not await network.has_chapter(session, code):
        raise NotFound("chapter")
    await _require_offered(session, [line.material_id for line in body.lines])
    asked = MaterialRequest(dealer_code=code, note=body.note, asked_by=actor.subject, asked_at=now)
    session.add(asked)
    # there before its lines
    await session.flush()
    session.add_all(MaterialRequestLine(request_id=asked.id, **line.model_dump()) for line in body.lines)
    return await _shown(session, asked)


async def _require_offered(session: AsyncSession, ids: Sequence[UUID]) -> None:
    offered = await queries.offered_ids(session, ids)
    for index, material_id in enumerate(ids):
        if material_id in ids[:index]:
            raise InvalidPayload.at(f"/lines/{index}/material_id", "material_repeated")
        if material_id not in offered:
            raise InvalidPayload.at(f"/lines/{index}/material_id", "unknown_material")


async def requests(
    session: AsyncSession, actor: Actor, *, status: RequestStatus | None, dealer_code: str | None,
    after: UUID | None, limit: int,
) -> list[Shown]:  # fmt: skip
    """The requests an actor may see, oldest first; None does not filter."""
    found = await queries.requests(session, actor, status=status, dealer_code=dealer_code, after=after, limit=limit)
    lines = await queries.lines_shown(session, [request.id for request in found])
    return [Shown(request, lines[request.id]) for request in found]


async def request(session: AsyncSession, actor: Actor, request_id: UUID) -> Shown:
    """One request.

    Raises:
        NotFound: there is none, or it is not the actor's to see.
    """
    found = await queries.request(session, actor, request_id)
    if found is None:
        raise NotFound("material_request")
    return await _shown(session, found)


async def approve(session: AsyncSession, actor: Actor, request_id: UUID, body: Approval, *, now: datetime) -> Shown:
    """Take what is approved of a request out of the stock, all of it or nothing.

    Raises:
        NotFound, WrongStatus.
        StockShort: there is less of a material than is approved.
        InvalidPayload: more than was asked for, nothing at all, or less without a reason.
    """
    found = await _step(session, actor, request_id, RequestStatus.APPROVED)
    lines = await _lines(session, found)
    approved = _differing(body.differing, {line.material_id: line.quantity for line in lines})
    for line in lines:
        line.approved = approved[line.material_id]
    _require_said(lines, body)
    await _book(session, [found], actor, now, sign=-1)
    _decide(found, actor, now, body.reason)
    return await _shown(session, found)


def _require_said(lines: Sequence[MaterialRequestLine], body: Approval) -> None:
    for index, line in enumerate(body.differing):
        asked = next(one.quantity for one in lines if one.material_id == line.material_id)
        if line.quantity > asked:
            raise InvalidPayload.at(f"/differing/{index}/quantity", "less_than_equal", le=asked)
    if not any(line.approved for line in lines):
        raise InvalidPayload.at("/differing", "approval_empty")
    if body.reason is None and any(line.approved != line.quantity for line in lines):
        raise InvalidPayload.at("/reason", "missing")


async def refuse(session: AsyncSession, actor: Actor, request_id: UUID, reason: str, *, now: datetime) -> Shown:
    """Do not send what a request asks for.

    Raises:
        NotFound, WrongStatus.
    """
    found = await _step(session, actor, request_id, RequestStatus.REFUSED)
    _decide(found, actor, now, reason)
    return await _shown(session, found)


async def withdraw(session: AsyncSession, actor: Actor, request_id: UUID, reason: str, *, now: datetime) -> Shown:
    """End a request that is not on its way yet; what was taken out of the stock for it goes back.

    Raises:
        NotFound, WrongStatus.
    """
    found = await _locked_request(session, actor, request_id)
    require_step(REQUEST_TRANSITIONS, found.status, RequestStatus.WITHDRAWN)
    await _withdraw(session, [found], actor, now, reason)
    return await _shown(session, found)


async def end_requests(session: AsyncSession, actor: Actor, dealer_code: str, *, now: datetime) -> None:
    """Withdraw the requests of a chapter that is being closed; what is on its way arrives all the same."""
    await _withdraw(session, await queries.open_requests(session, dealer_code), actor, now, CLOSED)
    await session.flush()


async def ship(session: AsyncSession, actor: Actor, request_id: UUID, body: Shipment, *, now: datetime) -> Shown:
    """Send what was approved.

    Raises:
        NotFound, WrongStatus.
    """
    found = await _step(session, actor, request_id, RequestStatus.SHIPPED)
    found.carrier, found.tracking_no = body.carrier, body.tracking_no
    found.shipped_by, found.shipped_at = actor.subject, now
    return await _shown(session, found)


async def receive(session: AsyncSession, actor: Actor, request_id: UUID, body: Receipt, *, now: datetime) -> Shown:
    """Confirm what arrived.

    Raises:
        NotFound, WrongStatus.
        InvalidPayload: a material was not asked for or is named twice, or what differs is not explained.
    """
    found = await _step(session, actor, request_id, RequestStatus.RECEIVED)
    lines = await _lines(session, found)
    arrived = _differing(body.differing, {line.material_id: line.approved or 0 for line in lines})
    for line in lines:
        line.received = arrived[line.material_id]
    if body.difference is None and any(line.received != line.approved for line in lines):
        raise InvalidPayload.at("/difference", "difference_missing")
    found.difference, found.received_by, found.received_at = body.difference, actor.subject, now
    return await _shown(session, found)


async def _lines(session: AsyncSession, request: MaterialRequest) -> Sequence[MaterialRequestLine]:
    with session.no_autoflush:
        return await queries.lines(session, [request.id])


def _differing(named: Sequence[DifferingLine], expected: Mapping[UUID, int]) -> dict[UUID, int]:
    """So many of each material: as expected, but for those named."""
    told: dict[UUID, int] = {}
    for index, line in enumerate(named):
        if line.material_id not in expected:
            raise InvalidPayload.at(f"/differing/{index}/material_id", "unknown_material")
        if line.material_id in told:
            raise InvalidPayload.at(f"/differing/{index}/material_id", "material_repeated")
        told[line.material_id] = line.quantity
    return dict(expected) | told


async def _locked_request(session: AsyncSession, actor: Actor, request_id: UUID) -> MaterialRequest:
    found = await queries.request(session, actor, request_id, locked=True)
    if found is None:
        raise NotFound("material_request")
    return found


async def _step(session: AsyncSession, actor: Actor, request_id: UUID, to: RequestStatus) -> MaterialRequest:
    """A request in its next status; what goes with it is still to be set before anything is flushed."""
    found = await _locked_request(session, actor, request_id)
    require_step(REQUEST_TRANSITIONS, found.status, to)
    found.status = to
    return found


def _decide(request: MaterialRequest, actor: Actor, now: datetime, reason: str | None = None) -> None:
    request.decided_by, request.decided_at, request.reason = actor.subject, now, reason


async def _withdraw(
    session: AsyncSession, requests: Sequence[MaterialRequest], actor: Actor, now: datetime, reason: str
) -> None:
    promised = [request for request in requests if request.status == RequestStatus.APPROVED]
    await _book(session, promised, actor, now, sign=1)
    for request in requests:
        request.status = RequestStatus.WITHDRAWN
        _decide(request, actor, now, reason)


async def _book(
    session: AsyncSession, requests: Sequence[MaterialRequest], actor: Actor, now: datetime, *, sign: int
) -> None:
    with session.no_autoflush:
        lines = await queries.lines(session, [request.id for request in requests])
        stocks = await queries.locked_materials(session, {line.material_id for line in lines})
    for line in lines:
        if line.approved:
            change = sign * line.approved
            session.add(_moved(stocks[line.material_id], change, actor, now, request_id=line.request_id))


async def _shown(session: AsyncSession, request: MaterialRequest) -> Shown:
    await session.flush()
    return Shown(request, (await queries.lines_shown(session, [request.id]))[request.id])
