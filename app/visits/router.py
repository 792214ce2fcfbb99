"""Repair orders: one by one, or as files whose import is a job."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from app.audit import service as audit
from app.audit.models import Action
from app.core.actors import Actor, Reach, Right, Role
from app.core.http import (
    GUARDED,
    Config,
    Cursor,
    Db,
    DryRun,
    Limit,
    Now,
    Postings,
    RequiredKey,
    Requires,
    documented,
)
from app.core.paging import Page, decode_cursor, paged
from app.core.problems import KeyConflict, NotFound, PayloadTooLarge
from app.core.tabular import rejected_csv
from app.points.ledger import Request as LedgerRequest
from app.points.problems import WalletClosed
from app.visits import jobs, queries, service
from app.visits.problems import OrderConflict, OrderRefused, UnknownFormat
from app.visits.rules import COLUMNS
from app.visits.schemas import CancellationCreate, ImportRead, OrderCreate, OrderRead

router = APIRouter(prefix="/repair-orders", tags=["repair orders"], responses=GUARDED)

Sender = Annotated[Actor, Depends(Requires(Right.ORDERS_WRITE))]
Reader = Annotated[Actor, Depends(Requires(Right.ORDERS_READ))]
Canceller = Annotated[Actor, Depends(Requires(Right.ORDERS_CANCEL))]

UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": ",".join(COLUMNS)},
            "application/gzip": {"schema": {"type": "string", "format": "binary"}},
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
}


@router.post(
    "",
    status_code=201,
    response_model=OrderRead,
    responses=documented(NotFound, OrderConflict, OrderRefused)
    | {200: {"model": OrderRead, "description": "the same order again"}},
)
async def orders_record(body: OrderCreate, actor: Sender, db: Db, response: Response, now: Now) -> dict[str, Any]:
    """Post one closed repair order. The document is its own key: sent twice it is posted once."""
    new = await service.record_order(db, body.row(), actor=actor.subject, now=now, only_dealer=actor.dealer_code)
    response.status_code = 201 if new else 200
    return dict(await queries.newest(db.pool, actor, body.dealer_code, body.order_no))


@router.get("", response_model=Page[OrderRead])
async def orders_list(
    actor: Reader,
    pool: Postings,
    dealer_code: str | None = None,
    vin: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Accepted orders by dealer and number; dealer staff see their own dealer's."""
    after = tuple(decode_cursor(cursor, str, str, int)) if cursor else None
    rows = await queries.page(pool, actor, dealer_code=dealer_code, vin=vin, after=after, limit=limit + 1)
    return paged(rows, limit, lambda row: (row["dealer_code"], row["order_no"], row["revision"]))


@router.post(
    "/imports",
    status_code=202,
    response_model=ImportRead,
    responses=documented(PayloadTooLarge, UnknownFormat),
    openapi_extra=UPLOAD,
)
async def orders_import(
    request: Request, actor: Sender, db: Db, settings: Config, now: Now, dry_run: DryRun = False
) -> dict[str, Any]:
    """Take in a file of orders (CSV, gzipped or not, or JSON lines), streamed; the answer is the job to ask after."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type not in jobs.FORMATS:
        raise UnknownFormat
    job_id = await jobs.accept(
        db, request.stream(), format=jobs.FORMATS[media_type], owner=actor.subject, dealer_code=actor.dealer_code,
        dry_run=dry_run, limit_mib=settings.upload_max_mib, now=now,
    )  # fmt: skip
    return dict(await queries.job(db.pool, job_id, None))


@router.get("/imports/{job_id}", response_model=ImportRead, responses=documented(NotFound))
async def orders_import_read(job_id: UUID, actor: Sender, pool: Postings) -> dict[str, Any]:
    """How far an import is; one's own, headquarters sees all."""
    return dict(await queries.job(pool, job_id, _owner(actor)))


@router.get(
    "/imports/{job_id}/rejected.csv",
    response_class=Response,
    responses=documented(NotFound) | {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def orders_import_rejected(job_id: UUID, actor: Sender, pool: Postings) -> Response:
    """An import's refused rows with line and reason, to mend and send again."""
    await queries.job(pool, job_id, _owner(actor))
    rows = await queries.rejections(pool, job_id)
    await audit.record(pool, Action.EXPORTED, "import_job", [job_id], changes={"rows": (None, len(rows))})
    return Response(
        rejected_csv(rows),
        media_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="rejected.csv"'},
    )


def _owner(actor: Actor) -> str | None:
    return None if actor.role.reach is Reach.ALL and actor.role is not Role.API_CLIENT else actor.subject


@router.get("/{dealer_code}/{order_no:path}", response_model=OrderRead, responses=documented(NotFound))
async def orders_read(dealer_code: str, order_no: str, actor: Reader, pool: Postings) -> dict[str, Any]:
    """One order, newest revision."""
    return dict(await queries.newest(pool, actor, dealer_code, order_no))


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
) -> dict[str, Any]:
    """Take an order out of the books and its points back; a corrected order may then be sent under the same number."""
    _require_own(actor, dealer_code)
    await service.cancel_order(db, dealer_code, order_no, body.reason, LedgerRequest(actor.subject, key, now))
    return dict(await queries.newest(db.pool, actor, dealer_code, order_no))


def _require_own(actor: Actor, dealer_code: str) -> None:
    if actor.dealer_code not in (None, dealer_code):
        raise NotFound("repair order")
