"""The end of a chapter: its members and what they wait for go elsewhere, all at once, and nobody joins it any more."""

import asyncio
from datetime import date, timedelta
from itertools import count
from typing import Any

import pytest

from app.core.actors import Role
from app.core.clock import month_end
from app.core.tabular import Row
from app.members.imports import import_members
from app.reports.queries import counted
from app.wiring import verify
from tests.api import Api
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Person, Shop, pointers

_serials = count(800_001)
DAY = "2026-11-21"


async def chapter(shop: Shop, **fields: Any) -> str:
    """A dealer of its own with a chapter that opened in October."""
    code = f"BJ{next(_serials)}"
    body = {"code": code, "region_code": "BJ", "has_after_sales": True}
    assert (await shop.post("/dealers", body, shop.hq))[0] == 201
    opened = {"opened_on": "2026-10-01", "name": "车友会"} | fields
    assert (await shop.post(f"/dealers/{code}/chapter", opened, shop.hq))[0] == 201
    return code


async def close(shop: Shop, code: str, to: str | None, **options: Any) -> tuple[int, Any]:
    body = {"to_dealer_code": to, "reason": "经销商退网"}
    return await shop.post(f"/dealers/{code}/chapter/closing", body, shop.hq, **options)


async def place(shop: Shop, member: Person) -> str | None:
    status, found = await shop.get(f"/members/{member.id}", shop.hq)
    assert status == 200
    dealer: str | None = found["dealer_code"]
    return dealer


async def apply(shop: Shop, code: str) -> dict[str, Any]:
    serial = next(_serials)
    body = {"name": "王芳", "phone": f"137{serial:08d}", "vin": car(serial), "source": "event", "dealer_code": code}
    status, made = await shop.post("/applications", body, shop.hq)
    assert status == 201, made
    return dict(made)


async def read(shop: Shop, path: str) -> Any:
    return (await shop.get(path, shop.hq))[1]


async def test_its_members_go_on_headquarters_roll(api: Api, shop: Shop):
    code = await chapter(shop)
    members = [await shop.member(dealer=code, points=10) for _ in range(3)]
    await shop.post(f"/members/{members[0].id}/status", {"to": "left", "reason": "x"}, shop.hq)
    waiting = await apply(shop, code)
    decided = await apply(shop, code)
    assert (await shop.post(f"/applications/{decided['id']}/refusal", {"reason": "x"}, shop.hq))[0] == 200
    status, closed = await close(shop, code, None)
    assert (status, closed) == (200, {
        "dealer_code": code, "closed_on": DAY, "to_dealer_code": None, "members": 3, "applications": 1, "transfers": 0,
    })  # fmt: skip
    assert [await place(shop, member) for member in members] == [None] * 3
    refused = await read(shop, f"/applications/{waiting['id']}")
    assert (refused["status"], refused["reason"]) == ("refused", "the chapter was closed")
    assert (await read(shop, f"/applications/{decided['id']}"))["reason"] == "x"
    assert await shop.wallet(members[1]) == (10, 0, 0, 0)
    assert (await read(shop, f"/dealers/{code}"))["chapter"] is None
    assert (await shop.get(f"/dealers/{code}/chapter", shop.hq))[0] == 404
    director = api.token(Role.CARE_DIRECTOR, dealer=code)
    assert (await api.call("GET", "/members", director)).json()["items"] == []
    # the row stays for figures of the past
    rows = await shop.pool.fetch("SELECT opened_on::text, closed_on::text FROM chapter WHERE dealer_code = $1", code)
    assert [tuple(row) for row in rows] == [("2026-10-01", DAY)]


