"""Check-in: a party came, once; attendance earns points by the earning rules, in the same transaction.

A registration is locked before its check-in is looked for, so that of two scanners one is the first.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor
from app.core.clock import china_date
from app.core.db import raw
from app.core.problems import KeyConflict, NotFound, Problem, WrongStatus
from app.earning import awards
from app.earning.awards import Event
from app.earning.triggers import Trigger
from app.events import check_in_queries as queries
from app.events import registration_queries, tickets
from app.events.check_in_schemas import OfflineScan, Scan, ScanOutcome, ScanRead
from app.events.models import ClubEvent
from app.events.registration_models import CheckIn, Registration
from app.events.registration_problems import CheckInNotOpen, NotSeated
from app.events.registration_rules import AT_THE_DOOR, RegistrationStatus
from app.identity.seals import Seals
from app.points.ledger import Request
from app.points.problems import FutureDate

AHEAD = timedelta(hours=12)
"""So long before an event its door opens at the earliest."""


class Scanned(NamedTuple):
    """The check-in that counts; `is_first`: the scan made it. `points`: what attending gave, when it did."""

    check_in: CheckIn
    registration: Registration
    is_first: bool
    points: int | None


class Seen(NamedTuple):
    """When, by whom and with what a party was seen; `now` is when the service learns of it."""

    at: datetime
    by: str
    device: str | None
    now: datetime


async def served(session: AsyncSession, actor: Actor, event_id: UUID, *, lock: bool = False) -> ClubEvent:
    """An event at whose door the actor works.

    Raises:
        NotFound: there is none, or no chapter of the actor holds or supports it.
    """
    event = await registration_queries.served(session, actor, event_id)
    if event is not None and lock:
        event = await registration_queries.locked_event(session, event_id)
    if event is None:
        raise NotFound("event")
    return event


async def check_in(session: AsyncSession, seals: Seals, event: ClubEvent, scan: Scan, seen: Seen) -> Scanned:
    """Note that a party came. A retry under the same nonce gets the first answer, another scan is told of the first.

    Raises:
        NotFound: no such ticket, member or registration at this event.
        TicketOfOtherEvent.
        WrongStatus: the event is not under way. CheckInNotOpen: it is too early.
        NotSeated: the party has no seats.
        KeyConflict: the nonce is of a scan of another party, or of one that was undone.
    """
    registration = await _locked_registration(session, event, await _sought(session, seals, event, scan))
    if (before := await queries.of_nonce(session, event.id, scan.nonce)) is not None:
        if before.registration_id != registration.id or before.undone_at is not None:
            raise KeyConflict
        return Scanned(before, registration, True, None)
    _require_under_way(event, seen.at)
    if registration.status != RegistrationStatus.REGISTERED:
        raise NotSeated(registration_status=registration.status)
    if (first := await queries.live(session, registration.id)) is not None:
        return Scanned(first, registration, False, None)
    made = CheckIn(
        event_id=event.id, registration_id=registration.id, nonce=scan.nonce, at=seen.at, by=seen.by,
        device=seen.device, recorded_at=seen.now,
    )  # fmt: skip
    session.add(made)
    await session.flush()
    return Scanned(made, registration, True, await _award(session, event, registration, made))


async def _sought(session: AsyncSession, seals: Seals, event: ClubEvent, scan: Scan) -> UUID:
    if scan.ticket is not None:
        return tickets.registration_of(seals, scan.ticket, event.id)
    if scan.registration_id is not None:
        return scan.registration_id
    assert scan.member_no is not None
    found = await queries.registration_of_member(session, event.id, scan.member_no)
    if found is None:
        raise NotFound("registration")
    return found


async def _locked_registration(session: AsyncSession, event: ClubEvent, registration_id: UUID) -> Registration:
    found = await registration_queries.locked(session, event.id, col(Registration.id) == registration_id)
    if found is None:
        raise NotFound("registration")
    return found


def _require_under_way(event: ClubEvent, at: datetime) -> None:
    if event.status not in AT_THE_DOOR:
        raise WrongStatus(current=event.status, allowed=sorted(AT_THE_DOOR))
    if at < event.starts_at - AHEAD:
        raise CheckInNotOpen(opens_at=event.starts_at - AHEAD)


def document_of(registration_id: UUID) -> str:
    """What attending earns for: once a registration."""
    return f"{Trigger.EVENT_ATTENDED}:{registration_id}"


def fields_of(event_id: UUID, event_class: str, kind: str, party: int) -> dict[str, object]:
    """An attended event as earning rules see it."""
    return {"code": str(event_id), "class": event_class, "kind": kind, "companions": party - 1}


async def _award(session: AsyncSession, event: ClubEvent, registration: Registration, made: CheckIn) -> int:
    connection = await raw(session)
    if not (await registration_queries.active(session, [registration.member_id])).get(registration.member_id):
        # who has left earns nothing, but came
        return 0
    attended = Event(
        Trigger.EVENT_ATTENDED, document_of(registration.id), registration.member_id, event.dealer_code,
        china_date(made.at), fields_of(event.id, event.event_class, event.kind, registration.party),
        attempt=await queries.times(session, registration.id),
    )  # fmt: skip
    request = Request(made.by, f"check-in:{made.id}", made.recorded_at)
    return (await awards.award(connection, attended, request)).points


async def undo(
    session: AsyncSession, actor: Actor, event: ClubEvent, check_in_id: UUID, reason: str, *, now: datetime
) -> Scanned:
    """Take a check-in back that was a mistake, with what it earned; the party can be checked in anew.

    Raises:
        NotFound: there is no such check-in at this event.
        WrongStatus: the event is over, or it is undone already.
    """
    made = await queries.check_in(session, event.id, check_in_id)
    if made is None:
        raise NotFound("check-in")
    if event.status not in AT_THE_DOOR:
        raise WrongStatus(current=event.status, allowed=sorted(AT_THE_DOOR))
    if made.undone_at is not None:
        raise WrongStatus(current="undone", allowed=("checked_in",))
    made.undone_at, made.undone_by, made.undo_reason = now, actor.subject, reason
    await session.flush()
    request = Request(actor.subject, f"check-in:{made.id}:undo", now)
    document = document_of(made.registration_id)
    await awards.reverse(await raw(session), document, reason=reason, request=request)
    registration = await session.get_one(Registration, made.registration_id)
    return Scanned(made, registration, False, None)


async def upload(
    session: AsyncSession, actor: Actor, seals: Seals, event: ClubEvent, device: str, scans: Sequence[OfflineScan], *,
    now: datetime,
) -> list[ScanRead]:  # fmt: skip
    """What scanners did without a network, the earliest first whatever the order sent; each scan for itself.

    The event is locked: two uploads would lock each other's parties out.
    """
    outcomes: dict[int, ScanRead] = {}
    for index, scan in sorted(enumerate(scans), key=lambda one: one[1].at):
        outcomes[index] = await _uploaded(session, seals, event, scan, Seen(scan.at, actor.subject, device, now))
    return [outcomes[index] for index in range(len(scans))]


async def _uploaded(
    session: AsyncSession, seals: Seals, event: ClubEvent, scan: OfflineScan, seen: Seen
) -> ScanRead:  # fmt: skip
    if seen.at > seen.now:
        return ScanRead(nonce=scan.nonce, outcome=ScanOutcome.REFUSED, problem=FutureDate.type)
    known = await queries.of_nonce(session, event.id, scan.nonce) is not None
    try:
        async with session.begin_nested():
            scanned = await check_in(session, seals, event, scan, seen)
    except Problem as refusal:
        return ScanRead(nonce=scan.nonce, outcome=ScanOutcome.REFUSED, problem=refusal.type)
    first = scanned.check_in
    outcome = ScanOutcome.CHECKED_IN if scanned.is_first else ScanOutcome.ALREADY
    return ScanRead(
        nonce=scan.nonce, outcome=ScanOutcome.REPEATED if known else outcome, registration_id=first.registration_id,
        first_at=first.at, first_by=first.by,
    )  # fmt: skip
