"""Earnings brought by programs and headquarters."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from app.core.actors import Actor, Role
from app.core.http import GUARDED, Db, DryRun, Now, RequiredKey, Requires, documented
from app.core.problems import KeyConflict, NotFound
from app.earning import service
from app.earning.schemas import EarningCreate
from app.points.answers import PostingRead, posting_response
from app.points.ledger import Request
from app.points.problems import DocumentConflict, FutureDate, WalletClosed

router = APIRouter(prefix="/points", tags=["points"], responses=GUARDED)

Earner = Annotated[Actor, Depends(Requires(Role.HQ, Role.API_CLIENT, scope="points:earn"))]


@router.post(
    "/earnings",
    status_code=201,
    responses=documented(NotFound, KeyConflict, DocumentConflict, WalletClosed, FutureDate)
    | {
        200: {"model": PostingRead, "description": "the dry run's answer; nothing was posted"},
        201: {"model": PostingRead},
    },
)
async def points_earn(
    body: EarningCreate, actor: Earner, db: Db, key: RequiredKey, now: Now, dry_run: DryRun = False
) -> Response:
    """Grant points for one cause, once; points the member owes are repaid from them first."""
    posting = await service.earn(db, body, Request(actor.subject, key, now), dry_run=dry_run)
    return posting_response(posting, dry_run=dry_run)
