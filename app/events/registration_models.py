"""Tables of who comes to an event: registrations, companions, decisions about the waiting list, check-ins."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.core.models import id_field, text_field, time_field
from app.core.vault import Sealed
from app.events.registration_rules import DecisionKind, RegistrationStatus

_LIVE = "status IN ('registered', 'waiting', 'offered')"


class Registration(SQLModel, table=True):
    """A member's registration for an event, for a party of itself and its companions.

    `queue_no` is its place in the order of coming. The fee is due of the whole party; its points were spent from
    `wallet_id` by posting `fee_posting_no`, and given back by `fee_refund_no`. `request_hash` knows the request that
    made it again. `answers` is JSON. `version` counts changes of the party.
    """

    __tablename__ = "registration"
    __table_args__ = (
        CheckConstraint("status IN ('registered', 'waiting', 'offered', 'cancelled', 'lapsed')", name="status"),
        CheckConstraint("party > 0", name="party"),
        CheckConstraint("fee_points >= 0 AND fee_fen >= 0", name="fee"),
        CheckConstraint("(status = 'offered') <= (offered_until IS NOT NULL)", name="offered"),
        CheckConstraint("(status IN ('cancelled', 'lapsed')) = (ended_at IS NOT NULL)", name="ended"),
        CheckConstraint("(fee_posting_no IS NULL) = (wallet_id IS NULL)", name="posting"),
        UniqueConstraint("event_id", "queue_no"),
        Index("uq_registration_live", "event_id", "member_id", unique=True, postgresql_where=text(_LIVE)),
        Index("ix_registration_offered", "offered_until", postgresql_where=text("status = 'offered'")),
        Index("ix_registration_wallet", "wallet_id", postgresql_where=text("wallet_id IS NOT NULL")),
        Index("ix_registration_waiting", "event_id", postgresql_where=text("status = 'waiting'")),
    )

    id: UUID = id_field()
    event_id: UUID = Field(foreign_key="club_event.id")
    member_id: UUID = Field(foreign_key="member.id", index=True)
    status: RegistrationStatus = text_field()
    party: int
    queue_no: int
    offered_until: datetime | None = time_field(default=None)
    answers: str | None = Field(default=None, sa_type=Sealed)
    fee_points: int = Field(default=0, sa_type=BigInteger)
    fee_fen: int = Field(default=0, sa_type=BigInteger)
    wallet_id: UUID | None = Field(default=None, foreign_key="member.id")
    fee_posting_no: int | None = Field(default=None, sa_type=BigInteger)
    fee_refund_no: int | None = Field(default=None, sa_type=BigInteger)
    payment_reference: str | None = text_field(default=None)
    paid_at: datetime | None = time_field(default=None)
    paid_by: str | None = text_field(default=None)
    is_walk_up: bool = False
    request_hash: bytes = Field(sa_type=LargeBinary)
    registered_by: str = text_field()
    registered_at: datetime = time_field()
    ended_by: str | None = text_field(default=None)
    ended_at: datetime | None = time_field(default=None)
    reason: str | None = text_field(default=None)
    version: int = 1


@dataclass(slots=True)
class NewRegistration:
    """A `Registration` still to be written, which takes far longer to make; what is not named here is null."""

    id: UUID
    event_id: UUID
    member_id: UUID
    status: RegistrationStatus
    party: int
    queue_no: int
    answers: str | None
    fee_points: int
    fee_fen: int
    is_walk_up: bool
    request_hash: bytes
    registered_by: str
    registered_at: datetime
    wallet_id: UUID | None = None
    fee_posting_no: int | None = None
    version: int = 1


class Companion(SQLModel, table=True):
    """Somebody whom a member brings; who answers for a minor is named."""

    __tablename__ = "companion"
    __table_args__ = (CheckConstraint("is_minor = (guardian IS NOT NULL)", name="guardian"),)

    id: UUID = id_field()
    registration_id: UUID = Field(foreign_key="registration.id", index=True)
    name: str = Field(sa_type=Sealed)
    is_minor: bool = False
    guardian: str | None = Field(default=None, sa_type=Sealed)


class QueueDecision(SQLModel, table=True):
    """What was decided about a party that waited, when `free` seats were there: why it was promoted, or was not."""

    __tablename__ = "queue_decision"
    __table_args__ = (
        CheckConstraint("kind IN ('offered', 'too_big', 'by_hand', 'lapsed')", name="kind"),
        Index("ix_queue_decision_event_id", "event_id", "id"),
    )

    id: UUID = id_field()
    event_id: UUID = Field(foreign_key="club_event.id")
    registration_id: UUID = Field(foreign_key="registration.id", index=True)
    kind: DecisionKind = text_field()
    free: int
    needed: int
    by: str = text_field()
    at: datetime = time_field()
    reason: str | None = text_field(default=None)


class CheckIn(SQLModel, table=True):
    """A party came: the first scan of its registration, until it is undone.

    `at` is when it was scanned, `recorded_at` when the service learned so; `nonce` tells a retry from another scan.
    """

    __tablename__ = "check_in"
    __table_args__ = (
        CheckConstraint("(undone_at IS NULL) = (undone_by IS NULL)", name="undone"),
        UniqueConstraint("event_id", "nonce"),
        Index("uq_check_in_live", "registration_id", unique=True, postgresql_where=text("undone_at IS NULL")),
        Index("ix_check_in_registration_id", "registration_id"),
    )

    id: UUID = id_field()
    event_id: UUID = Field(foreign_key="club_event.id")
    registration_id: UUID = Field(foreign_key="registration.id")
    nonce: str = text_field()
    at: datetime = time_field()
    by: str = text_field()
    device: str | None = text_field(default=None)
    recorded_at: datetime = time_field()
    undone_at: datetime | None = time_field(default=None)
    undone_by: str | None = text_field(default=None)
    undo_reason: str | None = text_field(default=None)
