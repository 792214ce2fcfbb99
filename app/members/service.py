"""Members' use cases: enrolment, status."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.chapters import queries as chapters
from app.core.actors import Actor, Reach, Right
from app.core.clock import china_date
from app.core.db import raw
from app.core.editing import edit
from app.core.problems import InvalidPayload, NotFound
from app.core.transitions import require_step
from app.identity.session_models import Ending
from app.identity.sessions import end_all
from app.members import consents, places, queries, transfer_queries
from app.members.consent_schemas import DoorAnswers
from app.members.models import Birth, Erasure, Member, Ownership, StatusChange, Vehicle
from app.members.problems import (
    ErasurePending,
    GuardianNeeded,
    MemberMerged,
    PhoneTaken,
    VehicleTaken,
)
from app.members.queries import OwnedVehicle
from app.members.rules import (
    MEMBER_TRANSITIONS,
    MemberStatus,
    Person,
    Source,
    Verdict,
    judge_enrolment,
    member_number,
    needs_guardian,
    vin_check_digit,
)
from app.members.schemas import EnrolmentCreate, MemberUpdate, VehicleSale
from app.members.visibility import visible_member
from app.points import ledger


class Profile(NamedTuple):
    """A member with the vehicles it owns now."""

    member: Member
    vehicles: list[OwnedVehicle]


class Enrolled(NamedTuple):
    """What an enrolment came to, and what of the member the actor may see.

    `is_foreign`: another chapter's member, of whom the actor's counter sees this vehicle alone.
    """

    profile: Profile
    verdict: Verdict
    is_foreign: bool


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who joins, with which vehicle, and where (None: headquarters' own roll), in stored form.

    Attributes:
        consents: what the person answered, to whom and when.
    """

    name: str
    phone: str
    vin: str
    source: Source
    dealer_code: str | None
    born_on: date | None
    consents: DoorAnswers
    asked_by: str
    asked_at: datetime


async def enrol(session: AsyncSession, actor: Actor, body: EnrolmentCreate, *, now: datetime) -> Enrolled:
    """A person with a vehicle joins the actor's chapter, or the one that headquarters or a program names.

    Raises:
        NotFound: a dealer was named that the actor does not reach.
        NoChapter: the dealer has none.
        PhoneTaken, VehicleTaken: as `judge_enrolment` says.
        ErasurePending, GuardianNeeded: as `_admit` says.
        NoticeOutdated, InvalidPayload: as `consents.as_answered` says.
        InvalidPayload: there is no such dealer, or the day of birth lies in the future.
    """
    dealer_code = await chapter_of(session, actor, body.dealer_code)
    if dealer_code is not None:
        await places.require_chapter(session, dealer_code)
    require_born(body.born_on, now)
    answers = await consents.as_answered(session, body.consents)
    applicant = Applicant(
        body.name, body.phone, body.vin, body.source, dealer_code, body.born_on, answers, actor.subject, now
    )
    member, verdict = await join(session, actor, applicant, now)
    vehicles = await _vehicles(session, member)
    is_foreign = await queries.member(session, actor, member.id) is None
    if is_foreign:
        vehicles = [vehicle for vehicle in vehicles if vehicle.vin == body.vin]
    return Enrolled(Profile(member, vehicles), verdict, is_foreign)


async def chapter_of(session: AsyncSession, actor: Actor, dealer_code: str | None) -> str | None:
    """The chapter for which an actor acts; None: headquarters' own roll.

    Raises:
        NotFound: a dealer was named that the actor does not reach.
        InvalidPayload: none was named.
    """
    if actor.reach is Reach.ALL:
        return dealer_code
    chosen = dealer_code or actor.dealer_code
    if chosen is None:
        raise InvalidPayload.at("/dealer_code", "missing")
    if not await chapters.reaches(await raw(session), actor, chosen):
        raise NotFound("dealer")
    return chosen


