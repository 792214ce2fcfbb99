"""Transfers and the closing of chapters at the edge."""

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel, Field

from app.chapters.schemas import DealerCode
from app.core.schemas import BusinessDate, Input, Reason
from app.members.transfer_rules import AskedAs, TransferStatus


class TransferAsk(Input):
    """A member is to go to another chapter."""

    to_dealer_code: DealerCode | None = Field(description="the receiving chapter; null: headquarters' own roll")
    reason: Reason
    effective_on: BusinessDate | None = Field(
        default=None, description="not before this day, at most a year ahead; left out: as soon as it is accepted"
    )


class TransferEnd(Input):
    """Why a transfer is refused or withdrawn."""

    reason: Reason


class Acceptance(Input):
    """There is nothing to say."""


class TransferRead(BaseModel):
    """A transfer; the name is masked unless the reader cares for the member."""

    id: UUID
    member_id: UUID
    member_no: str
    name: str
    from_dealer_code: str | None = Field(description="null: headquarters' own roll")
    to_dealer_code: str | None = Field(description="null: headquarters' own roll")
    reason: str
    status: TransferStatus
    asked_as: AskedAs
    asked_at: datetime
    answer_by: date = Field(description="the last day for an answer; after it the transfer counts as accepted")
    effective_on: date | None
    answer: str | None = Field(description="why it was refused or withdrawn")
    decided_at: datetime | None
    moved_on: date | None


class PlaceRead(BaseModel):
    """Where a member was, from a day on and before another."""

    dealer_code: str | None = Field(description="null: headquarters' own roll")
    since: date
    until: date | None = Field(description="the first day elsewhere; null: there still")


class PlaceList(BaseModel):
    """All of them, oldest first."""

    items: list[PlaceRead]


class ChapterClosing(Input):
    """A chapter ends today; its members go elsewhere."""

    to_dealer_code: DealerCode | None = Field(
        description="the chapter that takes the members over; null: headquarters' own roll"
    )
    reason: Reason


class ChapterClosed(BaseModel):
    """What the closing came to."""

    dealer_code: str
    closed_on: date
    to_dealer_code: str | None
    members: int = Field(description="members who were moved, those who had left the club too")
    applications: int = Field(description="open applications: handed over with the members, or refused")
    transfers: int = Field(description="transfers withdrawn because the chapter was one of their ends")
