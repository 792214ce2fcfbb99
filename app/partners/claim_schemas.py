"""Claims at the edge: what is to be paid for a month's vouchers and to agencies. Money is whole fen."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.core.schemas import BusinessDate, Input, Line, Month, Reason
from app.partners.rules import PerkClaimStatus


class ClaimLine(BaseModel):
    """One party's debt to another for what one partner did; parties are named as in the ledger, or `agency:CODE`.

    It is claimed with the settlement's close of the month: until then all that comes after `amount_fen` is null.
    """

    model_config = ConfigDict(from_attributes=True)

    payer: str
    payee: str
    basis: Literal["vouchers", "commission"]
    partner_code: str
    count: int = Field(description="vouchers, or what commission was earned by")
    amount_fen: int = Field(description="below zero: refunded points took commission back")
    id: UUID | None = None
    status: PerkClaimStatus | None = None
    claimed_at: datetime | None = None
    approved_at: datetime | None = None
    approved_by: str | None = None
    reason: str | None = Field(default=None, description="of the last dispute")
    disputed_by: str | None = None
    answer: str | None = Field(default=None, description="headquarters', to the last dispute")
    answered_by: str | None = None
    paid_on: date | None = None
    payment_reference: str | None = None


class PerkClaimRead(ClaimLine):
    """A line with its month."""

    period: Month


class ClaimNet(BaseModel):
    """What a party gets and gives by the list, withdrawn lines left out; the nets of all add to 0."""

    party: str
    receives_fen: int
    pays_fen: int
    net_fen: int
    open_fen: int = Field(description="of the net, what is not paid yet")


class ClaimList(BaseModel):
    """A month's claims: `is_final` once the month is over."""

    month: str
    is_final: bool
    lines: list[ClaimLine]
    nets: list[ClaimNet]


class ClaimApproval(Input):
    """The payer's yes; it needs no words."""


class ClaimDispute(Input):
    """Why a line is not right."""

    reason: Reason


class ClaimAnswer(Input):
    """Headquarters' answer to a dispute."""

    answer: Reason
    withdraw: bool = Field(default=False, description="the objection is right: nothing is owed for this line")


class ClaimPayment(Input):
    """The payment that settles an approved line."""

    paid_on: BusinessDate = Field(description="today at the latest")
    reference: Annotated[Line, Field(max_length=100, examples=["2026112100017"])]