async def test_another_chapter_takes_all_over(api: Api, shop: Shop):
    code = await chapter(shop)
    member, waiting = await shop.member(dealer=code), await apply(shop, code)
    status, closed = await close(shop, code, "SH001")
    assert (status, closed["members"], closed["applications"]) == (200, 1, 1)
    assert await place(shop, member) == "SH001"
    director = api.token(Role.CARE_DIRECTOR, dealer="SH001")
    approved = await api.call("POST", f"/applications/{waiting['id']}/approval", director)
    assert (approved.status_code, approved.json()["dealer_code"]) == (200, "SH001")
    trail = "SELECT changes::text FROM audit_event WHERE target_ids @> ARRAY[$1] AND action = 'changed'"
    told = [changes for (changes,) in await shop.pool.fetch(trail, str(member.id))]
    assert f'{{"dealer_code": ["{code}", "SH001"]}}' in told


async def test_transfers_around_it(api: Api, shop: Shop):
    code = await chapter(shop)
    staying = [await shop.member(dealer=code) for _ in range(2)]
    coming = await shop.member()
    asked = {}
    for member, to in ((staying[0], "BJ001"), (staying[1], "SH001"), (coming, code)):
        status, made = await shop.post(
            f"/members/{member.id}/transfers", {"to_dealer_code": to, "reason": "x"}, shop.hq
        )
        assert status == 201, made
        asked[to] = made["id"]
    assert (await close(shop, code, "SH001"))[1]["transfers"] == 2
    ended = {to: await read(shop, f"/transfers/{transfer_id}") for to, transfer_id in asked.items()}
    assert {to: found["status"] for to, found in ended.items()} == {
        "BJ001": "asked", "SH001": "withdrawn", code: "withdrawn",
    }  # fmt: skip
    # the one that goes on begins where the member is now
    assert ended["BJ001"]["from_dealer_code"] == "SH001"
    assert (await shop.post(f"/transfers/{asked['BJ001']}/acceptance", None, shop.director))[0] == 200
    assert [await place(shop, member) for member in (*staying, coming)] == ["BJ001", "SH001", "BJ001"]


async def test_its_offices_end(shop: Shop):
    code = await chapter(shop)
    path = f"/dealers/{code}/chapter/officers"
    for since, until in (("2026-10-01", None), ("2027-01-01", None), ("2026-10-01", "2026-10-31")):
        body = {"office": "activities", "name": "李", "since": since, "until": until}
        assert (await shop.post(path, body, shop.hq))[0] == 201
    assert (await close(shop, code, None))[0] == 200
    rows = await shop.pool.fetch(
        "SELECT since::text, until::text FROM chapter_officer WHERE dealer_code = $1 ORDER BY until", code
    )
    assert list(map(tuple, rows)) == [("2026-10-01", "2026-10-31"), ("2026-10-01", DAY)]


async def test_nobody_joins_it_any_more(api: Api, shop: Shop):
    code = await chapter(shop)
    member = await shop.member()
    assert (await close(shop, code, None))[0] == 200
    serial = next(_serials)
    person = {"name": "王芳", "phone": f"137{serial:08d}", "vin": car(serial), "source": "event", "dealer_code": code}
    for path, body in (
        ("/members", person),
        ("/applications", person),
        (f"/members/{member.id}/transfers", {"to_dealer_code": code, "reason": "x"}),
    ):
        status, problem = await shop.post(path, body, shop.hq)
        assert (status, problem["type"]) == (409, "/problems/no-chapter"), path
    row = Row(2, [code, "王芳", f"137{serial:08d}", car(serial), DAY])
    report, rejections = await import_members(api.db, iter([row]), now=NOW)
    assert (report.refused, rejections[0].reason) == (1, f"dealer {code} has no chapter")
    assert (await shop.get(f"/dealers/{code}/chapter/officers", shop.hq))[0] == 404


async def test_it_has_no_plans_any_more(shop: Shop):
    code = await chapter(shop)
    assert (await close(shop, code, None))[0] == 200
    for month, planned in (("2026-11", True), ("2026-12", False)):
        found = (await shop.get("/recruitment/plan", shop.hq, month=month, limit=200))[1]
        assert (code in [plan["dealer_code"] for plan in found["items"]]) == planned


