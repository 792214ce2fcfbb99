"""A month's claims over HTTP: who pays whom for vouchers and commission, and what becomes of each line."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from app.audit import service as audit
from app.audit.models import Action
from app.core.actors import Actor, Right
from app.core.clock import china_date
from app.core.db import raw, unrestricted
from app.core.http import GUARDED, Now, Once, Requires, Session, documented
from app.core.problems import Forbidden, KeyConflict, NotFound, WrongStatus
from app.core.schemas import Month
from app.partners import claim_steps, claims, queries
from app.partners.claim_schemas import ClaimAnswer, ClaimApproval, ClaimDispute, ClaimList, ClaimPayment, PerkClaimRead

router = APIRouter(tags=["perk figures"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.STATEMENTS_READ, Right.COMMISSIONS_READ))]
Checker = Annotated[Actor, Depends(Requires(Right.CLAIMS_CHECK))]
Party = Annotated[Actor, Depends(Requires(Right.CLAIMS_CHECK, Right.COMMISSIONS_READ))]
Settler = Annotated[Actor, Depends(Requires(Right.SETTLEMENT_RUN))]

_LIST: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the list, or its lines as CSV: UTF-8 with a byte order mark, one header line",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
}
_STEP = documented(NotFound, WrongStatus, KeyConflict)


@router.get("/perk-claims/{period}", response_model=ClaimList, responses=_LIST)
async def perk_claims_list(
    actor: Reader, session: Session, period: Month, now: Now, format: Literal["json", "csv"] = "json"
) -> ClaimList | Response:
    """Who pays whom for a month's vouchers, and what agencies get; others than headquarters see their own lines."""
    parties = await queries.parties(await raw(session), actor)
    # a partner's vouchers are of all its members, whose ever they are
    await unrestricted(session)
    found = await claims.of_month(await raw(session), period, parties, today=china_date(now))
    if format == "json":
        return found
    if not actor.may(Right.RECORDS_EXPORT):
        raise Forbidden
    await audit.record(session, Action.EXPORTED, "perk-claims", [found.month])
    name = {"Content-Disposition": f'attachment; filename="perk-claims-{found.month}.csv"'}
    return Response(claims.as_csv(found), headers=name, media_type="text/csv; charset=utf-8")


@router.post("/perk-claims/{perk_claim_id}/approval", response_model=PerkClaimRead, responses=_STEP)
async def perk_claims_approve(
    perk_claim_id: UUID, body: ClaimApproval, actor: Checker, session: Session, now: Now, once: Once
) -> Response:
    """Approve what one pays; headquarters' finance does so for headquarters and for partners."""
    return await once(body, lambda: claim_steps.approve(session, actor, perk_claim_id, now=now))


@router.post("/perk-claims/{perk_claim_id}/dispute", response_model=PerkClaimRead, responses=_STEP)
async def perk_claims_dispute(
    perk_claim_id: UUID, body: ClaimDispute, actor: Party, session: Session, once: Once
) -> Response:
    """Object to a line that one pays or gets."""
    return await once(body, lambda: claim_steps.dispute(session, actor, perk_claim_id, body))


@router.post("/perk-claims/{perk_claim_id}/answer", response_model=PerkClaimRead, responses=_STEP)
async def perk_claims_answer(
    perk_claim_id: UUID, body: ClaimAnswer, actor: Settler, session: Session, once: Once
) -> Response:
    """End a dispute: the line is up for approval again, or withdrawn. What it comes to is never changed."""
    return await once(body, lambda: claim_steps.answer(session, actor, perk_claim_id, body))


@router.post("/perk-claims/{perk_claim_id}/payment", response_model=PerkClaimRead, responses=_STEP)
async def perk_claims_pay(
    perk_claim_id: UUID, body: ClaimPayment, actor: Checker, session: Session, now: Now, once: Once
) -> Response:
    """Note the payment of an approved line that one pays."""
    return await once(body, lambda: claim_steps.pay(session, actor, perk_claim_id, body, now=now))
