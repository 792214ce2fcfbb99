"""The SQL of registrations. What counts seats runs under the event's lock, in a session that reads all chapters."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, and_, bindparam, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor
from app.core.db import Connection, unrestricted
from app.core.filter_sql import starts_with
from app.events import queries
from app.events.models import ClubEvent, EventNotice, EventSupport
from app.events.registration_models import CheckIn, Companion, NewRegistration, QueueDecision, Registration
from app.events.registration_rules import FILLING, LIVE, TAKES_SEATS, DecisionKind, RegistrationStatus, Room
from app.events.rules import Queue, TextStatus
from app.members.models import Member
from app.members.rules import MemberStatus

_R = Registration


async def served(session: AsyncSession, actor: Actor, event_id: UUID) -> ClubEvent | None:
    """An event that a chapter of the actor holds or supports; from then on the session reads all who come to it."""
    supported = select(col(EventSupport.event_id)).where(dealer_visible_to(actor, col(EventSupport.dealer_code)))
    is_served = or_(dealer_visible_to(actor, col(ClubEvent.dealer_code)), col(ClubEvent.id).in_(supported))
    found: ClubEvent | None = await session.scalar(select(ClubEvent).where(col(ClubEvent.id) == event_id, is_served))
    await unrestricted(session)
    return found


async def locked_event(session: AsyncSession, event_id: UUID) -> ClubEvent | None:
    """An event whose seats nobody else counts until commit; the session reads all chapters, else it miscounts."""
    await unrestricted(session)
    return await queries.locked(session, event_id)


async def seats_taken(session: AsyncSession, event_id: UUID) -> int:
    """The seats of who is seated or has an offer, in persons."""
    taken = select(func.coalesce(func.sum(col(_R.party)), 0)).where(_of(event_id), _is(TAKES_SEATS))
    return int(await session.scalar(taken) or 0)


async def waiting(session: AsyncSession, event_id: UUID) -> Sequence[Registration]:
    """Those who wait, in their order."""
    query = select(_R).where(_of(event_id), col(_R.status) == RegistrationStatus.WAITING).order_by(col(_R.queue_no))
    return (await session.scalars(query)).all()


async def room(session: AsyncSession, event: ClubEvent) -> Room:
    """A locked event's free seats, and the parties that wait."""
    query = select(col(_R.party)).where(_of(event.id), col(_R.status) == RegistrationStatus.WAITING)
    parties = (await session.scalars(query.order_by(col(_R.queue_no)))).all()
    return Room(event.capacity - await seats_taken(session, event.id), list(parties), Queue(event.queue))


async def last_queue_no(session: AsyncSession, event_id: UUID) -> int:
    """The last place given in the order of coming; 0: none yet."""
    return await session.scalar(select(func.max(col(_R.queue_no))).where(_of(event_id))) or 0


def _of(event_id: UUID) -> ColumnElement[bool]:
    return col(_R.event_id) == event_id


def _is(statuses: Collection[RegistrationStatus]) -> ColumnElement[bool]:
    return col(_R.status).in_(sorted(statuses))


_IN_FORCE = (_is(LIVE).desc(), col(_R.id).desc())
"""The live one, else the newest: with a merge an older one may come."""


async def active(session: AsyncSession, member_ids: Collection[UUID]) -> Mapping[UUID, bool]:
    """Which of these are members, and whether each is active."""
    query = select(col(Member.id), col(Member.status)).where(
        col(Member.id).in_(member_ids), col(Member.erased_at).is_(None)
    )
    return {member_id: status == MemberStatus.ACTIVE for member_id, status in (await session.execute(query))}


async def known(
    session: AsyncSession, event_id: UUID, member_ids: Collection[UUID], hashes: Collection[bytes]
) -> Sequence[Registration]:
    """The live registrations of these members, and those that these requests have made."""
    which = or_(_is(LIVE), col(_R.request_hash).in_(hashes))
    query = select(_R).where(_of(event_id), col(_R.member_id).in_(member_ids), which)
    return (await session.scalars(query)).all()


_TABLE = SQLModel.metadata.tables["registration"]
_NEW = [field.name for field in fields(NewRegistration)]
# an array a column: PostgreSQL takes them apart side by side
_ALL_NEW = select(*(func.unnest(bindparam(name, type_=ARRAY(_TABLE.c[name].type))) for name in _NEW))
_WRITE = select(_R).from_statement(insert(_TABLE).from_select(_NEW, _ALL_NEW).returning(_TABLE))


