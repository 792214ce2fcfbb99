"""Tables of earning rules, their versions, and headquarters' frame for the chapters' own."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Identity, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field


class RuleStatus(StrEnum):
    """Where a version of a rule stands. What is retired still holds for events up to its last day."""

    DRAFT = "draft"
    PUBLISHED = "published"
    RETIRED = "retired"


@audited("rule", untold=("created_at",))
class EarningRule(SQLModel, table=True):
    """A rule by name, of headquarters (`dealer_code` null) or a chapter; what it says is in its versions."""

    __tablename__ = "rule"

    id: UUID = id_field()
    code: str = text_field(unique=True)
    dealer_code: str | None = text_field(default=None, foreign_key="chapter.dealer_code", index=True)
    label_zh: str = text_field()
    label_en: str = text_field()
    created_by: str = text_field()
    created_at: datetime = time_field()
    version: int = 1


@audited("rule_version")
class RuleVersion(SQLModel, table=True):
    """What a rule says from one publication to the next. Once published nothing changes but that it ends earlier.

    Events of the days `valid_from` to `valid_until` fall under it; the definition keeps the days as they were written.
    """

    __tablename__ = "rule_version"
    __table_args__ = (
        UniqueConstraint("rule_id", "version"),
        CheckConstraint("status IN ('draft', 'published', 'retired')", name="status"),
        CheckConstraint("(status = 'draft') = (published_at IS NULL)", name="published"),
        CheckConstraint("(published_at IS NULL) = (published_by IS NULL)", name="publisher"),
        CheckConstraint("(status = 'retired') = (retired_at IS NOT NULL)", name="retired"),
        CheckConstraint("(retired_at IS NULL) = (retired_by IS NULL)", name="retirer"),
        Index("uq_rule_version_draft", "rule_id", unique=True, postgresql_where=text("status = 'draft'")),
    )

    no: int | None = Field(default=None, sa_column=Column(Integer, Identity(always=True), primary_key=True))
    rule_id: UUID = Field(foreign_key="rule.id")
    version: int
    status: RuleStatus = text_field(default=RuleStatus.DRAFT)
    definition: dict[str, Any] = Field(sa_type=JSONB)
    valid_from: date
    valid_until: date | None = None
    published_at: datetime | None = time_field(default=None)
    published_by: str | None = text_field(default=None)
    retired_at: datetime | None = time_field(default=None)
    retired_by: str | None = text_field(default=None)


@audited("rule_frame")
class RuleFrame(SQLModel, table=True):
    """What headquarters allows rules of chapters: all chapters (`dealer_code` null), or one, whose own goes first."""

    __tablename__ = "rule_frame"
    __table_args__ = (
        UniqueConstraint("dealer_code", postgresql_nulls_not_distinct=True),
        CheckConstraint(
            "most_points_an_award > 0 AND most_points_a_member_month > 0 AND most_expiry_months > 0", name="bounds"
        ),
    )

    id: UUID = id_field()
    dealer_code: str | None = text_field(default=None, foreign_key="chapter.dealer_code")
    triggers: list[str] = Field(sa_type=ARRAY(Text))
    most_points_an_award: int
    most_points_a_member_month: int
    most_expiry_months: int
    is_self_funded: bool = True
    budget: str | None = text_field(default=None)
    version: int = 1
