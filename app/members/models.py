"""Tables of members, vehicles and applications."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Connection, Index, LargeBinary, event, inspect, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.db import new_id
from app.core.models import id_field, text_field, time_field
from app.core.vault import Sealed, vault_for
from app.members.pinyin import initials
from app.members.rules import ApplicationStatus, MemberStatus, Source

SEALED = "substring(phone FROM 1 FOR 5) = 'gAAAA' AND octet_length(phone_index) = 32"
"""A number is stored as Fernet's token, with its blind index, and never as it is."""


def index_field(**options: Any) -> Any:
    """A phone's blind index: written with the phone, never by hand; looked up by `vault.finds`."""
    return Field(default=b"", sa_type=LargeBinary, exclude=True, repr=False, **options)


@audited("member", personal=("name", "phone"), secret=("phone_index",), untold=("name_initials",))
class Member(SQLModel, table=True):
    """A private owner in the club (会员). `dealer_code` names the chapter; null is HQ's own roll.

    Once erased it has neither name nor phone and is nobody's to see (`queries.visible_to`): a pseudonym for the books.
    """

    __tablename__ = "member"
    __table_args__ = (
        CheckConstraint(SEALED, name="phone"),
        CheckConstraint("status IN ('active', 'suspended', 'left')", name="status"),
        CheckConstraint("(erased_at IS NULL) = (phone IS NOT NULL)", name="erased"),
        Index("ix_member_dealer_code", "dealer_code", "id"),
        Index("ix_member_name", "name", postgresql_ops={"name": "text_pattern_ops"}),
        Index("ix_member_name_initials", "name_initials", postgresql_ops={"name_initials": "text_pattern_ops"}),
        CheckConstraint("merged_into IS NULL OR (status = 'left' AND merged_into <> id)", name="merged"),
        Index("ix_member_merged_into", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
    )

    id: UUID = id_field()
    member_no: str = text_field(unique=True)
    name: str = text_field()
    name_initials: str | None = text_field(default=None, exclude=True)
    phone: str = Field(sa_type=Sealed, nullable=True)
    phone_index: bytes = index_field(unique=True, nullable=True)
    dealer_code: str | None = text_field(default=None, foreign_key="chapter.dealer_code")
    status: MemberStatus = text_field(default=MemberStatus.ACTIVE)
    source: Source = text_field()
    joined_on: date = Field(index=True)
    created_at: datetime = time_field()
    erased_at: datetime | None = time_field(default=None)
    merged_into: UUID | None = Field(default=None, foreign_key="member.id")
    """Who goes on for a member who was merged (see `merging`); always the last of a chain."""
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


@audited("birth", personal=("born_on", "guardian_name", "guardian_relation"))
class Birth(SQLModel, table=True):
    """When a member was born, if that is known, and who stands for one under 14."""

    __tablename__ = "member_birth"
    __table_args__ = (
        CheckConstraint("(guardian_name IS NULL) = (guardian_relation IS NULL)", name="guardian"),
    )  # fmt: skip

    member_id: UUID = Field(foreign_key="member.id", primary_key=True)
    born_on: date
    guardian_name: str | None = text_field(default=None)
    guardian_relation: str | None = text_field(default=None)
    recorded_at: datetime = time_field()
    recorded_by: str = text_field()


@audited("erasure")
class Erasure(SQLModel, table=True):
    """A member's data is to be removed on a day, or was; the member's id is the pseudonym that stays."""

    __tablename__ = "erasure"
    __table_args__ = (Index("ix_erasure_due", "erased_at", "due_on"),)

    member_id: UUID = Field(foreign_key="member.id", primary_key=True)
    requested_at: datetime = time_field()
    requested_by: str = text_field()
    due_on: date
    erased_at: datetime | None = time_field(default=None)


class Vehicle(SQLModel, table=True):
    """A car of the brand, and what stays with it. `check_digit_ok` is false for real cars of makers that do not use it.

    Routes name it by `id`, since VINs do not belong into URLs; `version` covers what its owner of the day says as well.
    """

    __tablename__ = "vehicle"
    __table_args__ = (CheckConstraint("vin ~ '^[A-HJ-NPR-Z0-9]{17}$'", name="vin"),)

    vin: str = text_field(primary_key=True)
    id: UUID = Field(default_factory=new_id, unique=True)
    check_digit_ok: bool
    model: str | None = text_field(default=None)
    warranty_ends_on: date | None = None
    created_at: datetime = time_field()
    version: int = 1


@audited("ownership", personal=("vin", "plate"), untold=("model",))
class Ownership(SQLModel, table=True):
    """A member owns a vehicle from a day on; one owner per vehicle at a time.

    Plate, purchase and insurance are the owner's: the next one starts without. `model` is the vehicle's, which the
    database repeats here for searches.
    """

    __tablename__ = "ownership"
    __table_args__ = (
        Index("uq_ownership_open", "vin", unique=True, postgresql_where=text("until IS NULL")),
        Index("ix_ownership_plate", "plate", postgresql_where=text("plate IS NOT NULL AND until IS NULL")),
        *(
            Index(
                f"ix_ownership_{column}",
                "model",
                column,
                "member_id",
                postgresql_where=text(f"{column} IS NOT NULL AND until IS NULL"),
            )
            for column in ("purchased_on", "insurance_ends_on")
        ),
        CheckConstraint("until IS NULL OR until >= since", name="order"),
    )

    id: UUID = id_field()
    vin: str = text_field(foreign_key="vehicle.vin", index=True)
    member_id: UUID = Field(foreign_key="member.id", index=True)
    since: date
    until: date | None = None
    plate: str | None = text_field(default=None)
    purchased_on: date | None = None
    insurance_ends_on: date | None = None
    model: str | None = text_field(default=None, exclude=True)


@audited("application", personal=("name", "phone", "born_on", "vin", "reason"), secret=("phone_index",))
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
    born_on: date | None = None
    vin: str = text_field()
    source: Source = text_field()
    status: ApplicationStatus = text_field(default=ApplicationStatus.OPEN)
    reason: str | None = text_field(default=None)
    consents: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB, sa_column_kwargs={"server_default": "{}"})
    """What the owner answered when it applied: `DoorAnswers` as JSON, recorded when it becomes a member."""
    member_id: UUID | None = Field(default=None, foreign_key="member.id")
    applied_at: datetime = time_field()
    applied_by: str | None = text_field(default=None)
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


@event.listens_for(Member, "before_insert")
@event.listens_for(Member, "before_update")
def _keep_initials(_: Any, __: Connection, row: Member) -> None:
    if inspect(row).attrs.name.history.has_changes():
        row.name_initials = initials(row.name)
