"""Settlement at the edge. Money in whole fen; a month is written 2026-10."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.core.schemas import Input, Line, Month, Reason
from app.settlement.rules import CONFIRM_DAYS, Basis, Charging, Direction, StatementStatus


class _Row(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Closing(_Row):
    """What a month came to. `net_fen`: of all dealers, above zero when headquarters owes."""

    period: Month
    sealed_at: datetime | None = Field(description="null: a dry run of a month that is still open")
    seal: str | None = Field(description="hexadecimal; covers the month's totals, its statements, the seal before")
    statements: int
    credit_fen: int
    charge_fen: int
    net_fen: int
    hq_net_fen: int = Field(description="with `net_fen` it adds to 0")


class PeriodRead(_Row):
    """A month of the books."""

    period: Month
    sealed_at: datetime | None
    seal: str | None


class ContractRead(_Row):
    """Terms in force from a day on; `dealer_code` null: of every dealer without its own."""

    id: UUID
    dealer_code: str | None
    valid_from: date
    rate_fen_per_thousand: int
    charging: Charging
    confirm_days: int


Party = Annotated[str, StringConstraints(pattern=r"^([A-Z0-9]{2,16}|partner:[A-Z0-9_-]{2,32})$")]
"""A dealer's code or `partner:CODE`, as parties are named in the ledger."""


class ContractCreate(Input):
    """New terms from a day on, until newer ones start."""

    dealer_code: Party | None = Field(
        default=None, description="or `partner:CODE`; left out: for every dealer and partner without its own"
    )
    valid_from: date = Field(description="after the last sealed month")
    rate_fen_per_thousand: int = Field(ge=0, le=100_000_000, strict=True, description="fen for 1,000 points")
    charging: Charging = Field(
        default=Charging.REDEMPTION,
        description="when a dealer pays for points it funds; goes by the day they were granted",
    )
    confirm_days: int = Field(
        default=CONFIRM_DAYS, ge=1, le=90, strict=True, description="for a statement's confirmation"
    )


class StatementRead(_Row):
    """One dealer's month. `net_fen` above zero: headquarters owes the dealer."""

    id: UUID
    period: Month
    dealer_code: str
    credit_fen: int
    charge_fen: int
    net_fen: int
    status: StatementStatus
    issued_at: datetime
    confirm_by: date = Field(
        description="the day by which the dealer confirms or disputes; silence has no effect here,"
        " what it means is the contract's matter"
    )
    confirmed_at: datetime | None
    confirmed_by: str | None
    paid_at: datetime | None
    payment_reference: str | None


class StatementLineRead(_Row):
    """Points of one kind and their money. credit: in the dealer's favour; charge: in headquarters'."""

    line_no: int
    direction: Direction
    basis: Basis
    funder: str
    place: str
    rate_fen_per_thousand: int
    points: int
    amount_fen: int


class DisputeRead(_Row):
    """A dealer's objection to a statement or one of its lines."""

    id: UUID
    statement_id: UUID
    line_no: int | None
    reason: str
    opened_by: str
    opened_at: datetime
    answer: str | None
    answered_by: str | None
    answered_at: datetime | None


class StatementDetail(StatementRead):
    """A statement with its lines and disputes."""

    lines: list[StatementLineRead]
    disputes: list[DisputeRead]


class Confirmation(Input):
    """The dealer's yes; it needs no words."""


class DisputeCreate(Input):
    """An objection, to one line or to the whole statement."""

    line_no: int | None = Field(default=None, ge=1, le=2_147_483_647, strict=True)
    reason: Reason


class AnswerCreate(Input):
    """Headquarters' answer; money is corrected only by postings of a later month."""

    answer: Reason


class PaymentCreate(Input):
    """The payment that settles a confirmed statement, whichever way it runs."""

    reference: Annotated[Line, Field(max_length=100, examples=["2026112100017"])]