def require_born(born_on: date | None, now: datetime) -> None:
    """Refuse a day of birth that lies in the future.

    Raises:
        InvalidPayload.
    """
    if born_on is not None and born_on > china_date(now):
        raise InvalidPayload.at("/born_on", "date_in_future")


async def join(session: AsyncSession, actor: Actor, applicant: Applicant, now: datetime) -> tuple[Member, Verdict]:
    """Take a person with a vehicle in, who may be a member already.

    Raises:
        PhoneTaken, VehicleTaken: as `judge_enrolment` says.
        ErasurePending, GuardianNeeded: as `_admit` and `consents.record` say.
    """
    await queries.lock_enrolment(session, applicant.phone, applicant.vin)
    person = await queries.by_phone(session, applicant.phone)
    owner = await queries.owner_of(session, applicant.vin)
    name = await queries.name_by_phone(session, applicant.phone)
    known = Person(person.id, person.name, person.status, name) if person is not None else None
    verdict = judge_enrolment(applicant.name, known, owner)
    if verdict is Verdict.PHONE_TAKEN:
        raise PhoneTaken
    if verdict is Verdict.VEHICLE_TAKEN:
        raise VehicleTaken
    member = person or await _new_member(session, applicant, actor.subject, now)
    await _note_birth(session, member, applicant.born_on, actor.subject, now)
    await consents.record(session, member, applicant.consents, by=applicant.asked_by, at=applicant.asked_at)
    if verdict is Verdict.NEW_MEMBER and await _awaits_guardian(session, member, now):
        await step(session, member, MemberStatus.SUSPENDED, "a guardian's consent is missing", actor.subject, now)
    elif verdict is not Verdict.NEW_MEMBER:
        await _admit(session, actor, member, now)
    if verdict is not Verdict.ALREADY_KNOWN:
        await add_vehicle(session, member.id, applicant.vin, china_date(now), now=now)
    if member.status == MemberStatus.LEFT:
        await places.move(session, member, applicant.dealer_code, china_date(now))
        await step(session, member, MemberStatus.ACTIVE, "enrolled again", actor.subject, now)
    return member, verdict


async def _note_birth(session: AsyncSession, member: Member, born_on: date | None, by: str, now: datetime) -> None:
    # what is on record is headquarters' to correct
    if born_on is not None and await session.get(Birth, member.id) is None:
        session.add(Birth(member_id=member.id, born_on=born_on, recorded_at=now, recorded_by=by))
        await session.flush()


async def _awaits_guardian(session: AsyncSession, member: Member, now: datetime) -> bool:
    birth = await session.get(Birth, member.id)
    return birth is not None and birth.guardian_name is None and needs_guardian(birth.born_on, china_date(now))


async def _admit(session: AsyncSession, actor: Actor, member: Member, now: datetime) -> None:
    """Let a known member, who is locked, be active. Headquarters' privacy officers take its erasure back by that.

    Raises:
        MemberMerged: another goes on for it.
        GuardianNeeded: under 14, and no guardian has consented.
        ErasurePending: the member has asked to be erased, and that is not the actor's to take back.
    """
    if member.merged_into is not None:
        raise MemberMerged(merged_into=member.merged_into)
    if await _awaits_guardian(session, member, now):
        raise GuardianNeeded
    asked = await session.get(Erasure, member.id)
    if asked is None:
        return
    if not actor.may(Right.PRIVACY_WRITE):
        raise ErasurePending
    await session.delete(asked)
    await session.flush()


async def _new_member(session: AsyncSession, applicant: Applicant, by: str, now: datetime) -> Member:
    member = Member(
        member_no=member_number(await queries.next_serial(session)),
        name=applicant.name,
        phone=applicant.phone,
        dealer_code=applicant.dealer_code,
        source=applicant.source,
        joined_on=china_date(now),
        created_at=now,
    )
    session.add(member)
    # no relationship tells the session which row comes first
    await session.flush()
    session.add(StatusChange(member_id=member.id, to_status=MemberStatus.ACTIVE, reason="enrolled", actor=by, at=now))
    await session.flush()
    await ledger.open_wallets(await raw(session), [member.id])
    return member


