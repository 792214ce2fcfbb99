"""Verification calls: a director or headquarters asks somebody to call a member, who notes what came of it."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import RIGHTS, Actor, Reach, Right, Role
from app.core.clock import china_date
from app.core.problems import Forbidden, InvalidPayload, NotFound, WrongStatus
from app.identity import grants
from app.identity.models import Account, Grant
from app.members import queries
from app.members.consent_rules import Use
from app.members.consents import require_usable
from app.members.models import Member
from app.members.review_models import Outcome, VerificationCall
from app.members.visibility import visible_member
from app.settings import Settings

Called = tuple[VerificationCall, Member]


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Who may see the member sees its calls."""
    return col(VerificationCall.member_id).in_(select(col(Member.id)).where(queries.visible_to(actor)))


async def ask(
    session: AsyncSession, actor: Actor, member_id: UUID, question: str, assigned_to: str, due_on: date | None,
    use: Use | None, *, now: datetime, settings: Settings,
) -> Called:  # fmt: skip
    """Ask for a call.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
        InvalidPayload: the person to call is not of the member's chapter or of headquarters, or the day is over.
        ConsentMissing, NotToBeAsked: the call is for a use that the member's consent does not allow.
    """
    member = await visible_member(session, actor, member_id)
    if due_on is not None and due_on < china_date(now):
        raise InvalidPayload.at("/due_on", "date_too_early", earliest=china_date(now))
    if not await _may_call(session, assigned_to, member, china_date(now)):
        raise InvalidPayload.at("/assigned_to", "no_caller")
    await require_usable(session, member.id, use, now, settings)
    call = VerificationCall(
        member_id=member.id, question=question, assigned_to=assigned_to, due_on=due_on, asked_by=actor.subject,
        asked_at=now, use=use,
    )  # fmt: skip
    session.add(call)
    await session.flush()
    return call, member


async def _may_call(session: AsyncSession, username: str, member: Member, today: date) -> bool:
    query = (
        select(Grant)
        .join(Account, col(Account.id) == col(Grant.account_id))
        .where(col(Account.username) == username, col(Account.is_active), grants.on(today))
    )
    return any(
        Right.MEMBERS_CARE in RIGHTS[(role := Role(grant.role))]
        and (role.reach is Reach.ALL or (grant.dealer_code is not None and grant.dealer_code == member.dealer_code))
        for grant in await session.scalars(query)
    )


async def calls(
    session: AsyncSession, actor: Actor, *, mine: bool, closed: bool | None, after: UUID | None, limit: int
) -> Sequence[Called]:
    """Calls with their members, oldest first, from after an id; `mine`: those the actor is to make."""
    query = (
        select(VerificationCall, Member)
        .join(Member, col(Member.id) == col(VerificationCall.member_id))
        .where(visible_to(actor))
    )
    if mine:
        query = query.where(col(VerificationCall.assigned_to) == actor.subject)
    if closed is not None:
        is_open = col(VerificationCall.closed_at).is_(None)
        query = query.where(~is_open if closed else is_open)
    if after is not None:
        query = query.where(col(VerificationCall.id) > after)
    rows = await session.execute(query.order_by(col(VerificationCall.id)).limit(limit))
    return [(call, member) for call, member in rows]


async def close(
    session: AsyncSession, actor: Actor, call_id: UUID, outcome: Outcome, answer: str | None, *, now: datetime
) -> Called:
    """Note what a call came to.

    Raises:
        NotFound: there is no such call, or it is not the actor's to see.
        Forbidden: it is somebody else's, and the actor does not decide on members.
        WrongStatus: it is closed.
    """
    query = select(VerificationCall).where(col(VerificationCall.id) == call_id, visible_to(actor)).with_for_update()
    call = await session.scalar(query)
    if call is None:
        raise NotFound("verification call")
    if call.assigned_to != actor.subject and not actor.may(Right.MEMBERS_DECIDE):
        raise Forbidden
    if call.outcome is not None:
        raise WrongStatus(current="closed", allowed=["open"])
    call.outcome, call.answer, call.closed_by, call.closed_at = outcome, answer, actor.subject, now
    await session.flush()
    member = await queries.member(session, actor, call.member_id)
    assert member is not None
    return call, member
