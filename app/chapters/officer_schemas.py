"""Chapters' officers and targets at the edge."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from app.chapters.rules import Office
from app.core.schemas import BusinessDate, Input, Name, may_be_left_out

PERIOD = r"^2[0-9]{3}(-(0[1-9]|1[0-2]))?$"

Rate = Annotated[
    float,
    Field(ge=0, le=1, allow_inf_nan=False, examples=[0.566], description="a fraction, kept with four decimals"),
    AfterValidator(lambda rate: round(rate, 4)),
]
Count = Annotated[int, Field(ge=0, le=10_000_000)]


class OfficerCreate(Input):
    """Somebody takes an office of a chapter."""

    office: Office
    name: Name
    since: BusinessDate
    until: BusinessDate | None = Field(default=None, description="the last day; null: until further notice")


class OfficerUpdate(Input):
    """What may change on an office held; what is left out stays."""

    name: Name = may_be_left_out()
    since: BusinessDate = may_be_left_out()
    until: BusinessDate | None = Field(default=None, description="the last day; null: until further notice")


class OfficerRead(BaseModel):
    """Who holds an office, from the first to the last day."""

    id: UUID
    dealer_code: str
    office: Office
    name: str
    since: date
    until: date | None
    version: int


class OfficerList(BaseModel):
    """All of them, by first day."""

    items: list[OfficerRead]


class TargetSet(Input):
    """What a chapter is to reach by the end of a period; what is left out or null is not set."""

    members: Count | None = Field(default=None, description="members at the period's end")
    new_members: Count | None = Field(default=None, description="members who join in the period")
    recruitment_rate: Rate | None = None
    joining_rate: Rate | None = None


class TargetRead(BaseModel):
    """A chapter's targets of a month (2026-11) or a year (2026); version 0 while there are none."""

    dealer_code: str
    period: str
    members: int | None
    new_members: int | None
    recruitment_rate: float | None
    joining_rate: float | None
    version: int
