"""Recruitment's figures at the edge. Rates are fractions with four decimals, null of nothing."""

from datetime import date

from pydantic import BaseModel, Field

from app.core.schemas import Input, Month
from app.members.rules import Source


class PlanSet(Input):
    """A chapter's plan of a month."""

    target: int = Field(ge=0, lt=1_000_000, strict=True, description="members to recruit")


class PlanRead(BaseModel):
    """A chapter's plan; `version` 0: none yet."""

    dealer_code: str
    month: Month
    target: int | None
    version: int


class PlanProgress(PlanRead):
    """How far a chapter is: its recruits, where they came from, and the cars its dealer delivered to individuals."""

    recruited: int = Field(description="members who joined the chapter in the month")
    by_source: dict[Source, int]
    delivered: int
    joined: int = Field(description="of those delivered, cars whose owner is a member by now")
    joining_rate: float | None


class ConsultantRead(BaseModel):
    """A sales consultant's month, by the cars delivered in it to individuals."""

    rank: int = Field(description="by joining rate, then by owners joined; equals share a rank")
    dealer_code: str
    consultant: str | None = Field(description="null: deliveries without one")
    delivered: int
    joined: int
    joining_rate: float
    open_misses: int
    closed_misses: int


class ApplicationsAge(BaseModel):
    """A chapter's open applications by days since they were made."""

    dealer_code: str
    open: int
    oldest_on: date = Field(description="China date")
    oldest_days: int
    up_to_3_days: int
    up_to_7_days: int
    up_to_30_days: int
    over_30_days: int
