"""Days off, make-up days and festivals; neighbours' events; an event as a file."""

from datetime import date

import pytest
from icalendar import Calendar

from app.core.catalogue import Language
from app.events.calendars import _day
from app.events.gathering_models import Holiday
from tests.events.after import After
from tests.events.desk import DAY
from tests.shop import problem


@pytest.mark.parametrize(
    ("day", "kind", "name", "is_certain"),
    [
        ("2026-10-01", "holiday", "国庆节", True),
        ("2026-10-10", "make_up", "国庆节", True),
        ("2026-11-22", "weekend", None, True),
        ("2026-11-23", "workday", None, True),
        ("2031-10-01", "workday", None, False),
        ("2031-10-04", "weekend", None, False),
    ],
)
def test_what_one_does_on_a_day(day: str, kind: str, name: str | None, is_certain: bool) -> None:
    read = _day(date.fromisoformat(day), {}, Language.ZH)
    assert (read.kind, read.name, read.is_certain) == (kind, name, is_certain)


@pytest.mark.parametrize(
    ("day", "festival"),
    [("2026-02-17", "春节"), ("2026-04-05", "清明节"), ("2026-06-19", "端午节"), ("2031-10-01", "中秋节")],
)
def test_lunar_festivals_are_known_for_any_year(day: str, festival: str) -> None:
    assert festival in _day(date.fromisoformat(day), {}, Language.EN).festivals


def test_headquarters_word_goes_first() -> None:
    day = date(2031, 10, 4)
    own = Holiday(day=day, is_day_off=False, name_zh="国庆调休", name_en="Make-up day")
    read = _day(day, {day: own}, Language.EN)
    assert (read.kind, read.name, read.is_certain) == ("make_up", "Make-up day", True)


async def test_a_care_director_sees_neighbours_events_and_own_drafts(after: After) -> None:
    desk = after.desk
    own = await desk.plan(title="自己的草稿")
    far = await desk.published(desk.foreign_director, dealer_code="SH001", title="上海的活动")
    country = await desk.published(desk.hq, dealer_code=None, title="总部的活动")
    day = DAY.date()
    status, shown = await desk.shop.get("/event-calendar", desk.director, **{"from": str(day), "to": str(day)})
    assert (status, shown["region"], [one["day"] for one in shown["days"]]) == (200, "BJ", [str(day)])
    assert {one["id"] for one in shown["events"]} == {own["id"], country["id"]}
    status, shown = await desk.shop.get(
        "/event-calendar", desk.director, **{"from": str(day), "to": str(day), "region": "SH"}
    )
    assert {one["id"] for one in shown["events"]} == {far["id"], country["id"]}
    assert {one["id"] for one in (await desk.shop.get(
        "/event-calendar", desk.hq, **{"from": str(day), "to": str(day)}
    ))[1]["events"]} == {own["id"], far["id"], country["id"]}  # fmt: skip
    for span in (("2026-12-12", "2026-12-11"), ("2026-01-01", "2027-01-02")):
        status, answer = await desk.shop.get("/event-calendar", desk.hq, **dict(zip(("from", "to"), span, strict=True)))
        assert (status, answer["type"]) == (422, "/problems/calendar-too-long")


async def test_headquarters_keeps_the_days_off(after: After) -> None:
    desk, api = after.desk, after.desk.shop.api
    body = {"is_day_off": True, "name_zh": "厂休", "name_en": "Plant holiday"}
    assert (await after.put("/holidays/days/2027-02-09", desk.director, **body))[0] == 403
    assert (await after.put("/holidays/days/2027-02-09", desk.hq, **body))[0] == 200
    status, again = await after.put("/holidays/days/2027-02-09", desk.hq, **body | {"is_day_off": False})
    assert (status, again) == (200, body | {"is_day_off": False, "day": "2027-02-09"})
    assert (await desk.shop.get("/holidays/2027", desk.director))[1] == {"items": [again]}
    assert (await api.call("DELETE", "/holidays/days/2027-02-09", desk.hq)).status_code == 204
    assert problem(await api.call("DELETE", "/holidays/days/2027-02-09", desk.hq)) == (404, "/problems/not-found")


async def test_an_event_as_a_calendar_file(after: After) -> None:
    desk, api = after.desk, after.desk.shop.api
    draft = await desk.plan()
    event = await desk.published()
    member = await after.guests.member()
    path = f"/events/{event['id']}/calendar-file"
    for answer in (
        await api.call("GET", path, desk.director),
        await api.call("GET", f"/members/me{path}", desk.of(member)),
    ):
        assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, "text/calendar")
        (entry,) = Calendar.from_ical(answer.content).walk("VEVENT")
        assert (entry["SUMMARY"], entry["LOCATION"], entry.decoded("DTSTART")) == ("秋日采摘", "平谷", DAY)
        assert str(entry["UID"]) == f"{event['id']}@club"
    hidden = await api.call("GET", f"/members/me/events/{draft['id']}/calendar-file", desk.of(member))
    assert problem(hidden) == (404, "/problems/not-found")
    foreign = await api.call("GET", path, desk.foreign_director)
    assert problem(foreign) == (404, "/problems/not-found")
