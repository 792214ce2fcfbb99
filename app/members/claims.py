"""A car's new owner claims it: the owner of the day hands it over, or headquarters decides.

The old ownership ends on the day of purchase and the new one begins on it. History stays with the car; what the old
owner told of it (plate, insurance, purchase) stays with the old ownership.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor, Reach
from app.core.clock import china_date
from app.core.db import unrestricted
from app.core.problems import Forbidden, InvalidPayload, NotFound, WrongStatus
from app.core.transitions import require_step
from app.members import queries as members
from app.members import vehicle_queries as queries
from app.members.models import Application, Member
from app.members.problems import ClaimOpen
from app.members.rules import ApplicationStatus, MemberStatus
from app.members.service import add_vehicle
from app.members.vehicle_models import VehicleClaim
from app.members.vehicle_queries import Sides
from app.members.vehicle_rules import CLAIM_TRANSITIONS, ClaimStatus, HandedOver
from app.members.vehicle_schemas import ClaimCreate
from app.members.visibility import visible_member


class Claimed(NamedTuple):
    """A claim, on which sides of it the actor stands, and the claimant's name."""

    sides: Sides
    claimant: str


async def shown(session: AsyncSession, sides: Sides) -> Claimed:
    """A claim that the actor may see, with the claimant's name."""
    await unrestricted(session)
    claim = sides.claim
    who = (
        await session.get(Member, claim.claimant_id)
        if claim.claimant_id is not None
        else await session.get(Application, claim.application_id)
    )
    assert who is not None, "a claim has its claimant as long as it is there"
    return Claimed(sides, who.name)


async def ask(session: AsyncSession, actor: Actor, body: ClaimCreate, *, now: datetime) -> Claimed:
    """Claim a car, for oneself or for a member or applicant of one's own.

    A car that nobody owns goes to the claimant at once when staff have seen the proof.

    Raises:
        NotFound: there is no such member or application, or it is not the actor's to see.
        WrongStatus: the member is not active, or the application not open.
        ClaimOpen: the claimant has claimed this car already.
        InvalidPayload: the day lies in the future, the car is the claimant's, or the application is with another one.
    """
    if body.bought_on > china_date(now):
        raise InvalidPayload.at("/bought_on", "date_in_future")
    claimant_id = await _claimant(session, actor, body)
    await _lock(session, body.vin)
    owned = await queries.owner_now(session, body.vin)
    if owned is not None and owned[1].id == claimant_id:
        raise InvalidPayload.at("/vin", "already_owned")
    if await queries.open_claim(session, body.vin, claimant_id, body.application_id) is not None:
        raise ClaimOpen
    claim = VehicleClaim(
        vin=body.vin, claimant_id=claimant_id, application_id=body.application_id, bought_on=body.bought_on,
        proof=body.proof, asked_by=actor.subject, asked_at=now,
    )  # fmt: skip
    if owned is None and actor.reach is not Reach.SELF:
        await _hand_over(session, actor, claim, HandedOver.NOBODY, now)
    session.add(claim)
    await session.flush()
    return await shown(session, Sides(claim, True, actor.reach is Reach.ALL))


async def _claimant(session: AsyncSession, actor: Actor, body: ClaimCreate) -> UUID | None:
    """The member who claims; None: it is the application."""
    member_id = body.member_id
    if actor.reach is Reach.SELF:
        member_id = member_id or actor.member_id
    if (member_id is None) == (body.application_id is None):
        raise InvalidPayload.at("", "exactly_one", names="member_id, application_id")
    if member_id is not None:
        member = await visible_member(session, actor, member_id)
        _require(member.status, MemberStatus.ACTIVE)
        return member_id
    assert body.application_id is not None
    application = await members.application(session, actor, body.application_id)
    if application is None:
        raise NotFound("application")
    _require(application.status, ApplicationStatus.OPEN)
    if application.vin != body.vin:
        raise InvalidPayload.at("/vin", "vin_not_applied_with")
    return None


def _require(status: str, needed: str) -> None:
    if status != needed:
        raise WrongStatus(current=status, allowed=[needed])


async def _lock(session: AsyncSession, vin: str) -> None:
    """Until commit nobody else gives the car to an owner; its owner may be of any chapter."""
    await unrestricted(session)
    await members.lock_vehicle(session, vin)


async def get(session: AsyncSession, actor: Actor, claim_id: UUID) -> Claimed:
    """One claim.

    Raises:
        NotFound: there is none, or the actor is on neither side of it.
    """
    found = await queries.claim(session, actor, claim_id)
    if found is None:
        raise NotFound("claim")
    return await shown(session, found)


