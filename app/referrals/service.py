"""Referrals are registered, confirmed and followed up. Whoever changes one locks the buyer's phone first."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.chapters import queries as chapters
from app.core.actors import Actor, Reach, Role
from app.core.clock import china_date
from app.core.db import raw, unrestricted
from app.core.problems import InvalidPayload, NotFound, WrongStatus
from app.core.transitions import require_step
from app.members import queries as members
from app.members.models import Member
from app.members.rules import MemberStatus
from app.members.transfer_queries import Named, named
from app.referrals import guards, queries, success
from app.referrals.guards import Lead, first_heard
from app.referrals.models import Referral, ReferralStep
from app.referrals.problems import RegisteredTooLate
from app.referrals.rules import (
    ENDED,
    LAPSING,
    REFERRAL_TRANSITIONS,
    TIME_OUT,
    Horizon,
    ReferralStatus,
    follow_up_on,
    window_end,
)
from app.referrals.schemas import Confirmation, Feedback, ReferralCreate
from app.settings import Settings

_NEEDED = {
    ReferralStatus.FOLLOWING: "horizon", ReferralStatus.ORDERED: "ordered_on", ReferralStatus.LOST: "note",
}  # fmt: skip
"""What feedback has to say besides."""


class Shown(NamedTuple):
    """A referral, who referred, and whether the actor cares for that member."""

    referral: Referral
    referrer: Named
    is_own: bool


async def register(
    session: AsyncSession, actor: Actor, body: ReferralCreate, config: Settings, *, now: datetime
) -> Referral:
    """Register a buyer; of a member it is only asked for, until a consultant confirms it.

    Raises:
        NotFound: there is no such referrer or dealer for the actor.
        WrongStatus: the referrer is not active.
        InvalidPayload: the referrer or the dealer is not named, a day lies ahead, or the consultant is another's.
        SelfReferral, SameHousehold, RegisteredTooLate, BuyerIsOwner, AlreadyReferred.
    """
    made, referrer = await drafted(session, actor, body, config, now)
    lead = lead_of(made, first_heard(body.visited_on, body.ordered_on))
    _take_on(made, config, china_date(now))
    if actor.reach is Reach.SELF:
        # whether the buyer is known here is not the member's to learn: the consultant's confirmation tells
        await guards.require_another(session, referrer, lead)
        return await begin(session, made, ReferralStatus.ASKED, actor, now)
    await judge(session, referrer, lead, now)
    return await begin(session, made, ReferralStatus.OPEN, actor, now)


async def judge(
    session: AsyncSession, referrer: Member, lead: Lead, now: datetime, *, beside: UUID | None = None
) -> None:
    """Refuse a referral that is not valid; one whose window is over gives way at once, not only in the night.

    Raises: as `guards.judge`.
    """
    if (over := await queries.outlived(session, lead.phone, china_date(now))) is not None:
        await step(session, over, ReferralStatus.LAPSED, TIME_OUT, now)
    await guards.judge(session, referrer, lead, beside=beside)


async def drafted(
    session: AsyncSession, actor: Actor, body: ReferralCreate, config: Settings, now: datetime
) -> tuple[Referral, Member]:
    """A referral as a body describes it, not on record, and who refers; the buyer's phone is locked.

    Raises: NotFound, WrongStatus, InvalidPayload, as `register`.
    """
    today = china_date(now)
    _require_past(today, visited_on=body.visited_on, ordered_on=body.ordered_on)
    dealer_code = await _dealer(session, actor, body.dealer_code)
    await unrestricted(session)
    await members.lock_phone(session, body.buyer_phone)
    referrer = await _referrer(session, actor, body)
    made = Referral(
        referrer_id=referrer.id, buyer_name=body.buyer_name, phone=body.buyer_phone, dealer_code=dealer_code,
        consultant=await _consultant(session, actor, body.consultant, dealer_code, today), asked_by=actor.subject,
        asked_at=now, registered_on=today, valid_until=window_end(today, config.referral_window_days),
        may_contact=body.may_contact, permission_at=now,
    )  # fmt: skip
    return made, referrer


def lead_of(referral: Referral, since: date | None) -> Lead:
    """What the guards judge of a referral whose buyer is still on record."""
    assert referral.buyer_name is not None
    assert referral.phone is not None
    return Lead(referral.buyer_name, referral.phone, referral.dealer_code, referral.registered_on, since)


async def begin(
    session: AsyncSession, made: Referral, status: ReferralStatus, actor: Actor, now: datetime, note: str | None = None
) -> Referral:
    """Put a referral on record with its first step."""
    made.status = status
    session.add(made)
    await session.flush()
    session.add(ReferralStep(referral_id=made.id, status=status, note=note, actor=actor.subject, at=now))
    await session.flush()
    return made


def _require_past(today: date, **days: date | None) -> None:
    for name, day in days.items():
        if day is not None and day > today:
            raise InvalidPayload.at(f"/{name}", "date_in_future")


async def _dealer(session: AsyncSession, actor: Actor, code: str | None) -> str:
    code = code or actor.dealer_code
    if code is None:
        raise InvalidPayload.at("/dealer_code", "missing")
    if await chapters.dealer(session, actor, code) is not None:
        return code
    if actor.reach in (Reach.ALL, Reach.SELF):
        raise InvalidPayload.at("/dealer_code", "unknown_dealer", value=code)
    raise NotFound("dealer")


async def _referrer(session: AsyncSession, actor: Actor, body: ReferralCreate) -> Member:
    if actor.reach is Reach.SELF:
        found = await session.get(Member, actor.member_id)
        if found is not None and (body.referrer_phone or body.referrer_no not in (None, found.member_no)):
            raise NotFound("member")
    elif body.referrer_no is None and body.referrer_phone is None:
        raise InvalidPayload.at("/referrer_no", "missing")
    else:
        found = await queries.referrer(session, member_no=body.referrer_no, phone=body.referrer_phone)
    if found is None:
        raise NotFound("member")
    if found.status != MemberStatus.ACTIVE:
        raise WrongStatus(current=found.status, allowed=[MemberStatus.ACTIVE])
    return found


async def _consultant(
    session: AsyncSession, actor: Actor, named: str | None, dealer_code: str, today: date
) -> str | None:
    """Whom a lead is under: of a sales consultant's the asker, of others whom they name of the dealer's.

    A program names people as the dealer's system does, as the feed of deliveries.
    """
    if actor.role is Role.SALES_CONSULTANT:
        return actor.subject
    if named is None or actor.role is Role.API_CLIENT:
        return named
    if not await queries.is_consultant(session, named, dealer_code, today):
        raise InvalidPayload.at("/consultant", "unknown_consultant", value=named, dealer=dealer_code)
    return named


def _take_on(found: Referral, config: Settings, today: date) -> None:
    found.due_on = today + timedelta(days=config.lead_feedback_days)


# --- one referral ---


async def seen(session: AsyncSession, actor: Actor, referral_id: UUID, *, locked: bool = False) -> Referral:
    """One referral; `locked` for change.

    Raises:
        NotFound: there is none, or it is not the actor's to see.
    """
    found = await queries.referral(session, actor, referral_id, locked=locked)
    if found is None:
        raise NotFound("referral")
    return found


async def held(session: AsyncSession, actor: Actor, referral_id: UUID) -> Referral:
    """One referral for change, its buyer's phone locked before; the session reads all chapters."""
    found = await seen(session, actor, referral_id)
    await unrestricted(session)
    if found.phone is not None:
        await members.lock_phone(session, found.phone)
    return await seen(session, actor, referral_id, locked=True)


