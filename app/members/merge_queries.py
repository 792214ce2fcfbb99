"""The SQL of merges, and the one condition on which of them an actor may see."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor
from app.members import queries
from app.members.merge_models import MemberMerge
from app.members.models import Member


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Who may see one of the two members sees the merge."""
    either = (col(MemberMerge.from_id), col(MemberMerge.into_id))
    return select(Member).where(col(Member.id).in_(either), queries.visible_to(actor)).exists()


async def merge(session: AsyncSession, actor: Actor, merge_id: UUID) -> MemberMerge | None:
    """One merge, if the actor may see it."""
    return await session.scalar(select(MemberMerge).where(col(MemberMerge.id) == merge_id, visible_to(actor)))


async def merges(
    session: AsyncSession, actor: Actor, member_id: UUID, *, before: UUID | None, limit: int
) -> Sequence[MemberMerge]:
    """The merges of a member, into it and into others, those undone too; newest first, from before an id."""
    either = or_(col(MemberMerge.from_id) == member_id, col(MemberMerge.into_id) == member_id)
    query = select(MemberMerge).where(either, visible_to(actor)).order_by(col(MemberMerge.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(MemberMerge.id) < before)
    return (await session.scalars(query)).all()


async def locked(session: AsyncSession, merge_id: UUID) -> MemberMerge:
    """A merge that is known to be there, for change; its members are locked before."""
    found = await session.get(MemberMerge, merge_id, with_for_update=True, populate_existing=True)
    assert found is not None
    return found


async def follow(session: AsyncSession, from_id: UUID, into_id: UUID) -> None:
    """Those who were merged into the one are merged into the other with it."""
    moved = "UPDATE member SET merged_into = :into, version = version + 1 WHERE merged_into = :from"
    await session.execute(text(moved), {"from": from_id, "into": into_id})


_BEHIND = """
WITH RECURSIVE behind (id) AS (
  SELECT from_id FROM member_merge WHERE into_id = :member AND undone_at IS NULL
  UNION SELECT g.from_id FROM behind b JOIN member_merge g ON g.into_id = b.id AND g.undone_at IS NULL)
UPDATE member SET merged_into = :member, version = version + 1 WHERE id IN (SELECT id FROM behind)
"""


async def stand_behind(session: AsyncSession, member_id: UUID) -> None:
    """Those who had been merged into a member that goes on by itself again are merged into it, and nobody else."""
    await session.execute(text(_BEHIND), {"member": member_id})
