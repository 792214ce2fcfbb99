"""Consent: pure rules, no I/O. Source: Personal Information Protection Law (PIPL), articles 13-16, 23, 24 and 31."""

from datetime import datetime, timedelta
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


class Use(StrEnum):
    """What members are chosen for: to be written to by their consent, or to be asked for it."""

    MARKETING = "marketing"
    PROFILING = "profiling"
    ASK_MARKETING = "ask_marketing"
    ASK_PROFILING = "ask_profiling"

    @property
    def asks(self) -> bool:
        """Whether it is to ask for consent."""
        return self.value.startswith("ask_")

    @property
    def purpose(self) -> Purpose:
        """The purpose of the consent."""
        return Purpose(self.value.removeprefix("ask_"))


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
