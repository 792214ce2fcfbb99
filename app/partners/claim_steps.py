"""A claim's life after the month's close: approved or disputed, answered, paid."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import HEADQUARTERS, Actor
from app.core.clock import china_date
from app.core.db import raw
from app.core.problems import Forbidden, InvalidPayload, NotFound
from app.core.transitions import require_step
from app.partners import queries
from app.partners.claim_schemas import ClaimAnswer, ClaimDispute, ClaimPayment, PerkClaimRead
from app.partners.models import PerkClaim
from app.partners.rules import CLAIM_TRANSITIONS, PerkClaimStatus


async def approve(session: AsyncSession, actor: Actor, claim_id: UUID, *, now: datetime) -> PerkClaimRead:
    """The payer agrees.

    Raises:
        NotFound, Forbidden: the line is not the actor's to pay.
        WrongStatus: it is not up for approval.
    """
    claim = await _to_pay(session, actor, claim_id)
    _step(claim, PerkClaimStatus.APPROVED)
    claim.approved_at, claim.approved_by = now, actor.subject
    return await _written(session, claim)


async def dispute(session: AsyncSession, actor: Actor, claim_id: UUID, order: ClaimDispute) -> PerkClaimRead:
    """Who pays or gets it objects; headquarters' finance does for anybody who has no sign-in.

    Raises:
        NotFound.
        WrongStatus: it is approved, paid, withdrawn, or disputed already.
    """
    claim, _ = await _locked(session, actor, claim_id)
    _step(claim, PerkClaimStatus.DISPUTED)
    claim.reason, claim.disputed_by = order.reason, actor.subject
    claim.answer = claim.answered_by = None
    return await _written(session, claim)


async def answer(session: AsyncSession, actor: Actor, claim_id: UUID, order: ClaimAnswer) -> PerkClaimRead:
    """Headquarters ends a dispute: the line is up for approval again, or withdrawn.

    Raises:
        NotFound, WrongStatus: it is not disputed.
    """
    claim, _ = await _locked(session, actor, claim_id)
    _step(claim, PerkClaimStatus.WITHDRAWN if order.withdraw else PerkClaimStatus.CLAIMED)
    claim.answer, claim.answered_by = order.answer, actor.subject
    return await _written(session, claim)


async def pay(
    session: AsyncSession, actor: Actor, claim_id: UUID, order: ClaimPayment, *, now: datetime
) -> PerkClaimRead:
    """The payer notes the payment of an approved line.

    Raises:
        NotFound, Forbidden: the line is not the actor's to pay.
        WrongStatus: it is not approved.
        InvalidPayload: the day of payment lies in the future.
    """
    if order.paid_on > china_date(now):
        raise InvalidPayload.at("/paid_on", "date_in_future")
    claim = await _to_pay(session, actor, claim_id)
    _step(claim, PerkClaimStatus.PAID)
    claim.paid_on, claim.payment_reference = order.paid_on, order.reference
    return await _written(session, claim)


async def _to_pay(session: AsyncSession, actor: Actor, claim_id: UUID) -> PerkClaim:
    """A line that is the actor's to pay; headquarters acts for partners too, who need not have anybody here."""
    claim, parties = await _locked(session, actor, claim_id)
    is_for_headquarters = claim.payer == HEADQUARTERS or claim.payer.startswith("partner:")
    if not (is_for_headquarters if parties is None else claim.payer in parties):
        raise Forbidden
    return claim


async def _locked(session: AsyncSession, actor: Actor, claim_id: UUID) -> tuple[PerkClaim, Collection[str] | None]:
    parties = await queries.parties(await raw(session), actor)
    claim = await queries.locked_claim(session, claim_id, parties)
    if claim is None:
        raise NotFound("claim")
    return claim, parties


def _step(claim: PerkClaim, to: PerkClaimStatus) -> None:
    require_step(CLAIM_TRANSITIONS, PerkClaimStatus(claim.status), to)
    claim.status = to
    claim.version += 1


async def _written(session: AsyncSession, claim: PerkClaim) -> PerkClaimRead:
    await session.flush()
    return PerkClaimRead.model_validate(claim)
