"""Who has a seat at an event and who came: conditions and figures for what surrounds an event and follows it."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.events.registration_models import CheckIn, Registration
from app.events.registration_rules import RegistrationStatus

EventId = SQLColumnExpression[UUID] | UUID
SEATED = col(Registration.status) == RegistrationStatus.REGISTERED
SCANNED = (
    select(CheckIn)
    .where(col(CheckIn.registration_id) == col(Registration.id), col(CheckIn.undone_at).is_(None))
    .correlate(Registration)
    .exists()
)
"""Conditions on `Registration`: it has its seats; its party came."""


class Attendance(NamedTuple):
    """How many members have a seat, how many of them came, and persons with those who came."""

    registered: int
    attended: int
    persons: int


def has_seat(event_id: EventId, member_id: SQLColumnExpression[UUID]) -> ColumnElement[bool]:
    """A member has a seat at an event."""
    return _seat(event_id, member_id).exists()


def came(event_id: EventId, member_id: SQLColumnExpression[UUID]) -> ColumnElement[bool]:
    """A member came to an event."""
    return _seat(event_id, member_id).where(SCANNED).exists()


def _seat(event_id: EventId, member_id: SQLColumnExpression[UUID]) -> Select[Registration]:
    same = (col(Registration.event_id) == event_id, col(Registration.member_id) == member_id, SEATED)
    return select(Registration).where(*same).correlate_except(Registration)


async def has_come(session: AsyncSession, event_id: UUID, member_id: UUID) -> bool:
    """Whether a member came to an event."""
    return await _is_there(session, event_id, member_id, SCANNED)


async def is_seated(session: AsyncSession, event_id: UUID, member_id: UUID) -> bool:
    """Whether a member has a seat at an event."""
    return await _is_there(session, event_id, member_id, true())


async def _is_there(session: AsyncSession, event_id: UUID, member_id: UUID, also: ColumnElement[bool]) -> bool:
    same = (col(Registration.event_id) == event_id, col(Registration.member_id) == member_id, SEATED)
    return await session.scalar(select(col(Registration.id)).where(*same, also)) is not None


async def entries(session: AsyncSession, event_id: UUID, *, only_who_came: bool) -> Sequence[tuple[UUID, UUID]]:
    """The registrations with a seat, by id, and whose they are."""
    query = select(col(Registration.id), col(Registration.member_id)).where(col(Registration.event_id) == event_id)
    query = query.where(SEATED, SCANNED if only_who_came else true()).order_by(col(Registration.id))
    return (await session.execute(query)).all()


async def attendance(session: AsyncSession, event_id: UUID) -> Attendance:
    """An event's figures."""
    party = func.sum(col(Registration.party)).filter(SCANNED)
    query = select(func.count(), func.count().filter(SCANNED), func.coalesce(party, 0))
    found = await session.execute(query.where(col(Registration.event_id) == event_id, SEATED))
    return Attendance(*map(int, found.one()))
