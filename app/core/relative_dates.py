"""Dates said by their distance from today: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from app.core.clock import add_months, month_end


class Unit(StrEnum):
    """Ways to say a date by its distance from today."""

    DAYS_AGO = "days_ago"
    MONTHS_AGO = "months_ago"
    DAYS_AHEAD = "days_ahead"
    MONTHS_AHEAD = "months_ahead"


MAX_STEPS: Mapping[str, int] = {
    Unit.DAYS_AGO: 36_500, Unit.DAYS_AHEAD: 36_500, Unit.MONTHS_AGO: 1_200, Unit.MONTHS_AHEAD: 1_200,
}  # fmt: skip
"""How far from today a relative date may lie."""


@dataclass(frozen=True, slots=True)
class Relative:
    """A date that moves with today, so that what was saved stays true."""

    unit: Unit
    steps: int

    def on(self, today: date) -> date:
        """The day meant; a month back from the 31st is the last day of a shorter month."""
        steps = self.steps if self.unit in {Unit.DAYS_AHEAD, Unit.MONTHS_AHEAD} else -self.steps
        if self.unit in {Unit.DAYS_AGO, Unit.DAYS_AHEAD}:
            return today + timedelta(days=steps)
        last = month_end(add_months(today, steps))
        return last.replace(day=min(today.day, last.day))


def relative(unit: object, steps: object) -> Relative | None:
    """The relative date, or None when it is not one."""
    if not isinstance(unit, str) or unit not in MAX_STEPS or type(steps) is not int:
        return None
    return Relative(Unit(unit), steps) if 0 <= steps <= MAX_STEPS[unit] else None
