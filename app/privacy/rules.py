"""Provision and retention: pure rules, no I/O.

Sources: Personal Information Protection Law (PIPL), articles 23, 44-47; Regulations on Network Data Security
Management, articles 9-12 and 22-24; Regulations on Recall of Defective Automobiles, article 10.
"""

from datetime import date
from enum import StrEnum


class DataKind(StrEnum):
    """What a partner can be given of a member."""

    NAME = "name"
    PHONE = "phone"
    MEMBER_NO = "member_no"
    VEHICLE = "vehicle"
    POINTS = "points"


def years_before(today: date, years: int) -> date:
    """The same day so many years ago; for 29 February the day before, if there is none."""
    try:
        return today.replace(year=today.year - years)
    except ValueError:
        return today.replace(year=today.year - years, day=28)
