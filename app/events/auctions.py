"""Auctions for points: the best bid is held in the ledger, who is outbid has the points back at once, the best pays.

Locks, always in this order: the lot, then the wallets (in the ledger) by member, so that two who outbid each other on
two lots cannot wait for one another.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import HEADQUARTERS, Actor
from app.core.db import Database, new_id, raw, unrestricted
from app.core.problems import FieldError, InvalidPayload, NotFound, WrongStatus
from app.events import attendance, contests, invitations, life, notices
from app.events.contest_models import AuctionBid, AuctionLot
from app.events.contest_rules import BidStatus, LotStatus, least_bid
from app.events.contest_schemas import LotCreate
from app.events.gathering_problems import BidTooLow, LotClosed, LotStillOpen, NotTakingPart
from app.events.life import Move
from app.events.models import ClubEvent
from app.events.rules import EventKind, EventStatus, NoticeKind
from app.points import ledger
from app.points.ledger import Request
from app.points.problems import HoldExpired, HoldResolved, WalletClosed

OFFERING = frozenset({EventStatus.PUBLISHED, EventStatus.REGISTRATION, EventStatus.CLOSED, EventStatus.HELD})
_GRACE = timedelta(days=7)
"""A leading bid is held so long beyond the lot's time, should nobody close it at once."""


class Offered(NamedTuple):
    """A lot with its best bid, if there is one."""

    lot: AuctionLot
    best: AuctionBid | None

    @property
    def least(self) -> int:
        """Points that the next bid must have."""
        return least_bid(self.lot.start_points, self.lot.step_points, self.best.points if self.best else None)


async def offer(session: AsyncSession, actor: Actor, event_id: UUID, body: LotCreate, *, now: datetime) -> AuctionLot:
    """Put something up for auction.

    Raises:
        NotFound, Forbidden.
        WrongEventKind: it is no auction.
        WrongStatus: members cannot see the event (any more).
        InvalidPayload: it would close in the past.
    """
    event = await life.held_by(session, actor, event_id)
    contests.require(event, EventKind.AUCTION, OFFERING)
    if body.closes_at <= now:
        raise InvalidPayload(errors=[FieldError("/closes_at", "time_in_past", {})])
    made = AuctionLot(event_id=event_id, **body.model_dump())
    session.add(made)
    await session.flush()
    return made


async def lots(session: AsyncSession, event_id: UUID) -> list[Offered]:
    """An event's lots with their best bids, by the time they close; who bid is for the caller to keep to itself."""
    # a best bid may be of a member of another chapter
    await unrestricted(session)
    query = (
        select(AuctionLot, AuctionBid)
        .outerjoin(AuctionBid, (col(AuctionBid.lot_id) == col(AuctionLot.id)) & _is_best())
        .where(col(AuctionLot.event_id) == event_id)
        .order_by(col(AuctionLot.closes_at), col(AuctionLot.id))
    )
    return [Offered(lot, best) for lot, best in (await session.execute(query))]


def _is_best() -> ColumnElement[bool]:
    return col(AuctionBid.status).in_((BidStatus.LEADING, BidStatus.WON))


async def bids(session: AsyncSession, actor: Actor, event_id: UUID, lot_id: UUID) -> Sequence[AuctionBid]:
    """A lot's bids, best first, for those who run the event.

    Raises:
        NotFound, Forbidden.
    """
    await invitations.run_by(session, actor, event_id)
    lot = await session.get(AuctionLot, lot_id)
    if lot is None or lot.event_id != event_id:
        raise NotFound("lot")
    query = select(AuctionBid).where(col(AuctionBid.lot_id) == lot_id)
    return (await session.scalars(query.order_by(col(AuctionBid.points).desc()))).all()


# --- bidding ---


async def bid(
    session: AsyncSession, actor: Actor, member_id: UUID, lot_id: UUID, points: int, *, now: datetime
) -> AuctionBid:
    """Bid on a lot: the points are held, and those of who led before are free again.

    Raises:
        NotFound: there is no such lot.
        LotClosed: no bids are taken (any more).
        NotTakingPart: the member has no seat at the event.
        BidTooLow: somebody has bid as much.
        InsufficientPoints, WalletClosed: as the ledger says.
    """
    (lot, best), event = await _locked(session, lot_id)
    if lot.status != LotStatus.OPEN or now >= lot.closes_at or event.status not in OFFERING:
        raise LotClosed(closes_at=lot.closes_at)
    if not await attendance.is_seated(session, event.id, member_id):
        raise NotTakingPart
    least = Offered(lot, best).least
    if points < least:
        raise BidTooLow(least=least)
    made = AuctionBid(
        id=new_id(), lot_id=lot_id, member_id=member_id, wallet_id=member_id, points=points, at=now, hold_no=0
    )  # fmt: skip
    await _lead(session, event, lot, made, best, actor.subject)
    return made


async def _locked(session: AsyncSession, lot_id: UUID) -> tuple[Offered, ClubEvent]:
    """A lot that nobody else bids on until commit, with its best bid, and its event."""
    lot = await session.scalar(_for_bids(lot_id).execution_options(populate_existing=True))
    event = await session.get(ClubEvent, lot.event_id) if lot is not None else None
    if lot is None or event is None:
        raise NotFound("lot")
    # who leads may be another chapter's member
    await unrestricted(session)
    best = await session.scalar(select(AuctionBid).where(col(AuctionBid.lot_id) == lot_id, _is_best()))
    return Offered(lot, best), event


