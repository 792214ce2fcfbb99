"""Claims of cars' new owners over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from app.core.actors import Actor, Right
from app.core.http import GUARDED, Cursor, Limit, Now, Once, Requires, Session, documented
from app.core.paging import Page, id_after, next_cursor
from app.core.problems import KeyConflict, NotFound, WrongStatus
from app.members import claims as service
from app.members import vehicle_queries as queries
from app.members.claims import Claimed
from app.members.problems import ClaimOpen
from app.members.rules import masked_name
from app.members.vehicle_rules import ClaimStatus
from app.members.vehicle_schemas import (
    ClaimCreate,
    ClaimRead,
    ClaimWithdrawal,
    Consent,
    Decision,
    Objection,
)

router = APIRouter(prefix="/vehicle-claims", tags=["vehicles"], responses=GUARDED)

ReaderOrSelf = Annotated[Actor, Depends(Requires(Right.MEMBERS_READ, Right.OWN_CARD))]
Claiming = Annotated[Actor, Depends(Requires(Right.MEMBERS_ENROL, Right.OWN_CARD))]
OwnersSide = Annotated[Actor, Depends(Requires(Right.MEMBERS_DECIDE, Right.OWN_CARD))]
Director = Annotated[Actor, Depends(Requires(Right.MEMBERS_DECIDE))]

DECIDED = documented(NotFound, WrongStatus)


@router.post(
    "", status_code=201, response_model=ClaimRead, responses=documented(NotFound, WrongStatus, ClaimOpen, KeyConflict)
)
async def claims_create(body: ClaimCreate, actor: Claiming, session: Session, now: Now, once: Once) -> Response:
    """Claim a car for its new owner. One that nobody owns goes over at once when staff claim it."""

    async def ask() -> ClaimRead:
        return _read(await service.ask(session, actor, body, now=now))

    return await once(body, ask)


@router.get("")
async def claims_list(
    actor: ReaderOrSelf, session: Session, status: ClaimStatus | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[ClaimRead]:
    """The claims by one's own and for one's own cars, oldest first."""
    found = await queries.claims(session, actor, status=status, after=id_after(cursor), limit=limit + 1)
    items = [_read(await service.shown(session, sides)) for sides in found[:limit]]
    return Page[ClaimRead](items=items, next_cursor=next_cursor(found, limit, lambda sides: (str(sides.claim.id),)))


@router.get("/{claim_id}", responses=documented(NotFound))
async def claims_get(claim_id: UUID, actor: ReaderOrSelf, session: Session) -> ClaimRead:
    """One claim."""
    return _read(await service.get(session, actor, claim_id))


@router.post("/{claim_id}/consent", responses=DECIDED)
async def claims_consent(claim_id: UUID, body: Consent, actor: OwnersSide, session: Session, now: Now) -> ClaimRead:
    """The owner hands the car over; staff of the owner's chapter name the signed paper."""
    return _read(await service.consent(session, actor, claim_id, body.reference, now=now))


@router.post("/{claim_id}/objection", responses=DECIDED)
async def claims_object(claim_id: UUID, body: Objection, actor: OwnersSide, session: Session, now: Now) -> ClaimRead:
    """The owner does not hand the car over; headquarters decides."""
    return _read(await service.object_to(session, actor, claim_id, body.reason, now=now))


@router.post("/{claim_id}/decision", responses=DECIDED)
async def claims_decide(claim_id: UUID, body: Decision, actor: Director, session: Session, now: Now) -> ClaimRead:
    """Headquarters decides; the claimant's chapter may, when nobody owns the car."""
    return _read(await service.decide(session, actor, claim_id, accept=body.accept, reason=body.reason, now=now))


@router.post("/{claim_id}/withdrawal", responses=DECIDED)
async def claims_withdraw(
    claim_id: UUID, body: ClaimWithdrawal, actor: Claiming, session: Session, now: Now
) -> ClaimRead:
    """The claimant takes the claim back."""
    return _read(await service.withdraw(session, actor, claim_id, body.reason, now=now))


def _read(claimed: Claimed) -> ClaimRead:
    claim, is_claimants, is_owners = claimed.sides
    hidden: dict[str, None] = {}
    if not is_claimants:
        hidden |= {"proof": None, "application_id": None}
    if not is_owners:
        hidden |= {"from_member_id": None}
    return ClaimRead(
        **dict(claim) | hidden,
        claimant=masked_name(claimed.claimant),
        member_id=claim.claimant_id if is_claimants else None,
    )
