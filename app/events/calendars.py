"""Calendars: an event as a file for a member's own, and a region's days with everybody's events.

What headquarters wrote down of a day goes first, then the published days off and make-up days of the years known;
of other years only weekends are told, and that it is not certain. Lunar festivals are computed.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from uuid import UUID

import chinese_calendar
from icalendar import Calendar, Event
from lunar_python import Solar
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters.models import Dealer
from app.core.actors import Actor
from app.core.catalogue import Language
from app.core.clock import CHINA
from app.core.problems import NotFound
from app.events.calendar_schemas import DayKind, DayRead, HolidaySet
from app.events.gathering_models import Holiday
from app.events.gathering_problems import CalendarTooLong
from app.events.models import ClubEvent
from app.events.queries import visible_to
from app.events.rules import PUBLIC

MOST_DAYS = 366
_FRIDAY = 4


# --- a region's days ---


async def days(session: AsyncSession, first: date, last: date, language: Language) -> list[DayRead]:
    """Each day from `first` to `last`, both within.

    Raises:
        CalendarTooLong: more than a year, or backwards.
    """
    if not 0 <= (last - first).days < MOST_DAYS:
        raise CalendarTooLong(from_day=first, to_day=last)
    own = await holidays(session, first, last)
    by_day = {holiday.day: holiday for holiday in own}
    return [_day(first + timedelta(days=ahead), by_day, language) for ahead in range((last - first).days + 1)]


def _day(day: date, own: Mapping[date, Holiday], language: Language) -> DayRead:
    kind, name, is_certain = _kind(day, own.get(day), language)
    return DayRead(day=day, kind=kind, name=name, is_certain=is_certain, festivals=list(_festivals(day)))


def _kind(day: date, own: Holiday | None, language: Language) -> tuple[DayKind, str | None, bool]:
    if own is not None:
        name = own.name_zh if language is Language.ZH else own.name_en
        return DayKind.HOLIDAY if own.is_day_off else DayKind.MAKE_UP, name, True
    usual = DayKind.WORKDAY if day.weekday() <= _FRIDAY else DayKind.WEEKEND
    try:
        is_off, name = chinese_calendar.get_holiday_detail(day)
    except NotImplementedError:  # of a year whose days off were not published when the library was made
        return usual, None, False
    if name is None:
        return usual, None, True
    if language is Language.ZH:
        name = chinese_calendar.Holiday(name).chinese
    return DayKind.HOLIDAY if is_off else DayKind.MAKE_UP, name, True


def _festivals(day: date) -> Iterator[str]:
    lunar = Solar.fromYmd(day.year, day.month, day.day).getLunar()
    yield from lunar.getFestivals()
    # a solar term, but a festival as well
    if lunar.getJieQi() == "清明":
        yield "清明节"


async def events(
    session: AsyncSession, actor: Actor, first: date, last: date, *, region: str | None
) -> Sequence[ClubEvent]:
    """The events of those days that are public, or the actor's; of a region's chapters and headquarters, by time."""
    begins, ends = (datetime.combine(day, time(), CHINA) for day in (first, last + timedelta(days=1)))
    query = select(ClubEvent).where(
        col(ClubEvent.starts_at) < ends, col(ClubEvent.ends_at) >= begins,
        or_(col(ClubEvent.status).in_(sorted(PUBLIC)), visible_to(actor)),
    )  # fmt: skip
    if region is not None:
        of_region = select(col(Dealer.code)).where(col(Dealer.region_code) == region)
        query = query.where(or_(col(ClubEvent.dealer_code).is_(None), col(ClubEvent.dealer_code).in_(of_region)))
    return (await session.scalars(query.order_by(col(ClubEvent.starts_at), col(ClubEvent.id)))).all()


async def region_of(session: AsyncSession, actor: Actor) -> str | None:
    """The region an actor works in; None for who reaches all."""
    if actor.dealer_code is None:
        return actor.region_code
    found: str | None = await session.scalar(
        select(col(Dealer.region_code)).where(col(Dealer.code) == actor.dealer_code)
    )
    return found


# --- headquarters' own table ---


async def holidays(session: AsyncSession, first: date, last: date) -> Sequence[Holiday]:
    """What headquarters wrote down of these days."""
    query = select(Holiday).where(col(Holiday.day).between(first, last)).order_by(col(Holiday.day))
    return (await session.scalars(query)).all()


async def set_holiday(session: AsyncSession, day: date, body: HolidaySet) -> Holiday:
    """Write down a day off, or one on which one works; what was said of it before is replaced."""
    found = await session.get(Holiday, day) or Holiday(day=day, **body.model_dump())
    for name, value in body.model_dump().items():
        setattr(found, name, value)
    session.add(found)
    await session.flush()
    return found


async def drop_holiday(session: AsyncSession, day: date) -> None:
    """Forget what was written of a day.

    Raises:
        NotFound: nothing was.
    """
    found = await session.get(Holiday, day)
    if found is None:
        raise NotFound("holiday")
    await session.delete(found)
    await session.flush()


# --- a file ---


def file_of(event: ClubEvent, *, now: datetime) -> bytes:
    """An event as an iCalendar file (RFC 5545); taken in again after a change it replaces the first."""
    entry = Event()
    entry.add("uid", f"{event.id}@club")
    entry.add("sequence", event.version)
    entry.add("dtstamp", now)
    entry.add("dtstart", event.starts_at)
    entry.add("dtend", event.ends_at)
    entry.add("summary", event.title)
    entry.add("location", event.place)
    entry.add("description", event.purpose)
    calendar = Calendar()
    calendar.add("prodid", "-//Owner club//Events//EN")
    calendar.add("version", "2.0")
    calendar.add_component(entry)
    return bytes(calendar.to_ical())


async def public_event(session: AsyncSession, event_id: UUID) -> ClubEvent:
    """An event that members may know of.

    Raises:
        NotFound.
    """
    found = await session.get(ClubEvent, event_id)
    if found is None or found.status not in PUBLIC:
        raise NotFound("event")
    return found
