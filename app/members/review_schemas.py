"""Duplicates and verification calls at the edge."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from app.audit import unmaskings
from app.core.actors import Actor, Right
from app.core.schemas import BusinessDate, Input, Line, Reason
from app.members.calls import Called
from app.members.consent_rules import Use
from app.members.review_models import Duplicate, DuplicateKind, Outcome
from app.members.rules import masked_phone
from app.members.schemas import MemberRead, may_unmask


class Dismissal(Input):
    """Why two members are two persons."""

    reason: Reason


class DuplicateRead(BaseModel):
    """Two members who may be one person. By VIN or phone they are almost surely; by name and plate ask."""

    id: UUID
    kind: DuplicateKind = Field(
        description="vin: one car at different times under one name; phone: one number under two data keys"
    )
    members: list[MemberRead]
    found_at: datetime
    dismissed_at: datetime | None
    dismissed_by: str | None
    reason: str | None


def duplicate_read(pair: Duplicate, members: list[MemberRead]) -> DuplicateRead:
    """A pair with its members as the actor may see them."""
    return DuplicateRead(**dict(pair), members=members)


class CallCreate(Input):
    """Somebody is to call a member."""

    member_id: UUID
    question: Reason
    assigned_to: Annotated[Line, StringConstraints(max_length=64)] = Field(
        description="the account of one who may call: of the member's chapter, or of headquarters"
    )
    due_on: BusinessDate | None = None
    use: Use | None = Field(
        default=None, description="what else the call is for: refused when the member's consent does not allow it"
    )


class CallClosing(Input):
    """What a call came to. What is to be corrected is corrected on the member itself."""

    outcome: Outcome
    answer: Reason | None = None


class CallRead(BaseModel):
    """A call to make, or made. Who is to make it sees the whole phone number until it is closed."""

    id: UUID
    member_id: UUID
    member_no: str
    member_name: str
    phone: str
    question: str
    assigned_to: str
    due_on: date | None
    asked_by: str
    asked_at: datetime
    use: Use | None
    outcome: Outcome | None
    answer: str | None
    closed_by: str | None
    closed_at: datetime | None


def call_read(actor: Actor, called: Called) -> CallRead:
    """A call as the actor may see it."""
    call, member = called
    is_caller = call.outcome is None and call.assigned_to == actor.subject and actor.may(Right.MEMBERS_CARE)
    phone = member.phone or ""
    if is_caller or may_unmask(actor, member.dealer_code):
        unmaskings.note("member", member.id)
    else:
        phone = masked_phone(phone)
    return CallRead(**dict(call), member_no=member.member_no, member_name=member.name, phone=phone)
