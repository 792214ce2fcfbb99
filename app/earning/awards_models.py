"""Tables of what rules gave, of what limits them, and of what waits for a person."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.earning.triggers import Trigger


class Award(SQLModel, table=True):
    """One lot that a version of a rule gave for a document, with the inputs it was computed from.

    `part` counts a document's lots. `cause` is the lot's document in the ledger, null where only status points were
    given. `waits_for` is the event before which the points are pending. An order that one simple rule answered has no
    row here: the order's own row names the rule's version.
    """

    __tablename__ = "award"
    __table_args__ = (
        CheckConstraint("points >= 0 AND status_points >= 0 AND (points > 0) = (cause IS NOT NULL)", name="points"),
        Index("ix_award_member", "member_id", "booked_on"),
        Index("ix_award_rule", "rule_no", "booked_on"),
    )

    document: str = text_field(primary_key=True)
    attempt: int = Field(primary_key=True)
    part: int = Field(primary_key=True)
    trigger: Trigger = text_field()
    member_id: UUID
    rule_no: int = Field(foreign_key="rule_version.no")
    cause: str | None = text_field(default=None, index=True)
    funder: str = text_field()
    place: str = text_field()
    points: int = Field(sa_type=BigInteger)
    status_points: int = Field(default=0, sa_type=BigInteger)
    booked_on: date
    waits_for: str | None = text_field(default=None)
    inputs: dict[str, Any] = Field(sa_type=JSONB)
    case_id: UUID | None = None
    posted_at: datetime = time_field()
    reversed_at: datetime | None = time_field(default=None)


class AudienceMember(SQLModel, table=True):
    """Who is in a segment that a rule in force is for, as of its publication or the last night."""

    __tablename__ = "audience_member"

    segment_id: UUID = Field(primary_key=True)
    member_id: UUID = Field(primary_key=True)


class RuleUse(SQLModel, table=True):
    """What a rule gave a member within a day, month or year: the counter, and the lock, of its caps."""

    __tablename__ = "rule_use"
    __table_args__ = (CheckConstraint("span IN ('day', 'month', 'year') AND points >= 0", name="span"),)

    rule_id: UUID = Field(primary_key=True, foreign_key="rule.id")
    member_id: UUID = Field(primary_key=True)
    span: str = text_field(primary_key=True)
    begins: date = Field(primary_key=True)
    points: int = Field(default=0, sa_type=BigInteger)


class Period(StrEnum):
    """How long a budget's points are for."""

    MONTH = "month"
    YEAR = "year"
    WHOLE = "whole"


@audited("budget")
class Budget(SQLModel, table=True):
    """Points that rules may give in each period: the programme's, a chapter's (`dealer_code`), or a funder's."""

    __tablename__ = "budget"
    __table_args__ = (
        CheckConstraint("period IN ('month', 'year', 'whole')", name="period"),
        CheckConstraint("points >= 0", name="points"),
    )

    code: str = text_field(primary_key=True)
    name: str = text_field()
    dealer_code: str | None = text_field(default=None, foreign_key="dealer.code")
    funder: str | None = text_field(default=None)
    period: Period = text_field()
    points: int = Field(sa_type=BigInteger)
    created_by: str = text_field()
    created_at: datetime = time_field()
    version: int = 1


class BudgetUse(SQLModel, table=True):
    """What was given out of a budget in a period: the counter, and the lock."""

    __tablename__ = "budget_use"
    __table_args__ = (CheckConstraint("points >= 0", name="points"),)

    budget_code: str = text_field(primary_key=True, foreign_key="budget.code")
    begins: date = Field(primary_key=True)
    points: int = Field(default=0, sa_type=BigInteger)


class CaseKind(StrEnum):
    """Why an earning waits for a person."""

    PARKED = "parked"
    BUDGET = "budget"
    REVIEW = "review"


class CaseStatus(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    APPROVED = "approved"
    REFUSED = "refused"


@audited("earning-case", personal=("values", "reason"))
class EarningCase(SQLModel, table=True):
    """What a rule could not give by itself: nothing is lost, a person decides. `points` are what it would give."""

    __tablename__ = "earning_case"
    __table_args__ = (
        UniqueConstraint("document", "attempt", "rule_no"),
        CheckConstraint("kind IN ('parked', 'budget', 'review')", name="kind"),
        CheckConstraint("status IN ('open', 'approved', 'refused')", name="status"),
        CheckConstraint("(status = 'open') = (decided_at IS NULL)", name="decided"),
        Index("ix_earning_case_open", "created_at", "id", postgresql_where=text("status = 'open'")),
    )

    id: UUID = id_field()
    kind: CaseKind = text_field()
    status: CaseStatus = text_field(default=CaseStatus.OPEN)
    document: str = text_field()
    attempt: int
    trigger: Trigger = text_field()
    member_id: UUID = Field(index=True)
    dealer_code: str | None = text_field(default=None)
    booked_on: date
    values: dict[str, Any] = Field(sa_type=JSONB)
    rule_no: int = Field(foreign_key="rule_version.no")
    points: int = Field(sa_type=BigInteger)
    status_points: int = Field(sa_type=BigInteger)
    reason: str = text_field()
    created_at: datetime = time_field()
    decided_at: datetime | None = time_field(default=None)
    decided_by: str | None = text_field(default=None)
    decision: str | None = text_field(default=None)
