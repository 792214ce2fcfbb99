"""Deliveries: one by one, or as files whose import is a job."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlmodel import col

from app.chapters.schemas import DealerCode
from app.core.actors import Actor, Right
from app.core.clock import month_end
from app.core.db import raw
from app.core.http import (
    GUARDED,
    Config,
    Cursor,
    Db,
    DryRun,
    IfMatch,
    Limit,
    Now,
    Requires,
    Session,
    documented,
    etag,
    version_of,
)
from app.core.paging import Page, paged
from app.core.problems import NotFound, PreconditionFailed, WrongStatus
from app.core.schemas import Month
from app.points.problems import WalletClosed
from app.visits import cancellations, deliveries, jobs, recruitment
from app.visits import deliveries_queries as found
from app.visits import imports_router as imports
from app.visits.deliveries_models import Delivery
from app.visits.deliveries_rules import COLUMNS
from app.visits.deliveries_schemas import (
    Cancellation,
    CancellationRead,
    Closing,
    DeliveryCreate,
    DeliveryRead,
    DeliveryUpdate,
    delivery_read,
)
from app.visits.problems import DeliveryConflict, NotAMiss
from app.visits.recruitment_router import position, seen_from
from app.visits.schemas import ImportRead

router = APIRouter(prefix="/deliveries", tags=["recruitment"], responses=GUARDED)

Sender = Annotated[Actor, Depends(Requires(Right.DELIVERIES_WRITE))]
Watcher = Annotated[Actor, Depends(Requires(Right.DELIVERIES_WRITE, Right.AUDIT_READ))]
Exporter = Annotated[Actor, Depends(Requires(Right.DELIVERIES_WRITE, Right.AUDIT_READ, also=Right.RECORDS_EXPORT))]
Reader = Annotated[Actor, Depends(Requires(Right.RECRUITMENT_READ))]
Recruiter = Annotated[Actor, Depends(Requires(Right.RECRUITMENT_WRITE))]


@router.post(
    "",
    status_code=201,
    responses=documented(NotFound, DeliveryConflict) | {200: {"model": DeliveryRead, "description": "known already"}},
)
async def deliveries_record(body: DeliveryCreate, actor: Sender, db: Db, response: Response, now: Now) -> DeliveryRead:
    """Take in one delivery and match it. The VIN is its own key: sent twice it is taken once."""
    new = await deliveries.record(db, actor, body.delivered(), now=now)
    response.status_code = 201 if new else 200
    async with db.session() as session:
        delivery = await found.by_vin(session, actor, body.vin)
        if delivery is None:
            raise NotFound("delivery")
        return _tagged(response, actor, delivery)


@router.get("")
async def deliveries_list(
    actor: Reader,
    session: Session,
    dealer_code: Annotated[DealerCode | None, Query()] = None,
    month: Annotated[Month | None, Query(description="delivered in it")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DeliveryRead]:
    """The deliveries one may see, by day."""
    conditions = [col(Delivery.dealer_code) == dealer_code] if dealer_code else []
    if month is not None:
        conditions.append(col(Delivery.delivered_on).between(month, month_end(month)))
    rows = await found.page(session, actor, *conditions, after=seen_from(cursor), limit=limit + 1)
    page = paged(rows, limit, position)
    return Page[DeliveryRead].model_validate(page | {"items": [delivery_read(actor, row) for row in rows[:limit]]})


@router.post(
    "/imports", status_code=202, response_model=ImportRead, responses=imports.TAKEN,
    openapi_extra=imports.upload(COLUMNS),
)  # fmt: skip
async def deliveries_import(
    request: Request, actor: Sender, db: Db, settings: Config, now: Now, dry_run: DryRun = False
) -> dict[str, Any]:
    """Take in a file of deliveries (CSV, gzipped or not, or JSON lines); the answer is the job to ask after."""
    return await imports.take(request, actor, db, settings, now, jobs.DELIVERIES, dry_run=dry_run)


@router.get("/imports/{job_id}", response_model=ImportRead, responses=documented(NotFound))
async def deliveries_import_read(job_id: UUID, actor: Watcher, session: Session) -> dict[str, Any]:
    """How far an import is; one's own, headquarters sees all."""
    return dict(await imports.read(await raw(session), actor, job_id, jobs.DELIVERIES))


@router.get("/imports/{job_id}/rejected.csv", response_class=Response, responses=imports.REJECTED)
async def deliveries_import_rejected(job_id: UUID, actor: Exporter, session: Session, db: Db) -> Response:
    """An import's refused rows with line and reason, to mend and send again."""
    return await imports.rejected(session, db.vault, actor, job_id, jobs.DELIVERIES)


@router.get("/{delivery_id}", responses=documented(NotFound))
async def deliveries_get(delivery_id: UUID, actor: Reader, session: Session, response: Response) -> DeliveryRead:
    """One delivery."""
    return _tagged(response, actor, await recruitment.delivery(session, actor, delivery_id))


@router.patch("/{delivery_id}", responses=documented(NotFound, PreconditionFailed, NotAMiss, WrongStatus))
async def deliveries_update(
    delivery_id: UUID,
    body: DeliveryUpdate,
    if_match: IfMatch,
    actor: Recruiter,
    session: Session,
    response: Response,
) -> DeliveryRead:
    """Give a miss to another consultant, or correct what the feed told; the membership is looked for anew."""
    version = version_of(if_match)
    return _tagged(response, actor, await recruitment.correct(session, actor, delivery_id, body, version=version))


@router.post("/{delivery_id}/closing", responses=documented(NotFound, NotAMiss, WrongStatus))
async def deliveries_close(
    delivery_id: UUID, body: Closing, actor: Recruiter, session: Session, now: Now, response: Response
) -> DeliveryRead:
    """Close a miss with a reason. Should its owner join later, the car counts as joined all the same."""
    return _tagged(response, actor, await recruitment.close(session, actor, delivery_id, body, now=now))


@router.post("/{delivery_id}/cancellation", responses=documented(NotFound, WalletClosed))
async def deliveries_cancel(
    delivery_id: UUID, body: Cancellation, actor: Sender, session: Session, now: Now
) -> CancellationRead:
    """Take a sale back: it counts nowhere any more, and points that rested on it are reversed."""
    cancelled = await cancellations.cancel(session, actor, delivery_id, body.reason, now=now)
    return CancellationRead.model_validate(cancelled, from_attributes=True)


@router.post("/{delivery_id}/reopening", responses=documented(NotFound, NotAMiss, WrongStatus))
async def deliveries_reopen(delivery_id: UUID, actor: Recruiter, session: Session, response: Response) -> DeliveryRead:
    """Open a closed miss again: its owner is to be won after all."""
    return _tagged(response, actor, await recruitment.reopen(session, actor, delivery_id))


def _tagged(response: Response, actor: Actor, delivery: Delivery) -> DeliveryRead:
    response.headers["ETag"] = etag(delivery.version)
    return delivery_read(actor, delivery)
