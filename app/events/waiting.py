"""The waiting list: free seats are offered to whole parties in their order, for a time; each decision is kept.

Whoever changes it has locked the event (see `registrations`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor
from app.core.db import Database
from app.core.problems import InvalidPayload, WrongStatus
from app.events import endings, notices, registration_fees
from app.events import registration_queries as queries
from app.events.models import ClubEvent
from app.events.registration_models import QueueDecision, Registration
from app.events.registration_problems import NoSeats
from app.events.registration_rules import (
    AT_THE_DOOR,
    FILLING,
    DecisionKind,
    Night,
    RegistrationStatus,
    given_out,
)
from app.events.rules import NoticeKind, Queue
from app.points.confirmation import Confirm
from app.settings import Settings

THE_LIST = "waiting-list"
"""Who offers seats when nobody does it by hand."""


class Waiting(NamedTuple):
    """When offers are made, and for how many waking hours; `grace` is that of points given back."""

    night: Night
    hours: int
    grace: timedelta

    @classmethod
    def of(cls, settings: Settings) -> "Waiting":
        """As it is set."""
        grace = timedelta(days=settings.refund_grace_days)
        return cls(Night(settings.quiet_from, settings.quiet_until), settings.event_offer_hours, grace)

    def until(self, event: ClubEvent, now: datetime) -> datetime:
        """An offer's deadline; never after the event has begun."""
        return min(self.night.deadline(now, self.hours), event.starts_at)


# --- by itself ---


async def fill(session: AsyncSession, event: ClubEvent, rules: Waiting, *, now: datetime) -> int:
    """End offers whose time has run out, and those of members who left; offer a locked event's free seats by day.

    Answers how many offers were made.
    """
    await _lapse(session, event, now)
    if event.status not in FILLING or event.starts_at <= now:
        return 0
    await endings.end_of_who_left(session, event, THE_LIST, rules.grace, now)
    if rules.night.holds(now):
        return 0
    parties = await queries.waiting(session, event.id)
    passed = given_out(await queries.room(session, event))
    told = await queries.told_too_big(session, event.id) if not all(one.is_offered for one in passed) else ()
    until, chosen = rules.until(event, now), []
    for one in passed:
        party = parties[one.place]
        if one.is_offered:
            party.status, party.offered_until = RegistrationStatus.OFFERED, until
            chosen.append(party)
            _decided(session, party, DecisionKind.OFFERED, one.free, THE_LIST, now)
        elif (party.id, one.free) not in told:
            _decided(session, party, DecisionKind.TOO_BIG, one.free, THE_LIST, now)
    await notices.tell(session, event.id, [party.member_id for party in chosen], NoticeKind.OFFERED, at=now)
    return len(chosen)


async def _lapse(session: AsyncSession, event: ClubEvent, now: datetime) -> None:
    over = await queries.lapsed_offers(session, event.id, now)
    if not over:
        return
    free = (await queries.room(session, event)).free
    for party in over:
        party.status, party.ended_by, party.ended_at = RegistrationStatus.LAPSED, THE_LIST, now
        _decided(session, party, DecisionKind.LAPSED, free, THE_LIST, now)
    await notices.tell(session, event.id, [party.member_id for party in over], NoticeKind.OFFER_LAPSED, at=now)


def _decided(
    session: AsyncSession, party: Registration, kind: DecisionKind, free: int, by: str, now: datetime,
    reason: str | None = None,
) -> None:  # fmt: skip
    session.add(
        QueueDecision(
            event_id=party.event_id, registration_id=party.id, kind=kind, free=free, needed=party.party, by=by, at=now,
            reason=reason,
        )
    )  # fmt: skip


async def work(database: Database, settings: Settings, *, now: datetime) -> int:
    """What is due on all waiting lists, each event in a transaction of its own; how many offers were made."""
    rules = Waiting.of(settings)
    async with database.session() as session:
        due = await queries.events_to_fill(session, now, is_night=rules.night.holds(now))
    return sum([await _fill_one(database, event_id, rules, now) for event_id in due])


async def _fill_one(database: Database, event_id: UUID, rules: Waiting, now: datetime) -> int:
    async with database.session() as session:
        event = await queries.locked_event(session, event_id)
        assert event is not None, "events are not deleted"
        return await fill(session, event, rules, now=now)


# --- by hand ---


async def promote(
    session: AsyncSession, actor: Actor, event: ClubEvent, party: Registration, reason: str | None, confirm: Confirm, *,
    settings: Settings, now: datetime,
) -> None:  # fmt: skip
    """Give a waiting party seats out of turn or before its offer, both locked; where it has to pay points without a
    code, they are offered to it.

    Raises:
        WrongStatus: it does not wait, or the event is over.
        NoSeats: fewer are free than it needs.
        InvalidPayload: others wait longer, and there is no reason.
        InsufficientPoints, ConfirmationWrong, ConfirmationLocked, WalletClosed.
    """
    if party.status != RegistrationStatus.WAITING:
        raise WrongStatus(current=party.status, allowed=(RegistrationStatus.WAITING,))
    if event.status not in FILLING | AT_THE_DOOR:
        raise WrongStatus(current=event.status, allowed=sorted(FILLING | AT_THE_DOOR))
    free = (await queries.room(session, event)).free
    if party.party > free:
        raise NoSeats(free=free, needed=party.party)
    if reason is None and (await queries.ahead(session, party)).parties:
        raise InvalidPayload.at("/reason", "missing")
    if party.fee_points and confirm.code is None:
        if event.starts_at <= now:
            raise InvalidPayload.at("/code", "missing")
        party.status, party.offered_until = RegistrationStatus.OFFERED, Waiting.of(settings).until(event, now)
    else:
        await registration_fees.charge(session, event, party, confirm, by=actor.subject, now=now)
        party.status = RegistrationStatus.REGISTERED
    _decided(session, party, DecisionKind.BY_HAND, free, actor.subject, now, reason)
    kind = NoticeKind.OFFERED if party.status == RegistrationStatus.OFFERED else NoticeKind.SEATED
    await notices.tell(session, event.id, [party.member_id], kind, at=now)


# --- why ---


class Why(NamedTuple):
    """Why a party was promoted, or was not yet; `decisions` with whether each is about the party itself."""

    registration: Registration
    event: ClubEvent
    ahead: queries.Ahead
    free: int
    blocked_by_bigger: bool
    is_night: bool
    has_begun: bool
    decisions: Sequence[tuple[QueueDecision, bool]]


async def why(
    session: AsyncSession, event: ClubEvent, registration: Registration, *, settings: Settings, now: datetime
) -> Why:
    """What was decided about a party, and for others in its stead."""
    ahead = await queries.ahead(session, registration)
    free = max(0, event.capacity - await queries.seats_taken(session, event.id))
    blocked = event.queue == Queue.STRICT and ahead.first > free > 0
    decided = [
        (decision, decision.registration_id == registration.id)
        for decision, queue_no in await queries.decisions(session, registration)
        if decision.registration_id == registration.id
        or (queue_no > registration.queue_no and decision.kind in (DecisionKind.OFFERED, DecisionKind.BY_HAND))
    ]
    is_night = Waiting.of(settings).night.holds(now)
    return Why(registration, event, ahead, free, blocked, is_night, event.starts_at <= now, decided)
