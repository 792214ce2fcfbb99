"""Earnings brought by programs and headquarters."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from app.core.actors import Right
from app.core.http import GUARDED, DirectRoute, DryRun, Errand, Errands, documented, json_response
from app.core.problems import KeyConflict, NotFound
from app.earning import service
from app.earning.schemas import EarningBody, EventCreate, OutcomeRead
from app.points.answers import PostingRead, posting_response, request_of
from app.points.problems import DatesOutOfOrder, DocumentConflict, FutureDate, WalletClosed

router = APIRouter(prefix="/points", tags=["points"], responses=GUARDED, route_class=DirectRoute)

EarnErrand = Annotated[Errand, Depends(Errands(Right.POINTS_EARN))]


@router.post(
    "/earnings",
    status_code=201,
    responses=documented(NotFound, KeyConflict, DocumentConflict, WalletClosed, FutureDate, DatesOutOfOrder)
    | {
        200: {"model": PostingRead | OutcomeRead, "description": "the dry run's answer; nothing was posted"},
        201: {"model": PostingRead | OutcomeRead},
    },
)
async def points_earn(body: EarningBody, errand: EarnErrand, dry_run: DryRun = False) -> Response:
    """Grant points for one cause, once, or let the rules judge an event; what the member owes is repaid first.

    An event is known again by its trigger and key, whatever the Idempotency-Key is.
    """
    order = body.root
    request = request_of(errand, order)
    if isinstance(order, EventCreate):
        outcome = await service.judge(errand.db, errand.actor, order, request, dry_run=dry_run)
        answer = OutcomeRead.of(outcome).model_dump(mode="json")
        headers = {"Idempotent-Replayed": "true"} if outcome.replayed else None
        return json_response(answer, 200 if dry_run else 201, headers)
    posting = await service.earn(errand.db, errand.actor, order, request, dry_run=dry_run)
    return posting_response(posting, dry_run=dry_run)
