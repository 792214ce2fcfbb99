"""What a delivery must look like, and why a miss is closed: pure, no I/O. Source: domain.md ("Recruitment")."""

import re
from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from app.members.rules import parse_mobile, parse_vin

COLUMNS = ("dealer_code", "vin", "delivered_on", "owner_kind", "owner_name", "phone", "consultant", "model")
OPTIONAL = frozenset({"owner_name", "phone", "consultant", "model"})
"""May be empty; an individual's name may not."""
EARLIEST = date(2000, 1, 1)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LONGEST = 100
_VIN_FAULTS = {
    "vin_format": "is not 17 letters and digits without I, O and Q",
    "vin_repeated": "is one character 17 times",
    "vin_check_digit": "has a wrong check digit at position 9",
}


class OwnerKind(StrEnum):
    """Who a car was delivered to; only individuals can join."""

    INDIVIDUAL = "individual"
    COMPANY = "company"
    GOVERNMENT = "government"


_KINDS = frozenset(OwnerKind)


class MissReason(StrEnum):
    """Why an owner who did not join is left in peace."""

    DECLINED = "declined"
    UNREACHABLE = "unreachable"
    NOT_THE_USER = "not_the_user"
    MOVED_AWAY = "moved_away"
    CAR_SOLD = "car_sold"
    WRONG_DATA = "wrong_data"
    OTHER = "other"


class Delivered(NamedTuple):
    """A delivery as the dealer's system sent it, in stored form; `phone` is an individual's (E.164)."""

    dealer_code: str
    vin: str
    delivered_on: date
    owner_kind: OwnerKind
    owner_name: str | None
    phone: str | None
    consultant: str | None
    model: str | None


def parse_delivery(cells: Sequence[str], today: date) -> Delivered | str:
    """The delivery in a row's cells (in the order of COLUMNS), or what is wrong with it and what would be right."""
    dealer_code, vin, delivered_on, kind, name, phone, consultant, model = (cell.strip() for cell in cells)
    car = parse_vin(vin)
    if isinstance(car, str):
        return f"vin: {vin!r} {_VIN_FAULTS[car]}"
    day = _parse_day(delivered_on, today)
    if isinstance(day, str):
        return day
    if kind not in _KINDS:
        return f"owner_kind: {kind!r} must be one of {', '.join(OwnerKind)}"
    # whoever answers at a company is no owner: that number is not ours to keep
    number = parse_mobile(phone) if kind == OwnerKind.INDIVIDUAL else None
    if kind == OwnerKind.INDIVIDUAL and phone and number is None:
        return "phone: is not a mainland mobile number"
    if fault := _text_fault(OwnerKind(kind), owner_name=name, consultant=consultant, model=model):
        return fault
    return Delivered(
        dealer_code, car.value, day, OwnerKind(kind), name or None, number, consultant or None, model or None
    )


def _text_fault(kind: OwnerKind, **texts: str) -> str | None:
    if kind is OwnerKind.INDIVIDUAL and not texts["owner_name"]:
        return "owner_name: an individual's must be given"
    for column, text in texts.items():
        if len(text) > _LONGEST or not text.isprintable():
            return f"{column}: over {_LONGEST} characters or unprintable"
    return None


def _parse_day(text: str, today: date) -> date | str:
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        return f"delivered_on: {text!r} must be a date such as 2026-10-31"
    if day > today:
        return f"delivered_on: {text} lies in the future"
    return day if day >= EARLIEST else f"delivered_on: {text} lies before {EARLIEST.year}"


def rate(part: int, whole: int) -> float | None:
    """A share as a fraction with four decimals; None of nothing."""
    return round(part / whole, 4) if whole else None
