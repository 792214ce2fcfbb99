"""Tables of deliveries and of the chapters' recruitment plans."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Connection, Index, LargeBinary, event, inspect, text
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.db import new_id
from app.core.models import text_field, time_field
from app.core.vault import Sealed, vault_for
from app.members.models import SEALED
from app.visits.deliveries_rules import MissReason, OwnerKind

MISS = "owner_kind = 'individual' AND matched_on IS NULL AND closed_at IS NULL"
"""An individual owner's car without a membership, not closed yet."""


@audited(
    "delivery", personal=("vin", "owner_name", "phone", "miss_note"), secret=("phone_index",), untold=("received_at",)
)
class Delivery(SQLModel, table=True):
    """A car as its dealer delivered it, once. The owners of a dealer are the individuals it delivered a car to.

    `member_id` is the membership that matched (null again when the member is erased), `matched_on` the day its owner
    joined: while that is null, an individual's car is a miss that stands under its `consultant` until it is closed.
    Name and phone are kept for misses only: a member's stand with the member.
    The database matches by itself, whichever comes first: function `match_deliveries`.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        CheckConstraint("vin ~ '^[A-HJ-NPR-Z0-9]{17}$'", name="vin"),
        CheckConstraint("owner_kind IN ('individual', 'company', 'government')", name="owner_kind"),
        CheckConstraint(
            f"(phone IS NULL) = (phone_index IS NULL) AND (phone IS NULL OR {SEALED})",
            name="phone",
        ),
        CheckConstraint(
            "owner_kind = 'individual' OR (phone IS NULL AND matched_on IS NULL AND closed_at IS NULL)",
            name="individual",
        ),
        CheckConstraint(
            "(matched_on IS NULL) = (matched_by IS NULL) AND (member_id IS NULL OR matched_on IS NOT NULL)"
            " AND matched_by IN ('vin', 'phone')",
            name="matched",
        ),
        CheckConstraint(
            "(closed_at IS NULL) = (miss_reason IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL)",
            name="closed",
        ),
        Index("ix_delivery_dealer", "dealer_code", "delivered_on", "id"),
        Index("ix_delivery_unmatched_phone", "phone_index", postgresql_where=text("matched_on IS NULL")),
        Index("ix_delivery_miss", "dealer_code", "delivered_on", "id", postgresql_where=text(MISS)),
    )

    vin: str = text_field(primary_key=True)
    id: UUID = Field(default_factory=new_id, unique=True)
    dealer_code: str = text_field(foreign_key="dealer.code")
    delivered_on: date = Field(index=True)
    owner_kind: OwnerKind = text_field()
    owner_name: str | None = text_field(default=None)
    phone: str | None = Field(default=None, sa_type=Sealed)
    phone_index: bytes | None = Field(default=None, sa_type=LargeBinary, exclude=True, repr=False)
    consultant: str | None = text_field(default=None)
    model: str | None = text_field(default=None)
    member_id: UUID | None = Field(default=None, index=True)
    matched_on: date | None = None
    matched_by: str | None = text_field(default=None)
    miss_reason: MissReason | None = text_field(default=None)
    miss_note: str | None = text_field(default=None)
    closed_at: datetime | None = time_field(default=None)
    closed_by: str | None = text_field(default=None)
    received_at: datetime = time_field()
    version: int = 1


@audited("cancelled-delivery", personal=("vin", "reason"))
class CancelledDelivery(SQLModel, table=True):
    """A delivery that was taken back: the feed's row of it stays known. `id` is the delivery's."""

    __tablename__ = "cancelled_delivery"

    id: UUID = Field(primary_key=True)
    vin: str = text_field(index=True)
    dealer_code: str = text_field(foreign_key="dealer.code")
    delivered_on: date
    reason: str = text_field()
    cancelled_at: datetime = time_field()
    cancelled_by: str = text_field()


@audited("recruitment_plan")
class RecruitmentPlan(SQLModel, table=True):
    """How many members a chapter means to recruit in a month (`month`: its first day)."""

    __tablename__ = "recruitment_plan"
    __table_args__ = (
        CheckConstraint("target >= 0", name="target"),
        CheckConstraint("extract(day FROM month) = 1", name="month"),
    )

    month: date = Field(primary_key=True)
    dealer_code: str = text_field(primary_key=True, foreign_key="chapter.dealer_code")
    target: int
    version: int = 1


@event.listens_for(Delivery, "before_insert")
@event.listens_for(Delivery, "before_update")
def _index_phone(_: Any, connection: Connection, row: Delivery) -> None:
    if inspect(row).attrs.phone.history.has_changes():
        row.phone_index = vault_for(connection.dialect).index(row.phone) if row.phone else None
