"""Registration over HTTP: members for themselves, and staff for members, with the waiting list."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from io import BytesIO
from typing import Annotated, Any, Protocol
from uuid import UUID

import orjson
import segno
from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor, Right
from app.core.db import Connection
from app.core.http import (
    GUARDED,
    Config,
    Cursor,
    DirectRoute,
    Errand,
    Errands,
    IfMatch,
    Limit,
    Now,
    Requires,
    Session,
    documented,
    etag,
    version_of,
)
from app.core.paging import Page, decode_cursor, paged
from app.core.problems import NotFound, PreconditionFailed, Problem, TooManyRequests, WrongStatus
from app.events import check_in, parties, registrations, tickets, waiting
from app.events import registration_queries as queries
from app.events.check_in_schemas import TicketRead
from app.events.desk import Desk
from app.events.registration_problems import (
    AlreadyRegistered,
    CheckedIn,
    EventBegun,
    NoSeats,
    NotInvited,
    NotSeated,
    OfferOver,
    PartyTooBig,
    RegistrationNotOpen,
)
from app.events.registration_rules import RegistrationStatus
from app.events.registration_schemas import (
    CancellationReason,
    CompanionRead,
    ListedRegistration,
    OwnRegistrationCreate,
    PaymentCreate,
    PromotionCreate,
    QueueDecisionRead,
    RegistrationRead,
    RegistrationUpdate,
    SeatsRead,
    StaffRegistrationCreate,
    WhyRead,
)
from app.events.registrations import Entry, Shown
from app.events.waiting import Why
from app.identity.seals import Seals
from app.members import queries as members
from app.points import problems
from app.points.confirmation import Confirm
from app.points.ledger import Code

router = APIRouter(tags=["registrations"], responses=GUARDED)
busiest = APIRouter(tags=["registrations"], responses=GUARDED, route_class=DirectRoute)

Self = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]
SelfErrand = Annotated[Errand, Depends(Errands(Right.OWN_CARD))]
Reader = Annotated[Actor, Depends(Requires(Right.EVENTS_READ))]
Host = Annotated[Actor, Depends(Requires(Right.EVENTS_WRITE))]
HostErrand = Annotated[Errand, Depends(Errands(Right.EVENTS_WRITE))]

REGISTERS = (
    NotFound, RegistrationNotOpen, NotInvited, AlreadyRegistered, PartyTooBig, problems.WalletClosed,
    problems.InsufficientPoints,
)  # fmt: skip
CONFIRMS = (
    problems.ConfirmationRequired, problems.ConfirmationWrong, problems.ConfirmationLocked, TooManyRequests,
)  # fmt: skip
MADE: dict[int | str, dict[str, Any]] = {201: {"model": RegistrationRead}}
CANCELS = documented(NotFound, WrongStatus, EventBegun, CheckedIn)
CHANGES = documented(
    NotFound, PreconditionFailed, WrongStatus, EventBegun, CheckedIn, RegistrationNotOpen, PartyTooBig, NoSeats,
    problems.InsufficientPoints, problems.WalletClosed, problems.ConfirmationRequired,
)  # fmt: skip
SVG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}, "description": "the QR code"}
}


class _Codes(Protocol):
    def judge(self, member_id: UUID, code: str, now: datetime) -> Code: ...


class _Guard(Protocol):
    def guessing(self, db: Connection, actor: Actor, now: datetime) -> AbstractAsyncContextManager[None]: ...


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def _codes(request: Request) -> _Codes:
    codes: _Codes = request.app.state.codes
    return codes


async def _guard(request: Request) -> _Guard:
    guard: _Guard = request.app.state.guard
    return guard


async def _seals(request: Request) -> Seals:
    seals: Seals = request.app.state.seals
    return seals


DeskInUse = Annotated[Desk, Depends(_desk)]
CodesInUse = Annotated[_Codes, Depends(_codes)]
GuardInUse = Annotated[_Guard, Depends(_guard)]
SealsInUse = Annotated[Seals, Depends(_seals)]


# --- members for themselves ---


@busiest.post("/members/me/event-registrations", status_code=201, responses=documented(*REGISTERS) | MADE)
async def registrations_register(body: OwnRegistrationCreate, errand: SelfErrand, desk: DeskInUse) -> Response:
    """Register the signed-in member with its party; without seats for all of it, it waits. A fee's points are spent."""
    actor = errand.actor
    assert actor.member_id is not None
    entry = Entry(actor.member_id, body, actor.subject, errand.now, errand.key)
    made = _read(await desk.register(errand.db, body.event_id, entry))
    return Response(made.model_dump_json(), 201, media_type="application/json")


