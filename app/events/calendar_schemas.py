"""Calendars at the edge."""

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field

from app.core.schemas import Input, Name
from app.events.schemas import EventSummary


class DayKind(StrEnum):
    """What one does on a day; a make-up day is a Saturday or Sunday on which one works for a holiday."""

    WORKDAY = "workday"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"
    MAKE_UP = "make_up"


class DayRead(BaseModel):
    """A day. `is_certain` is false in years whose days off are not known: then only its weekday is told."""

    day: date
    kind: DayKind
    name: str | None
    is_certain: bool
    festivals: Annotated[list[str], Field(description="lunar festivals, in Chinese")]


class CalendarRead(BaseModel):
    """A region's days (null: everybody's), and its chapters' and headquarters' events on them."""

    region: str | None
    days: list[DayRead]
    events: list[EventSummary]


class HolidaySet(Input):
    """What headquarters says of a day."""

    is_day_off: Annotated[bool, Field(description="false: a make-up day, on which one works")]
    name_zh: Name
    name_en: Name


class HolidayRead(HolidaySet):
    """What headquarters said of a day."""

    day: date


class HolidayList(BaseModel):
    """By day."""

    items: list[HolidayRead]
