"""Tables of where members were and of their transfers (转会)."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.members.transfer_rules import AskedAs, TransferStatus


class MemberPlace(SQLModel, table=True):
    """Where a member was: with a chapter, or on headquarters' own roll (null), from `since` on and before `until`.

    One open row a member, which says what `member.dealer_code` says. The database writes it (migration 0024) whenever
    a member joins or its chapter changes; status is another matter, see `StatusChange`.
    """

    __tablename__ = "member_place"
    __table_args__ = (
        Index("uq_member_place_open", "member_id", unique=True, postgresql_where=text("until IS NULL")),
        Index("ix_member_place_dealer", "dealer_code", "since"),
        CheckConstraint("until IS NULL OR until > since", name="order"),
    )

    member_id: UUID = Field(foreign_key="member.id", primary_key=True)
    since: date = Field(primary_key=True)
    until: date | None = None
    dealer_code: str | None = text_field(default=None, foreign_key="chapter.dealer_code")


@audited("transfer", personal=("reason", "answer"))
class Transfer(SQLModel, table=True):
    """A member's way from one chapter to another; null as either end is headquarters' own roll.

    `answer_by` is the last day for an answer, after which it counts as accepted. `effective_on`: not before this day.
    """

    __tablename__ = "transfer"
    __table_args__ = (
        Index(
            "uq_transfer_open", "member_id", unique=True, postgresql_where=text("status IN ('asked', 'accepted')")
        ),
        Index("ix_transfer_from", "from_dealer_code", "id"),
        Index("ix_transfer_to", "to_dealer_code", "id"),
        CheckConstraint("status IN ('asked', 'accepted', 'refused', 'withdrawn', 'done')", name="status"),
        CheckConstraint("asked_as IN ('member', 'chapter', 'headquarters')", name="asked_as"),
        CheckConstraint("from_dealer_code IS DISTINCT FROM to_dealer_code", name="places"),
        CheckConstraint(
            "(status = 'asked') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)", name="decided"
        ),
        CheckConstraint("(status = 'done') = (moved_on IS NOT NULL)", name="moved"),
    )  # fmt: skip

    id: UUID = id_field()
    member_id: UUID = Field(foreign_key="member.id", index=True)
    from_dealer_code: str | None = text_field(default=None, foreign_key="chapter.dealer_code")
    to_dealer_code: str | None = text_field(default=None, foreign_key="chapter.dealer_code")
    reason: str = text_field()
    status: TransferStatus = text_field(default=TransferStatus.ASKED)
    asked_as: AskedAs = text_field()
    asked_by: str = text_field()
    asked_at: datetime = time_field()
    answer_by: date
    effective_on: date | None = None
    answer: str | None = text_field(default=None)
    decided_by: str | None = text_field(default=None)
    decided_at: datetime | None = time_field(default=None)
    moved_on: date | None = None
