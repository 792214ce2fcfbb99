"""The network's figures (domain.md, "Figures with a fixed formula"): pure, from counts.

A sum's rates come from its summed counts: rates are never averaged.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted of a dealer at a month's end, or the sum over several.

    `owners` are individual owners of dealers that have a chapter, `covered` the chapters of dealers with full
    after-sales capability, `delivered` the month's cars of individuals, `joined` those of them whose owner joined.
    """

    members: int = 0
    applying: int = 0
    owners: int = 0
    chapters: int = 0
    covered: int = 0
    dealers_after_sales: int = 0
    new_members: int = 0
    delivered: int = 0
    joined: int = 0

    @property
    def recruitment_rate(self) -> float | None:
        """(Members + applications still open) ÷ individual owners of the dealers that have a chapter."""
        return share(self.members + self.applying, self.owners)

    @property
    def joining_rate(self) -> float | None:
        """Individual cars delivered in the month whose owner joined ÷ individual cars delivered in the month."""
        return share(self.joined, self.delivered)

    @property
    def coverage(self) -> float | None:
        """Chapters ÷ dealers with full after-sales capability; sales-only dealers count on neither side."""
        return share(self.covered, self.dealers_after_sales)


def share(part: int, whole: int) -> float | None:
    """A share as a fraction with four decimals, half up; None of nothing."""
    return (20_000 * part + whole) // (2 * whole) / 10_000 if whole else None


def total(counts: Iterable[Counts]) -> Counts:
    """The sum, field by field."""
    columns = zip(*map(astuple, counts), strict=True)
    return Counts(*map(sum, columns))


class Measure(StrEnum):
    """What places are ranked by, highest first."""

    RECRUITMENT_RATE = "recruitment_rate"
    JOINING_RATE = "joining_rate"
    COVERAGE = "coverage"
    NEW_MEMBERS = "new_members"
    MEMBERS = "members"


class Ranked(NamedTuple):
    """A place's rank and its name in a list; without a rank: there is nothing to measure."""

    rank: int | None
    code: str


def ranked(places: Iterable[tuple[str, Counts]], by: Measure) -> list[Ranked]:
    """Places by rank, then by code. Equals share a rank (1, 2, 2, 4); those without the figure come last."""
    measured = sorted(((_value(counts, by), code) for code, counts in places), key=lambda one: (-one[0], one[1]))
    values = [value for value, _ in measured]
    return [Ranked(values.index(value) + 1 if value >= 0 else None, code) for value, code in measured]


def _value(counts: Counts, by: Measure) -> float:
    value: float | None = getattr(counts, by.value)
    return -1 if value is None else value
