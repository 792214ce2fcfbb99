"""Corrections of the ledger: reversals, adjustments, write-offs; and the programme's totals."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from app.core.actors import Actor, Right
from app.core.clock import china_date
from app.core.db import rehearsal
from app.core.http import GUARDED, DryRun, Errand, Errands, Postings, Requires, documented
from app.core.problems import InvalidPayload, KeyConflict, NotFound
from app.core.schemas import BusinessDate, Input, Reason
from app.points import ledger, problems, queries, reversals, totals
from app.points.answers import PostingRead, posting_response, request_of
from app.points.rules import last_spendable_day

router = APIRouter(prefix="/points", tags=["points"], responses=GUARDED)

CorrectionErrand = Annotated[Errand, Depends(Errands(Right.POINTS_CORRECT))]
ReversalErrand = Annotated[Errand, Depends(Errands(Right.POINTS_REVERSE))]
TotalsReader = Annotated[Actor, Depends(Requires(Right.POINTS_TOTALS))]
POSTED = documented(NotFound, KeyConflict, problems.WalletClosed) | {
    200: {"model": PostingRead, "description": "the dry run's answer; nothing was posted"},
    201: {"model": PostingRead},
}


class ReversalCreate(Input):
    """Takes an earning back; what was spent of it becomes owed."""

    member_id: UUID
    posting_no: int = Field(ge=1, lt=1 << 63, description="the earning's posting number")
    reason: Reason


class AdjustmentCreate(Input):
    """Above zero grants points at headquarters' cost, below zero takes points back."""

    member_id: UUID
    points: int = Field(ge=-100_000_000, le=100_000_000, strict=True)
    expires_on: BusinessDate | None = Field(
        default=None, description="last spendable day of granted points; two years by default"
    )
    reason: Reason


class WriteOffCreate(Input):
    """Forgives points that a member owes."""

    member_id: UUID
    points: int = Field(ge=1, le=100_000_000, strict=True)
    reason: Reason


@router.post("/reversals", status_code=201, responses=POSTED | documented(problems.AlreadyReversed, problems.WrongKind))
async def points_reverse(body: ReversalCreate, errand: ReversalErrand, dry_run: DryRun = False) -> Response:
    """Take an earning back from its own lot; spent and held points become owed to its funder.

    What the same document earned besides, from other rules or funders, goes back with it.
    """
    if not await queries.is_reached(errand.db.pool, errand.actor, body.member_id, body.posting_no):
        raise NotFound("posting")
    posting = await reversals.reverse(
        errand.db, body.member_id, body.posting_no, reason=body.reason, request=request_of(errand, body),
        dry_run=dry_run,
    )  # fmt: skip
    return posting_response(posting, dry_run=dry_run)


@router.post(
    "/adjustments",
    status_code=201,
    responses=POSTED | documented(problems.InsufficientPoints, problems.DatesOutOfOrder),
)
async def points_adjust(body: AdjustmentCreate, errand: CorrectionErrand, dry_run: DryRun = False) -> Response:
    """Correct a balance, with the reason and the person on record."""
    if body.points == 0:
        raise InvalidPayload.at("/points", "points_zero")
    async with rehearsal(errand.db.pool, dry_run) as db:
        posting = await ledger.adjust(
            db, body.member_id, body.points, reason=body.reason,
            expires_on=body.expires_on or last_spendable_day(china_date(errand.now)), request=request_of(errand, body),
        )  # fmt: skip
    return posting_response(posting, dry_run=dry_run)


@router.post("/write-offs", status_code=201, responses=POSTED | documented(problems.ExceedsOwed))
async def points_write_off(body: WriteOffCreate, errand: CorrectionErrand, dry_run: DryRun = False) -> Response:
    """Forgive points a member owes."""
    async with rehearsal(errand.db.pool, dry_run) as db:
        posting = await ledger.write_off(
            db, body.member_id, body.points, reason=body.reason, request=request_of(errand, body)
        )
    return posting_response(posting, dry_run=dry_run)


@router.get("/totals", response_model=totals.Totals)
async def points_totals(
    _: TotalsReader,
    pool: Postings,
    as_of: Annotated[date | None, Query(description="business date, all by default")] = None,
) -> totals.Totals:
    """The programme's points by business date."""
    return await totals.read(pool, as_of)