async def test_what_cannot_be_closed(api: Api, shop: Shop):
    code = await chapter(shop)
    status, problem = await close(shop, code, code)
    assert (status, pointers(problem)) == (422, [("/to_dealer_code", "same_chapter")])
    status, problem = await close(shop, code, "SH999")
    assert (status, pointers(problem)) == (422, [("/to_dealer_code", "unknown_dealer")])
    assert (await close(shop, code, "BJ002"))[1]["type"] == "/problems/no-chapter"
    assert (await close(shop, "BJ002", None))[0] == 404
    assert (await close(shop, "XX999", None))[0] == 404
    body = {"to_dealer_code": None, "reason": "x"}
    assert (await shop.post(f"/dealers/{code}/chapter/closing", body, shop.director))[0] == 403
    # nothing half-done
    assert (await read(shop, f"/dealers/{code}"))["chapter"]["version"] == 1
    first = await close(shop, code, None, key="the-end")
    assert first[0] == 200
    assert await close(shop, code, None, key="the-end") == first
    assert (await close(shop, code, None))[0] == 404


async def test_opened_again(shop: Shop):
    code = await chapter(shop)
    assert (await close(shop, code, None))[0] == 200
    status, problem = await shop.post(f"/dealers/{code}/chapter", {"opened_on": "2026-11-20"}, shop.hq)
    assert (status, pointers(problem)) == (422, [("/opened_on", "date_too_early")])
    async with shop.at(NOW + timedelta(days=9)):
        status, opened = await shop.post(f"/dealers/{code}/chapter", {}, shop.hq)
    assert (status, opened["opened_on"], opened["name"], opened["version"]) == (201, "2026-11-30", "车友会", 3)
    assert (await shop.post(f"/dealers/{code}/chapter", {}, shop.hq))[1]["type"] == "/problems/chapter-exists"
    await shop.member(dealer=code)


async def test_opened_again_it_was_there_before(shop: Shop):
    code = await chapter(shop, opened_on="2026-09-10")
    assert (await close(shop, code, None))[0] == 200
    assert (await shop.post(f"/dealers/{code}/chapter", {"opened_on": DAY}, shop.hq))[0] == 201
    # closed once more on the day it was opened: that was no time
    assert (await close(shop, code, None))[0] == 200
    async with shop.at(NOW + timedelta(days=40)):
        assert (await shop.post(f"/dealers/{code}/chapter", {}, shop.hq))[0] == 201
        there = {}
        for month in ("2026-08", "2026-09", "2026-10", "2026-11", "2026-12"):
            day = month_end(date.fromisoformat(f"{month}-01"))
            places = await counted(shop.pool, day.replace(day=1), day)
            there[month] = next(place.has_chapter for place in places if place.dealer_code == code)
    assert there == {"2026-08": False, "2026-09": True, "2026-10": True, "2026-11": False, "2026-12": True}


async def test_who_joins_at_this_moment_is_moved_or_refused(shop: Shop):
    code = await chapter(shop)

    async def join() -> int:
        serial = next(_serials)
        body = {"name": "王芳", "phone": f"137{serial:08d}", "vin": car(serial), "source": "event"}
        return (await shop.post("/members", body | {"dealer_code": code}, shop.hq))[0]

    joined = [asyncio.create_task(join()) for _ in range(12)]
    await asyncio.sleep(0.05)
    assert (await close(shop, code, None))[0] == 200
    assert set(await asyncio.gather(*joined)) <= {201, 409}
    assert await shop.pool.fetchval("SELECT count(*) FROM member WHERE dealer_code = $1", code) == 0


async def test_two_that_take_each_other_over(shop: Shop):
    one, other = await chapter(shop), await chapter(shop)
    answers = await asyncio.gather(close(shop, one, other), close(shop, other, one))
    assert sorted(status for status, _ in answers) == [200, 409]


@pytest.mark.usefixtures("shop")
async def test_the_books_agree(dsn: str):
    names = ("members-have-places", "closed-chapters-are-empty")
    assert [rows for check, rows in await verify(dsn) if check.name in names] == [[], []]
