"""Registration and the waiting list at the edge."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from app.core.schemas import Input, Line, Name, Reason
from app.events.registration_rules import DecisionKind, RegistrationStatus
from app.events.rules import TextStatus

MOST_COMPANIONS = 50
Answer = bool | Annotated[int, Field(ge=-(10**15), le=10**15)] | Annotated[Line, StringConstraints(max_length=500)]
Answers = Annotated[dict[str, Answer], Field(default_factory=dict, max_length=20, description="by a question's key")]
MemberCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]


class CompanionCreate(Input):
    """Somebody the member brings; a minor comes with the name of who answers for it."""

    name: Name
    is_minor: bool = False
    guardian: Name | None = None

    @model_validator(mode="after")
    def _guardian_of_a_minor(self) -> Self:
        if self.is_minor != (self.guardian is not None):
            raise PydanticCustomError("minor_guardian", "a minor has a guardian, nobody else")
        return self


class RegistrationCreate(Input):
    """A member's party, and its answers to the event's questions."""

    companions: Annotated[list[CompanionCreate], Field(default_factory=list, max_length=MOST_COMPANIONS)]
    answers: Answers

    @property
    def party(self) -> int:
        """Persons: the member and who comes along."""
        return 1 + len(self.companions)


class RegistrationUpdate(RegistrationCreate):
    """What changes of a party: whom the member brings, all of them, or its answers, all of them."""


class OwnRegistrationCreate(RegistrationCreate):
    """The signed-in member's party for an event."""

    event_id: UUID


class StaffRegistrationCreate(RegistrationCreate):
    """A member whom staff register, by telephone or at the door."""

    member_id: UUID
    code: MemberCode | None = Field(default=None, description="the member's one-time code, where points are due")


class PromotionCreate(Input):
    """A party that staff seat by hand."""

    reason: Reason | None = Field(default=None, description="required when others wait longer")
    code: MemberCode | None = Field(
        default=None, description="the member's one-time code, where points are due; without it the seats are offered"
    )


class CancellationReason(Input):
    """Why a party does not come."""

    reason: Reason | None = None


class PaymentCreate(Input):
    """That the fee in money was paid."""

    reference: Annotated[Line, StringConstraints(max_length=100)]


class CompanionRead(BaseModel):
    """Somebody the member brings."""

    name: str
    is_minor: bool
    guardian: str | None


class RegistrationRead(BaseModel):
    """A registration. `position` is its place among those who wait, from 1; the fee is the whole party's."""

    id: UUID
    event_id: UUID
    member_id: UUID
    status: RegistrationStatus
    party: int
    queue_no: int
    position: int | None
    offered_until: datetime | None
    companions: list[CompanionRead]
    answers: dict[str, Answer]
    fee_points: int
    fee_fen: int
    paid_at: datetime | None
    payment_reference: str | None
    fee_refunded: bool
    is_walk_up: bool
    registered_at: datetime
    ended_at: datetime | None
    reason: str | None
    version: int


class ListedRegistration(BaseModel):
    """A registration in the event's list, with who it is and whether it came."""

    id: UUID
    member_id: UUID
    member_no: str
    name: str | None
    status: RegistrationStatus
    party: int
    queue_no: int
    offered_until: datetime | None
    fee_points: int
    fee_fen: int
    paid_at: datetime | None
    is_walk_up: bool
    registered_at: datetime
    checked_in_at: datetime | None
    text_status: Annotated[
        TextStatus | None, Field(description="of the text message that the event is cancelled; null: none was meant")
    ]


class SeatsRead(BaseModel):
    """An event's seats, in persons; `offered` are kept for open offers."""

    capacity: int
    seated: int
    offered: int
    free: int
    waiting_parties: int
    waiting_persons: int
    checked_in: int


class QueueDecisionRead(BaseModel):
    """What was decided, when `free` seats were there for a party of `needed`; `own`: about this party itself."""

    kind: DecisionKind
    own: bool
    free: int
    needed: int
    at: datetime
    reason: str | None


class WhyRead(BaseModel):
    """Why a party was promoted, or was not yet.

    `queue` is the event's rule. `blocked_by_bigger`: a party ahead, too big for the free seats, stops a strict list.
    `is_night`: nobody is made an offer just now; `has_begun`: nor will anybody be, staff seat parties at the door.
    `decisions`, oldest first: those about this party, and those by which others, behind it, went ahead of it.
    """

    status: RegistrationStatus
    queue: str
    party: int
    position: int | None
    parties_ahead: int
    persons_ahead: int
    free: int
    blocked_by_bigger: bool
    is_night: bool
    has_begun: bool
    decisions: list[QueueDecisionRead]