async def write(session: AsyncSession, new: Collection[NewRegistration]) -> Mapping[UUID, Registration]:
    """Write registrations, by id: one statement for all, since one for each takes five times as long."""
    columns = {name: [getattr(one, name) for one in new] for name in _NEW}
    return {one.id: one for one in await session.scalars(_WRITE, columns)}


async def locked(session: AsyncSession, event_id: UUID, *conditions: ColumnElement[bool]) -> Registration | None:
    """The registration for an event that meets conditions, `_IN_FORCE` first; nobody else changes it until commit."""
    query = select(_R).where(_of(event_id), *conditions).order_by(*_IN_FORCE).limit(1).with_for_update()
    found: Registration | None = await session.scalar(query.execution_options(populate_existing=True))
    return found


async def is_an_events(connection: Connection, wallet_id: UUID, posting_no: int) -> bool:
    """Whether a posting paid an event's fee or was bid in an auction, which only their own steps give back."""
    query = """SELECT EXISTS (SELECT FROM registration WHERE wallet_id = $1 AND fee_posting_no = $2)
                   OR EXISTS (SELECT FROM auction_bid WHERE wallet_id = $1 AND (hold_no = $2 OR capture_no = $2))"""
    return bool(await connection.fetchval(query, wallet_id, posting_no))


async def of_who_left(session: AsyncSession, event_id: UUID) -> Sequence[Registration]:
    """The live registrations of members who have left, by member: wallets are locked in that order."""
    query = select(_R).where(_of(event_id), _is_of_who_left()).order_by(col(_R.member_id))
    return (await session.scalars(query)).all()


def _is_of_who_left() -> ColumnElement[bool]:
    left = select(col(Member.id)).where(col(Member.id) == col(_R.member_id), col(Member.status) == MemberStatus.LEFT)
    return and_(_is(LIVE), left.exists())


async def newest(session: AsyncSession, event_id: UUID, member_id: UUID) -> Registration | None:
    """A member's registration for an event, `_IN_FORCE` first."""
    query = select(_R).where(_of(event_id), col(_R.member_id) == member_id).order_by(*_IN_FORCE).limit(1)
    found: Registration | None = await session.scalar(query)
    return found


async def live(session: AsyncSession, event_id: UUID) -> Sequence[Registration]:
    """All live registrations for an event, by member: wallets are locked in that order."""
    query = select(_R).where(_of(event_id), _is(LIVE)).order_by(col(_R.member_id)).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


async def lapsed_offers(session: AsyncSession, event_id: UUID, now: datetime) -> Sequence[Registration]:
    """Offers whose time has run out by now."""
    is_over = and_(col(_R.status) == RegistrationStatus.OFFERED, col(_R.offered_until) <= now)
    return (await session.scalars(select(_R).where(_of(event_id), is_over).order_by(col(_R.queue_no)))).all()


async def events_to_fill(session: AsyncSession, now: datetime, *, is_night: bool) -> Sequence[UUID]:
    """Events with offers that have run out, with members who left, or (by day) with free seats while parties wait."""
    over = and_(col(_R.status) == RegistrationStatus.OFFERED, col(_R.offered_until) <= now)
    taken = (
        select(func.coalesce(func.sum(col(_R.party)), 0))
        .where(col(_R.event_id) == col(ClubEvent.id), _is(TAKES_SEATS))
        .scalar_subquery()
    )
    coming = and_(col(ClubEvent.status).in_(sorted(FILLING)), col(ClubEvent.starts_at) > now)
    filling = and_(
        coming, taken < col(ClubEvent.capacity),
        col(ClubEvent.id).in_(select(col(_R.event_id)).where(col(_R.status) == RegistrationStatus.WAITING)),
    )  # fmt: skip
    due = or_(
        col(ClubEvent.id).in_(select(col(_R.event_id)).where(over)),
        and_(coming, col(ClubEvent.id).in_(select(col(_R.event_id)).where(_is_of_who_left()))),
    )
    query = select(col(ClubEvent.id)).where(due if is_night else or_(due, filling)).order_by(col(ClubEvent.id))
    return (await session.scalars(query)).all()


async def told_too_big(session: AsyncSession, event_id: UUID) -> Collection[tuple[UUID, int]]:
    """Who was passed over as too big, with the free seats of then: said once."""
    d = QueueDecision
    query = select(col(d.registration_id), col(d.free)).where(
        col(d.event_id) == event_id, col(d.kind) == DecisionKind.TOO_BIG
    )
    return set(await session.execute(query))


