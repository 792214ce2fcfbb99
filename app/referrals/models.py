"""Tables of referrals and of the steps of their leads."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Connection, Index, LargeBinary, event, inspect, text
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.core.vault import Sealed, vault_for
from app.members.models import SEALED
from app.referrals.rules import LIVE, Escalation, Horizon, ReferralStatus

_LIVE = ", ".join(f"'{status}'" for status in LIVE)
_STATUSES = ", ".join(f"'{status}'" for status in ReferralStatus)


@audited(
    "referral",
    personal=("buyer_name", "phone", "vin", "answer"),
    secret=("phone_index",),
    untold=("due_on", "asked_at"),
)
class Referral(SQLModel, table=True):
    """A member sends a buyer to a dealer; the lead stands under a sales consultant.

    `registered_on` is the day from which it counts, `valid_until` the last day on which the car may be delivered.
    `due_on`: by then the consultant reports, else the lead is escalated. `refusal` is the type of the problem that an
    appeal is about, `answer` the last decision's reason. Once delivered, `vin`, dealer and consultant are the sale's,
    `buyer_id` the buyer's membership. Name and phone of the buyer go some time after the referral has ended.
    """

    __tablename__ = "referral"
    __table_args__ = (
        CheckConstraint(f"status IN ({_STATUSES})", name="status"),
        CheckConstraint(f"(phone IS NULL) = (phone_index IS NULL) AND (phone IS NULL OR {SEALED})", name="phone"),
        CheckConstraint(f"phone IS NOT NULL OR status NOT IN ('asked', 'appealed', {_LIVE})", name="known"),
        CheckConstraint("horizon IN ('month', 'quarter', 'half_year', 'later')", name="horizon"),
        CheckConstraint("escalated IN ('chapter', 'headquarters')", name="escalated"),
        CheckConstraint(
            "(status IN ('delivered', 'cancelled')) <= (delivered_on IS NOT NULL AND vin IS NOT NULL)", name="delivered"
        ),
        CheckConstraint("valid_until >= registered_on", name="window"),
        Index(
            "uq_referral_live", "phone_index", unique=True, postgresql_where=text(f"status IN ({_LIVE})")
        ),
        Index("uq_referral_sold", "vin", unique=True, postgresql_where=text("status = 'delivered'")),
        Index("ix_referral_dealer", "dealer_code", "id"),
        Index("ix_referral_success", "dealer_code", "delivered_on", postgresql_where=text("status = 'delivered'")),
        Index("ix_referral_phone_index", "phone_index"),
        Index("ix_referral_vin", "vin", postgresql_where=text("vin IS NOT NULL")),
    )  # fmt: skip

    id: UUID = id_field()
    referrer_id: UUID = Field(foreign_key="member.id", index=True)
    buyer_name: str | None = text_field(default=None)
    phone: str | None = Field(default=None, sa_type=Sealed)
    phone_index: bytes | None = Field(default=None, sa_type=LargeBinary, exclude=True, repr=False)
    dealer_code: str = text_field(foreign_key="dealer.code")
    consultant: str | None = text_field(default=None)
    status: ReferralStatus = text_field()
    asked_by: str = text_field()
    asked_at: datetime = time_field()
    registered_on: date
    valid_until: date
    may_contact: bool
    permission_at: datetime = time_field()
    horizon: Horizon | None = text_field(default=None)
    due_on: date | None = None
    escalated: Escalation | None = text_field(default=None)
    ordered_on: date | None = None
    vin: str | None = text_field(default=None)
    delivered_on: date | None = None
    buyer_id: UUID | None = Field(default=None, foreign_key="member.id", index=True)
    is_repurchase: bool = False
    buyer_awarded: bool = False
    refusal: str | None = text_field(default=None)
    answer: str | None = text_field(default=None)
    ended_on: date | None = None


class ReferralStep(SQLModel, table=True):
    """One step of a referral: to which status, by whom, and what was reported."""

    __tablename__ = "referral_step"

    id: UUID = id_field()
    referral_id: UUID = Field(foreign_key="referral.id", index=True)
    status: ReferralStatus = text_field()
    horizon: Horizon | None = text_field(default=None)
    note: str | None = text_field(default=None)
    actor: str = text_field()
    at: datetime = time_field()


@event.listens_for(Referral, "before_insert")
@event.listens_for(Referral, "before_update")
def _index_phone(_: Any, connection: Connection, row: Referral) -> None:
    if inspect(row).attrs.phone.history.has_changes():
        row.phone_index = vault_for(connection.dialect).index(row.phone) if row.phone else None
