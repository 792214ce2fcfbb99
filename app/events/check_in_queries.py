"""The SQL of check-ins."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.events.registration_models import CheckIn, Registration
from app.events.registration_rules import RegistrationStatus
from app.members.models import Member

_C = CheckIn


async def live(session: AsyncSession, registration_id: UUID) -> CheckIn | None:
    """A registration's check-in that was not undone."""
    query = select(_C).where(col(_C.registration_id) == registration_id, col(_C.undone_at).is_(None))
    found: CheckIn | None = await session.scalar(query)
    return found


async def of_nonce(session: AsyncSession, event_id: UUID, nonce: str) -> CheckIn | None:
    """The check-in that a scan has made."""
    query = select(_C).where(col(_C.event_id) == event_id, col(_C.nonce) == nonce)
    found: CheckIn | None = await session.scalar(query)
    return found


async def check_in(session: AsyncSession, event_id: UUID, check_in_id: UUID) -> CheckIn | None:
    """One check-in of an event, locked."""
    query = select(_C).where(col(_C.event_id) == event_id, col(_C.id) == check_in_id).with_for_update()
    found: CheckIn | None = await session.scalar(query.execution_options(populate_existing=True))
    return found


async def times(session: AsyncSession, registration_id: UUID) -> int:
    """How often a registration was checked in, undone or not."""
    query = select(func.count()).where(col(_C.registration_id) == registration_id)
    return int(await session.scalar(query) or 0)


async def registration_of_member(session: AsyncSession, event_id: UUID, member_no: str) -> UUID | None:
    """The last registration for an event of a member, or of who goes on for it, by the number on its card."""
    whom = select(func.coalesce(col(Member.merged_into), col(Member.id))).where(col(Member.member_no) == member_no)
    query = (
        select(col(Registration.id))
        .where(col(Registration.event_id) == event_id, col(Registration.member_id).in_(whom))
        .order_by(col(Registration.id).desc())
        .limit(1)
    )
    found: UUID | None = await session.scalar(query)
    return found


class Expected(NamedTuple):
    """A seated party, with its member's number and name, and its check-in."""

    registration: Registration
    member_no: str
    name: str | None
    came: CheckIn | None


async def expected(session: AsyncSession, event_id: UUID) -> Sequence[Expected]:
    """The seated parties of an event, in the order of coming."""
    query = (
        select(Registration, col(Member.member_no), col(Member.name), _C)
        .join(Member, col(Member.id) == col(Registration.member_id))
        .outerjoin(_C, (col(_C.registration_id) == col(Registration.id)) & col(_C.undone_at).is_(None))
        .where(col(Registration.event_id) == event_id, col(Registration.status) == RegistrationStatus.REGISTERED)
        .order_by(col(Registration.queue_no))
    )
    return [Expected(*row) for row in (await session.execute(query))]