async def decisions(
    session: AsyncSession, registration: Registration
) -> Sequence[tuple[QueueDecision, int]]:  # fmt: skip
    """Decisions about a registration, and about others of its event since it was made, with whose place they are."""
    query = (
        select(QueueDecision, col(_R.queue_no))
        .join(_R, col(_R.id) == col(QueueDecision.registration_id))
        .where(
            col(QueueDecision.event_id) == registration.event_id, col(QueueDecision.at) >= registration.registered_at
        )
        .order_by(col(QueueDecision.id))
    )
    return (await session.execute(query)).all()


async def companions(session: AsyncSession, registration_id: UUID) -> Sequence[Companion]:
    """Whom a member brings, as they were named."""
    query = select(Companion).where(col(Companion.registration_id) == registration_id).order_by(col(Companion.id))
    return (await session.scalars(query)).all()


class Ahead(NamedTuple):
    """Those who wait ahead of somebody: parties, persons, and how big the first party is."""

    parties: int
    persons: int
    first: int


async def ahead(session: AsyncSession, registration: Registration) -> Ahead:
    """The parties that wait longer than this one; `first` is how big the first of them is, 0 when there is none."""
    longer = (
        _of(registration.event_id), col(_R.status) == RegistrationStatus.WAITING,
        col(_R.queue_no) < registration.queue_no,
    )  # fmt: skip
    first = select(col(_R.party)).where(*longer).order_by(col(_R.queue_no)).limit(1).scalar_subquery()
    query = select(func.count(), func.coalesce(func.sum(col(_R.party)), 0), func.coalesce(first, 0)).where(*longer)
    return Ahead(*(await session.execute(query)).one())


class Listed(NamedTuple):
    """A registration with whose it is, when its party came, and what became of the text that the event is off."""

    registration: Registration
    member_no: str
    name: str | None
    checked_in_at: datetime | None
    text_status: TextStatus | None


async def listed(
    session: AsyncSession, event_id: UUID, *, status: RegistrationStatus | None, name: str | None, after: int,
    limit: int,
) -> Sequence[Listed]:  # fmt: skip
    """An event's registrations in the order of coming; `name`: of members called so, or beginning so."""
    # with the calling-off that ended this registration, not one given up before
    told = and_(
        col(EventNotice.event_id) == event_id, col(EventNotice.member_id) == col(_R.member_id),
        col(EventNotice.at) == col(_R.ended_at),
    )  # fmt: skip
    texted = select(func.max(col(EventNotice.text_status))).where(told).scalar_subquery()
    query = (
        select(_R, col(Member.member_no), col(Member.name), col(CheckIn.at), texted)
        .join(Member, col(Member.id) == col(_R.member_id))
        .outerjoin(CheckIn, and_(col(CheckIn.registration_id) == col(_R.id), col(CheckIn.undone_at).is_(None)))
        .where(_of(event_id), col(_R.queue_no) > after)
    )
    if status is not None:
        query = query.where(col(_R.status) == status)
    if name is not None:
        query = query.where(starts_with(col(Member.name), name))
    rows = await session.execute(query.order_by(col(_R.queue_no)).limit(limit))
    return [Listed(*row) for row in rows]


class Seats(NamedTuple):
    """Persons by what became of their party; parties that wait; persons of parties that came."""

    seated: int
    offered: int
    waiting_parties: int
    waiting_persons: int
    checked_in: int


async def seats(session: AsyncSession, event_id: UUID) -> Seats:
    """How an event's seats stand."""

    def persons(status: RegistrationStatus) -> ColumnElement[int]:
        return func.coalesce(func.sum(col(_R.party)).filter(col(_R.status) == status), 0)

    came = select(col(CheckIn.registration_id)).where(
        col(CheckIn.event_id) == event_id, col(CheckIn.undone_at).is_(None)
    )
    query = select(
        persons(RegistrationStatus.REGISTERED), persons(RegistrationStatus.OFFERED),
        func.count().filter(col(_R.status) == RegistrationStatus.WAITING), persons(RegistrationStatus.WAITING),
        func.coalesce(func.sum(col(_R.party)).filter(col(_R.id).in_(came)), 0),
    ).where(_of(event_id))  # fmt: skip
    return Seats(*(await session.execute(query)).one())
