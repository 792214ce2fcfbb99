"""Earnings brought by programs and headquarters."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from app.core.actors import Right
from app.core.http import GUARDED, DirectRoute, DryRun, Errand, Errands, documented
from app.core.problems import KeyConflict, NotFound
from app.earning import service
from app.earning.schemas import EarningCreate
from app.points.answers import PostingRead, posting_response, request_of
from app.points.problems import DatesOutOfOrder, DocumentConflict, FutureDate, WalletClosed

router = APIRouter(prefix="/points", tags=["points"], responses=GUARDED, route_class=DirectRoute)

EarnErrand = Annotated[Errand, Depends(Errands(Right.POINTS_EARN))]


@router.post(
    "/earnings",
    status_code=201,
    responses=documented(NotFound, KeyConflict, DocumentConflict, WalletClosed, FutureDate, DatesOutOfOrder)
    | {
        200: {"model": PostingRead, "description": "the dry run's answer; nothing was posted"},
        201: {"model": PostingRead},
    },
)
async def points_earn(body: EarningCreate, errand: EarnErrand, dry_run: DryRun = False) -> Response:
    """Grant points for one cause, once; points the member owes are repaid from them first."""
    posting = await service.earn(errand.db, errand.actor, body, request_of(errand, body), dry_run=dry_run)
    return posting_response(posting, dry_run=dry_run)
