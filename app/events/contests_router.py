"""Contests, draws and auctions over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from app.core.actors import Actor, Right
from app.core.http import GUARDED, Config, Now, Once, Requires, Session, documented
from app.core.problems import KeyConflict, NotFound, WrongStatus
from app.events import auctions, calendars, contests, draws, invitations
from app.events.auctions import Offered
from app.events.contest_models import EventDraw
from app.events.contest_schemas import (
    BidCreate,
    BidList,
    BidMade,
    BidRead,
    DrawCreate,
    DrawRead,
    DrawRun,
    LotCreate,
    LotList,
    LotRead,
    OwnResult,
    ResultList,
    ResultRead,
    ResultsCreate,
)
from app.events.gathering_problems import (
    AlreadyDrawn,
    BidTooLow,
    DrawPrepared,
    LotClosed,
    LotStillOpen,
    NobodyToDraw,
    NotTakingPart,
    PrizeBudget,
    ResultsGiven,
    WrongEventKind,
)
from app.points.problems import InsufficientPoints, WalletClosed

router = APIRouter(tags=["events"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.EVENTS_READ))]
Planner = Annotated[Actor, Depends(Requires(Right.EVENTS_WRITE))]
Member = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]


# --- contests ---


@router.get("/events/{event_id}/results", responses=documented(NotFound))
async def event_results_get(event_id: UUID, actor: Reader, session: Session) -> ResultList:
    """Who won a contest or a draw, best first."""
    found = await contests.read(session, actor, event_id)
    return ResultList(items=[ResultRead.model_validate(one, from_attributes=True) for one in found])


@router.post(
    "/events/{event_id}/results", status_code=201,
    responses=documented(NotFound, WrongStatus, WrongEventKind, ResultsGiven, PrizeBudget, WalletClosed),
)  # fmt: skip
async def event_results_give(
    event_id: UUID, body: ResultsCreate, actor: Planner, session: Session, now: Now, settings: Config
) -> ResultList:
    """Write a contest's results, once and whole; prizes in points are posted with it."""
    months = settings.event_prize_months
    found = await contests.give(session, actor, event_id, body.results, months=months, now=now)
    return ResultList(items=[ResultRead.model_validate(one, from_attributes=True) for one in found])


@router.get("/members/me/events/{event_id}/result", responses=documented(NotFound))
async def my_results_get(event_id: UUID, actor: Member, session: Session) -> OwnResult:
    """My place in a contest, or what I won in a draw."""
    assert actor.member_id is not None
    return OwnResult.model_validate(await contests.own(session, actor.member_id, event_id), from_attributes=True)


# --- draws ---


@router.post(
    "/events/{event_id}/draw", status_code=201,
    responses=documented(NotFound, WrongStatus, WrongEventKind, DrawPrepared, PrizeBudget),
)  # fmt: skip
async def event_draws_prepare(event_id: UUID, body: DrawCreate, actor: Planner, session: Session, now: Now) -> DrawRead:
    """Say what is drawn for, and commit to a seed: its hash is shown to everybody, nothing can change any more."""
    return _draw(await draws.prepare(session, actor, event_id, body, now=now))


@router.get("/events/{event_id}/draw", responses=documented(NotFound))
async def event_draws_get(event_id: UUID, actor: Reader, session: Session) -> DrawRead:
    """A draw, with all that proves it once it is drawn."""
    await invitations.run_by(session, actor, event_id)
    return _draw(await draws.prepared(session, event_id))


@router.post(
    "/events/{event_id}/draw/drawing",
    responses=documented(NotFound, WrongStatus, WrongEventKind, AlreadyDrawn, NobodyToDraw, ResultsGiven, WalletClosed),
)  # fmt: skip
async def event_draws_draw(
    event_id: UUID, body: DrawRun, actor: Planner, session: Session, now: Now, settings: Config
) -> DrawRead:
    """Draw the winners, and give them what they won."""
    months = settings.event_prize_months
    return _draw(await draws.draw(session, actor, event_id, body.public_value, months=months, now=now))


