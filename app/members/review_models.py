"""Tables of what somebody is to look at: members who may be one person, and calls that verify what is on record."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.members.consent_rules import Use


class DuplicateKind(StrEnum):
    """What two members have in common: the surest first."""

    VIN = "vin"
    PHONE = "phone"
    NAME_PLATE = "name_plate"


class Outcome(StrEnum):
    """What a call came to."""

    CONFIRMED = "confirmed"
    CORRECTED = "corrected"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    WRONG_NUMBER = "wrong_number"


@audited("duplicate", personal=("reason",))
class Duplicate(SQLModel, table=True):
    """Two members who may be one person, until they are merged, or somebody says that they are two."""

    __tablename__ = "duplicate"
    __table_args__ = (
        UniqueConstraint("member_id", "other_id", "kind"),
        CheckConstraint("kind IN ('vin', 'phone', 'name_plate')", name="kind"),
        CheckConstraint("member_id < other_id", name="order"),
        CheckConstraint(
            "(dismissed_at IS NULL) = (dismissed_by IS NULL) AND (dismissed_at IS NULL) = (reason IS NULL)",
            name="dismissed",
        ),
    )

    id: UUID = id_field()
    kind: DuplicateKind = text_field()
    member_id: UUID = Field(foreign_key="member.id")
    other_id: UUID = Field(foreign_key="member.id", index=True)
    found_at: datetime = time_field()
    dismissed_at: datetime | None = time_field(default=None)
    dismissed_by: str | None = text_field(default=None)
    reason: str | None = text_field(default=None)


@audited("verification-call", personal=("question", "answer"))
class VerificationCall(SQLModel, table=True):
    """Somebody of the chapter, or of headquarters, is to call a member and ask; open until there is an outcome.

    With a `use` it is not, or not only, to verify what is on record, and rests on the member's consent.
    """

    __tablename__ = "verification_call"
    __table_args__ = (
        Index("ix_verification_call_assigned_to", "assigned_to", "id"),
        CheckConstraint(
            "outcome IN ('confirmed', 'corrected', 'refused', 'unreachable', 'wrong_number')", name="outcome"
        ),
        CheckConstraint(
            "(outcome IS NULL) = (closed_at IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL)", name="closed"
        ),
        CheckConstraint("use IN ('marketing', 'profiling', 'ask_marketing', 'ask_profiling')", name="use"),
    )

    id: UUID = id_field()
    member_id: UUID = Field(foreign_key="member.id", index=True)
    question: str = text_field()
    assigned_to: str = text_field()
    due_on: date | None = None
    asked_by: str = text_field()
    asked_at: datetime = time_field()
    use: Use | None = text_field(default=None)
    outcome: Outcome | None = text_field(default=None)
    answer: str | None = text_field(default=None)
    closed_by: str | None = text_field(default=None)
    closed_at: datetime | None = time_field(default=None)