async def consent(
    session: AsyncSession, actor: Actor, claim_id: UUID, reference: str | None, *, now: datetime
) -> Claimed:
    """The owner of the day hands the car over, in person or by a paper that its own chapter names.

    Raises:
        NotFound, WrongStatus.
        Forbidden: it is not the actor's car, nor that of a member of its own.
        InvalidPayload: staff did not name the paper.
    """
    sides = await _for_change(session, actor, claim_id, ClaimStatus.ACCEPTED)
    if not sides.is_owners or await queries.owner_now(session, sides.claim.vin) is None:
        raise Forbidden
    if actor.reach is not Reach.SELF and reference is None:
        raise InvalidPayload.at("/reference", "missing")
    sides.claim.reference = reference
    handed_over = HandedOver.OWNER if actor.reach is Reach.SELF else HandedOver.PAPER
    await _hand_over(session, actor, sides.claim, handed_over, now)
    await session.flush()
    return await shown(session, sides)


async def object_to(session: AsyncSession, actor: Actor, claim_id: UUID, reason: str, *, now: datetime) -> Claimed:
    """The owner of the day says no: headquarters decides, and sees why.

    Raises:
        NotFound, WrongStatus.
        Forbidden: it is not the actor's car.
    """
    sides = await _for_change(session, actor, claim_id, ClaimStatus.REFUSED)
    if not sides.is_owners:
        raise Forbidden
    sides.claim.objection, sides.claim.objected_at = reason, now
    await session.flush()
    return await shown(session, sides)


async def decide(
    session: AsyncSession, actor: Actor, claim_id: UUID, *, accept: bool, reason: str, now: datetime
) -> Claimed:
    """Headquarters decides; the claimant's own chapter may when nobody owns the car.

    Raises:
        NotFound, WrongStatus.
        Forbidden: the car has an owner, and the actor is not headquarters.
    """
    sides = await _for_change(session, actor, claim_id, ClaimStatus.ACCEPTED if accept else ClaimStatus.REFUSED)
    is_owned = await queries.owner_now(session, sides.claim.vin) is not None
    if actor.reach is not Reach.ALL and (is_owned or not sides.is_claimants):
        raise Forbidden
    sides.claim.reason = reason
    if accept:
        await _hand_over(session, actor, sides.claim, HandedOver.HEADQUARTERS if is_owned else HandedOver.NOBODY, now)
    else:
        _end(sides.claim, actor, ClaimStatus.REFUSED, now)
    await session.flush()
    return await shown(session, sides)


async def withdraw(session: AsyncSession, actor: Actor, claim_id: UUID, reason: str, *, now: datetime) -> Claimed:
    """The claimant takes the claim back.

    Raises:
        NotFound, WrongStatus.
        Forbidden: the claim is not the actor's, nor of one of its own.
    """
    sides = await _for_change(session, actor, claim_id, ClaimStatus.WITHDRAWN)
    if not sides.is_claimants:
        raise Forbidden
    sides.claim.reason = reason
    _end(sides.claim, actor, ClaimStatus.WITHDRAWN, now)
    await session.flush()
    return await shown(session, sides)


async def _for_change(session: AsyncSession, actor: Actor, claim_id: UUID, to: ClaimStatus) -> Sides:
    found = await queries.claim(session, actor, claim_id)
    if found is None:
        raise NotFound("claim")
    await _lock(session, found.claim.vin)
    sides = await queries.claim(session, actor, claim_id, locked=True)
    # the car may have gone to somebody else meanwhile
    if sides is None:
        raise NotFound("claim")
    require_step(CLAIM_TRANSITIONS, ClaimStatus(sides.claim.status), to)
    return sides


async def _hand_over(
    session: AsyncSession, actor: Actor, claim: VehicleClaim, handed_over: HandedOver, now: datetime
) -> None:
    """End the ownership of the day, and begin the claimant's; an applicant's begins when the application is approved.

    Raises:
        WrongStatus: the claimant is no longer active.
        InvalidPayload: the car is the claimant's meanwhile.
    """
    since = claim.bought_on
    if owned := await queries.owner_now(session, claim.vin, locked=True):
        ownership, owner = owned
        if owner.id == claim.claimant_id:
            raise InvalidPayload.at("", "already_owned")
        claim.from_member_id = owner.id
        ownership.until = since = max(since, ownership.since)
        await session.flush()
    since = max([since, *(period.until for period in await queries.periods(session, claim.vin) if period.until)])
    if claim.claimant_id is not None:
        claimant = await session.get(Member, claim.claimant_id, with_for_update=True)
        assert claimant is not None
        _require(claimant.status, MemberStatus.ACTIVE)
        await add_vehicle(session, claimant.id, claim.vin, since, now=now)
    claim.handed_over = handed_over
    _end(claim, actor, ClaimStatus.ACCEPTED, now)


def _end(claim: VehicleClaim, actor: Actor, to: ClaimStatus, now: datetime) -> None:
    claim.status, claim.decided_at, claim.decided_by = to, now, actor.subject
