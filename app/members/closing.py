"""The end of a chapter: its members go to another one or on headquarters' roll, in one transaction."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters import materials
from app.chapters import service as chapters
from app.core.actors import Actor
from app.core.clock import china_date
from app.core.problems import InvalidPayload
from app.members import places
from app.members import transfer_queries as transfers
from app.members.models import Application
from app.members.problems import EventsOpen
from app.members.rules import ApplicationStatus
from app.members.transfer_models import Transfer
from app.members.transfer_rules import TransferStatus
from app.members.transfer_schemas import ChapterClosed, ChapterClosing

CLOSED = "the chapter was closed"
_ONE_AT_A_TIME = 7_310_000_024

OpenEvents = Callable[[AsyncSession, str], Awaitable[int]]
"""How many events of a chapter are not over."""

_open_events: list[OpenEvents] = []


def register_events(count: OpenEvents) -> None:
    """Say who knows a chapter's events, which are brought to an end before it."""
    _open_events.append(count)


async def close(
    session: AsyncSession, actor: Actor, dealer_code: str, body: ChapterClosing, *, now: datetime
) -> ChapterClosed:
    """Close a chapter from today on.

    Raises:
        NotFound: the dealer has no chapter, or is not the actor's.
        NoChapter: the other dealer has none.
        EventsOpen: the chapter has events that are not over.
        InvalidPayload: there is no such other dealer, or it is the same.
    """
    to, today = body.to_dealer_code, china_date(now)
    if to == dealer_code:
        raise InvalidPayload.at("/to_dealer_code", "same_chapter")
    # one closing at a time: two chapters that take over each other's members would wait for each other
    await session.execute(select(func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
    if to is not None:
        await places.require_chapter(session, to, "/to_dealer_code")
    await chapters.close_chapter(session, actor, dealer_code, today)
    # after the chapter is locked: what was planned before is seen
    if events := sum([await count(session, dealer_code) for count in _open_events]):
        raise EventsOpen(events=events)
    await materials.end_requests(session, actor, dealer_code, now=now)
    moved = await places.move_all(session, dealer_code, to, today)
    return ChapterClosed(
        dealer_code=dealer_code,
        closed_on=today,
        to_dealer_code=to,
        members=len(moved),
        applications=await _hand_over(session, dealer_code, to, actor, now),
        transfers=await _settle_transfers(session, dealer_code, to, actor, now),
    )


async def _hand_over(session: AsyncSession, dealer_code: str, to: str | None, actor: Actor, now: datetime) -> int:
    waiting = select(Application).where(
        col(Application.dealer_code) == dealer_code, col(Application.status) == ApplicationStatus.OPEN
    )
    found = (await session.scalars(waiting.order_by(col(Application.id)).with_for_update())).all()
    for application in found:
        if to is not None:
            application.dealer_code = to
        else:
            application.status, application.reason = ApplicationStatus.REFUSED, CLOSED
            application.decided_at, application.decided_by = now, actor.subject
    await session.flush()
    return len(found)


async def _settle_transfers(
    session: AsyncSession, dealer_code: str, to: str | None, actor: Actor, now: datetime
) -> int:
    """Those to the chapter, or to where its members are now, have no object; the others go on from there."""
    ended = 0
    for transfer in await transfers.open_around(session, dealer_code):
        if transfer.to_dealer_code in (dealer_code, to):
            _withdraw(transfer, actor, now)
            ended += 1
        else:
            transfer.from_dealer_code = to
    await session.flush()
    return ended


def _withdraw(transfer: Transfer, actor: Actor, now: datetime) -> None:
    transfer.status, transfer.answer = TransferStatus.WITHDRAWN, CLOSED
    transfer.decided_by, transfer.decided_at = actor.subject, now
