"""The SQL of recruitment's figures, under each table's own condition on what an actor may see."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.chapters.models import Chapter
from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor
from app.core.clock import month_end
from app.members.models import Application, Member
from app.members.queries import applications_visible_to
from app.members.rules import ApplicationStatus, Source
from app.members.transfer_models import MemberPlace
from app.visits.deliveries_models import Delivery, RecruitmentPlan


def delivered_in(month: date) -> ColumnElement[bool]:
    """Cars delivered in a month to individuals."""
    return and_(col(Delivery.owner_kind) == "individual", col(Delivery.delivered_on).between(month, month_end(month)))


class Planned(NamedTuple):
    """A chapter and its plan of a month, if it has one."""

    dealer_code: str
    plan: RecruitmentPlan | None


async def plans(session: AsyncSession, actor: Actor, month: date, *, after: str, limit: int) -> list[Planned]:
    """The chapters an actor may see, by code from after one, with their plans of a month."""
    of_month = and_(col(RecruitmentPlan.dealer_code) == col(Chapter.dealer_code), col(RecruitmentPlan.month) == month)
    rows = await session.execute(
        select(col(Chapter.dealer_code), RecruitmentPlan)
        .outerjoin(RecruitmentPlan, of_month)
        .where(
            dealer_visible_to(actor, col(Chapter.dealer_code)),
            col(Chapter.dealer_code) > after,
            or_(col(Chapter.closed_on).is_(None), col(Chapter.closed_on) > month),
        )
        .order_by(col(Chapter.dealer_code))
        .limit(limit)
    )
    return [Planned._make(row) for row in rows]


async def recruits(session: AsyncSession, dealers: Sequence[str], month: date) -> dict[str, dict[Source, int]]:
    """How many joined each chapter in a month, wherever they are now, by where they came from.

    The session has to read all chapters. Memberships merged since are one person's, who joined with the first.
    """
    earlier, other = aliased(MemberPlace), aliased(Member)
    is_first = ~exists().where(
        col(earlier.member_id) == col(MemberPlace.member_id), col(earlier.since) < col(MemberPlace.since)
    )
    one_person = or_(
        col(other.id) == col(Member.merged_into),
        col(other.merged_into) == func.coalesce(col(Member.merged_into), col(Member.id)),
    )
    joined_before = exists().where(
        one_person, tuple_(other.joined_on, other.id) < tuple_(col(Member.joined_on), col(Member.id))
    )
    rows = await session.execute(
        select(col(MemberPlace.dealer_code), col(Member.source), func.count())
        .join(Member, col(Member.id) == col(MemberPlace.member_id))
        .where(
            col(MemberPlace.dealer_code).in_(dealers), is_first, ~joined_before,
            col(Member.joined_on).between(month, month_end(month)),
        )
        .group_by(col(MemberPlace.dealer_code), col(Member.source))
    )  # fmt: skip
    found: dict[str, dict[Source, int]] = {}
    for dealer_code, source, count in rows:
        found.setdefault(str(dealer_code), {})[Source(source)] = count
    return found


async def delivered(session: AsyncSession, dealers: Sequence[str], month: date) -> dict[str, tuple[int, int]]:
    """Each dealer's cars delivered in a month to individuals, and those of them whose owner joined."""
    rows = await session.execute(
        select(col(Delivery.dealer_code), func.count(), func.count(col(Delivery.matched_on)))
        .where(col(Delivery.dealer_code).in_(dealers), delivered_in(month))
        .group_by(col(Delivery.dealer_code))
    )
    return {dealer_code: (cars, joined) for dealer_code, cars, joined in rows}


class Ranked(NamedTuple):
    """A sales consultant's cars of a month, by what became of them."""

    rank: int
    dealer_code: str
    consultant: str | None
    delivered: int
    joined: int
    open_misses: int
    closed_misses: int


async def consultants(
    session: AsyncSession, actor: Actor, month: date, *, dealer_code: str | None, skip: int, limit: int
) -> list[Ranked]:
    """Sales consultants by rank."""
    cars, joined = func.count(), func.count(col(Delivery.matched_on))
    missed = col(Delivery.matched_on).is_(None)
    # a share in whole parts of a million: to rank by, no float
    share = joined * 1_000_000 / cars
    query = (
        select(
            func.rank().over(order_by=(share.desc(), joined.desc())),
            col(Delivery.dealer_code),
            col(Delivery.consultant),
            cars,
            joined,
            cars.filter(missed, col(Delivery.closed_at).is_(None)),
            cars.filter(missed, col(Delivery.closed_at).is_not(None)),
        )
        .where(dealer_visible_to(actor, col(Delivery.dealer_code)), delivered_in(month))
        .group_by(col(Delivery.dealer_code), col(Delivery.consultant))
        .order_by(share.desc(), joined.desc(), col(Delivery.dealer_code), col(Delivery.consultant))
        .offset(skip)
        .limit(limit)
    )
    if dealer_code is not None:
        query = query.where(col(Delivery.dealer_code) == dealer_code)
    return [Ranked._make(row) for row in await session.execute(query)]


class Ages(NamedTuple):
    """A chapter's open applications: how many, since when, and how many are younger than so many days."""

    dealer_code: str
    open: int
    oldest_at: datetime
    within_3: int
    within_7: int
    within_30: int


async def open_applications(
    session: AsyncSession, actor: Actor, now: datetime, *, after: str, limit: int
) -> list[Ages]:
    """The chapters that have open applications, by code from after one."""
    dealer, applied = col(Application.dealer_code), col(Application.applied_at)
    rows = await session.execute(
        select(
            dealer, func.count(), func.min(applied),
            *(func.count().filter(applied >= now - timedelta(days=days)) for days in (3, 7, 30)),
        )
        .where(
            applications_visible_to(actor), col(Application.status) == ApplicationStatus.OPEN, dealer > after
        )
        .group_by(dealer)
        .order_by(dealer)
        .limit(limit)
    )  # fmt: skip
    return [Ages._make(row) for row in rows]
