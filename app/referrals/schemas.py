"""Referrals at the edge."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from app.chapters.schemas import DealerCode
from app.core.schemas import BusinessDate, Input, Name, Reason
from app.members.schemas import MemberNo, Phone, VinText
from app.referrals.rules import Escalation, Horizon, ReferralStatus


class ReferralCreate(Input):
    """A buyer is registered before the first visit. Staff name the referrer; a member refers in its own name."""

    referrer_no: MemberNo | None = Field(
        default=None, description="of staff this, or the referrer's phone; a member leaves both out"
    )
    referrer_phone: Phone | None = None
    buyer_name: Name
    buyer_phone: Phone
    may_contact: bool = Field(description="the buyer permits to be contacted further")
    dealer_code: DealerCode | None = Field(default=None, description="left out: the caller's own dealer")
    consultant: Name | None = Field(
        default=None, description="username of one of the dealer's; left out: the sales consultant who asks"
    )
    visited_on: BusinessDate | None = Field(default=None, description="the buyer's first visit, if there was one")
    ordered_on: BusinessDate | None = Field(default=None, description="the buyer's order, if there is one")


class AppealCreate(ReferralCreate):
    """A referral that a guard refuses, put before headquarters."""

    reason: Reason


class Confirmation(Input):
    """A member's own referral is taken on; what the dealer knows of the buyer by now."""

    visited_on: BusinessDate | None = Field(default=None, description="the buyer's first visit, if there was one")
    ordered_on: BusinessDate | None = Field(default=None, description="the buyer's order, if there is one")
    consultant: Name | None = Field(
        default=None, description="username of one of the dealer's; left out: the sales consultant who confirms"
    )


class Feedback(Input):
    """Where a lead stands. `following` needs a horizon, `ordered` its day, `lost` a note."""

    status: Literal[ReferralStatus.FOLLOWING, ReferralStatus.ORDERED, ReferralStatus.LOST]
    horizon: Horizon | None = Field(default=None, description="when the buyer means to buy")
    ordered_on: BusinessDate | None = None
    vin: VinText | None = Field(default=None, description="the car ordered, once it is known")
    may_contact: bool | None = Field(default=None, description="the buyer's permission, if it was asked anew")
    note: Reason | None = None


class ReferralEnd(Input):
    """Why a referral is refused, withdrawn or appealed."""

    reason: Reason


class Decision(Input):
    """Headquarters' answer to an appeal."""

    granted: bool
    reason: Reason
    registered_on: BusinessDate | None = Field(
        default=None, description="if granted: the day from which it counts; left out: the day it was asked for"
    )


class ReferralRead(BaseModel):
    """A referral. The buyer's phone is whole for the lead's consultant and who may unmask; the referrer's name is
    masked unless the reader cares for the member."""

    id: UUID
    referrer_id: UUID
    referrer_no: str
    referrer_name: str
    buyer_name: str | None = Field(description="null: no longer kept")
    buyer_phone: str | None
    may_contact: bool
    permission_at: datetime = Field(description="when that was recorded")
    dealer_code: str
    consultant: str | None
    status: ReferralStatus
    asked_at: datetime
    registered_on: date = Field(description="the day from which it counts")
    valid_until: date = Field(description="the car must be delivered, or ordered, by then")
    horizon: Horizon | None
    due_on: date | None = Field(description="the next report is due")
    escalated: Escalation | None
    ordered_on: date | None
    vin: str | None = Field(description="for staff")
    delivered_on: date | None
    buyer_id: UUID | None = Field(description="the buyer's membership, for staff")
    is_repurchase: bool = Field(description="the buyer owned a car of the brand before")
    refusal: str | None = Field(description="the problem type that an appeal is about")
    answer: str | None = Field(description="the last decision's reason")


class StepRead(BaseModel):
    """One step of a lead."""

    status: ReferralStatus
    horizon: Horizon | None
    note: str | None
    actor: str
    at: datetime


class StepList(BaseModel):
    """All of them, first one first."""

    items: list[StepRead]
