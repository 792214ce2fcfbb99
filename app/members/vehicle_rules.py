"""Mileage, service and claims: pure rules, no I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from app.core.relative_dates import Relative, Unit

# --- mileage ---


@dataclass(frozen=True, slots=True)
class Read:
    """A car's mileage (km) as it was read on a day."""

    read_on: date
    km: int


def drops(readings: Iterable[Read]) -> list[bool]:
    """Which of a car's readings cannot be, given those noted before: a mileage only rises.

    What was noted first stands. A later note contradicts it by fewer km on the same or a later day, or by more km on
    an earlier one.

    Args:
        readings: in the order they were noted.
    """
    stands: list[Read] = []
    found = []
    for reading in readings:
        is_drop = any(_contradict(other, reading) for other in stands)
        found.append(is_drop)
        if not is_drop:
            stands.append(reading)
    return found


def _contradict(first: Read, second: Read) -> bool:
    if second.read_on < first.read_on:
        return second.km > first.km
    return second.km < first.km


# --- service ---


@dataclass(frozen=True, slots=True)
class Interval:
    """How often a model wants service: after so many months or km, whichever comes first; None: not by that."""

    months: int | None
    km: int | None


@dataclass(frozen=True, slots=True)
class Due:
    """When a car's next service is due, by time and by mileage; None: not by that."""

    due_on: date | None
    due_km: int | None
    is_due: bool


def next_service(interval: Interval, last: Read, km: int | None, today: date) -> Due:
    """The service after the last one.

    Args:
        last: the last service, or the car's first day with 0 km.
        km: the car's mileage now, if it is known.
    """
    due_on = Relative(Unit.MONTHS_AHEAD, interval.months).on(last.read_on) if interval.months else None
    due_km = last.km + interval.km if interval.km else None
    by_time = due_on is not None and due_on <= today
    by_mileage = due_km is not None and km is not None and due_km <= km
    return Due(due_on, due_km, by_time or by_mileage)


# --- claims ---


class ClaimStatus(StrEnum):
    """Where a claim stands."""

    ASKED = "asked"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class HandedOver(StrEnum):
    """By whose word a car went to its new owner."""

    OWNER = "owner"
    PAPER = "paper"
    HEADQUARTERS = "headquarters"
    NOBODY = "nobody"


CLAIM_TRANSITIONS: Mapping[ClaimStatus, frozenset[ClaimStatus]] = {
    ClaimStatus.ASKED: frozenset({ClaimStatus.ACCEPTED, ClaimStatus.REFUSED, ClaimStatus.WITHDRAWN}),
    ClaimStatus.ACCEPTED: frozenset(),
    ClaimStatus.REFUSED: frozenset(),
    ClaimStatus.WITHDRAWN: frozenset(),
}
"""A claim is decided once."""
