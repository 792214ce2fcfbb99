"""Abuse signals at the edge."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from app.core.schemas import Input, Reason
from app.members.schemas import Phone
from app.reports.signals_models import SignalKind, SignalStatus


class Verdict(StrEnum):
    """What headquarters makes of a signal."""

    CLEARED = SignalStatus.CLEARED.value
    CONFIRMED = SignalStatus.CONFIRMED.value


class Judgement(Input):
    """What a signal came to, and why."""

    status: Verdict
    reason: Reason


class SignalRead(BaseModel):
    """What looks like abuse, with its figures; its `version` is the ETag."""

    id: UUID
    kind: SignalKind
    reason: str = Field(description="what was found, in the reader's language")
    dealer_code: str | None
    member_ids: list[UUID]
    facts: dict[str, Any] = Field(description="the figures of the reason, and documents to look up")
    status: SignalStatus
    found_at: datetime
    seen_at: datetime = Field(description="when it was last found")
    decided_at: datetime | None
    decided_by: str | None
    decision: str | None
    version: int


class StaffPhones(Input):
    """Mobile numbers of somebody with an account; they replace those known before."""

    phones: Annotated[list[Phone], Field(max_length=5)]


class StaffPhonesRead(BaseModel):
    """The numbers are compared, and shown to nobody."""

    count: int
