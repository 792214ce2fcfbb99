"""Appeals to headquarters: what a guard or a consultant refused may be granted all the same."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor
from app.core.clock import china_date
from app.core.db import raw
from app.core.problems import InvalidPayload, Problem, WrongStatus
from app.referrals import queries, success
from app.referrals.guards import first_heard
from app.referrals.models import Referral
from app.referrals.problems import NothingToAppeal
from app.referrals.rules import ReferralStatus, window_end
from app.referrals.schemas import AppealCreate, Decision
from app.referrals.service import begin, drafted, held, judge, lead_of, step
from app.settings import Settings


async def register(
    session: AsyncSession, actor: Actor, body: AppealCreate, config: Settings, *, now: datetime
) -> Referral:
    """Put a referral that a guard refuses before headquarters; which guard, is noted.

    Raises:
        NotFound, WrongStatus, InvalidPayload: as `service.register`.
        NothingToAppeal: no guard refuses it.
    """
    made, referrer = await drafted(session, actor, body, config, now)
    try:
        await judge(session, referrer, lead_of(made, first_heard(body.visited_on, body.ordered_on)), now)
    except Problem as refusal:
        made.refusal = refusal.type
        return await begin(session, made, ReferralStatus.APPEALED, actor, now, body.reason)
    raise NothingToAppeal


async def appeal(session: AsyncSession, actor: Actor, referral_id: UUID, reason: str, *, now: datetime) -> Referral:
    """Put what became of a referral before headquarters.

    Raises:
        NotFound.
        WrongStatus: it has not ended, or the buyer's phone is no longer kept.
    """
    found = await held(session, actor, referral_id)
    if found.phone is None:
        raise WrongStatus(current=found.status, allowed=[])
    found.refusal = found.status
    await step(session, found, ReferralStatus.APPEALED, actor.subject, now, note=reason)
    return found


async def decide(
    session: AsyncSession, actor: Actor, referral_id: UUID, body: Decision, config: Settings, *, now: datetime
) -> Referral:
    """Headquarters' answer. What is granted counts from its day, whatever was refused; who held the buyer no longer
    does, and a car delivered meanwhile is this referral's success.

    Raises:
        NotFound, WrongStatus.
        InvalidPayload: the day from which it counts lies ahead.
        WalletClosed: points are to be given back by a member who has left.
    """
    today = china_date(now)
    if body.registered_on is not None and body.registered_on > today:
        raise InvalidPayload.at("/registered_on", "date_in_future")
    found = await held(session, actor, referral_id)
    if found.status != ReferralStatus.APPEALED:
        raise WrongStatus(current=found.status, allowed=[ReferralStatus.APPEALED])
    found.answer = body.reason
    if not body.granted:
        await step(session, found, ReferralStatus.REFUSED, actor.subject, now, note=body.reason)
        return found
    found.registered_on = body.registered_on or found.registered_on
    found.valid_until = max(window_end(found.registered_on, config.referral_window_days), today)
    found.due_on, found.delivered_on = today + timedelta(days=config.lead_feedback_days), None
    await _supersede(session, found, actor.subject, now)
    await step(session, found, ReferralStatus.OPEN, actor.subject, now, note=body.reason)
    await success.match_waiting(await raw(session), now, found.id)
    await session.refresh(found)
    return found


async def _supersede(session: AsyncSession, granted: Referral, by: str, now: datetime) -> None:
    for rival in await queries.rivals(session, granted):
        if rival.status == ReferralStatus.DELIVERED:
            await success.take_back(await raw(session), [rival.id], by, now)
        await step(session, rival, ReferralStatus.SUPERSEDED, by, now)
