"""Referrals over HTTP."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import unmaskings
from app.chapters.schemas import DealerCode
from app.core import tallies
from app.core.actors import Actor, Reach, Right
from app.core.http import GUARDED, Config, Cursor, Limit, Now, Once, Requires, Session, documented
from app.core.paging import Page, id_after, paged
from app.core.problems import KeyConflict, NotFound, TooManyRequests, WrongStatus
from app.members.rules import masked_name, masked_phone
from app.members.schemas import may_unmask
from app.points.problems import WalletClosed
from app.referrals import appeals, queries, service
from app.referrals.models import Referral
from app.referrals.problems import (
    AlreadyReferred,
    BuyerIsOwner,
    NothingToAppeal,
    RegisteredTooLate,
    SameHousehold,
    SelfReferral,
)
from app.referrals.rules import Escalation, ReferralStatus
from app.referrals.schemas import (
    AppealCreate,
    Confirmation,
    Decision,
    Feedback,
    ReferralCreate,
    ReferralEnd,
    ReferralRead,
    StepList,
    StepRead,
)
from app.referrals.service import Shown
from app.settings import Settings

router = APIRouter(prefix="/referrals", tags=["referrals"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.REFERRALS_READ))]
ReaderOrSelf = Annotated[Actor, Depends(Requires(Right.REFERRALS_READ, Right.OWN_CARD))]
Writer = Annotated[Actor, Depends(Requires(Right.REFERRALS_WRITE))]
WriterOrSelf = Annotated[Actor, Depends(Requires(Right.REFERRALS_WRITE, Right.OWN_CARD))]
Headquarters = Annotated[Actor, Depends(Requires(Right.REFERRALS_DECIDE))]

REFUSALS = (SelfReferral, SameHousehold, RegisteredTooLate, BuyerIsOwner, AlreadyReferred)


async def _spare(request: Request, actor: Actor, now: datetime, config: Settings) -> None:
    """Count an attempt, since each tells something of a phone number; headquarters and its programs are free.

    Raises:
        TooManyRequests.
    """
    if actor.reach is Reach.ALL:
        return
    key = request.app.state.seals.digest("referrals", actor.reach, actor.subject)
    window = await tallies.count(request.app.state.db.pool, tallies.Limit.of(config.rate_lookups), key, now)
    if not window.has_room:
        raise TooManyRequests(retry_after_seconds=window.seconds_left(now))


async def _sparing(request: Request, actor: WriterOrSelf, now: Now, config: Config) -> None:
    await _spare(request, actor, now, config)


async def _sparing_staff(request: Request, actor: Writer, now: Now, config: Config) -> None:
    await _spare(request, actor, now, config)


@router.post(
    "", status_code=201, response_model=ReferralRead, dependencies=[Depends(_sparing)],
    responses=documented(NotFound, WrongStatus, KeyConflict, TooManyRequests, *REFUSALS),
)  # fmt: skip
async def referrals_register(
    body: ReferralCreate, actor: WriterOrSelf, session: Session, config: Config, now: Now, once: Once
) -> Response:
    """Register a buyer before the first visit (报备); a member's own waits for a consultant's confirmation."""

    async def register() -> ReferralRead:
        return await _one(session, actor, await service.register(session, actor, body, config, now=now))

    return await once(body, register)


@router.post(
    "/appeals", status_code=201, response_model=ReferralRead, dependencies=[Depends(_sparing_staff)],
    responses=documented(NotFound, WrongStatus, KeyConflict, TooManyRequests, NothingToAppeal),
)  # fmt: skip
async def referrals_appeal_refusal(
    body: AppealCreate, actor: Writer, session: Session, config: Config, now: Now, once: Once
) -> Response:
    """Put a referral that a guard refuses before headquarters, with the reason."""

    async def register() -> ReferralRead:
        return await _one(session, actor, await appeals.register(session, actor, body, config, now=now))

    return await once(body, register)


@router.get("")
async def referrals_list(
    actor: ReaderOrSelf,
    session: Session,
    status: ReferralStatus | None = None,
    dealer_code: Annotated[DealerCode | None, Query()] = None,
    consultant: Annotated[str | None, Query(max_length=100)] = None,
    escalated: Escalation | None = None,
    due_by: Annotated[date | None, Query(description="leads whose next report is due by then")] = None,
    referrer_id: UUID | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ReferralRead]:
    """The referrals one may see, newest first: a member's own, a consultant's leads, a dealer's, all."""
    found = await queries.referrals(
        session, actor, status=status, dealer_code=dealer_code, consultant=consultant, escalated=escalated,
        due_by=due_by, referrer_id=referrer_id, before=id_after(cursor), limit=limit + 1,
    )  # fmt: skip
    page = paged(found, limit, lambda referral: (str(referral.id),))
    items = [_read(actor, shown) for shown in await service.shown(session, actor, found[:limit])]
    return Page[ReferralRead].model_validate(page | {"items": items})


