"""Calendars over HTTP: a region's days and events, headquarters' days off, an event as a file."""

from datetime import date, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response

from app.core.actors import Actor, Right
from app.core.clock import china_date
from app.core.http import GUARDED, Now, Requires, Session, Speaks, documented
from app.core.problems import NotFound
from app.core.schemas import BusinessDate
from app.events import calendars, life
from app.events.calendar_schemas import CalendarRead, HolidayList, HolidayRead, HolidaySet
from app.events.gathering_problems import CalendarTooLong
from app.events.models import ClubEvent
from app.events.schemas import EventSummary, Year

router = APIRouter(tags=["calendar"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.EVENTS_READ))]
Keeper = Annotated[Actor, Depends(Requires(Right.NETWORK_WRITE))]
Member = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]
Day = Annotated[BusinessDate, Path(examples=["2027-02-06"])]

ICS = "text/calendar"
_MONTH = timedelta(days=30)
FILE: dict[int | str, Any] = {200: {"content": {ICS: {"schema": {"type": "string", "format": "binary"}}}}}


@router.get("/event-calendar", responses=documented(CalendarTooLong))
async def event_calendar_get(
    actor: Reader,
    session: Session,
    language: Speaks,
    now: Now,
    first: Annotated[BusinessDate | None, Query(alias="from", description="first day; without it today")] = None,
    last: Annotated[BusinessDate | None, Query(alias="to", description="last day; without it a month later")] = None,
    region: Annotated[
        str | None, Query(max_length=16, description="without it one's own; all, for who has none")
    ] = None,
) -> CalendarRead:
    """Days with holidays, make-up days and lunar festivals, and the events of a region's chapters and headquarters."""
    first = first or china_date(now)
    last = last or first + _MONTH
    shown = region or await calendars.region_of(session, actor)
    days = await calendars.days(session, first, last, language)
    events = await calendars.events(session, actor, first, last, region=shown)
    found = [EventSummary.model_validate(event, from_attributes=True) for event in events]
    return CalendarRead(region=shown, days=days, events=found)


@router.get("/holidays/{year}")
async def holidays_list(year: Annotated[Year, Path(examples=[2027])], actor: Reader, session: Session) -> HolidayList:
    """What headquarters wrote down of a year's days."""
    found = await calendars.holidays(session, date(year, 1, 1), date(year, 12, 31))
    return HolidayList(items=[HolidayRead.model_validate(one, from_attributes=True) for one in found])


@router.put("/holidays/days/{day}")
async def holidays_set(day: Day, body: HolidaySet, actor: Keeper, session: Session) -> HolidayRead:
    """Say that a day is off, or that one works on it; this goes before what the calendar knows by itself."""
    return HolidayRead.model_validate(await calendars.set_holiday(session, day, body), from_attributes=True)


@router.delete("/holidays/days/{day}", status_code=204, responses=documented(NotFound))
async def holidays_drop(day: Day, actor: Keeper, session: Session) -> None:
    """Forget what was said of a day."""
    await calendars.drop_holiday(session, day)


@router.get("/events/{event_id}/calendar-file", response_class=Response, responses=documented(NotFound) | FILE)
async def events_calendar_file(event_id: UUID, actor: Reader, session: Session, now: Now) -> Response:
    """An event for one's own calendar."""
    return _file(await life.event_of(session, actor, event_id), now)


@router.get(
    "/members/me/events/{event_id}/calendar-file", response_class=Response, responses=documented(NotFound) | FILE
)
async def my_events_calendar_file(event_id: UUID, actor: Member, session: Session, now: Now) -> Response:
    """An event for my calendar; taken in again, it replaces the one before."""
    return _file(await calendars.public_event(session, event_id), now)


def _file(event: ClubEvent, now: Now) -> Response:
    disposition = {"Content-Disposition": f'attachment; filename="event-{event.id}.ics"'}
    return Response(calendars.file_of(event, now=now), media_type=ICS, headers=disposition)
