"""The SQL of segments, and of who is in one."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor
from app.members.models import Member
from app.members.queries import standing
from app.members.queries import visible_to as member_visible_to
from app.members.segment_models import Segment


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """All staff see headquarters' segments, and those of the chapters they reach."""
    return or_(col(Segment.dealer_code).is_(None), dealer_visible_to(actor, col(Segment.dealer_code)))


async def segment(session: AsyncSession, actor: Actor, segment_id: UUID, *, locked: bool = False) -> Segment | None:
    """One segment, if the actor may see it; `locked` for change."""
    query = select(Segment).where(col(Segment.id) == segment_id, visible_to(actor))
    if locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


async def segments(
    session: AsyncSession, actor: Actor, *, dealer_code: str | None, after: UUID | None, limit: int
) -> Sequence[Segment]:
    """The segments an actor may see, oldest first, from after an id; None does not filter."""
    query = select(Segment).where(visible_to(actor)).order_by(col(Segment.id)).limit(limit)
    if dealer_code is not None:
        query = query.where(col(Segment.dealer_code) == dealer_code)
    if after is not None:
        query = query.where(col(Segment.id) > after)
    return (await session.scalars(query)).all()


async def count(session: AsyncSession, actor: Actor, condition: ColumnElement[bool]) -> int:
    """How many of the members an actor may see are such."""
    counted = select(func.count()).select_from(Member).where(member_visible_to(actor), standing(), condition)
    return int((await session.execute(counted)).scalar_one())
