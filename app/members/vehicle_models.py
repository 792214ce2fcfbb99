"""Tables of what is known of cars over time: mileage, claims of new owners, and service intervals."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.members.vehicle_rules import ClaimStatus, HandedOver


class Mileage(SQLModel, table=True):
    """A car's mileage as it was read on a day. It stays with the car, whoever owns it.

    `is_drop` flags what contradicts an earlier note; it is kept, and counts for nothing. `document` names the repair
    order that told it, once.
    """

    __tablename__ = "vehicle_mileage"
    __table_args__ = (
        Index("ix_vehicle_mileage_vin", "vin", "read_on", "id"),
        CheckConstraint("km >= 0", name="km"),
        CheckConstraint("source IN ('owner', 'staff', 'workshop')", name="source"),
        CheckConstraint("(withdrawn_at IS NULL) = (withdrawn_by IS NULL)", name="withdrawn"),
    )

    id: UUID = id_field()
    vin: str = text_field(foreign_key="vehicle.vin")
    km: int
    read_on: date
    source: str = text_field()
    document: str | None = text_field(default=None, unique=True)
    is_drop: bool = False
    noted_by: str = text_field()
    noted_at: datetime = time_field()
    withdrawn_at: datetime | None = time_field(default=None)
    withdrawn_by: str | None = text_field(default=None)


@audited("vehicle_claim", personal=("vin", "proof", "objection", "reason", "reference"))
class VehicleClaim(SQLModel, table=True):
    """A member, or who has applied to be one, says that a car is now theirs.

    The owner of the day hands it over (`from_member_id` from then on), or headquarters decides.
    """

    __tablename__ = "vehicle_claim"
    __table_args__ = (
        Index(
            "uq_vehicle_claim_open", "vin", "claimant_id", "application_id", unique=True,
            postgresql_nulls_not_distinct=True, postgresql_where=text("status = 'asked'"),
        ),
        Index("ix_vehicle_claim_from_member_id", "from_member_id"),
        CheckConstraint("num_nonnulls(claimant_id, application_id) = 1", name="claimant"),
        CheckConstraint("status IN ('asked', 'accepted', 'refused', 'withdrawn')", name="status"),
        CheckConstraint("(status = 'asked') = (decided_at IS NULL)", name="decided"),
        CheckConstraint("(status = 'accepted') = (handed_over IS NOT NULL)", name="handed_over"),
    )  # fmt: skip

    id: UUID = id_field()
    vin: str = text_field()
    claimant_id: UUID | None = Field(default=None, foreign_key="member.id", index=True)
    application_id: UUID | None = Field(default=None, foreign_key="application.id", index=True, ondelete="CASCADE")
    bought_on: date
    proof: str = text_field()
    status: ClaimStatus = text_field(default=ClaimStatus.ASKED)
    asked_by: str = text_field()
    asked_at: datetime = time_field()
    objection: str | None = text_field(default=None)
    objected_at: datetime | None = time_field(default=None)
    from_member_id: UUID | None = Field(default=None, foreign_key="member.id")
    handed_over: HandedOver | None = text_field(default=None)
    reference: str | None = text_field(default=None)
    reason: str | None = text_field(default=None)
    decided_at: datetime | None = time_field(default=None)
    decided_by: str | None = text_field(default=None)


@audited("service_interval")
class ServiceInterval(SQLModel, table=True):
    """How often a model wants service; without a model, those that have no interval of their own."""

    __tablename__ = "service_interval"
    __table_args__ = (
        UniqueConstraint("model", postgresql_nulls_not_distinct=True),
        CheckConstraint("months > 0 AND km > 0", name="positive"),
    )

    id: UUID = id_field()
    model: str | None = text_field(default=None)
    months: int | None = None
    km: int | None = None
    version: int = 1
