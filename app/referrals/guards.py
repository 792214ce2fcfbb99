"""What stands against a referral, each with its own refusal (domain.md, "Referral purchases")."""

from datetime import date
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import raw
from app.earning.book import book
from app.earning.triggers import Trigger
from app.members.models import Member
from app.referrals import queries
from app.referrals.problems import AlreadyReferred, BuyerIsOwner, RegisteredTooLate, SameHousehold, SelfReferral
from app.referrals.queries import Buyer


class Lead(NamedTuple):
    """A buyer as registered; `since` is the first that the dealer heard of them, by visit or order, if known."""

    name: str
    phone: str
    dealer_code: str
    registered_on: date
    since: date | None


def first_heard(visited_on: date | None, ordered_on: date | None) -> date | None:
    """The earlier of a visit and an order."""
    return min(filter(None, (visited_on, ordered_on)), default=None)


async def require_another(session: AsyncSession, referrer: Member, lead: Lead) -> Buyer:
    """Refuse what can be told without telling of others: oneself, one's household, a buyer who had come before.

    The session reads all chapters.

    Raises:
        SelfReferral, SameHousehold, RegisteredTooLate.
    """
    buyer = await queries.buyer(session, lead.phone)
    if buyer.member_id == referrer.id:
        raise SelfReferral
    if await queries.share_a_household(session, referrer, lead.name, buyer.member_id):
        raise SameHousehold
    if lead.since is not None and lead.since < lead.registered_on:
        raise RegisteredTooLate(since=lead.since)
    return buyer


async def judge(session: AsyncSession, referrer: Member, lead: Lead, *, beside: UUID | None = None) -> None:
    """Refuse a referral that is not valid; the phone is locked.

    Args:
        beside: the referral that is judged, if it is on record.

    Raises:
        SelfReferral, SameHousehold, RegisteredTooLate.
        BuyerIsOwner: and no rule rewards repurchases.
        AlreadyReferred: another one came first.
    """
    buyer = await require_another(session, referrer, lead)
    if buyer.is_owner and not await _rewards_repurchases(session, lead):
        raise BuyerIsOwner
    if (first := await queries.live_of(session, lead.phone, beside=beside)) is not None:
        raise AlreadyReferred(valid_until=first.valid_until)


async def _rewards_repurchases(session: AsyncSession, lead: Lead) -> bool:
    rules = (await book(await raw(session))).of_trigger(Trigger.REPURCHASE)
    return any(rule.reaches(lead.dealer_code, lead.registered_on) for rule in rules)