@router.get("/members/me/events/{event_id}/registration", responses=documented(NotFound))
async def registrations_mine(event_id: UUID, actor: Self, session: Session, response: Response) -> RegistrationRead:
    """The signed-in member's last registration for an event."""
    return _tagged(response, await _own(session, actor, event_id))


@router.patch("/members/me/events/{event_id}/registration", responses=CHANGES)
async def registrations_change_mine(
    event_id: UUID, body: RegistrationUpdate, if_match: IfMatch, actor: Self, session: Session, settings: Config,
    now: Now, response: Response,
) -> RegistrationRead:  # fmt: skip
    """Bring fewer or more, as long as there are seats, or answer anew; a fee's points are those of the new party."""
    changed = await parties.change(
        session, actor, event_id, None, body, version=version_of(if_match), settings=settings, now=now
    )  # fmt: skip
    return _tagged(response, changed)


@router.get("/members/me/events/{event_id}/registration/why", responses=documented(NotFound))
async def registrations_why_mine(
    event_id: UUID, actor: Self, session: Session, settings: Config, now: Now
) -> WhyRead:  # fmt: skip
    """Why one was promoted, or was not yet: one's place, the free seats, and what was decided."""
    found = (await _own(session, actor, event_id)).registration
    event = await queries.locked_event(session, event_id)
    assert event is not None, "it has a registration"
    return _why(await waiting.why(session, event, found, settings=settings, now=now))


@router.post(
    "/members/me/events/{event_id}/registration/acceptance",
    responses=documented(NotFound, WrongStatus, OfferOver, problems.InsufficientPoints, problems.WalletClosed),
)
async def registrations_accept(event_id: UUID, errand: SelfErrand, settings: Config) -> RegistrationRead:
    """Take the seats that are offered to the signed-in member; a fee's points are spent."""
    async with errand.db.session() as session:
        outcome = await registrations.accept(session, errand.actor, event_id, settings=settings, now=errand.now)
    # an offer that is over has gone to the next, which stays
    if isinstance(outcome, Problem):
        raise outcome
    return _read(outcome)


@router.post("/members/me/events/{event_id}/registration/cancellation", responses=CANCELS)
async def registrations_withdraw(
    event_id: UUID, body: CancellationReason, actor: Self, session: Session, settings: Config, now: Now
) -> RegistrationRead:
    """Give up one's seats, an offer, or one's place in the queue; a fee's points come back."""
    cancelled = await registrations.cancel(
        session, actor, event_id, None, body.reason, settings=settings, now=now
    )  # fmt: skip
    return _read(cancelled)


@router.get("/members/me/events/{event_id}/ticket", responses=documented(NotFound, NotSeated))
async def registrations_ticket(event_id: UUID, actor: Self, session: Session, seals: SealsInUse) -> TicketRead:
    """The signed-in member's ticket: what its QR code says."""
    found = (await _own(session, actor, event_id)).registration
    if found.status != RegistrationStatus.REGISTERED:
        raise NotSeated(registration_status=found.status)
    code = tickets.ticket(seals, event_id, found.id)
    return TicketRead(event_id=event_id, registration_id=found.id, party=found.party, code=code)


@router.get(
    "/members/me/events/{event_id}/ticket.svg", response_class=Response, responses=SVG | documented(NotFound, NotSeated)
)
async def registrations_ticket_code(event_id: UUID, actor: Self, session: Session, seals: SealsInUse) -> Response:
    """The signed-in member's ticket as a QR code, for the door."""
    ticket = await registrations_ticket(event_id, actor, session, seals)
    code = BytesIO()
    segno.make_qr(ticket.code, error="m").save(code, kind="svg", scale=8, light="#fff")
    return Response(code.getvalue(), media_type="image/svg+xml")