def _for_bids(lot_id: UUID) -> Select[AuctionLot]:
    return select(AuctionLot).where(col(AuctionLot.id) == lot_id).with_for_update()


async def _lead(
    session: AsyncSession, event: ClubEvent, lot: AuctionLot, made: AuctionBid, before: AuctionBid | None, by: str
) -> None:
    """Hold a bid's points, and free those of the one before; of one member first the old ones."""
    steps: list[tuple[UUID, bool]] = [(made.wallet_id, True)]
    if before is not None:
        steps = sorted([(before.wallet_id, False), *steps])
    for _, is_new in steps:
        if is_new:
            await _hold(session, event, lot, made, by)
        else:
            assert before is not None
            await _release(session, before, BidStatus.OUTBID, by, made.at)
    # one bid leads at a time: the old one steps down first
    await session.flush()
    session.add(made)
    await session.flush()
    if before is not None and before.member_id != made.member_id:
        await notices.tell(session, event.id, [before.member_id], NoticeKind.OUTBID, at=made.at, reason=lot.name)


async def _hold(session: AsyncSession, event: ClubEvent, lot: AuctionLot, made: AuctionBid, by: str) -> None:
    posting = await ledger.hold(
        await raw(session), made.wallet_id, made.points, place=event.dealer_code or HEADQUARTERS, cause=_cause(made),
        until=lot.closes_at + _GRACE, request=_request(made, by, "hold", made.at),
    )  # fmt: skip
    made.hold_no = posting.posting_no


async def _release(session: AsyncSession, bid: AuctionBid, to: BidStatus, by: str, at: datetime) -> None:
    bid.status = to
    try:
        await ledger.release(
            await raw(session), bid.wallet_id, bid.hold_no, cause=_cause(bid), request=_request(bid, by, "release", at)
        )
    except (HoldResolved, WalletClosed):
        # its time ran out, or the member left: the points are not held any more
        return


def _cause(bid: AuctionBid) -> str:
    return f"auction_bid:{bid.id}"


def _request(bid: AuctionBid, by: str, step: str, at: datetime) -> Request:
    return Request(by, f"auction_bid:{bid.id}:{step}", at)


# --- the end ---


async def close(session: AsyncSession, actor: Actor, event_id: UUID, lot_id: UUID, *, now: datetime) -> Offered:
    """Sell a lot whose time has come to the best bid.

    Raises:
        NotFound, Forbidden.
        WrongStatus: it is closed already.
        LotStillOpen: bids are taken yet.
    """
    await life.held_by(session, actor, event_id)
    offered, event = await _locked(session, lot_id)
    if event.id != event_id:
        raise NotFound("lot")
    if offered.lot.status != LotStatus.OPEN:
        raise WrongStatus(current=offered.lot.status, allowed=[LotStatus.OPEN])
    if now < offered.lot.closes_at:
        raise LotStillOpen(closes_at=offered.lot.closes_at)
    return await _sell(session, event, offered, actor.subject, now)


async def _sell(session: AsyncSession, event: ClubEvent, offered: Offered, by: str, now: datetime) -> Offered:
    lot, best = offered
    if best is None or not await _captured(session, best, by, now):
        lot.status = LotStatus.UNSOLD
    else:
        lot.status = LotStatus.SOLD
        await notices.tell(session, event.id, [best.member_id], NoticeKind.WON, at=now, reason=lot.name)
    await session.flush()
    return offered


async def _captured(session: AsyncSession, best: AuctionBid, by: str, now: datetime) -> bool:
    """Whether the best bid was paid; of a member who left meanwhile it is released."""
    try:
        posting = await ledger.capture(
            await raw(session), best.wallet_id, best.hold_no, best.points, cause=_cause(best),
            request=_request(best, by, "capture", now),
        )  # fmt: skip
    except (HoldExpired, HoldResolved, WalletClosed):
        await _release(session, best, BidStatus.RELEASED, by, now)
        return False
    best.status, best.capture_no = BidStatus.WON, posting.posting_no
    return True


async def close_due(database: Database, *, now: datetime) -> int:
    """Sell the lots whose time has come, each in a transaction of its own; how many."""
    due = select(col(AuctionLot.id)).where(col(AuctionLot.status) == LotStatus.OPEN, col(AuctionLot.closes_at) <= now)
    async with database.session() as session:
        waiting = (await session.scalars(due)).all()
    for lot_id in waiting:
        async with database.session() as session:
            offered, event = await _locked(session, lot_id)
            # somebody may have closed it meanwhile
            if offered.lot.status == LotStatus.OPEN:
                await _sell(session, event, offered, life.THE_CLOCK, now)
    return len(waiting)


async def call_off(session: AsyncSession, move: Move) -> None:
    """With an event its auction is called off: what was bid is free again."""
    if move.to is not EventStatus.CANCELLED or move.event.kind != EventKind.AUCTION:
        return
    for offered in await lots(session, move.event.id):
        (lot, best), _ = await _locked(session, offered.lot.id)
        if lot.status == LotStatus.OPEN:
            lot.status = LotStatus.CANCELLED
            if best is not None:
                await _release(session, best, BidStatus.RELEASED, move.by, move.at)
    await session.flush()