async def step(
    session: AsyncSession, found: Referral, to: ReferralStatus, by: str, now: datetime, *, note: str | None = None,
    horizon: Horizon | None = None,
) -> None:  # fmt: skip
    """Move a referral, which is locked, along the table, and note it.

    Raises:
        WrongStatus.
    """
    require_step(REFERRAL_TRANSITIONS, found.status, to)
    found.status, found.escalated, found.ended_on = to, None, None
    if to in ENDED:
        found.ended_on, found.due_on = china_date(now), None
    session.add(ReferralStep(referral_id=found.id, status=to, horizon=horizon, note=note, actor=by, at=now))
    await session.flush()


async def shown(session: AsyncSession, actor: Actor, found: Sequence[Referral]) -> list[Shown]:
    """Referrals that an actor was found to see, with who referred."""
    await unrestricted(session)
    referrers = await named(session, [referral.referrer_id for referral in found])
    dealers = await chapters.reached(await raw(session), actor)
    return [_shown(actor, referral, referrers[referral.referrer_id], dealers) for referral in found]


def _shown(actor: Actor, referral: Referral, referrer: Named, dealers: frozenset[str] | None) -> Shown:
    cares = dealers is None or referrer.dealer_code in dealers
    return Shown(referral, referrer, cares or actor.member_id == referral.referrer_id)


