"""Tables of members, vehicles and applications."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from app.core.models import id_field, text_field, time_field
from app.members.rules import ApplicationStatus, MemberStatus, Source


class Member(SQLModel, table=True):
    """A private owner in the club (会员). `dealer_code` names the chapter; null is HQ's own roll."""

    __tablename__ = "member"
    __table_args__ = (
        CheckConstraint(r"phone ~ '^\+861[3-9][0-9]{9}$'", name="phone"),
        CheckConstraint("status IN ('active', 'suspended', 'left')", name="status"),
    )

    id: UUID = id_field()
    member_no: str = text_field(unique=True)
    name: str = text_field()
    phone: str = text_field(unique=True)
    dealer_code: str | None = text_field(default=None, foreign_key="chapter.dealer_code", index=True)
    status: MemberStatus = text_field(default=MemberStatus.ACTIVE)
    source: Source = text_field()
    joined_on: date
    created_at: datetime = time_field()
    version: int = 1


class StatusChange(SQLModel, table=True):
    """One step of a member's status: who moved it, when and why."""

    __tablename__ = "member_status_change"

    id: UUID = id_field()
    member_id: UUID = Field(foreign_key="member.id", index=True)
    from_status: MemberStatus | None = text_field(default=None)
    to_status: MemberStatus = text_field()
    reason: str = text_field()
    actor: str = text_field()
    at: datetime = time_field()


class Vehicle(SQLModel, table=True):
    """A car of the brand. `check_digit_ok` is false for real cars of makers that do not use it."""

    __tablename__ = "vehicle"
    __table_args__ = (CheckConstraint("vin ~ '^[A-HJ-NPR-Z0-9]{17}$'", name="vin"),)

    vin: str = text_field(primary_key=True)
    check_digit_ok: bool
    created_at: datetime = time_field()


class Ownership(SQLModel, table=True):
    """A member owns a vehicle from a day on; one owner per vehicle at a time."""

    __tablename__ = "ownership"
    __table_args__ = (
        Index("uq_ownership_open", "vin", unique=True, postgresql_where=text("until IS NULL")),
        CheckConstraint("until IS NULL OR until >= since", name="order"),
    )

    id: UUID = id_field()
    vin: str = text_field(foreign_key="vehicle.vin", index=True)
    member_id: UUID = Field(foreign_key="member.id", index=True)
    since: date
    until: date | None = None


class Application(SQLModel, table=True):
    """An owner's own application to a chapter; open ones (申请中) count in the recruitment rate."""

    __tablename__ = "application"
    __table_args__ = (
        Index("uq_application_open", "phone", "vin", unique=True, postgresql_where=text("status = 'open'")),
        Index("ix_application_dealer", "dealer_code", "status", "id"),
        CheckConstraint("status IN ('open', 'approved', 'refused', 'withdrawn')", name="status"),
    )

    id: UUID = id_field()
    dealer_code: str = text_field(foreign_key="chapter.dealer_code")
    name: str = text_field()
    phone: str = text_field()
    vin: str = text_field()
    source: Source = text_field()
    status: ApplicationStatus = text_field(default=ApplicationStatus.OPEN)
    reason: str | None = text_field(default=None)
    member_id: UUID | None = Field(default=None, foreign_key="member.id")
    applied_at: datetime = time_field()
    decided_at: datetime | None = time_field(default=None)
    decided_by: str | None = text_field(default=None)
