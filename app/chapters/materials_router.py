"""Materials and gifts over HTTP: the catalogue with its stock, and chapters' requests."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from app.chapters import materials
from app.chapters import materials_queries as queries
from app.chapters.materials import Shown
from app.chapters.materials_rules import RequestStatus
from app.chapters.materials_schemas import (
    Approval,
    MaterialCreate,
    MaterialRead,
    MaterialUpdate,
    MovementRead,
    Receipt,
    RequestCreate,
    RequestLineRead,
    RequestRead,
    RequestReason,
    Shipment,
    StockChange,
)
from app.chapters.problems import MaterialExists, StockShort
from app.chapters.router import Code
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
from app.core.paging import Page, id_after, paged
from app.core.problems import KeyConflict, NotFound, PreconditionFailed, WrongStatus

router = APIRouter(tags=["materials"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.MATERIALS_READ))]
Keeper = Annotated[Actor, Depends(Requires(Right.MATERIALS_WRITE))]
StockReader = Annotated[Actor, Depends(Requires(Right.MATERIALS_WRITE, Right.AUDIT_READ))]
Asker = Annotated[Actor, Depends(Requires(Right.MATERIALS_REQUEST))]
Either = Annotated[Actor, Depends(Requires(Right.MATERIALS_REQUEST, Right.MATERIALS_WRITE))]

STEP = documented(NotFound, WrongStatus)


@router.get("/materials")
async def materials_list(
    _: Reader, session: Session, is_offered: bool | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[MaterialRead]:
    """Headquarters' materials and gifts, with what is left of them."""
    found = await queries.materials(session, offered=is_offered, after=id_after(cursor), limit=limit + 1)
    items = [MaterialRead.model_validate(material, from_attributes=True) for material in found]
    return Page[MaterialRead].model_validate(paged(items, limit, lambda material: (str(material.id),)))


@router.post(
    "/materials", status_code=201, response_model=MaterialRead, responses=documented(MaterialExists, KeyConflict)
)
async def materials_create(body: MaterialCreate, actor: Keeper, session: Session, once: Once) -> Response:
    """Take something into the catalogue; its stock begins at 0."""

    async def create() -> MaterialRead:
        return MaterialRead.model_validate(await materials.create(session, body), from_attributes=True)

    return await once(body, create)


@router.get("/materials/{material_id}", responses=documented(NotFound))
async def materials_get(material_id: UUID, _: Reader, session: Session, response: Response) -> MaterialRead:
    """One material; the ETag is the entry's and not its stock's."""
    found = await materials.material(session, material_id)
    return tagged(response, MaterialRead.model_validate(found, from_attributes=True))


@router.patch("/materials/{material_id}", responses=documented(NotFound, PreconditionFailed, MaterialExists))
async def materials_update(
    material_id: UUID, body: MaterialUpdate, if_match: IfMatch, _: Keeper, session: Session, response: Response
) -> MaterialRead:
    """Change an entry, or offer it no longer."""
    changed = await materials.update(session, material_id, body, version=version_of(if_match))
    return tagged(response, MaterialRead.model_validate(changed, from_attributes=True))


@router.get("/materials/{material_id}/movements", responses=documented(NotFound))
async def materials_movements(
    material_id: UUID, _: StockReader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[MovementRead]:
    """How a stock came about, oldest first; the sum of all changes is the stock."""
    await materials.material(session, material_id)
    found = await queries.movements(session, material_id, after=id_after(cursor), limit=limit + 1)
    items = [MovementRead.model_validate(movement, from_attributes=True) for movement in found]
    return Page[MovementRead].model_validate(paged(items, limit, lambda movement: (str(movement.id),)))


@router.post(
    "/materials/{material_id}/movements", status_code=201, response_model=MaterialRead,
    responses=documented(NotFound, StockShort, KeyConflict),
)  # fmt: skip
async def materials_change_stock(
    material_id: UUID, body: StockChange, actor: Keeper, session: Session, now: Now, once: Once
) -> Response:
    """Book what came in, or (negative) is gone; the stock is never below 0."""

    async def change() -> MaterialRead:
        changed = await materials.change_stock(session, actor, material_id, body, now=now)
        return MaterialRead.model_validate(changed, from_attributes=True)

    return await once(body, change)


# --- requests ---


@router.post(
    "/dealers/{code}/material-requests", status_code=201, response_model=RequestRead,
    responses=documented(NotFound, KeyConflict),
)  # fmt: skip
async def material_requests_ask(
    code: Code, body: RequestCreate, actor: Asker, session: Session, now: Now, once: Once
) -> Response:
    """Ask headquarters for materials, for a chapter."""

    async def ask() -> RequestRead:
        return _request(await materials.ask(session, actor, code, body, now=now))

    return await once(body, ask)


@router.get("/material-requests")
async def material_requests_list(
    actor: Reader,
    session: Session,
    status: RequestStatus | None = None,
    dealer_code: Annotated[str | None, Query(max_length=16)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RequestRead]:
    """The requests one may see, oldest first."""
    found = await materials.requests(
        session, actor, status=status, dealer_code=dealer_code, after=id_after(cursor), limit=limit + 1
    )
    items = [_request(shown) for shown in found]
    return Page[RequestRead].model_validate(paged(items, limit, lambda request: (str(request.id),)))


@router.get("/material-requests/{request_id}", responses=documented(NotFound))
async def material_requests_get(request_id: UUID, actor: Reader, session: Session) -> RequestRead:
    """One request and where it stands."""
    return _request(await materials.request(session, actor, request_id))


@router.post("/material-requests/{request_id}/approval", responses=STEP | documented(WrongStatus, StockShort))
async def material_requests_approve(
    request_id: UUID, actor: Keeper, session: Session, now: Now, body: Approval | None = None
) -> RequestRead:
    """Promise what a request asks for, or less of it: it leaves the stock now. Without a body, all of it."""
    return _request(await materials.approve(session, actor, request_id, body or Approval(differing=[]), now=now))


@router.post("/material-requests/{request_id}/refusal", responses=STEP)
async def material_requests_refuse(
    request_id: UUID, body: RequestReason, actor: Keeper, session: Session, now: Now
) -> RequestRead:
    """Refuse a request, and say why."""
    return _request(await materials.refuse(session, actor, request_id, body.reason, now=now))


@router.post("/material-requests/{request_id}/withdrawal", responses=STEP)
async def material_requests_withdraw(
    request_id: UUID, body: RequestReason, actor: Either, session: Session, now: Now
) -> RequestRead:
    """End a request that is not on its way yet; what was promised goes back into the stock."""
    return _request(await materials.withdraw(session, actor, request_id, body.reason, now=now))


@router.post("/material-requests/{request_id}/shipment", responses=STEP)
async def material_requests_ship(
    request_id: UUID, body: Shipment, actor: Keeper, session: Session, now: Now
) -> RequestRead:
    """Send what was approved, under a tracking number."""
    return _request(await materials.ship(session, actor, request_id, body, now=now))


@router.post("/material-requests/{request_id}/receipt", responses=STEP)
async def material_requests_receive(
    request_id: UUID, body: Receipt, actor: Asker, session: Session, now: Now
) -> RequestRead:
    """Confirm what arrived, and name what differs."""
    return _request(await materials.receive(session, actor, request_id, body, now=now))


def _request(shown: Shown) -> RequestRead:
    lines = [RequestLineRead(**line._asdict()) for line in shown.lines]
    return RequestRead.model_validate(dict(shown.request) | {"lines": lines})
