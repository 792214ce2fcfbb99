"""A rule as it is written: what it asks, gives, and who pays. Frozen; how it is judged is `checks`. docs/rules.md."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from app.core.schemas import BusinessDate, Input
from app.earning.checking import LONGEST
from app.earning.triggers import Trigger

Text = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{1,39}$"), Field(examples=["orders"])]
Points = Annotated[int, Field(ge=1, le=1_000_000_000, strict=True)]
Months = Annotated[int, Field(ge=1, le=120, strict=True)]
Days = Annotated[int, Field(ge=1, le=3_660, strict=True)]
Percent = Annotated[
    Decimal, Field(gt=0, le=100, decimal_places=2, examples=["33.33"]), PlainSerializer(str, return_type=str)
]
Party = Annotated[
    str,
    StringConstraints(pattern=r"^(hq|dealer|partner:[A-Z0-9_-]{2,32})$"),
    Field(description="`hq`, the `dealer` where it was earned, or `partner:CODE`", examples=["hq"]),
]
WHOLE = Decimal(100)


class Part(Input):
    """A part of a definition: compared by what it says."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Share(Part):
    """Who pays which part of the points; each share is a lot of its own."""

    party: Party
    percent: Percent


def _whole(shares: tuple[Share, ...]) -> tuple[Share, ...]:
    # none at all are 0 %: pydantic's own least length would be broken as well by each share that has a fault
    total = sum(share.percent for share in shares)
    if total != WHOLE:
        raise PydanticCustomError("rule_shares", "shares add to {total} %", {"total": str(total)})
    if len({share.party for share in shares}) < len(shares):
        raise PydanticCustomError("rule_funder_repeated", "each funder once")
    return shares


Shares = Annotated[tuple[Share, ...], Field(max_length=10), AfterValidator(_whole)]
"""Who pays which part, adding to exactly 100 %."""


class AtOnce(Part):
    """Spendable on the business date."""

    kind: Literal["at_once"] = "at_once"


class AfterDays(Part):
    """Spendable so many days after the business date."""

    kind: Literal["days"]
    days: Days


class UntilEvent(Part):
    """Spendable when a custom event of this name comes for the same document, or after so many days at the latest."""

    kind: Literal["until_event"]
    event: Code
    at_most_days: Days


class RollingMonths(Part):
    """Until the end of the month so many months after that of the business date."""

    kind: Literal["rolling_months"]
    months: Months


class FixedDate(Part):
    """Until a day, the same for all."""

    kind: Literal["fixed_date"]
    on: BusinessDate


class ByActivity(Part):
    """Until so many months, to the end of the last, have passed without another earning of the member."""

    kind: Literal["activity"]
    months: Months


def _as_sent(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(value)
    except ValidationError as error:
        # pydantic counts the kind as a step of the way to the fault, which is nowhere in what was sent
        faults = [
            InitErrorDetails(type=fault["type"], loc=fault["loc"][1:], input=fault["input"], ctx=fault.get("ctx", {}))
            for fault in error.errors()
        ]
        raise ValidationError.from_exception_data(error.title, faults) from None


Pending = Annotated[AtOnce | AfterDays | UntilEvent, Field(discriminator="kind"), WrapValidator(_as_sent)]
Expiry = Annotated[RollingMonths | FixedDate | ByActivity, Field(discriminator="kind"), WrapValidator(_as_sent)]


class Caps(Part):
    """The most points this rule gives; null does not limit. Days, months and years are China's."""

    per_order: Points | None = None
    per_member_day: Points | None = None
    per_member_month: Points | None = None
    per_member_year: Points | None = None


class Mode(StrEnum):
    """Which rule of a group gives: that which gives the member most, or the one of the highest priority."""

    BEST = "best"
    PRIORITY = "priority"


class Stacking(Part):
    """Of a group's rules that match, one gives. A higher `priority` goes first, and decides among equals for best.

    A group is headquarters' or a chapter's: neither joins the other's, so no chapter outbids headquarters.
    """

    group: Code
    mode: Mode
    priority: Annotated[int, Field(ge=0, le=1_000, strict=True)] = 0


class Example(Part):
    """An event and the points the rule has to give for it; fields that are left out are 0, empty or false.

    Of a multiplier, `points` is what 100 points become.
    """

    fields: dict[str, Any] = Field(description="the event's own", examples=[{"kind": "repair", "paid_fen": 12_345}])
    member: dict[str, Any] = Field(default_factory=dict, examples=[{"months": 14}])
    dealer: dict[str, Any] = Field(default_factory=dict, examples=[{"code": "BJ001", "region": "BJ"}])
    on: BusinessDate
    points: Annotated[int, Field(ge=0, le=1_000_000_000, strict=True)]


class Definition(Part):
    """A rule: which events it answers, how many points it gives for one, who pays, how long they live."""

    trigger: Trigger
    condition: Text = Field(default="true", description="CEL, true or false")
    amount: Text | None = Field(default=None, description="CEL, whole points", examples=["event.paid_fen / 100"])
    factor_percent: Annotated[int, Field(ge=101, le=1_000, strict=True)] | None = Field(
        default=None, description="in place of `amount`: raises what the other rule of its group gives to so much"
    )
    status_amount: Text | None = Field(default=None, description="CEL, status points for tiers")
    funders: Shares
    pending: Pending = AtOnce()
    expiry: Expiry
    caps: Caps = Caps()
    budgets: Annotated[tuple[Code, ...], Field(max_length=10)] = ()
    stacking: Stacking | None = Field(default=None, description="null: adds to whatever else is given")
    audience: UUID | None = Field(default=None, description="a segment; null: every member")
    hold_for_review: Text | None = Field(default=None, description="CEL, true: headquarters looks at it first")
    valid_from: BusinessDate
    valid_until: BusinessDate | None = Field(default=None, description="last day; null: until further notice")
    examples: Annotated[tuple[Example, ...], Field(max_length=50)] = ()

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.amount is None) == (self.factor_percent is None):
            raise PydanticCustomError("rule_amount_or_factor", "either amount or factor_percent")
        if self.factor_percent is not None and self.stacking is None:
            raise PydanticCustomError("rule_factor_alone", "a multiplier needs a group")
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise PydanticCustomError("rule_dates", "valid_until before valid_from")
        return self

    def is_valid_on(self, day: date) -> bool:
        """Whether events of a day fall under the rule."""
        return self.valid_from <= day and (self.valid_until is None or day <= self.valid_until)


def stored(definition: Definition) -> dict[str, Any]:
    """A definition as it is kept: JSON, with everything that was left out filled in."""
    return definition.model_dump(mode="json")


def clash(one: Definition, other: Definition) -> str | None:
    """Why two rules of one owner cannot stand in a group together: as a fault's code, None when they can."""
    if one.stacking is None or other.stacking is None or one.stacking.group != other.stacking.group:
        return None
    if one.stacking.mode is not other.stacking.mode:
        return "rule_group_mode"
    return "rule_overlaps" if _overlap(one, other) else None


def _overlap(one: Definition, other: Definition) -> bool:
    """Whether it is open which of a group's rules goes first: same priority, trigger and kind, common days."""
    a, b = one.stacking, other.stacking
    assert a is not None
    assert b is not None
    if a.priority != b.priority or one.trigger is not other.trigger:
        return False
    if (one.factor_percent is None) != (other.factor_percent is None):
        return False
    later, earlier = max(one.valid_from, other.valid_from), _earliest(one.valid_until, other.valid_until)
    return earlier is None or later <= earlier


def _earliest(*days: date | None) -> date | None:
    return min((day for day in days if day is not None), default=None)