@router.get("/members/me/events/{event_id}/draw", responses=documented(NotFound))
async def my_draws_get(event_id: UUID, actor: Member, session: Session) -> DrawRead:
    """A draw as everybody sees it: its commitment, and once it is drawn all that proves it."""
    await calendars.public_event(session, event_id)
    return _draw(await draws.prepared(session, event_id))


def _draw(found: EventDraw) -> DrawRead:
    is_drawn = found.drawn_at is not None
    shown = {"commitment": found.commitment.hex(), "seed": found.seed.hex() if is_drawn else None}
    return DrawRead.model_validate(dict(found) | shown)


# --- auctions ---


@router.post(
    "/events/{event_id}/lots", status_code=201, response_model=LotRead,
    responses=documented(NotFound, WrongStatus, WrongEventKind, KeyConflict),
)  # fmt: skip
async def event_lots_offer(
    event_id: UUID, body: LotCreate, actor: Planner, session: Session, now: Now, once: Once
) -> Response:
    """Put something up for auction."""

    async def offer() -> LotRead:
        return _lot(Offered(await auctions.offer(session, actor, event_id, body, now=now), None))

    return await once(body, offer)


@router.get("/events/{event_id}/lots", responses=documented(NotFound))
async def event_lots_list(event_id: UUID, actor: Reader, session: Session) -> LotList:
    """An event's lots and how the bidding stands, by the time they close."""
    await invitations.run_by(session, actor, event_id)
    return LotList(items=[_lot(one) for one in await auctions.lots(session, event_id)])


@router.get("/events/{event_id}/lots/{lot_id}/bids", responses=documented(NotFound))
async def event_lots_bids(event_id: UUID, lot_id: UUID, actor: Reader, session: Session) -> BidList:
    """A lot's bids, best first."""
    found = await auctions.bids(session, actor, event_id, lot_id)
    return BidList(items=[BidMade.model_validate(one, from_attributes=True) for one in found])


@router.post(
    "/events/{event_id}/lots/{lot_id}/closing", responses=documented(NotFound, WrongStatus, LotStillOpen)
)  # fmt: skip
async def event_lots_close(event_id: UUID, lot_id: UUID, actor: Planner, session: Session, now: Now) -> LotRead:
    """Sell a lot whose time has come to the best bid; the clock does so within a minute by itself."""
    return _lot(await auctions.close(session, actor, event_id, lot_id, now=now))


@router.get("/members/me/events/{event_id}/lots", responses=documented(NotFound))
async def my_lots_list(event_id: UUID, actor: Member, session: Session) -> LotList:
    """What can be bid for, and how the bidding stands."""
    await calendars.public_event(session, event_id)
    return LotList(items=[_lot(one) for one in await auctions.lots(session, event_id)])


@router.post(
    "/members/me/auction-lots/{lot_id}/bids", status_code=201, response_model=BidRead,
    responses=documented(
        NotFound, LotClosed, NotTakingPart, BidTooLow, InsufficientPoints, WalletClosed, KeyConflict
    ),
)  # fmt: skip
async def my_bids_make(
    lot_id: UUID, body: BidCreate, actor: Member, session: Session, now: Now, once: Once
) -> Response:
    """Bid on a lot: my points are held until somebody bids more, or the lot is mine."""
    member_id = actor.member_id
    assert member_id is not None

    async def bid() -> BidRead:
        made = await auctions.bid(session, actor, member_id, lot_id, body.points, now=now)
        return BidRead.model_validate(made, from_attributes=True)

    return await once(body, bid)


def _lot(offered: Offered) -> LotRead:
    standing = {"best_points": offered.best and offered.best.points, "least_bid": offered.least}
    return LotRead.model_validate(dict(offered.lot) | standing)
