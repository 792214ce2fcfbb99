"""Changing a party: whom a member brings, and what it answered. Its place in the order of coming stays."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor, Role
from app.core.editing import require_version
from app.core.problems import InvalidPayload
from app.events import registration_fees, registrations, waiting
from app.events import registration_queries as queries
from app.events.models import ClubEvent
from app.events.registration_models import Companion, Registration
from app.events.registration_problems import NoSeats, PartyTooBig
from app.events.registration_rules import TAKES_SEATS, RegistrationStatus, answer_faults
from app.events.registration_schemas import RegistrationUpdate
from app.events.registrations import Shown
from app.events.waiting import Waiting
from app.points.confirmation import Confirm
from app.settings import Settings

CHANGED = "another party"


async def change(
    session: AsyncSession, actor: Actor, event_id: UUID, registration_id: UUID | None, body: RegistrationUpdate, *,
    version: int, settings: Settings, now: datetime,
) -> Shown:  # fmt: skip
    """Change what the body names; seats that come free go to the next at once, the fee is the new party's.

    Raises:
        NotFound, PreconditionFailed.
        WrongStatus, EventBegun, CheckedIn: it cannot be changed any more.
        RegistrationNotOpen: nobody more can be named.
        PartyTooBig, NoSeats: there is no room for more, or who waits comes first.
        InsufficientPoints, WalletClosed.
        ConfirmationRequired: more points are due, which members spend themselves.
        InvalidPayload: an answer is wrong.
    """
    event, registration = await registrations.step_of(session, actor, event_id, registration_id)
    require_version(registration, version)
    await registrations.require_to_come(session, actor, event, registration, now)
    rules = Waiting.of(settings)
    if "answers" in body.model_fields_set:
        if faults := list(answer_faults(event.questions, body.answers)):
            raise InvalidPayload(errors=faults)
        registration.answers = registrations.packed(body.answers)
    if "companions" in body.model_fields_set:
        await _resize(session, actor, event, registration, body.party, rules, now)
        await _name(session, registration, body)
    else:
        registration.version += 1
    await session.flush()
    await waiting.fill(session, event, rules, now=now)
    return await registrations.shown(session, registration)


async def _resize(
    session: AsyncSession, actor: Actor, event: ClubEvent, registration: Registration, party: int, rules: Waiting,
    now: datetime,
) -> None:  # fmt: skip
    more = party - registration.party
    if more > 0:
        await _require_room(session, actor, event, registration, party, now)
    has_paid = registration.status == RegistrationStatus.REGISTERED and more != 0
    if has_paid:
        await registration_fees.give_back(session, registration, CHANGED, rules.grace, by=actor.subject, now=now)
    registration.party, registration.version = party, registration.version + 1
    registration.fee_points, registration.fee_fen = event.fee_points * party, event.fee_fen * party
    if has_paid:
        # less than it confirmed once needs no new word of the member
        confirm = Confirm(needed=more > 0 and actor.role is not Role.MEMBER)
        await registration_fees.charge(session, event, registration, confirm, by=actor.subject, now=now)
        registration.fee_refund_no = None


async def _require_room(
    session: AsyncSession, actor: Actor, event: ClubEvent, registration: Registration, party: int, now: datetime
) -> None:
    registrations.require_open(event, now, by_staff=actor.role is not Role.MEMBER)
    if party > event.capacity:
        raise PartyTooBig(party=party, capacity=event.capacity)
    if registration.status in TAKES_SEATS:
        room, more = await queries.room(session, event), party - registration.party
        free = room.free
        if room.admit(more) is not RegistrationStatus.REGISTERED:
            # seats that others wait for are not free
            raise NoSeats(free=min(free, more - 1), needed=more)


async def _name(session: AsyncSession, registration: Registration, body: RegistrationUpdate) -> None:
    before = delete(Companion).where(col(Companion.registration_id) == registration.id)
    await session.execute(before.execution_options(synchronize_session=False))
    session.add_all(Companion(registration_id=registration.id, **one.model_dump()) for one in body.companions)
