"""Reports at the edge. Rates are fractions with four decimals, null of nothing."""

from datetime import date, datetime
from typing import Self

from pydantic import BaseModel, Field

from app.core.schemas import Month
from app.reports.rules import Counts


class Figures(BaseModel):
    """A place's figures at a month's end (domain.md, "Figures with a fixed formula")."""

    members: int
    applying: int = Field(description="applications still open")
    owners: int = Field(description="individual owners of the dealers that have a chapter")
    recruitment_rate: float | None = Field(description="(members + applying) ÷ owners")
    joining_rate: float | None = Field(description="of the month's individual cars, those whose owner joined")
    chapters: int
    dealers_after_sales: int = Field(description="dealers with full after-sales capability")
    coverage: float | None = Field(description="chapters ÷ dealers_after_sales; sales-only dealers do not count")
    new_members: int = Field(description="who joined in the month")

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """From counts, which the rates are computed from."""
        return cls(**_figures(counts))


def _figures(counts: Counts) -> dict[str, int | float | None]:
    return {name: getattr(counts, name) for name in Figures.model_fields}


class AsOf(BaseModel):
    """Which day's end figures are of: the month's last, or today while it lasts; and when they were frozen, if so."""

    month: Month
    as_of: date
    frozen_at: datetime | None = Field(description="null: computed anew from what is on record now")


class NetworkRead(AsOf):
    """The country and its regions, as far as the caller reaches."""

    national: Figures | None = Field(description="headquarters' own roll included; for those who reach everything")
    regions: dict[str, Figures] = Field(description="by region code")


class RegionReport(AsOf):
    """A region and its dealers, as far as the caller reaches."""

    code: str
    name: str
    figures: Figures | None = Field(description="the region's; null for a dealer's staff")
    dealers: dict[str, Figures] = Field(description="by dealer code")


class RankedRead(Figures):
    """A place's rank in the whole country, or among its region's dealers if one was asked for; and its figures."""

    rank: int | None = Field(description="equals share a rank; null: there is nothing to measure")
    code: str
    name: str | None

    @classmethod
    def at(cls, rank: int | None, code: str, name: str | None, counts: Counts) -> Self:
        """A ranked place."""
        return cls(rank=rank, code=code, name=name, **_figures(counts))