@router.get("/{referral_id}", responses=documented(NotFound))
async def referrals_get(referral_id: UUID, actor: ReaderOrSelf, session: Session) -> ReferralRead:
    """One referral."""
    return await _one(session, actor, await service.seen(session, actor, referral_id))


@router.get("/{referral_id}/steps", responses=documented(NotFound))
async def referrals_steps(referral_id: UUID, actor: Reader, session: Session) -> StepList:
    """What became of a lead, step by step."""
    found = await service.seen(session, actor, referral_id)
    steps = await queries.steps(session, found.id)
    return StepList(items=[StepRead.model_validate(step, from_attributes=True) for step in steps])


@router.post("/{referral_id}/confirmation", responses=documented(NotFound, WrongStatus, *REFUSALS))
async def referrals_confirm(
    referral_id: UUID, body: Confirmation, actor: Writer, session: Session, config: Config, now: Now
) -> ReferralRead:
    """Take on what a member asked for, as the lead's consultant or the dealer."""
    return await _one(session, actor, await service.confirm(session, actor, referral_id, body, config, now=now))


@router.post("/{referral_id}/refusal", responses=documented(NotFound, WrongStatus))
async def referrals_refuse(
    referral_id: UUID, body: ReferralEnd, actor: Writer, session: Session, now: Now
) -> ReferralRead:
    """Refuse what a member asked for, with the reason; the member may appeal."""
    ended = await service.end(session, actor, referral_id, ReferralStatus.REFUSED, body.reason, now=now)
    return await _one(session, actor, ended)


@router.post("/{referral_id}/withdrawal", responses=documented(NotFound, WrongStatus))
async def referrals_withdraw(
    referral_id: UUID, body: ReferralEnd, actor: WriterOrSelf, session: Session, now: Now
) -> ReferralRead:
    """Take a referral back before the car is delivered."""
    ended = await service.end(session, actor, referral_id, ReferralStatus.WITHDRAWN, body.reason, now=now)
    return await _one(session, actor, ended)


@router.post("/{referral_id}/feedback", responses=documented(NotFound, WrongStatus, RegisteredTooLate))
async def referrals_report(
    referral_id: UUID, body: Feedback, actor: Writer, session: Session, config: Config, now: Now
) -> ReferralRead:
    """Say where the lead stands: followed up, ordered, or lost. The next report is due by the buyer's horizon."""
    return await _one(session, actor, await service.report(session, actor, referral_id, body, config, now=now))


@router.post("/{referral_id}/appeal", responses=documented(NotFound, WrongStatus))
async def referrals_appeal(
    referral_id: UUID, body: ReferralEnd, actor: WriterOrSelf, session: Session, now: Now
) -> ReferralRead:
    """Put what became of a referral (refused, lapsed, lost, superseded, cancelled) before headquarters."""
    return await _one(session, actor, await appeals.appeal(session, actor, referral_id, body.reason, now=now))


@router.post("/{referral_id}/decision", responses=documented(NotFound, WrongStatus, WalletClosed))
async def referrals_decide(
    referral_id: UUID, body: Decision, actor: Headquarters, session: Session, config: Config, now: Now
) -> ReferralRead:
    """Answer an appeal; what is granted counts, and whoever held the buyer is superseded."""
    return await _one(session, actor, await appeals.decide(session, actor, referral_id, body, config, now=now))


async def _one(session: AsyncSession, actor: Actor, referral: Referral) -> ReferralRead:
    (shown,) = await service.shown(session, actor, [referral])
    return _read(actor, shown)


def _read(actor: Actor, shown: Shown) -> ReferralRead:
    referral, referrer, is_own = shown
    hidden = {"vin": None, "buyer_id": None} if actor.reach is Reach.SELF else {}
    return ReferralRead(
        **dict(referral) | hidden,
        referrer_no=referrer.member_no,
        referrer_name=referrer.name if is_own else masked_name(referrer.name),
        buyer_phone=_phone_for(actor, referral),
    )


def _phone_for(actor: Actor, referral: Referral) -> str | None:
    if referral.phone is None:
        return None
    calls = actor.subject == referral.consultant and referral.may_contact
    if not calls and not may_unmask(actor, referral.dealer_code):
        return masked_phone(referral.phone)
    unmaskings.note("referral", referral.id)
    return referral.phone
