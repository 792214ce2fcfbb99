"""Tables of abuse signals, and of the numbers by which staff are known when they come as members."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Connection, Index, LargeBinary, UniqueConstraint, Uuid, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.core.vault import Sealed, vault_for
from app.members.models import SEALED


class SignalKind(StrEnum):
    """What looks like abuse."""

    REDEMPTION_WITHOUT_ORDER = "redemption_without_order"
    SELF_REDEMPTION = "self_redemption"
    MONTH_END_EARNING = "month_end_earning"
    MONTH_END_SPENDING = "month_end_spending"
    SHARED_PHONE = "shared_phone"
    SHARED_DEVICE = "shared_device"
    REFERRAL_RING = "referral_ring"
    HELD_EARNING = "held_earning"


class SignalStatus(StrEnum):
    """Where a signal stands."""

    OPEN = "open"
    CLEARED = "cleared"
    CONFIRMED = "confirmed"


@audited("signal", personal=("decision",), untold=("facts", "weight", "seen_at"))
class Signal(SQLModel, table=True):
    """Something that looks like abuse, once for each `key` of its kind; what it is about, in figures: `facts`.

    `weight` is the figure that made it one: a cleared signal that grows beyond `decided_weight` is open again.
    """

    __tablename__ = "signal"
    __table_args__ = (
        UniqueConstraint("kind", "key"),
        CheckConstraint("status IN ('open', 'cleared', 'confirmed')", name="status"),
        CheckConstraint(
            "(status = 'open') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)"
            " AND (decided_at IS NULL) = (decided_weight IS NULL)",
            name="decided",
        ),
        Index("ix_signal_status", "status", "id"),
    )

    id: UUID = id_field()
    kind: SignalKind = text_field()
    key: str = text_field()
    dealer_code: str | None = text_field(default=None, foreign_key="dealer.code")
    member_ids: list[UUID] = Field(sa_type=ARRAY(Uuid))
    facts: dict[str, Any] = Field(sa_type=JSONB)
    weight: int = Field(sa_type=BigInteger)
    status: SignalStatus = text_field(default=SignalStatus.OPEN)
    found_at: datetime = time_field()
    seen_at: datetime = time_field(index=True)
    decided_weight: int | None = Field(default=None, sa_type=BigInteger)
    decided_at: datetime | None = time_field(default=None)
    decided_by: str | None = text_field(default=None)
    decision: str | None = text_field(default=None)
    version: int = 1


@audited("staff-phone", personal=("phone",), secret=("phone_index",))
class StaffPhone(SQLModel, table=True):
    """A mobile number of somebody with an account; shown to nobody, only compared."""

    __tablename__ = "staff_phone"
    __table_args__ = (UniqueConstraint("account_id", "phone_index"), CheckConstraint(SEALED, name="phone"))

    id: UUID = id_field()
    account_id: UUID = Field(foreign_key="account.id")
    phone: str = Field(sa_type=Sealed)
    phone_index: bytes = Field(default=b"", sa_type=LargeBinary, index=True, exclude=True, repr=False)


@event.listens_for(StaffPhone, "before_insert")
def _index_phone(_: Any, connection: Connection, row: StaffPhone) -> None:
    row.phone_index = vault_for(connection.dialect).index(row.phone)
