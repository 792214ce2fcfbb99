"""The table of frozen month-ends."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import SQLModel

from app.core.models import id_field, text_field, time_field


class NetworkMonth(SQLModel, table=True):
    """A dealer's counts at a month's end, written once; `dealer_code` and `region_code` null: headquarters' own roll.

    Region, chapter and after-sales capability are those of that day. `owners` are the dealer's, chapter or not.
    """

    __tablename__ = "network_month"
    __table_args__ = (
        UniqueConstraint("month", "dealer_code", postgresql_nulls_not_distinct=True),
        Index("ix_network_month_dealer", "dealer_code"),
        CheckConstraint("extract(day FROM month) = 1", name="month"),
        CheckConstraint("(dealer_code IS NULL) = (region_code IS NULL)", name="place"),
        CheckConstraint(
            "least(members, applying, owners, new_members, delivered, joined) >= 0 AND joined <= delivered",
            name="counts",
        ),
    )

    id: UUID = id_field()
    month: date
    dealer_code: str | None = text_field(default=None, foreign_key="dealer.code")
    region_code: str | None = text_field(default=None, foreign_key="region.code")
    members: int
    applying: int
    owners: int
    has_chapter: bool
    has_after_sales: bool
    new_members: int
    delivered: int
    joined: int
    frozen_at: datetime = time_field()
