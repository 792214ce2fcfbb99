"""The SQL of referrals, and the one condition on which of them an actor may see."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor, Reach, Role
from app.core.vault import finds
from app.identity import grants
from app.identity.models import Account, Grant
from app.members import queries as members
from app.members.models import Member, Ownership
from app.members.profile_models import HouseholdPerson
from app.referrals.models import Referral, ReferralStep
from app.referrals.rules import AWAITED, LAPSING, LIVE, Escalation, ReferralStatus
from app.visits.deliveries_models import Delivery


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """A member sees its own, a dealer those to it, a region those of its dealers, headquarters and programs all.

    A sales consultant sees the leads under their name, and those nobody has taken on yet.
    """
    if actor.reach is Reach.SELF:
        return col(Referral.referrer_id) == actor.member_id
    reached = dealer_visible_to(actor, col(Referral.dealer_code))
    if actor.role is Role.SALES_CONSULTANT:
        return and_(reached, or_(col(Referral.consultant) == actor.subject, col(Referral.consultant).is_(None)))
    return reached


async def referral(session: AsyncSession, actor: Actor, referral_id: UUID, *, locked: bool = False) -> Referral | None:
    """One referral, if the actor may see it; `locked` for change."""
    query = select(Referral).where(col(Referral.id) == referral_id, visible_to(actor))
    if locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


async def referrals(
    session: AsyncSession, actor: Actor, *, status: ReferralStatus | None, dealer_code: str | None,
    consultant: str | None, escalated: Escalation | None, due_by: date | None, referrer_id: UUID | None,
    before: UUID | None, limit: int,
) -> Sequence[Referral]:  # fmt: skip
    """The referrals an actor may see, newest first, from before an id; None does not filter."""
    asked = {
        Referral.status: status, Referral.dealer_code: dealer_code, Referral.consultant: consultant,
        Referral.escalated: escalated, Referral.referrer_id: referrer_id,
    }  # fmt: skip
    query = select(Referral).where(visible_to(actor), *(col(name) == value for name, value in asked.items() if value))
    if due_by is not None:
        query = query.where(col(Referral.due_on) <= due_by, col(Referral.status).in_(AWAITED))
    if before is not None:
        query = query.where(col(Referral.id) < before)
    return (await session.scalars(query.order_by(col(Referral.id).desc()).limit(limit))).all()


async def steps(session: AsyncSession, referral_id: UUID) -> Sequence[ReferralStep]:
    """A referral's steps, first one first."""
    query = select(ReferralStep).where(col(ReferralStep.referral_id) == referral_id).order_by(col(ReferralStep.id))
    return (await session.scalars(query)).all()


async def live_of(session: AsyncSession, phone: str, *, beside: UUID | None = None) -> Referral | None:
    """The referral that holds a buyer, other than one; for change."""
    query = select(Referral).where(finds(col(Referral.phone_index), phone), col(Referral.status).in_(LIVE))
    if beside is not None:
        query = query.where(col(Referral.id) != beside)
    return await session.scalar(query.with_for_update().execution_options(populate_existing=True))


async def outlived(session: AsyncSession, phone: str, today: date) -> Referral | None:
    """The referral that held a buyer until its window was over; for change."""
    query = select(Referral).where(
        finds(col(Referral.phone_index), phone), col(Referral.status).in_(LAPSING), col(Referral.valid_until) < today
    )
    return await session.scalar(query.with_for_update().execution_options(populate_existing=True))


async def rivals(session: AsyncSession, granted: Referral) -> Sequence[Referral]:
    """Other referrals that hold the buyer of one, or had the success of a car delivered since; for change."""
    since = and_(col(Referral.status) == ReferralStatus.DELIVERED, col(Referral.delivered_on) >= granted.registered_on)
    query = select(Referral).where(
        col(Referral.phone_index) == granted.phone_index,
        col(Referral.id) != granted.id,
        or_(col(Referral.status).in_(LIVE), since),
    )
    return (await session.scalars(query.with_for_update().execution_options(populate_existing=True))).all()


# --- who is who; the session reads all chapters ---


async def is_consultant(session: AsyncSession, username: str, dealer_code: str, today: date) -> bool:
    """Whether somebody sells cars at a dealer today, under an account that is active."""
    found = exists().where(
        col(Account.username) == username, col(Account.is_active), col(Grant.account_id) == col(Account.id),
        col(Grant.role) == Role.SALES_CONSULTANT, col(Grant.dealer_code) == dealer_code, grants.on(today),
    )  # fmt: skip
    return bool(await session.scalar(select(found)))


async def referrer(session: AsyncSession, *, member_no: str | None, phone: str | None) -> Member | None:
    """The member of this number, or phone, or who goes on for it."""
    named = members.sought(member_no=member_no, phone=phone, vin=None, plate=None, name=None, initials=None)
    return await session.scalar(select(Member).where(*named, col(Member.erased_at).is_(None)))


class Buyer(NamedTuple):
    """What is known of a buyer's phone: the membership, if any, and whether its holder owns a car of the brand."""

    member_id: UUID | None
    is_owner: bool


async def buyer(session: AsyncSession, phone: str) -> Buyer:
    """Who a buyer is, by the phone."""
    member_id = await members.id_by_phone(session, phone)
    delivered = select(Delivery).where(finds(col(Delivery.phone_index), phone), col(Delivery.matched_on).is_(None))
    owned = [exists(delivered)]
    if member_id is not None:
        of_member = (col(Ownership.member_id) == member_id, col(Ownership.until).is_(None))
        owned.append(exists(select(Ownership).where(*of_member)))
        owned.append(exists(select(Delivery).where(col(Delivery.member_id) == member_id)))
    return Buyer(member_id, bool(await session.scalar(select(or_(*owned)))))


async def share_a_household(session: AsyncSession, referrer: Member, name: str, buyer_id: UUID | None) -> bool:
    """Whether the one named the other as somebody of the household."""
    told = or_(
        and_(col(HouseholdPerson.member_id) == referrer.id, col(HouseholdPerson.name) == name),
        and_(col(HouseholdPerson.member_id) == buyer_id, col(HouseholdPerson.name) == referrer.name),
    )
    return bool(await session.scalar(select(exists().where(told))))
