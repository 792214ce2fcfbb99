"""Incentives at the edge: rules in fen, monthly lists, and lists as files."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from app.chapters.schemas import DealerCode
from app.core.schemas import BusinessDate, Input, Month, Name, Reason
from app.earning.definitions import WHOLE, Code, Definition, RollingMonths, Share, Text
from app.earning.definitions import Example as Points
from app.earning.triggers import Trigger
from app.referrals.incentives_models import LineKind, ListStatus

_NOT_POINTS: dict[str, Any] = {
    "funders": (Share(party="hq", percent=Decimal(WHOLE)),), "expiry": RollingMonths(kind="rolling_months", months=1),
}  # fmt: skip
"""What a rule for points says besides and one for money has no use for."""


class IncentiveTrigger(StrEnum):
    """What is rewarded: a recruit, or a referral success (`event.party` is always `referrer`)."""

    ENROLMENT = Trigger.ENROLMENT.value
    REFERRAL_SUCCESS = Trigger.REFERRAL_SUCCESS.value


class IncentiveExample(Input):
    """An event and the fen the rule has to give for it; fields that are left out are 0, empty or false."""

    fields: dict[str, Any] = Field(description="the event's own", examples=[{"source": "delivery"}])
    member: dict[str, Any] = Field(default_factory=dict)
    dealer: dict[str, Any] = Field(default_factory=dict)
    on: BusinessDate
    fen: Annotated[int, Field(ge=0, le=1_000_000_000, strict=True)]


_Nth = Annotated[int, Field(ge=1, le=100_000, strict=True)]


class Pace(Input):
    """Which of a payee's events of a calendar month a rule pays: counted are those it gives something for, by day.

    So one rule pays the first ten recruits and another, more, those from the eleventh on; or a third nothing unless
    there were twenty, or unless enough of the payee's buyers joined.
    """

    from_nth: _Nth = 1
    to_nth: _Nth | None = Field(default=None, description="the last one that is paid; null: all")
    least_in_month: _Nth | None = Field(default=None, description="none is paid unless there were so many")
    least_joining_percent: Annotated[int, Field(ge=1, le=100, strict=True)] | None = Field(
        default=None,
        description="none is paid unless of the individual cars that the payee delivered in the month so many percent"
        " had joined by its end",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.to_nth is not None and self.to_nth < self.from_nth:
            raise PydanticCustomError("pace_order", "to_nth before from_nth")
        return self


class IncentiveTerms(Input):
    """When a rule pays, and how much."""

    trigger: IncentiveTrigger
    condition: Text = Field(default="true", description="CEL, true or false")
    amount_fen: Text = Field(description="CEL, whole fen for each that is paid", examples=["10000"])
    pace: Pace | None = Field(default=None, description="null: every one is paid")
    valid_from: BusinessDate
    valid_until: BusinessDate | None = Field(default=None, description="last day; null: until further notice")
    examples: Annotated[tuple[IncentiveExample, ...], Field(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise PydanticCustomError("rule_dates", "valid_until before valid_from")
        return self

    @property
    def as_points(self) -> Definition:
        """The same as a rule for points, which is judged and evaluated alike: its points are fen."""
        examples = tuple(
            Points(fields=one.fields, member=one.member, dealer=one.dealer, on=one.on, points=one.fen)
            for one in self.examples
        )
        return Definition(
            trigger=Trigger(self.trigger), condition=self.condition, amount=self.amount_fen, examples=examples,
            valid_from=self.valid_from, valid_until=self.valid_until, **_NOT_POINTS,
        )  # fmt: skip


class IncentiveRuleCreate(Input):
    """A rule of headquarters for chapters, or of a chapter for its staff. All rules that match add up."""

    code: Code
    label_zh: Name
    label_en: Name
    dealer_code: DealerCode | None = Field(
        default=None, description="the chapter that pays its staff; its own staff may leave it out, null: headquarters"
    )
    terms: IncentiveTerms


class Ending(Input):
    """A rule's last day."""

    last_day: BusinessDate | None = Field(default=None, description="today at the earliest, and by default")


class IncentiveRuleRead(BaseModel):
    """A rule; its `version` is the ETag. `terms` are as they were written, `valid_until` is what holds."""

    id: UUID
    code: str
    dealer_code: str | None
    label_zh: str
    label_en: str
    terms: IncentiveTerms
    valid_from: date
    valid_until: date | None
    created_by: str
    created_at: datetime
    version: int


class ListCreate(Input):
    """Asks for a month's list to be drawn up, or drawn up anew."""

    month: Month
    dealer_code: DealerCode | None = Field(
        default=None, description="the chapter that pays; its own staff may leave it out, null: headquarters"
    )


class Paid(Input):
    """A list was paid."""

    reference: Reason = Field(description="of the payment or the payroll")


class PayeeSum(BaseModel):
    """What one payee gets in all; negative: it is to be taken back."""

    payee: str = Field(description="headquarters' lists: a dealer's code; a chapter's: the staff member's account")
    lines: int
    fen: int


class ListSummary(BaseModel):
    """A month's list, as far as one may see it: of headquarters' lists a chapter sees its own lines."""

    id: UUID
    month: Month
    dealer_code: str | None
    status: ListStatus
    fen: int
    unassigned: int = Field(description="events of the month for which nobody is known to be paid")
    drawn_up_by: str
    drawn_up_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    paid_by: str | None
    paid_at: datetime | None
    reference: str | None
    version: int


class ListRead(ListSummary):
    """A list with what each payee gets; its `version` is the ETag."""

    payees: list[PayeeSum]


class LineRead(BaseModel):
    """One line with its reason: the rule, and the inputs it was computed from (forgotten with the member)."""

    line_no: int
    kind: LineKind
    payee: str
    dealer_code: str
    rule: str = Field(description="its code")
    document: str = Field(examples=["enrolment:0198c0de-0000-7000-8000-000000000000"])
    happened_on: date
    fen: int
    inputs: dict[str, Any]
    fault: str | None = Field(description="why the rule has no value for it")