async def confirm(
    session: AsyncSession, actor: Actor, referral_id: UUID, body: Confirmation, config: Settings, *, now: datetime
) -> Referral:
    """Take on what a member asked for; it counts from the day it was asked.

    Raises:
        NotFound, WrongStatus, InvalidPayload.
        SelfReferral, SameHousehold, RegisteredTooLate, BuyerIsOwner, AlreadyReferred.
    """
    _require_past(china_date(now), visited_on=body.visited_on, ordered_on=body.ordered_on)
    found = await held(session, actor, referral_id)
    if found.status != ReferralStatus.ASKED:
        raise WrongStatus(current=found.status, allowed=[ReferralStatus.ASKED])
    referrer = await session.get_one(Member, found.referrer_id)
    lead = lead_of(found, first_heard(body.visited_on, body.ordered_on))
    await judge(session, referrer, lead, now, beside=found.id)
    today = china_date(now)
    found.consultant = await _consultant(session, actor, body.consultant, found.dealer_code, today) or found.consultant
    _take_on(found, config, today)
    await step(session, found, ReferralStatus.OPEN, actor.subject, now)
    return found


async def end(
    session: AsyncSession, actor: Actor, referral_id: UUID, to: ReferralStatus, reason: str, *, now: datetime
) -> Referral:
    """Refuse what a member asked for, or withdraw a referral.

    Raises:
        NotFound, WrongStatus.
    """
    found = await held(session, actor, referral_id)
    found.answer = reason
    await step(session, found, to, actor.subject, now, note=reason)
    return found


async def report(
    session: AsyncSession, actor: Actor, referral_id: UUID, body: Feedback, config: Settings, *, now: datetime
) -> Referral:
    """Say where a lead stands; the next report is due by the buyer's horizon, if the buyer permits further contact.

    Raises:
        NotFound, WrongStatus.
        InvalidPayload: the order's day lies ahead; a horizon, an order's day or a reason is missing.
        RegisteredTooLate: the order came before the referral.
    """
    today = china_date(now)
    if getattr(body, _NEEDED[body.status]) is None:
        raise InvalidPayload.at(f"/{_NEEDED[body.status]}", "missing")
    _require_past(today, ordered_on=body.ordered_on)
    found = await held(session, actor, referral_id)
    if body.ordered_on is not None and body.ordered_on < found.registered_on:
        raise RegisteredTooLate(since=body.ordered_on)
    if body.ordered_on is not None and body.ordered_on > found.valid_until and found.status in LAPSING:
        # until the night says so
        raise WrongStatus(current=ReferralStatus.LAPSED, allowed=LAPSING)
    is_ordered = body.status is ReferralStatus.ORDERED
    found.ordered_on = body.ordered_on if is_ordered else None
    found.horizon = Horizon.MONTH if is_ordered else body.horizon
    found.vin = body.vin or found.vin
    if body.may_contact is not None:
        found.may_contact, found.permission_at = body.may_contact, now
    found.due_on = None
    if found.may_contact and found.horizon is not None:
        found.due_on = follow_up_on(today, found.horizon, config.lead_rhythm_days)
    await step(session, found, body.status, actor.subject, now, note=body.note, horizon=found.horizon)
    if body.vin is not None:
        # the feed may have told of it already, without a phone number
        await success.match_waiting(await raw(session), now, found.id)
        await session.refresh(found)
    return found
