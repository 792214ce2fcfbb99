"""Which tier members are in, as other domains ask for it: in filters and at the price of rewards."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, SQLColumnExpression, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.filters import Field, Kind, Scope
from app.earning.tiers_models import MemberTier, Tier, TierChange, TierProgramme

_RUNS = select(col(TierProgramme.no)).where(col(TierProgramme.is_active)).exists()


def tier_code(member_id: SQLColumnExpression[UUID]) -> ColumnElement[str]:
    """The code of the tier a member is in now; null without one."""
    own = select(col(MemberTier.tier_code)).where(col(MemberTier.member_id) == member_id, _RUNS)
    base = select(col(Tier.code)).where(col(Tier.threshold) == 0, _RUNS)
    return func.coalesce(own.scalar_subquery(), base.scalar_subquery())


async def tier_of(session: AsyncSession, member_id: UUID, _: date) -> str | None:
    """The code of a member's tier, for who sells rewards."""
    code: str | None = await session.scalar(select(tier_code(literal(member_id))))
    return code


async def tiers(session: AsyncSession) -> Sequence[Tier]:
    """Every tier, the lowest first."""
    return (await session.scalars(select(Tier).order_by(col(Tier.threshold)))).all()


async def changes(session: AsyncSession, member_id: UUID, limit: int) -> Sequence[TierChange]:
    """What happened to a member's tier, the latest first."""
    query = select(TierChange).where(col(TierChange.member_id) == member_id)
    return (await session.scalars(query.order_by(col(TierChange.no).desc()).limit(limit))).all()


def _of_own(name: str, value: SQLColumnExpression[date | None]) -> Field:
    def column(scope: Scope) -> ColumnElement[date | None]:
        return select(value).where(col(MemberTier.member_id) == scope.id, _RUNS).scalar_subquery()

    return Field(name, Kind.DATE, column)


FIELDS = (
    Field("tier", Kind.TEXT, lambda scope: tier_code(scope.id), clean=lambda given: given.strip().lower()),
    _of_own("tier.held_until", col(MemberTier.held_until)),
    _of_own("tier.warned_on", col(MemberTier.warned_on)),
)
