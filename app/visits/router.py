"""Repair orders: one by one, or as files whose import is a job."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.chapters import queries as chapters
from app.core.actors import Actor, Right
from app.core.db import Database, raw
from app.core.http import (
    GUARDED,
    Config,
    Cursor,
    Db,
    DryRun,
    Limit,
    Now,
    RequiredKey,
    Requires,
    Session,
    documented,
)
from app.core.paging import Page, decode_cursor, paged
from app.core.problems import KeyConflict, NotFound
from app.points.ledger import Request as LedgerRequest
from app.points.problems import WalletClosed
from app.visits import imports_router as imports
from app.visits import jobs, queries, service
from app.visits.models import RepairOrder
from app.visits.problems import OrderConflict, OrderRefused, OrderTooLarge
from app.visits.rules import COLUMNS
from app.visits.schemas import CancellationCreate, ImportRead, OrderCreate, OrderRead, OrderSearch

router = APIRouter(prefix="/repair-orders", tags=["repair orders"], responses=GUARDED)

Sender = Annotated[Actor, Depends(Requires(Right.ORDERS_WRITE))]
Reader = Annotated[Actor, Depends(Requires(Right.ORDERS_READ))]
Watcher = Annotated[Actor, Depends(Requires(Right.ORDERS_WRITE, Right.AUDIT_READ))]
Exporter = Annotated[Actor, Depends(Requires(Right.ORDERS_WRITE, Right.AUDIT_READ, also=Right.RECORDS_EXPORT))]
Canceller = Annotated[Actor, Depends(Requires(Right.ORDERS_CANCEL))]


@router.post(
    "",
    status_code=201,
    response_model=OrderRead,
    responses=documented(NotFound, OrderConflict, OrderRefused, OrderTooLarge)
    | {200: {"model": OrderRead, "description": "the same order again"}},
)
async def orders_record(
    body: OrderCreate, actor: Sender, db: Db, settings: Config, response: Response, now: Now
) -> RepairOrder:
    """Post one closed repair order. The document is its own key: sent twice it is posted once."""
    new = await service.record_order(db, body.row(), actor=actor, now=now, limit_fen=settings.order_max_fen)
    response.status_code = 201 if new else 200
    return await _newest(db, actor, body.dealer_code, body.order_no)


@router.get("", response_model=Page[OrderRead])
async def orders_list(
    actor: Reader,
    session: Session,
    dealer_code: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Accepted orders by dealer and number; dealer staff see their own dealer's."""
    return await _page(session, actor, dealer_code, None, limit, cursor)


@router.post("/search", response_model=Page[OrderRead])
async def orders_search(
    body: OrderSearch, actor: Reader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> dict[str, Any]:
    """A vehicle's orders among them. A body, because VINs do not belong into URLs."""
    return await _page(session, actor, body.dealer_code, body.vin.upper(), limit, cursor)


async def _page(
    session: AsyncSession, actor: Actor, dealer_code: str | None, vin: str | None, limit: int, cursor: str | None
) -> dict[str, Any]:
    after = tuple(decode_cursor(cursor, str, str, int)) if cursor else None
    rows = await queries.page(session, actor, dealer_code=dealer_code, vin=vin, after=after, limit=limit + 1)
    return paged(rows, limit, lambda order: (order.dealer_code, order.order_no, order.revision))


@router.post(
    "/imports", status_code=202, response_model=ImportRead, responses=imports.TAKEN,
    openapi_extra=imports.upload(COLUMNS),
)  # fmt: skip
async def orders_import(
    request: Request, actor: Sender, db: Db, settings: Config, now: Now, dry_run: DryRun = False
) -> dict[str, Any]:
    """Take in a file of orders (CSV, gzipped or not, or JSON lines), streamed; the answer is the job to ask after."""
    most_fen = service.most_fen(actor, settings.order_max_fen)
    return await imports.take(request, actor, db, settings, now, jobs.ORDERS, dry_run=dry_run, most_fen=most_fen)


@router.get("/imports/{job_id}", response_model=ImportRead, responses=documented(NotFound))
async def orders_import_read(job_id: UUID, actor: Watcher, session: Session) -> dict[str, Any]:
    """How far an import is; one's own, headquarters sees all."""
    return dict(await imports.read(await raw(session), actor, job_id, jobs.ORDERS))


@router.get("/imports/{job_id}/rejected.csv", response_class=Response, responses=imports.REJECTED)
async def orders_import_rejected(job_id: UUID, actor: Exporter, session: Session, db: Db) -> Response:
    """An import's refused rows with line and reason, to mend and send again."""
    return await imports.rejected(session, db.vault, actor, job_id, jobs.ORDERS)


@router.get("/{dealer_code}/{order_no:path}", response_model=OrderRead, responses=documented(NotFound))
async def orders_read(dealer_code: str, order_no: str, actor: Reader, session: Session) -> RepairOrder:
    """One order, newest revision."""
    return await queries.newest(session, actor, dealer_code, order_no)


@router.post(
    "/{dealer_code}/{order_no:path}/cancellation",
    response_model=OrderRead,
    responses=documented(NotFound, KeyConflict, WalletClosed),
)
async def orders_cancel(
    dealer_code: str,
    order_no: str,
    body: CancellationCreate,
    actor: Canceller,
    db: Db,
    key: RequiredKey,
    now: Now,
) -> RepairOrder:
    """Take an order out of the books and its points back; a corrected order may then be sent under the same number."""
    if not await chapters.reaches(db.pool, actor, dealer_code):
        raise NotFound("repair order")
    await service.cancel_order(db, dealer_code, order_no, body.reason, LedgerRequest(actor.subject, key, now))
    return await _newest(db, actor, dealer_code, order_no)


async def _newest(db: Database, actor: Actor, dealer_code: str, order_no: str) -> RepairOrder:
    async with db.session() as session:
        return await queries.newest(session, actor, dealer_code, order_no)
