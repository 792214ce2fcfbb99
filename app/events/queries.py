"""The SQL of events' life, and the one condition on which events an actor may see."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor
from app.events.models import ClubEvent, EventApproval, EventBudgetLine, EventStep, EventSupport
from app.events.rules import OVER, PUBLIC, EventKind, EventStatus


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Events of the actor's chapters; headquarters' once they are published, before only for those who support them."""
    supporting = select(col(EventSupport.event_id)).where(dealer_visible_to(actor, col(EventSupport.dealer_code)))
    of_headquarters = and_(
        col(ClubEvent.dealer_code).is_(None),
        or_(col(ClubEvent.status).in_(sorted(PUBLIC)), col(ClubEvent.id).in_(supporting)),
    )
    return or_(dealer_visible_to(actor, col(ClubEvent.dealer_code)), of_headquarters)


async def event(session: AsyncSession, actor: Actor, event_id: UUID) -> ClubEvent | None:
    """One event, if the actor may see it."""
    query = select(ClubEvent).where(col(ClubEvent.id) == event_id, visible_to(actor))
    found: ClubEvent | None = await session.scalar(query)
    return found


async def locked(session: AsyncSession, event_id: UUID) -> ClubEvent | None:
    """An event that nobody else changes, or counts the seats of, until commit; as it is now."""
    query = select(ClubEvent).where(col(ClubEvent.id) == event_id).with_for_update()
    found: ClubEvent | None = await session.scalar(query.execution_options(populate_existing=True))
    return found


async def events(
    session: AsyncSession, actor: Actor, *, status: EventStatus | None, kind: EventKind | None,
    dealer_code: str | None, year: int | None, after: UUID | None, limit: int,
) -> Sequence[ClubEvent]:  # fmt: skip
    """The events an actor may see, oldest entry first; None does not filter."""
    wanted = {"status": status, "kind": kind, "dealer_code": dealer_code, "year": year}
    query = select(ClubEvent).where(visible_to(actor)).filter_by(
        **{name: value for name, value in wanted.items() if value is not None}
    )  # fmt: skip
    if after is not None:
        query = query.where(col(ClubEvent.id) > after)
    return (await session.scalars(query.order_by(col(ClubEvent.id)).limit(limit))).all()


async def open_events(session: AsyncSession, dealer_code: str) -> int:
    """How many of a chapter's events are not over."""
    is_open = col(ClubEvent.status).not_in(sorted(OVER))
    query = select(func.count()).select_from(ClubEvent).where(col(ClubEvent.dealer_code) == dealer_code, is_open)
    return await session.scalar(query) or 0


async def due(session: AsyncSession, now: datetime) -> Sequence[UUID]:
    """The events whose registration is to open or to close by now."""
    event = ClubEvent
    opening = and_(col(event.status) == EventStatus.PUBLISHED, col(event.registration_opens_at) <= now)
    closing = and_(col(event.status) == EventStatus.REGISTRATION, col(event.registration_closes_at) <= now)
    return (await session.scalars(select(col(event.id)).where(or_(opening, closing)).order_by(col(event.id)))).all()


async def supporters(session: AsyncSession, event_id: UUID) -> Sequence[str]:
    """The dealers whose chapters support an event, by code."""
    query = select(col(EventSupport.dealer_code)).where(col(EventSupport.event_id) == event_id)
    return (await session.scalars(query.order_by(col(EventSupport.dealer_code)))).all()


async def lines(session: AsyncSession, event_id: UUID) -> Sequence[EventBudgetLine]:
    """An event's budget lines, as they were written."""
    query = select(EventBudgetLine).where(col(EventBudgetLine.event_id) == event_id)
    return (await session.scalars(query.order_by(col(EventBudgetLine.id)))).all()


async def approvals(session: AsyncSession, event_id: UUID) -> Sequence[EventApproval]:
    """What was said to an event's proposals, oldest first."""
    query = select(EventApproval).where(col(EventApproval.event_id) == event_id)
    return (await session.scalars(query.order_by(col(EventApproval.id)))).all()


async def steps(session: AsyncSession, event_id: UUID) -> Sequence[EventStep]:
    """An event's life so far, oldest first."""
    query = select(EventStep).where(col(EventStep.event_id) == event_id)
    return (await session.scalars(query.order_by(col(EventStep.id)))).all()


async def replace_supporters(session: AsyncSession, event_id: UUID, dealer_codes: Collection[str]) -> None:
    """Let these chapters support an event, and no others."""
    await session.execute(delete(EventSupport).where(col(EventSupport.event_id) == event_id))
    session.add_all(EventSupport(event_id=event_id, dealer_code=code) for code in sorted(dealer_codes))
