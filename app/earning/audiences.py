"""Who a rule is for: its segment's members, chosen at its publication and anew every night."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor, Role
from app.core.clock import china_date
from app.core.db import Database, unrestricted
from app.earning.awards_models import AudienceMember
from app.earning.rules_models import RuleStatus, RuleVersion
from app.members import segments
from app.members.models import Member
from app.members.queries import standing
from app.members.segment_models import Segment

# a rule chooses among all whom its author may name: what is judged is its own segment, as headquarters reads it
_READER = Actor("system", Role.HQ_ADMIN)


async def choose(session: AsyncSession, segment_id: UUID, *, now: datetime) -> None:
    """Take down who is in a segment now; nobody, if it is gone."""
    await unrestricted(session)
    await session.execute(delete(AudienceMember).where(col(AudienceMember.segment_id) == segment_id))
    segment = await session.get(Segment, segment_id)
    if segment is not None:
        chosen = await segments.chosen(session, _READER, segment, china_date(now))
        rows = select(literal(segment_id), col(Member.id)).where(standing(), chosen)
        await session.execute(insert(AudienceMember).from_select(["segment_id", "member_id"], rows))


async def choose_anew(db: Database, *, now: datetime) -> None:
    """Every segment that a published rule is for, each in a transaction of its own."""
    async with db.session() as session:
        in_use = await _in_use(session)
    for segment_id in in_use:
        async with db.session() as session:
            await choose(session, segment_id, now=now)


async def _in_use(session: AsyncSession) -> Iterable[UUID]:
    audience = col(RuleVersion.definition)["audience"].astext
    query = select(audience).where(col(RuleVersion.status) == RuleStatus.PUBLISHED, audience.is_not(None)).distinct()
    return [UUID(found) for found in await session.scalars(query)]
