"""Tables of incentives: schemes as rules in fen, and the monthly lists to pay from."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.earning.triggers import Trigger


@audited("incentive-rule")
class IncentiveRule(SQLModel, table=True):
    """Money for a recruit or a referral: headquarters' for chapters (`dealer_code` null), or a chapter's for its staff.

    It never changes but for its last day: what was paid by it stays explained. `definition` has the condition, the
    amount in fen and the examples.
    """

    __tablename__ = "incentive_rule"
    __table_args__ = (
        CheckConstraint("trigger IN ('enrolment', 'referral_success')", name="trigger"),
        CheckConstraint("valid_until >= valid_from", name="days"),
    )

    id: UUID = id_field()
    code: str = text_field(unique=True)
    dealer_code: str | None = text_field(default=None, foreign_key="chapter.dealer_code", index=True)
    label_zh: str = text_field()
    label_en: str = text_field()
    trigger: Trigger = text_field()
    definition: dict[str, Any] = Field(sa_type=JSONB)
    valid_from: date
    valid_until: date | None = None
    created_by: str = text_field()
    created_at: datetime = time_field()
    version: int = 1


class ListStatus(StrEnum):
    """Where a list stands: drawn up anew as often as wanted, then approved and frozen, then paid."""

    DRAFT = "draft"
    APPROVED = "approved"
    PAID = "paid"


@audited("incentive-list")
class IncentiveList(SQLModel, table=True):
    """What a scheme comes to for a month (its first day). `unassigned` events had nobody to be paid."""

    __tablename__ = "incentive_list"
    __table_args__ = (
        UniqueConstraint("month", "dealer_code", postgresql_nulls_not_distinct=True),
        CheckConstraint("extract(day FROM month) = 1", name="month"),
        CheckConstraint("status IN ('draft', 'approved', 'paid')", name="status"),
        CheckConstraint("(status = 'draft') = (approved_at IS NULL)", name="approved"),
        CheckConstraint("(status = 'paid') = (paid_at IS NOT NULL)", name="paid"),
    )

    id: UUID = id_field()
    month: date
    dealer_code: str | None = text_field(default=None, foreign_key="chapter.dealer_code", index=True)
    status: ListStatus = text_field(default=ListStatus.DRAFT)
    unassigned: int
    drawn_up_by: str = text_field()
    drawn_up_at: datetime = time_field()
    approved_by: str | None = text_field(default=None)
    approved_at: datetime | None = time_field(default=None)
    paid_by: str | None = text_field(default=None)
    paid_at: datetime | None = time_field(default=None)
    reference: str | None = text_field(default=None)
    version: int = 1


class LineKind(StrEnum):
    """Why a line is on a list: of the month, of an earlier one but known only now, to mend one paid, or in error."""

    EARNED = "earned"
    LATE = "late"
    CORRECTION = "correction"
    FAILED = "failed"


class IncentiveLine(SQLModel, table=True):
    """What one event is worth to one payee by one rule, less what earlier lists had of it: fen, negative to take back.

    `payee` is a dealer's code on headquarters' lists, an account's name on a chapter's. `inputs` are what the rule
    was computed from, and are forgotten with the member; `fault` says why it could not be computed.
    """

    __tablename__ = "incentive_line"
    __table_args__ = (
        Index("ix_incentive_line_document", "document"),
        CheckConstraint("kind IN ('earned', 'late', 'correction', 'failed')", name="kind"),
        CheckConstraint("(kind = 'failed') = (fault IS NOT NULL) AND (kind = 'failed') = (fen = 0)", name="fault"),
    )

    list_id: UUID = Field(foreign_key="incentive_list.id", primary_key=True)
    line_no: int = Field(primary_key=True)
    kind: LineKind = text_field()
    payee: str = text_field()
    dealer_code: str = text_field(foreign_key="dealer.code", index=True)
    document: str = text_field()
    happened_on: date
    member_id: UUID = Field(index=True)
    rule_id: UUID = Field(foreign_key="incentive_rule.id")
    fen: int = Field(sa_type=BigInteger)
    inputs: dict[str, Any] = Field(sa_type=JSONB)
    fault: str | None = text_field(default=None)
