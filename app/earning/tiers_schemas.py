"""Tiers at the edge."""

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from app.core.schemas import BusinessDate, Input, Name, Reason, may_be_left_out
from app.earning.tiers_models import Measure, TierStep

TierCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$"), Field(examples=["gold"])]
Perks = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
Threshold = Annotated[
    int,
    Field(ge=0, le=10**15, strict=True, description="status points, fen or days of visits; 0: the tier of everybody"),
]
_Months = Annotated[int, Field(ge=1, le=120, strict=True)]
_Days = Annotated[int, Field(ge=0, le=366, strict=True)]


class ProgrammeUpdate(Input):
    """What may change of the programme; what is counted only while it is not active."""

    measure: Measure = may_be_left_out()
    window_months: _Months = may_be_left_out()
    period_months: _Months = may_be_left_out()
    warn_days: _Days = may_be_left_out()
    is_active: bool = may_be_left_out()


class ProgrammeRead(BaseModel):
    """How tiers are won and kept. `window_months` back is counted; a tier is kept to the end of the month it was won
    in and `period_months` more; `warn_days` before that the member is warned. `spend` is in fen.
    """

    measure: Measure
    window_months: int
    period_months: int
    warn_days: int
    is_active: bool
    version: int


class TierCreate(Input):
    """A tier; the higher the threshold, the higher the tier."""

    code: TierCode
    label_zh: Name
    label_en: Name
    perks_zh: Perks | None = None
    perks_en: Perks | None = None
    threshold: Threshold


class TierUpdate(Input):
    """What may change of a tier."""

    label_zh: Name = may_be_left_out()
    label_en: Name = may_be_left_out()
    perks_zh: Perks | None = may_be_left_out()
    perks_en: Perks | None = may_be_left_out()
    threshold: Threshold = may_be_left_out()


class TierRead(BaseModel):
    """A tier, and what its members are told they have of it."""

    code: str
    label_zh: str
    label_en: str
    perks_zh: str | None
    perks_en: str | None
    threshold: int
    version: int


class TierList(BaseModel):
    """The tiers, the lowest first."""

    items: list[TierRead]


class TierSetting(Input):
    """A tier given to a member by hand, or (null) taken."""

    tier: TierCode | None
    held_until: BusinessDate | None = Field(default=None, description="the last day; needed with a tier")
    reason: Reason


class NextTier(BaseModel):
    """The tier above, and how much more of the measure it asks for."""

    tier: TierRead
    missing: int


class Keeping(BaseModel):
    """What it takes to keep the tier: `counts` will still count on its last day, `missing` is wanted besides."""

    held_until: date
    counts: int
    missing: int
    warned_on: date | None


class TierChangeRead(BaseModel):
    """A step of a member's tier; `amount` is what was counted then."""

    kind: TierStep
    from_tier: str | None
    to_tier: str | None
    amount: int | None
    day: date
    held_until: date | None
    reason: str | None
    at: datetime


class StandingRead(BaseModel):
    """Where a member stands: `tier` now, `amount` of the measure in the window up to today.

    All of it but `history` (the latest steps first) is null while the programme is not active.
    """

    measure: Measure | None
    window_months: int | None
    amount: int | None
    tier: TierRead | None
    since: date | None
    keeping: Keeping | None
    next: NextTier | None
    history: list[TierChangeRead]