async def add_vehicle(session: AsyncSession, member_id: UUID, vin: str, since: date, *, now: datetime) -> None:
    """A car that nobody owns is a member's from a day on."""
    if await session.get(Vehicle, vin) is None:
        session.add(Vehicle(vin=vin, check_digit_ok=vin[8] == vin_check_digit(vin), created_at=now))
        await session.flush()
    session.add(Ownership(vin=vin, member_id=member_id, since=since))
    await session.flush()


# --- one member ---


async def profile(session: AsyncSession, actor: Actor, member_id: UUID) -> Profile:
    """A member with its vehicles.

    Raises:
        NotFound: there is none, or it is not the actor's to see.
    """
    member = await visible_member(session, actor, member_id)
    return Profile(member, await _vehicles(session, member))


async def _vehicles(session: AsyncSession, member: Member) -> list[OwnedVehicle]:
    return (await queries.vehicles_of(session, [member.id])).get(member.id, [])


async def update(session: AsyncSession, actor: Actor, member_id: UUID, body: MemberUpdate, *, version: int) -> Profile:
    """Change what the body names.

    Raises:
        NotFound, PreconditionFailed.
    """
    member = await visible_member(session, actor, member_id, locked=True)
    edit(member, body.model_dump(exclude_unset=True), version)
    await session.flush()
    return Profile(member, await _vehicles(session, member))


async def sell_vehicle(
    session: AsyncSession, actor: Actor, member_id: UUID, sale: VehicleSale, *, now: datetime
) -> Profile:
    """End a member's ownership of a vehicle, so that another person can join with it.

    Raises:
        NotFound: there is no such member, or the vehicle is not its now.
        InvalidPayload: the day lies in the future, or before the vehicle was the member's.
    """
    seller = (await profile(session, actor, member_id)).member
    owned = await queries.ownership(session, seller.id, sale.vin)
    if owned is None:
        raise NotFound("vehicle")
    if sale.sold_on > china_date(now):
        raise InvalidPayload.at("/sold_on", "date_in_future")
    if sale.sold_on < owned.since:
        raise InvalidPayload.at("/sold_on", "date_too_early", earliest=owned.since)
    owned.until = sale.sold_on
    await session.flush()
    return Profile(seller, await _vehicles(session, seller))


async def change_status(
    session: AsyncSession, actor: Actor, member_id: UUID, to: MemberStatus, reason: str, *, now: datetime
) -> Profile:
    """Move a membership one step along MEMBER_TRANSITIONS; only an active member's wallet takes postings.

    Raises:
        NotFound.
        WrongStatus: the step is not in the table.
        ErasurePending, GuardianNeeded: as `_admit` says.
    """
    member = await visible_member(session, actor, member_id, locked=True)
    require_step(MEMBER_TRANSITIONS, member.status, to)
    if to is MemberStatus.ACTIVE:
        await _admit(session, actor, member, now)
    await step(session, member, to, reason, actor.subject, now)
    if to is not MemberStatus.ACTIVE:
        await end_all(session, Ending.LAPSED, now, member_id=member_id)
    return Profile(member, await _vehicles(session, member))


async def step(session: AsyncSession, member: Member, to: MemberStatus, reason: str, by: str, now: datetime) -> None:
    """Move a membership, which is locked, one step that was found right, with what follows from it."""
    session.add(
        StatusChange(member_id=member.id, from_status=member.status, to_status=to, reason=reason, actor=by, at=now)
    )
    member.status = to
    member.version += 1
    await session.flush()
    connection = await raw(session)
    if to is MemberStatus.ACTIVE:
        await ledger.open_wallets(connection, [member.id])
    else:
        await ledger.close_wallet(connection, member.id)
    if to is MemberStatus.LEFT:
        await transfer_queries.withdraw_open(session, member.id, "the member left", by, now)
