"""Transfers between chapters (转会): asked for, answered by the receiving chapter, in force from a day on.

Whoever changes several things locks chapters first, then members, then transfers.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.chapters import queries as chapters
from app.core.actors import Actor, Reach
from app.core.clock import china_date
from app.core.db import Database, raw, unrestricted
from app.core.problems import Forbidden, InvalidPayload, NotFound, Problem, WrongStatus
from app.core.transitions import require_step
from app.members import places
from app.members import transfer_queries as queries
from app.members.models import Member
from app.members.problems import TransferOpen
from app.members.rules import MemberStatus, masked_name
from app.members.transfer_models import Transfer
from app.members.transfer_rules import OPEN, TRANSFER_TRANSITIONS, AskedAs, TransferStatus, is_due
from app.members.transfer_schemas import TransferAsk
from app.members.visibility import visible_member

TIME_OUT = "time-out"
"""Who accepts what nobody answered."""

LONGEST_AHEAD = timedelta(days=366)
_MOVABLE = (MemberStatus.ACTIVE, MemberStatus.SUSPENDED)
_ASKED_AS = {Reach.SELF: AskedAs.MEMBER, Reach.ALL: AskedAs.HEADQUARTERS}


class Shown(NamedTuple):
    """A transfer and whom it is about; the name is masked unless the actor sees the member itself."""

    transfer: Transfer
    member_no: str
    name: str


async def ask(
    session: AsyncSession, actor: Actor, member_id: UUID, body: TransferAsk, *, answer_days: int, now: datetime
) -> Shown:
    """Ask for a member's transfer, as the member itself, its chapter, or headquarters.

    Args:
        answer_days: how many days the receiving chapter has, before its silence counts as consent.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
        NoChapter: the dealer has none.
        TransferOpen: the member waits for a transfer already.
        WrongStatus: the member has left.
        InvalidPayload: there is no such dealer, the member is there, or the day is over or more than a year ahead.
    """
    today = china_date(now)
    if body.effective_on is not None and body.effective_on < today:
        raise InvalidPayload.at("/effective_on", "date_too_early", earliest=today)
    if body.effective_on is not None and body.effective_on > today + LONGEST_AHEAD:
        raise InvalidPayload.at("/effective_on", "date_too_late", latest=today + LONGEST_AHEAD)
    if body.to_dealer_code is not None:
        await places.require_chapter(session, body.to_dealer_code, "/to_dealer_code")
    member = await visible_member(session, actor, member_id, locked=True)
    _require_movable(member)
    if member.dealer_code == body.to_dealer_code:
        raise InvalidPayload.at("/to_dealer_code", "same_chapter")
    if await queries.open_of(session, member.id) is not None:
        raise TransferOpen
    asked = Transfer(
        **body.model_dump(), member_id=member.id, from_dealer_code=member.dealer_code,
        asked_as=_ASKED_AS.get(actor.reach, AskedAs.CHAPTER), asked_by=actor.subject, asked_at=now,
        answer_by=today + timedelta(days=answer_days),
    )  # fmt: skip
    session.add(asked)
    await session.flush()
    return Shown(asked, member.member_no, member.name)


def _require_movable(member: Member) -> None:
    if member.status not in _MOVABLE:
        raise WrongStatus(current=member.status, allowed=_MOVABLE)


async def transfer(session: AsyncSession, actor: Actor, transfer_id: UUID) -> Shown:
    """One transfer.

    Raises:
        NotFound: there is none, or it is not the actor's to see.
    """
    (found,) = await shown(session, actor, [await _seen(session, actor, transfer_id)])
    return found


async def _seen(session: AsyncSession, actor: Actor, transfer_id: UUID) -> Transfer:
    found = await queries.transfer(session, actor, transfer_id)
    if found is None:
        raise NotFound("transfer")
    return found


async def shown(session: AsyncSession, actor: Actor, found: Sequence[Transfer]) -> list[Shown]:
    """Transfers that an actor was found to see, with the members' names as far as it may read them."""
    # of who comes or went, number and masked name
    await unrestricted(session)
    named = await queries.named(session, [transfer.member_id for transfer in found])
    dealers = await chapters.reached(await raw(session), actor)
    return [_shown(actor, transfer, named[transfer.member_id], dealers) for transfer in found]


def _shown(actor: Actor, transfer: Transfer, member: queries.Named, dealers: frozenset[str] | None) -> Shown:
    is_own = actor.member_id == transfer.member_id or dealers is None or member.dealer_code in dealers
    return Shown(transfer, member.member_no, member.name if is_own else masked_name(member.name))


# --- the answer ---


async def accept(session: AsyncSession, actor: Actor, transfer_id: UUID, *, now: datetime) -> Shown:
    """Take the member in, at once or from the day that was asked for.

    Raises:
        NotFound.
        Forbidden: the actor is not the receiving chapter's.
        WrongStatus: it was answered or withdrawn, or the member has left.
    """
    found = await _seen(session, actor, transfer_id)
    await _require_at(session, actor, found.to_dealer_code)
    await _accept(session, found, actor.subject, now)
    return await _again(session, actor, found)


