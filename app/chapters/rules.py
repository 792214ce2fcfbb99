"""What a dealer code is, and a chapter's offices: pure, no I/O."""

import re
from datetime import date
from enum import StrEnum

_DEALER_CODE = re.compile(r"(?=.*[A-Z])(?=.*[0-9])[A-Z0-9]{2,16}")


def is_dealer_code(text: str) -> bool:
    """Capital letters and digits, some of each (BJ001); so it never reads as headquarters' own code."""
    return _DEALER_CODE.fullmatch(text) is not None


class Office(StrEnum):
    """What an officer does for a chapter."""

    PRESIDENT = "president"
    VICE_PRESIDENT = "vice_president"
    SECRETARY = "secretary"
    TREASURER = "treasurer"
    ACTIVITIES = "activities"


HELD_BY_ONE = frozenset({Office.PRESIDENT, Office.SECRETARY, Office.TREASURER})
"""Offices with one holder at a time; the others may have several."""


def overlap(since: date, until: date | None, other_since: date, other_until: date | None) -> bool:
    """Whether two stretches share a day; last days are inclusive, None is open-ended."""
    return (until is None or other_since <= until) and (other_until is None or since <= other_until)
