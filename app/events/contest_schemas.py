"""Contests, draws and auctions at the edge."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from app.core.schemas import Input, Name
from app.events.contest_rules import BidStatus, Entrants, LotStatus
from app.events.schemas import Moment

Points = Annotated[int, Field(ge=1, le=10_000_000)]


class Won(Input):
    """What somebody wins: something named, or points of a budget line that were granted for the event, or both."""

    prize: Name | None = None
    points: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    line_id: Annotated[UUID | None, Field(description="the budget line whose payer funds the points")] = None

    @model_validator(mode="after")
    def _points_of_a_line(self) -> Self:
        if (self.points > 0) != (self.line_id is not None):
            raise PydanticCustomError("prize_line", "points and the line they are of go together")
        return self


class Standing(Won):
    """A member's place in a contest."""

    member_id: UUID
    rank: Annotated[int, Field(ge=1, le=100_000)]


class ResultsCreate(Input):
    """A contest's results, whole: several may share a rank."""

    results: Annotated[list[Standing], Field(min_length=1, max_length=1_000)]


class Prize(Won):
    """A prize of a draw, so many times."""

    quantity: Annotated[int, Field(ge=1, le=1_000)] = 1

    @model_validator(mode="after")
    def _is_something(self) -> Self:
        if self.prize is None and not self.points:
            raise PydanticCustomError("prize_empty", "a prize has a name or points")
        return self


class ResultRead(BaseModel):
    """Who won what; `posting_no` is the prize's in the member's points."""

    member_id: UUID
    rank: int
    prize: str | None
    points: int
    posting_no: int | None
    by: str
    at: datetime


class ResultList(BaseModel):
    """By rank."""

    items: list[ResultRead]


class OwnResult(BaseModel):
    """My place and prize."""

    rank: int
    prize: str | None
    points: int
    at: datetime


class DrawCreate(Input):
    """A draw: who takes part, and what is drawn for, first prize first."""

    entrants: Entrants = Entrants.ATTENDED
    prizes: Annotated[list[Prize], Field(min_length=1, max_length=50)]


class DrawRun(Input):
    """Something that nobody could know when the draw was prepared, such as a lottery's numbers of that day."""

    public_value: Annotated[str, StringConstraints(pattern=r"^[ -~]{1,200}$")]


class DrawnPrize(BaseModel):
    """A prize as everybody sees it."""

    prize: str | None
    points: int
    quantity: int


class DrawRead(BaseModel):
    """A draw. `commitment` is the SHA-256 of the seed's 32 bytes, hex; the rest is null until it is drawn.

    `entries` are the registrations that took part in the order drawn; the prizes go to the first of them. Anybody can
    check: sort the entries by the SHA-256 of the lines seed (hex), public value, entry.
    """

    entrants: Entrants
    prizes: list[DrawnPrize]
    commitment: str
    prepared_at: datetime
    seed: str | None
    public_value: str | None
    entries: list[str] | None
    drawn_at: datetime | None


class LotCreate(Input):
    """Something to be had for points, at least `start_points`; each bid goes `step_points` above the last."""

    name: Name
    start_points: Points
    step_points: Points = 1
    closes_at: Moment


class LotRead(BaseModel):
    """A lot, and how the bidding stands; who bids is not told."""

    id: UUID
    event_id: UUID
    name: str
    start_points: int
    step_points: int
    closes_at: datetime
    status: LotStatus
    best_points: int | None
    least_bid: int


class LotList(BaseModel):
    """By the time they close."""

    items: list[LotRead]


class BidCreate(Input):
    """What I bid in all."""

    points: Points


class BidRead(BaseModel):
    """A bid; the points are held while it leads."""

    id: UUID
    points: int
    at: datetime
    status: BidStatus


class BidMade(BidRead):
    """A bid as those who run the auction see it."""

    member_id: UUID


class BidList(BaseModel):
    """Best first."""

    items: list[BidMade]