async def _own(session: AsyncSession, actor: Actor, event_id: UUID) -> Shown:
    assert actor.member_id is not None
    return await registrations.own(session, event_id, actor.member_id)


# --- staff ---


@router.post(
    "/events/{event_id}/registrations", status_code=201, responses=documented(*REGISTERS, *CONFIRMS)
)  # fmt: skip
async def registrations_create(
    event_id: UUID, body: StaffRegistrationCreate, errand: HostErrand, desk: DeskInUse, codes: CodesInUse,
    guard: GuardInUse,
) -> RegistrationRead:  # fmt: skip
    """Register a member, invited or not: by telephone, or at the door, where it goes behind those who wait."""
    actor, now = errand.actor, errand.now
    async with errand.db.session() as session:
        is_known = await members.member(session, actor, body.member_id) is not None
        event = await check_in.served(session, actor, event_id)
    if not is_known and not event.is_open:
        raise NotFound("member")
    confirm = Confirm(True, codes.judge(body.member_id, body.code, now) if body.code else None)
    entry = Entry(body.member_id, body, actor.subject, now, errand.key, by_staff=True, confirm=confirm)
    async with guard.guessing(errand.db.pool, actor, now):
        return _read(await desk.register(errand.db, event_id, entry))


@router.get("/events/{event_id}/registrations", responses=documented(NotFound))
async def registrations_list(
    event_id: UUID,
    actor: Reader,
    session: Session,
    status: RegistrationStatus | None = None,
    name: Annotated[str | None, Query(min_length=1, max_length=60, pattern=r"^[^\x00]*$")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ListedRegistration]:
    """Who comes to an event, in the order of coming; `name`: how the member's name begins."""
    await check_in.served(session, actor, event_id)
    after = int(decode_cursor(cursor, int)[0]) if cursor else 0
    found = await queries.listed(session, event_id, status=status, name=name, after=after, limit=limit + 1)
    items = [ListedRegistration(**dict(one.registration), **_beside(one)) for one in found]
    return Page[ListedRegistration].model_validate(paged(items, limit, lambda one: (one.queue_no,)))


def _beside(one: queries.Listed) -> dict[str, object]:
    names = ("member_no", "name", "checked_in_at", "text_status")
    return {name: getattr(one, name) for name in names}


@router.get("/events/{event_id}/seats", responses=documented(NotFound))
async def registrations_seats(event_id: UUID, actor: Reader, session: Session) -> SeatsRead:
    """How an event's seats stand, in persons."""
    event = await check_in.served(session, actor, event_id)
    seats = await queries.seats(session, event_id)
    free = event.capacity - seats.seated - seats.offered
    return SeatsRead(capacity=event.capacity, free=free, **seats._asdict())


@router.get("/events/{event_id}/registrations/{registration_id}", responses=documented(NotFound))
async def registrations_get(
    event_id: UUID, registration_id: UUID, actor: Reader, session: Session, response: Response
) -> RegistrationRead:  # fmt: skip
    """One registration, with who comes along and the answers given."""
    return _tagged(response, await registrations.served(session, actor, event_id, registration_id))


@router.patch("/events/{event_id}/registrations/{registration_id}", responses=CHANGES)
async def registrations_change(
    event_id: UUID, registration_id: UUID, body: RegistrationUpdate, if_match: IfMatch, actor: Host, session: Session,
    settings: Config, now: Now, response: Response,
) -> RegistrationRead:  # fmt: skip
    """Change a member's party or its answers; where more points would be due, the member does so itself."""
    changed = await parties.change(
        session, actor, event_id, registration_id, body, version=version_of(if_match), settings=settings, now=now
    )  # fmt: skip
    return _tagged(response, changed)


@router.get("/events/{event_id}/registrations/{registration_id}/why", responses=documented(NotFound))
async def registrations_why(
    event_id: UUID, registration_id: UUID, actor: Reader, session: Session, settings: Config, now: Now
) -> WhyRead:
    """Why a party was promoted, or was not yet."""
    found = (await registrations.served(session, actor, event_id, registration_id)).registration
    event = await check_in.served(session, actor, event_id)
    return _why(await waiting.why(session, event, found, settings=settings, now=now))


@router.post(
    "/events/{event_id}/registrations/{registration_id}/promotion",
    responses=documented(
        NotFound, WrongStatus, NoSeats, problems.InsufficientPoints, problems.WalletClosed, *CONFIRMS
    ),
)  # fmt: skip
async def registrations_promote(
    event_id: UUID, registration_id: UUID, body: PromotionCreate, errand: HostErrand, settings: Config,
    codes: CodesInUse, guard: GuardInUse,
) -> RegistrationRead:  # fmt: skip
    """Seat a waiting party by hand, which is kept with its reason; where points are due without a code, offer seats."""
    actor, now = errand.actor, errand.now
    async with guard.guessing(errand.db.pool, actor, now), _keeping_wrong_codes(errand) as session:
        event, party = await registrations.step_of(session, actor, event_id, registration_id)
        confirm = Confirm(True, codes.judge(party.member_id, body.code, now) if body.code else None)
        await waiting.promote(session, actor, event, party, body.reason, confirm, settings=settings, now=now)
        return _read(await registrations.shown(session, party))


@asynccontextmanager
async def _keeping_wrong_codes(errand: Errand) -> AsyncIterator[AsyncSession]:
    """A session that commits even when the ledger has counted a wrong code; nothing else was written then."""
    wrong: problems.ConfirmationWrong | None = None
    async with errand.db.session() as session:
        try:
            yield session
        except problems.ConfirmationWrong as error:
            wrong = error
    if wrong is not None:
        raise wrong


@router.post("/events/{event_id}/registrations/{registration_id}/cancellation", responses=CANCELS)
async def registrations_cancel(
    event_id: UUID, registration_id: UUID, body: CancellationReason, actor: Host, session: Session, settings: Config,
    now: Now,
) -> RegistrationRead:  # fmt: skip
    """Cancel for a member; points come back, the seats go to the next. Money that was paid is given back aside."""
    cancelled = await registrations.cancel(
        session, actor, event_id, registration_id, body.reason, settings=settings, now=now
    )
    return _read(cancelled)


@router.post("/events/{event_id}/registrations/{registration_id}/payment", responses=documented(NotFound, WrongStatus))
async def registrations_pay(
    event_id: UUID, registration_id: UUID, body: PaymentCreate, actor: Host, session: Session, now: Now
) -> RegistrationRead:
    """Note that the fee in money was paid; the first note stands."""
    return _read(await registrations.pay(session, actor, event_id, registration_id, body.reference, now=now))


def _tagged(response: Response, shown: Shown) -> RegistrationRead:
    response.headers["ETag"] = etag(shown.registration.version)
    return _read(shown)


def _read(shown: Shown) -> RegistrationRead:
    one = shown.registration
    beside = {
        "position": shown.position, "answers": orjson.loads(one.answers) if one.answers else {},
        "companions": [CompanionRead.model_validate(each, from_attributes=True) for each in shown.companions],
        "fee_refunded": one.fee_refund_no is not None,
    }  # fmt: skip
    return RegistrationRead.model_validate(dict(one) | beside)


def _why(found: Why) -> WhyRead:
    one = found.registration
    decided = [
        QueueDecisionRead(
            kind=decision.kind, own=own, free=decision.free, needed=decision.needed, at=decision.at,
            reason=decision.reason,
        )
        for decision, own in found.decisions
    ]  # fmt: skip
    is_waiting = one.status == RegistrationStatus.WAITING
    return WhyRead(
        status=one.status, queue=found.event.queue, party=one.party,
        position=found.ahead.parties + 1 if is_waiting else None,
        parties_ahead=found.ahead.parties if is_waiting else 0, persons_ahead=found.ahead.persons if is_waiting else 0,
        free=found.free, blocked_by_bigger=is_waiting and found.blocked_by_bigger, is_night=found.is_night,
        has_begun=found.has_begun, decisions=decided,
    )  # fmt: skip
