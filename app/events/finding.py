"""What members find of events: those they may come to, and what there is to know of one before they register."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.chapters.models import Dealer
from app.core.db import unrestricted
from app.core.problems import NotFound
from app.events import registration_queries
from app.events.gathering_models import Invitation
from app.events.models import ClubEvent
from app.events.registration_models import Registration
from app.events.registration_queries import Seats
from app.events.registration_rules import FILLING, LIVE
from app.events.rules import PUBLIC, EventStatus
from app.members.models import Member


class Found(NamedTuple):
    """An event as it concerns a member; `registration_status` is of its live registration, if it has one."""

    event: ClubEvent
    is_invited: bool
    registration_status: str | None


async def coming(
    session: AsyncSession, member_id: UUID, *, after: UUID | None, limit: int, now: datetime
) -> Sequence[Found]:
    """Events to come that are open, of the member's region and headquarters, or that it is invited or registered to."""
    event = ClubEvent
    whose = or_(col(event.dealer_code).is_(None), col(event.dealer_code).in_(_dealers_nearby(member_id)))
    meant = or_(_is_invited(member_id), _status(member_id).is_not(None), and_(col(event.is_open), whose))
    query = _of(member_id).where(col(event.status).in_(sorted(FILLING)), col(event.ends_at) > now, meant)
    place = (col(event.starts_at), col(event.id))
    if after is not None:
        last = aliased(event)
        before = tuple_(col(last.starts_at), col(last.id)) < tuple_(*place)
        query = query.where(select(last).where(col(last.id) == after, before).exists())
    return await _found(session, query.order_by(*place).limit(limit))


async def one(session: AsyncSession, member_id: UUID, event_id: UUID) -> tuple[Found, Seats]:
    """A published event with how its seats stand; one that is called off for those who knew of it.

    Raises:
        NotFound.
    """
    was_told = and_(
        col(ClubEvent.status) == EventStatus.CANCELLED,
        or_(_is_invited(member_id), _registered(member_id).exists()),
    )  # fmt: skip
    is_known = or_(col(ClubEvent.status).in_(sorted(PUBLIC)), was_told)
    found = await _found(session, _of(member_id).where(col(ClubEvent.id) == event_id, is_known))
    if not found:
        raise NotFound("event")
    # sums alone leave this function
    await unrestricted(session)
    return found[0], await registration_queries.seats(session, event_id)


async def _found(session: AsyncSession, query: Select[ClubEvent, bool, str]) -> list[Found]:
    return [Found(event, is_invited, status) for event, is_invited, status in await session.execute(query)]


def _of(member_id: UUID) -> Select[ClubEvent, bool, str]:
    return select(ClubEvent, _is_invited(member_id), _status(member_id))


def _is_invited(member_id: UUID) -> ColumnElement[bool]:
    told = (col(Invitation.event_id) == col(ClubEvent.id), col(Invitation.member_id) == member_id)
    return select(Invitation).where(*told, ~col(Invitation.is_control)).correlate(ClubEvent).exists()


def _registered(member_id: UUID) -> Select[str]:
    its = (col(Registration.event_id) == col(ClubEvent.id), col(Registration.member_id) == member_id)
    return select(col(Registration.status)).where(*its).correlate(ClubEvent)


def _status(member_id: UUID) -> ColumnElement[str]:
    return _registered(member_id).where(col(Registration.status).in_(sorted(LIVE))).limit(1).scalar_subquery()


def _dealers_nearby(member_id: UUID) -> Select[str]:
    home = select(col(Dealer.region_code)).join(Member, col(Member.dealer_code) == col(Dealer.code))
    region = home.where(col(Member.id) == member_id).scalar_subquery()
    return select(col(Dealer.code)).where(col(Dealer.region_code) == region)
