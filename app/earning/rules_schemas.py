"""Rules, their versions and frames at the edge."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from app.chapters.schemas import DealerCode
from app.core.schemas import BusinessDate, Input, Month, Name, may_be_left_out
from app.earning.definitions import Code, Definition, Months, Points
from app.earning.rules_models import RuleStatus
from app.earning.triggers import Kind, Trigger, Value
from app.earning.whatif import DraftRule


class RuleCreate(Input):
    """A rule and its first draft."""

    code: Code
    label_zh: Name
    label_en: Name
    dealer_code: DealerCode | None = Field(
        default=None, description="the chapter whose rule it is; dealer staff may leave it out, null is headquarters"
    )
    definition: Definition


class RuleUpdate(Input):
    """What may change on a rule; a `definition` becomes its draft."""

    label_zh: Name = may_be_left_out()
    label_en: Name = may_be_left_out()
    definition: Definition = may_be_left_out()


class Retirement(Input):
    """A rule's end."""

    last_day: BusinessDate | None = Field(
        default=None, description="events after this day earn nothing by the rule any more; today by default"
    )


class WhatIfAsk(Input):
    """Drafts to be tried on a month that happened."""

    month: Month
    dealer_code: DealerCode | None = Field(
        default=None,
        description="a chapter: its drafts beside headquarters' rules in force, on what happened there; dealer staff "
        "may leave it out. null: the whole programme, everywhere",
    )
    rules: Annotated[list[DraftRule], Field(min_length=1, max_length=50)]


class VersionRead(BaseModel):
    """What a rule says. `no` is the number that earnings name; what is retired still holds up to `valid_until`."""

    no: int
    version: int
    status: RuleStatus
    definition: Definition
    valid_from: date
    valid_until: date | None
    published_at: datetime | None
    published_by: str | None
    retired_at: datetime | None
    retired_by: str | None


class RuleRead(BaseModel):
    """A rule with its draft and its latest published version; its `version` is the ETag."""

    id: UUID
    code: str
    dealer_code: str | None
    label_zh: str
    label_en: str
    created_by: str
    created_at: datetime
    version: int
    draft: VersionRead | None
    published: VersionRead | None


Triggers = Annotated[list[Trigger], Field(min_length=1, max_length=len(Trigger))]


class FrameBounds(Input):
    """What rules of chapters may do."""

    triggers: Triggers
    most_points_an_award: Points
    most_points_a_member_month: Points
    most_expiry_months: Months
    is_self_funded: bool = Field(default=True, description="no share may be headquarters'")
    budget: Code | None = Field(default=None, description="a budget on which each of the rules has to draw")


class FrameCreate(FrameBounds):
    """A frame for all chapters, or for one, whose own goes before the general one."""

    dealer_code: DealerCode | None = None


class FrameUpdate(Input):
    """What may change of a frame; rules that are published already stay as they are."""

    triggers: Triggers = may_be_left_out()
    most_points_an_award: Points = may_be_left_out()
    most_points_a_member_month: Points = may_be_left_out()
    most_expiry_months: Months = may_be_left_out()
    is_self_funded: bool = may_be_left_out()
    budget: Code | None = None


class FrameRead(BaseModel):
    """A frame."""

    id: UUID
    dealer_code: str | None
    triggers: list[Trigger]
    most_points_an_award: int
    most_points_a_member_month: int
    most_expiry_months: int
    is_self_funded: bool
    budget: str | None
    version: int


class RuleFieldRead(BaseModel):
    """A field that expressions may name; `default` is what holds when it is not known, null: it is always known."""

    name: str = Field(examples=["event.paid_fen"])
    kind: Kind
    label: str
    default: Value | None


class TriggerRead(BaseModel):
    """What may earn points, and what its rules may ask."""

    trigger: Trigger
    label: str
    fields: list[RuleFieldRead]


class TriggerList(BaseModel):
    """All of them."""

    items: list[TriggerRead]
