"""The steps of an event's life, each recorded; whoever follows an event is told of each.

Whoever counts an event's seats, or moves it, locks its row first and by a statement of its own: under READ COMMITTED
the statements after it see what those who held the lock before have committed.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.chapters import materials
from app.chapters.materials_rules import OPEN
from app.core.actors import Actor, Reach
from app.core.db import Database
from app.core.problems import Forbidden, NotFound
from app.core.transitions import require_step
from app.events import queries
from app.events.models import ClubEvent, EventStep
from app.events.problems import EventNotBegun, RegistrationOver
from app.events.rules import TRANSITIONS, EventStatus

THE_CLOCK = "clock"
"""Who opens and closes registrations at their time."""


class Move(NamedTuple):
    """One step of an event's life, for those who follow it."""

    event: ClubEvent
    to: EventStatus
    by: str
    at: datetime
    reason: str | None


Follower = Callable[[AsyncSession, Move], Awaitable[None]]
"""What is to be done with a step, in its transaction, while the event is locked."""

_FOLLOWERS: list[Follower] = []


def on_move(follower: Follower) -> Follower:
    """Have something done with every step of every event; in the order of registering."""
    _FOLLOWERS.append(follower)
    return follower


async def event_of(session: AsyncSession, actor: Actor, event_id: UUID, *, lock: bool = False) -> ClubEvent:
    """An event that the actor may see; `lock`: that nobody else moves or counts until commit.

    Raises:
        NotFound: there is none, or it is a foreign chapter's.
    """
    found = await queries.event(session, actor, event_id)
    if found is not None and lock:
        found = await queries.locked(session, event_id)
    if found is None:
        raise NotFound("event")
    return found


async def held_by(session: AsyncSession, actor: Actor, event_id: UUID) -> ClubEvent:
    """An event that is the actor's to run, locked: headquarters' are headquarters', not its supporters'.

    Raises:
        NotFound: there is none, or it is a foreign chapter's.
        Forbidden: the actor may see it only.
    """
    found = await event_of(session, actor, event_id, lock=True)
    if found.dealer_code is None and actor.reach is not Reach.ALL:
        raise Forbidden
    return found


async def move(
    session: AsyncSession, event: ClubEvent, to: EventStatus, *, by: str, at: datetime, reason: str | None = None
) -> None:
    """Take an event, which the caller has locked, one step on, and let everyone who follows it do their part.

    Raises:
        WrongStatus: the step cannot be taken from where the event stands.
    """
    require_step(TRANSITIONS, event.status, to)
    session.add(EventStep(event_id=event.id, from_status=event.status, to_status=to, by=by, at=at, reason=reason))
    event.status = to
    event.version += 1
    await session.flush()
    for follow in _FOLLOWERS:
        await follow(session, Move(event, to, by, at, reason))


Changed = Callable[[AsyncSession, ClubEvent, str, datetime], Awaitable[None]]
"""What is to be done when somebody (by, at) changed place or times of an approved event, in that transaction."""

_CHANGED: list[Changed] = []


def on_change(follower: Changed) -> Changed:
    """Have something done with every change of an approved event."""
    _CHANGED.append(follower)
    return follower


async def changed(session: AsyncSession, event: ClubEvent, *, by: str, at: datetime) -> None:
    """Let everyone who follows a locked event know of its new place or times."""
    for follow in _CHANGED:
        await follow(session, event, by, at)


async def publish(session: AsyncSession, actor: Actor, event_id: UUID, *, now: datetime) -> ClubEvent:
    """Let members and neighbours see an approved event.

    Raises:
        NotFound, Forbidden, WrongStatus.
        RegistrationOver: nobody could register any more.
    """
    event = await held_by(session, actor, event_id)
    await move(session, event, EventStatus.PUBLISHED, by=actor.subject, at=now)
    _require_time_to_register(event, now)
    return event


async def open_registration(session: AsyncSession, actor: Actor, event_id: UUID, *, now: datetime) -> ClubEvent:
    """Open the registration before its time, or once more before it is over.

    Raises:
        NotFound, Forbidden, WrongStatus, RegistrationOver.
    """
    event = await held_by(session, actor, event_id)
    await move(session, event, EventStatus.REGISTRATION, by=actor.subject, at=now)
    _require_time_to_register(event, now)
    event.registration_opens_at = min(event.registration_opens_at, now)
    await session.flush()
    return event


def _require_time_to_register(event: ClubEvent, now: datetime) -> None:
    if event.registration_closes_at <= now:
        raise RegistrationOver(closed_at=event.registration_closes_at)


async def close_registration(session: AsyncSession, actor: Actor, event_id: UUID, *, now: datetime) -> ClubEvent:
    """Close the registration before its time.

    Raises:
        NotFound, Forbidden, WrongStatus.
    """
    event = await held_by(session, actor, event_id)
    await move(session, event, EventStatus.CLOSED, by=actor.subject, at=now)
    return event


async def hold(session: AsyncSession, actor: Actor, event_id: UUID, *, now: datetime) -> ClubEvent:
    """Say that an event took place.

    Raises:
        NotFound, Forbidden, WrongStatus.
        EventNotBegun: its time has not come.
    """
    event = await held_by(session, actor, event_id)
    await move(session, event, EventStatus.HELD, by=actor.subject, at=now)
    if now < event.starts_at:
        raise EventNotBegun(starts_at=event.starts_at)
    return event


async def cancel(session: AsyncSession, actor: Actor, event_id: UUID, reason: str, *, now: datetime) -> ClubEvent:
    """Call an event off, wherever it stands, unless it took place; its followers tell everyone and give back fees.

    Raises:
        NotFound, Forbidden, WrongStatus.
    """
    event = await held_by(session, actor, event_id)
    await move(session, event, EventStatus.CANCELLED, by=actor.subject, at=now, reason=reason)
    await _withdraw_materials(session, actor, event, reason, now)
    return event


async def _withdraw_materials(
    session: AsyncSession, actor: Actor, event: ClubEvent, reason: str, now: datetime
) -> None:
    if event.material_request_id is None:
        return
    asked = (await materials.request(session, actor, event.material_request_id)).request
    # what is on its way arrives all the same
    if asked.status in OPEN:
        await materials.withdraw(session, actor, asked.id, reason, now=now)


async def keep_time(database: Database, *, now: datetime) -> int:
    """Open and close the registrations whose time has come, each event in a transaction of its own; how many."""
    async with database.session() as session:
        waiting = await queries.due(session, now)
    for event_id in waiting:
        async with database.session() as session:
            await _turn(session, event_id, now)
    return len(waiting)


async def _turn(session: AsyncSession, event_id: UUID, now: datetime) -> None:
    event = await queries.locked(session, event_id)
    assert event is not None, "events are not deleted"
    # somebody may have moved it meanwhile
    if event.status == EventStatus.PUBLISHED and event.registration_opens_at <= now:
        await move(session, event, EventStatus.REGISTRATION, by=THE_CLOCK, at=now)
    if event.status == EventStatus.REGISTRATION and event.registration_closes_at <= now:
        await move(session, event, EventStatus.CLOSED, by=THE_CLOCK, at=now)