async def refuse(session: AsyncSession, actor: Actor, transfer_id: UUID, reason: str, *, now: datetime) -> Shown:
    """Leave the member where it is.

    Raises:
        NotFound, WrongStatus.
        Forbidden: the actor is not the receiving chapter's.
    """
    found = await _seen(session, actor, transfer_id)
    await _require_at(session, actor, found.to_dealer_code)
    await _end(session, found, TransferStatus.REFUSED, reason, actor.subject, now)
    return await _again(session, actor, found)


async def withdraw(session: AsyncSession, actor: Actor, transfer_id: UUID, reason: str, *, now: datetime) -> Shown:
    """Take a transfer back that has not taken effect, as the member, its present chapter, or headquarters.

    Raises:
        NotFound, WrongStatus.
        Forbidden: the actor is the receiving chapter's, which refuses.
    """
    found = await _seen(session, actor, transfer_id)
    if actor.reach is not Reach.SELF:
        await _require_at(session, actor, found.from_dealer_code)
    await _end(session, found, TransferStatus.WITHDRAWN, reason, actor.subject, now)
    return await _again(session, actor, found)


async def _require_at(session: AsyncSession, actor: Actor, dealer_code: str | None) -> None:
    """Refuse who does not act for a chapter, or for headquarters' roll (None)."""
    dealers = await chapters.reached(await raw(session), actor)
    if dealers is not None and dealer_code not in dealers:
        raise Forbidden


async def _again(session: AsyncSession, actor: Actor, transfer: Transfer) -> Shown:
    (found,) = await shown(session, actor, [transfer])
    return found


async def _accept(session: AsyncSession, found: Transfer, by: str, now: datetime) -> None:
    member = await _hold(session, found)
    require_step(TRANSFER_TRANSITIONS, found.status, TransferStatus.ACCEPTED)
    _require_movable(member)
    found.status, found.decided_by, found.decided_at = TransferStatus.ACCEPTED, by, now
    await session.flush()
    if is_due(found.effective_on, china_date(now)):
        await _move(session, found, member, china_date(now))


async def _hold(session: AsyncSession, found: Transfer) -> Member:
    """Lock what a transfer touches, in order; its member."""
    await unrestricted(session)
    if found.to_dealer_code is not None:
        await places.require_chapter(session, found.to_dealer_code, "/to_dealer_code")
    member = await session.get(Member, found.member_id, with_for_update=True, populate_existing=True)
    assert member is not None
    await queries.locked(session, found.id)
    return member


async def _move(session: AsyncSession, found: Transfer, member: Member, today: date) -> None:
    await places.move(session, member, found.to_dealer_code, today)
    found.status, found.moved_on = TransferStatus.DONE, today
    await session.flush()


async def _end(session: AsyncSession, found: Transfer, to: TransferStatus, answer: str, by: str, now: datetime) -> None:
    await queries.locked(session, found.id)
    require_step(TRANSFER_TRANSITIONS, found.status, to)
    found.status, found.answer, found.decided_by, found.decided_at = to, answer, by, now
    await session.flush()


# --- what the worker does ---


class Worked(NamedTuple):
    """How many transfers were accepted for want of an answer, and how many members moved on their day."""

    timed_out: int
    moved: int


async def work(database: Database, *, now: datetime) -> Worked:
    """Accept what nobody answered in time, and move those whose day has come; one transaction each."""
    today = china_date(now)
    async with database.session() as session:
        unanswered = await queries.unanswered(session, today)
    timed_out = [await _worked(database, transfer_id, _time_out, now) for transfer_id in unanswered]
    async with database.session() as session:
        due = await queries.due(session, today)
    moved = [await _worked(database, transfer_id, _take_effect, now) for transfer_id in due]
    return Worked(sum(timed_out), sum(moved))


Step = Callable[[AsyncSession, Transfer, datetime], Awaitable[None]]


async def _worked(database: Database, transfer_id: UUID, step: Step, now: datetime) -> bool:
    """Whether a transfer went its step; one that cannot any more is withdrawn."""
    try:
        async with database.session() as session:
            await step(session, await _known(session, transfer_id), now)
        return True
    except Problem as problem:
        async with database.session() as session:
            found = await queries.locked(session, transfer_id)
            if found.status in OPEN:
                await _end(session, found, TransferStatus.WITHDRAWN, str(problem), TIME_OUT, now)
        return False


async def _known(session: AsyncSession, transfer_id: UUID) -> Transfer:
    found = await session.get(Transfer, transfer_id)
    assert found is not None
    return found


async def _time_out(session: AsyncSession, found: Transfer, now: datetime) -> None:
    await _accept(session, found, TIME_OUT, now)


async def _take_effect(session: AsyncSession, found: Transfer, now: datetime) -> None:
    member = await _hold(session, found)
    require_step(TRANSFER_TRANSITIONS, found.status, TransferStatus.DONE)
    _require_movable(member)
    await _move(session, found, member, china_date(now))
