"""Tables of settlement: money in whole fen."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.settlement.rules import CONFIRM_DAYS, Basis, Charging, Direction, StatementStatus


@audited("contract")
class Contract(SQLModel, table=True):
    """Terms from a day on, never changed; `dealer_code`, or `partner:CODE`; null: of all without their own."""

    __tablename__ = "contract"
    __table_args__ = (
        CheckConstraint("charging IN ('redemption', 'issuance')", name="charging"),
        CheckConstraint("rate_fen_per_thousand >= 0", name="rate"),
        UniqueConstraint("dealer_code", "valid_from", postgresql_nulls_not_distinct=True),
    )

    id: UUID = id_field()
    dealer_code: str | None = text_field(default=None)
    valid_from: date
    rate_fen_per_thousand: int
    charging: Charging = text_field(default=Charging.REDEMPTION)
    confirm_days: int = CONFIRM_DAYS


@audited("statement")
class Statement(SQLModel, table=True):
    """A month of a dealer or a `partner:CODE`; only its status moves. `net_fen` above zero: headquarters owes it."""

    __tablename__ = "statement"
    __table_args__ = (
        UniqueConstraint("period", "dealer_code"),
        Index("ix_statement_dealer", "dealer_code", "period"),
        CheckConstraint("status IN ('issued', 'confirmed', 'disputed', 'paid')", name="status"),
        CheckConstraint("net_fen = credit_fen - charge_fen", name="net"),
    )

    id: UUID = id_field()
    period: date
    dealer_code: str = text_field()
    credit_fen: int = Field(sa_type=BigInteger)
    charge_fen: int = Field(sa_type=BigInteger)
    net_fen: int = Field(sa_type=BigInteger)
    status: StatementStatus = text_field(default=StatementStatus.ISSUED)
    issued_at: datetime = time_field()
    confirm_by: date
    confirmed_at: datetime | None = time_field(default=None)
    confirmed_by: str | None = text_field(default=None)
    paid_at: datetime | None = time_field(default=None)
    payment_reference: str | None = text_field(default=None)
    version: int = 1


class StatementLine(SQLModel, table=True):
    """Points of one (direction, basis, funder, place, rate), rounded to the fen once, half-even."""

    __tablename__ = "statement_line"
    __table_args__ = (
        CheckConstraint("direction IN ('credit', 'charge')", name="direction"),
        CheckConstraint("points > 0 AND amount_fen >= 0", name="amounts"),
    )

    statement_id: UUID = Field(primary_key=True, foreign_key="statement.id")
    line_no: int = Field(primary_key=True)
    direction: Direction = text_field()
    basis: Basis = text_field()
    funder: str = text_field()
    place: str = text_field()
    rate_fen_per_thousand: int
    points: int = Field(sa_type=BigInteger)
    amount_fen: int = Field(sa_type=BigInteger)


@audited("dispute", personal=("reason", "answer"))
class Dispute(SQLModel, table=True):
    """A dealer's objection to a statement or one line; headquarters' answer ends it."""

    __tablename__ = "dispute"

    id: UUID = id_field()
    statement_id: UUID = Field(foreign_key="statement.id", index=True)
    line_no: int | None = None
    reason: str = text_field()
    opened_by: str = text_field()
    opened_at: datetime = time_field()
    answer: str | None = text_field(default=None)
    answered_by: str | None = text_field(default=None)
    answered_at: datetime | None = time_field(default=None)
