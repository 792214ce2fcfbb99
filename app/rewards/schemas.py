"""Redemption at the edge."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from app.core.schemas import Input, Reason
from app.members.rules import MemberStatus
from app.points.ledger import Kind

Points = Annotated[int, Field(ge=1, le=100_000_000, strict=True)]
OneTimeCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]


class RedemptionCreate(Input):
    """Points a member spends on a repair order at the actor's dealer."""

    member_id: UUID
    points: Points
    order_no: str = Field(min_length=1, max_length=64, description="the repair order it pays")
    dealer_code: str | None = Field(default=None, description="programs name the dealer; staff redeem at their own")
    bill_fen: Annotated[int, Field(ge=1, le=100_000_000)] | None = Field(
        default=None, description="the whole bill; needed where headquarters lets points pay no more than a share of it"
    )
    code: OneTimeCode | None = Field(default=None, description="the member's one-time code; staff need it")


class RedemptionRead(BaseModel):
    """An accepted posting and the balances (points) it left; a dealer's staff see of them what can be spent."""

    member_id: UUID
    posting_no: int
    kind: Kind
    points: int
    cause: str
    booked_on: date
    period: date
    posted_at: datetime
    available: int
    pending: int | None = Field(description="null for a dealer's staff, as the next two")
    held: int | None
    owed: int | None


class RehearsalRead(RedemptionRead):
    """What a dry run would come to."""

    posting_no: int | None = Field(description="null for a dealer's staff")  # type: ignore[assignment]


class CaptureCreate(Input):
    """How much of a hold is spent; the rest goes back."""

    points: Points


class RefundCreate(Input):
    """Points given back to the lots they came from; all that is left when `points` is absent."""

    points: Points | None = None
    reason: Reason


class CodeRequest(Input):
    """Asks for a code by SMS for one redemption at the actor's dealer, or one order or voucher at its counter."""

    member_id: UUID
    points: Points = Field(description="all that are to be spent")
    reward_id: UUID | None = Field(default=None, description="the reward that is ordered, instead of a redemption")
    perk_id: UUID | None = Field(default=None, description="the partner's perk that is claimed, instead of both")


class CodeSent(BaseModel):
    """A code is on its way; it holds for this place and these points only."""

    valid_until: datetime


class CodeShown(BaseModel):
    """What the member's app shows at the counter."""

    code: str
    valid_until: datetime


class CounterLookup(Input):
    """How the member is found; a body, because phones and VINs do not belong into URLs."""

    member_no: str | None = Field(default=None, max_length=20)
    vin: str | None = Field(default=None, max_length=17)
    phone: str | None = Field(default=None, max_length=20)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1 or None in (getattr(self, name) for name in self.model_fields_set):
            raise PydanticCustomError("exactly_one", "exactly one is needed", {"names": "member_no, vin, phone"})
        return self


class CounterRead(BaseModel):
    """The member at the counter: just what serving them needs, whichever chapter is theirs."""

    member_id: UUID
    member_no: str
    name: str
    status: MemberStatus
    available: int
