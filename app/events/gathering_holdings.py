"""What surrounds events and is kept on a member: invitations, what it said, won and bid."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Executable, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.holdings import Holding
from app.events.contest_models import AuctionBid, AuctionLot, EventResult
from app.events.gathering_models import Invitation, SurveyAnswer
from app.events.models import ClubEvent

_EVENT: ColumnElement[str] = col(ClubEvent.title).label("event")


class HeldInvitation(BaseModel):
    """An invitation; of the control group, that the member was noted to compare with."""

    invited_at: datetime
    event: str
    control_group: bool
    answer: str | None


class HeldSurvey(BaseModel):
    """What the member thought of an event."""

    answered_at: datetime
    event: str
    score: int
    comment: str | None


class HeldResult(BaseModel):
    """What the member won."""

    at: datetime
    event: str
    rank: int
    prize: str | None
    points: int


class HeldBid(BaseModel):
    """What the member bid in an auction."""

    at: datetime
    event: str
    lot: str
    points: int
    bid_status: str


def _invitations(member_id: UUID) -> Executable:
    one = Invitation
    control: ColumnElement[bool] = col(one.is_control).label("control_group")
    told = select(col(one.invited_at), _EVENT, control, col(one.answer))
    told = told.join(ClubEvent, col(ClubEvent.id) == col(one.event_id))
    return told.where(col(one.member_id) == member_id).order_by(col(one.invited_at), col(one.event_id))


def _surveys(member_id: UUID) -> Executable:
    one = SurveyAnswer
    told = select(col(one.answered_at), _EVENT, col(one.score), col(one.comment))
    told = told.join(ClubEvent, col(ClubEvent.id) == col(one.event_id))
    return told.where(col(one.member_id) == member_id).order_by(col(one.answered_at), col(one.event_id))


def _results(member_id: UUID) -> Executable:
    one = EventResult
    told = select(col(one.at), _EVENT, col(one.rank), col(one.prize), col(one.points))
    told = told.join(ClubEvent, col(ClubEvent.id) == col(one.event_id))
    return told.where(col(one.member_id) == member_id).order_by(col(one.id))


def _bids(member_id: UUID) -> Executable:
    one = AuctionBid
    status: ColumnElement[str] = col(one.status).label("bid_status")
    lot: ColumnElement[str] = col(AuctionLot.name).label("lot")
    told = select(col(one.at), _EVENT, lot, col(one.points), status)
    told = told.join(AuctionLot, col(AuctionLot.id) == col(one.lot_id))
    told = told.join(ClubEvent, col(ClubEvent.id) == col(AuctionLot.event_id))
    return told.where(col(one.member_id) == member_id).order_by(col(one.id))


async def _forget_comments(session: AsyncSession, member_id: UUID, _: datetime) -> None:
    # what was written may name its writer; the score stays a figure
    await session.execute(update(SurveyAnswer).where(col(SurveyAnswer.member_id) == member_id).values(comment=None))


HOLDINGS = (
    Holding("event_invitations", HeldInvitation, _invitations),
    Holding("survey_answers", HeldSurvey, _surveys, _forget_comments),
    Holding("event_results", HeldResult, _results),
    Holding("auction_bids", HeldBid, _bids),
)
