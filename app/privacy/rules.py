"""Consent and retention: pure rules, no I/O.

Sources: Personal Information Protection Law (PIPL), articles 13-16, 23, 24, 31, 44-47; Regulations on Network Data
Security Management, articles 9-12 and 22-24; Regulations on Recall of Defective Automobiles, article 10.
"""

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple


class Purpose(StrEnum):
    """What a member is asked for. What the membership itself needs rests on its contract and is asked of guardians."""

    MEMBERSHIP = "membership"
    MARKETING = "marketing"
    PROFILING = "profiling"
    PARTNER = "partner"


class Decision(StrEnum):
    """What a member answered."""

    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class Channel(StrEnum):
    """How the answer came."""

    APP = "app"
    MINI_PROGRAM = "mini_program"
    WEB = "web"
    COUNTER = "counter"
    PHONE = "phone"
    PAPER = "paper"


OWN_CHANNELS = frozenset({Channel.APP, Channel.MINI_PROGRAM, Channel.WEB})
"""Those through which a member answers without anybody between."""


class DataKind(StrEnum):
    """What a partner can be given of a member."""

    NAME = "name"
    PHONE = "phone"
    MEMBER_NO = "member_no"
    VEHICLE = "vehicle"
    POINTS = "points"


class Answer(NamedTuple):
    """A member's last word on one purpose."""

    decision: Decision
    version: int
    at: datetime


def stands(last: Answer | None, renewed: int) -> bool:
    """Whether a consent counts: given, and to a text that no later one has renewed (PIPL, article 14).

    Args:
        renewed: the newest version of the purpose's notice that asks everybody anew.
    """
    return last is not None and last.decision is Decision.GIVEN and last.version >= renewed


def may_ask(last: Answer | None, renewed: int, *, now: datetime, quiet: timedelta) -> bool:
    """Whether a member may be asked: who said no is left in peace for `quiet`, whatever is published meanwhile."""
    if last is None:
        return True
    if last.decision is Decision.GIVEN:
        return last.version < renewed
    return now >= last.at + quiet


def years_before(today: date, years: int) -> date:
    """The same day so many years ago; for 29 February the day before, if there is none."""
    try:
        return today.replace(year=today.year - years)
    except ValueError:
        return today.replace(year=today.year - years, day=28)
