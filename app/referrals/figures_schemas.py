"""Referral successes at the edge."""

from pydantic import BaseModel, Field

from app.core.schemas import Month


class Successes(BaseModel):
    """Referred cars delivered."""

    cumulative: int = Field(description="to the month's end")
    month: int = Field(description="in the month")


class ReferralReport(BaseModel):
    """The country and its regions, as far as the caller reaches."""

    month: Month
    national: Successes | None = Field(description="for those who reach everything")
    regions: dict[str, Successes] = Field(description="by region code")


class RegionSuccesses(BaseModel):
    """A region and its dealers, as far as the caller reaches."""

    month: Month
    code: str
    figures: Successes | None = Field(description="the region's; null for a dealer's staff")
    dealers: dict[str, Successes] = Field(description="by dealer code")


class ConsultantSuccesses(Successes):
    """A sales consultant's."""

    consultant: str | None = Field(description="null: leads that nobody had taken on")


class DealerSuccesses(BaseModel):
    """A dealer and its consultants."""

    month: Month
    code: str
    figures: Successes
    consultants: list[ConsultantSuccesses] = Field(description="most successes first; those without are left out")
