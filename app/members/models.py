"""Tables of members, vehicles and applications."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Connection, Index, LargeBinary, event, inspect, text
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.core.vault import Sealed, vault_for
from app.members.rules import ApplicationStatus, MemberStatus, Source

SEALED = "substring(phone FROM 1 FOR 5) = 'gAAAA' AND octet_length(phone_index) = 32"
"""A number is stored as Fernet's token, with its blind index, and never as it is."""


def index_field(**options: Any) -> Any:
    """A phone's blind index: written with the phone, never by hand; looked up by `vault.finds`."""
    return Field(default=b"", sa_type=LargeBinary, exclude=True, repr=False, **options)


@audited("member", personal=("name", "phone"), secret=("phone_index",))
class Member(SQLModel, table=True):
    """A private owner in the club (会员). `dealer_code` names the chapter; null is HQ's own roll.

    Once erased it has neither name nor phone and is nobody's to see (`queries.visible_to`): a pseudonym for the books.
    """

    __tablename__ = "member"
    __table_args__ = (
        CheckConstraint(SEALED, name="phone"),
        CheckConstraint("status IN ('active', 'suspended', 'left')", name="status"),
        CheckConstraint("(erased_at IS NULL) = (phone IS NOT NULL)", name="erased"),
    )

    id: UUID = id_field()
    member_no: str = text_field(unique=True)
    name: str = text_field()
    phone: str = Field(sa_type=Sealed, nullable=True)
    phone_index: bytes = index_field(unique=True, nullable=True)
    dealer_code: str | None = text_field(default=None, foreign_key="chapter.dealer_code", index=True)
    status: MemberStatus = text_field(default=MemberStatus.ACTIVE)
    source: Source = text_field()
    joined_on: date
    created_at: datetime = time_field()
    erased_at: datetime | None = time_field(default=None)
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


@audited("ownership", personal=("vin",))
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


@audited("application", personal=("name", "phone", "vin", "reason"), secret=("phone_index",))
class Application(SQLModel, table=True):
    """An owner's own application to a chapter; open ones (申请中) count in the recruitment rate."""

    __tablename__ = "application"
    __table_args__ = (
        Index("uq_application_open", "phone_index", "vin", unique=True, postgresql_where=text("status = 'open'")),
        Index("ix_application_dealer", "dealer_code", "status", "id"),
        CheckConstraint("status IN ('open', 'approved', 'refused', 'withdrawn')", name="status"),
        CheckConstraint(SEALED, name="phone"),
    )

    id: UUID = id_field()
    dealer_code: str = text_field(foreign_key="chapter.dealer_code")
    name: str = text_field()
    phone: str = Field(sa_type=Sealed)
    phone_index: bytes = index_field()
    vin: str = text_field()
    source: Source = text_field()
    status: ApplicationStatus = text_field(default=ApplicationStatus.OPEN)
    reason: str | None = text_field(default=None)
    member_id: UUID | None = Field(default=None, foreign_key="member.id")
    applied_at: datetime = time_field()
    decided_at: datetime | None = time_field(default=None)
    decided_by: str | None = text_field(default=None)


@event.listens_for(Member, "before_insert")
@event.listens_for(Member, "before_update")
@event.listens_for(Application, "before_insert")
@event.listens_for(Application, "before_update")
def _index_phone(_: Any, connection: Connection, row: Member | Application) -> None:
    if inspect(row).attrs.phone.history.has_changes():
        # an erased member has neither
        row.phone_index = row.phone and vault_for(connection.dialect).index(row.phone)  # type: ignore[assignment]
