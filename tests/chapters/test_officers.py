"""Chapters' officers, in office from day to day, and their targets."""

import asyncio
from datetime import date
from typing import Any

import pytest

from app.chapters.rules import overlap
from app.core.actors import Role
from tests.api import Api
from tests.shop import Shop, pointers

OFFICERS = "/dealers/BJ001/chapter/officers"
TARGETS = "/dealers/BJ001/chapter/targets"


async def appoint(shop: Shop, office: str, since: str, until: str | None = None, name: str = "李") -> tuple[int, Any]:
    return await shop.post(OFFICERS, {"office": office, "name": name, "since": since, "until": until}, shop.director)


async def holders(shop: Shop, **when: Any) -> list[str]:
    status, found = await shop.get(OFFICERS, shop.director, **when)
    assert status == 200
    return [f"{officer['office']} {officer['name']}" for officer in found["items"]]


def test_stretches_share_a_day() -> None:
    days = [date(2026, 1, day) for day in range(1, 5)]
    assert overlap(days[0], days[1], days[1], None)
    assert overlap(days[1], None, days[0], days[1])
    assert not overlap(days[0], days[1], days[2], None)
    assert not overlap(days[2], None, days[0], days[1])
    assert overlap(days[0], None, days[3], None)


async def test_offices_are_held_from_day_to_day(shop: Shop):
    assert (await appoint(shop, "president", "2026-01-01", "2026-06-30", "王"))[0] == 201
    assert (await appoint(shop, "president", "2026-07-01", None, "赵"))[0] == 201
    assert (await appoint(shop, "vice_president", "2026-01-01", None, "钱"))[0] == 201
    assert (await appoint(shop, "vice_president", "2026-01-01", None, "孙"))[0] == 201
    assert await holders(shop) == ["vice_president 钱", "vice_president 孙", "president 赵"]
    assert (await holders(shop, on="2026-06-30"))[0] == "president 王"
    assert len(await holders(shop, ever=True)) == 4
    status, problem = await appoint(shop, "president", "2027-01-01")
    assert (status, problem["type"]) == (409, "/problems/office-taken")
    status, problem = await appoint(shop, "treasurer", "2026-02-01", "2026-01-31")
    assert (status, pointers(problem)) == (422, [("/until", "date_too_early")])
    status, problem = await appoint(shop, "king", "2026-02-01")
    assert (status, pointers(problem)) == (422, [("/office", "enum")])


async def test_of_two_who_are_appointed_at_once_one_is(shop: Shop):
    answers = await asyncio.gather(*(appoint(shop, "secretary", "2026-01-01") for _ in range(4)))
    assert sorted(status for status, _ in answers) == [201, 409, 409, 409]


async def test_corrected_ended_and_removed(api: Api, shop: Shop):
    made = (await appoint(shop, "treasurer", "2025-01-01", "2025-12-31"))[1]
    later = (await appoint(shop, "treasurer", "2026-01-01"))[1]
    path = f"/officers/{made['id']}"
    stale = {"If-Match": '"7"'}
    version = {"If-Match": (await api.call("GET", path, shop.director)).headers["ETag"]}

    async def patch(body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        answer = await api.call("PATCH", path, shop.director, json=body, headers=headers)
        return answer.status_code, answer.json()

    assert (await patch({"name": "周"}, stale))[0] == 412
    assert (await patch({"until": None}, version))[1]["type"] == "/problems/office-taken"
    assert pointers((await patch({"since": "2026-01-01"}, version))[1]) == [("/until", "date_too_early")]
    status, changed = await patch({"until": "2025-11-30", "name": "周"}, version)
    assert (status, changed["until"], changed["name"], changed["version"]) == (200, "2025-11-30", "周", 2)
    assert (await api.call("DELETE", f"/officers/{later['id']}", shop.director, headers=stale)).status_code == 412
    version = {"If-Match": '"1"'}
    assert (await api.call("DELETE", f"/officers/{later['id']}", shop.director, headers=version)).status_code == 204
    assert (await api.call("GET", f"/officers/{later['id']}", shop.director)).status_code == 404


async def test_anothers_officers_are_not_there(api: Api, shop: Shop):
    made = (await appoint(shop, "activities", "2026-01-01"))[1]
    foreign = api.token(Role.CARE_DIRECTOR, dealer="SH001")
    version = {"If-Match": '"1"'}
    assert (await api.call("GET", f"/officers/{made['id']}", foreign)).status_code == 404
    assert (await api.call("PATCH", f"/officers/{made['id']}", foreign, json={}, headers=version)).status_code == 404
    assert (await api.call("DELETE", f"/officers/{made['id']}", foreign, headers=version)).status_code == 404
    assert (await api.call("GET", OFFICERS, foreign)).status_code == 404
    body = {"office": "activities", "name": "李", "since": "2026-01-01"}
    assert (await shop.post(OFFICERS, body, foreign))[0] == 404
    assert (await shop.post("/dealers/BJ002/chapter/officers", body, shop.hq))[0] == 404
    assert (await shop.post(OFFICERS, body, shop.advisor))[0] == 403


async def put(api: Api, token: str, period: str, body: Any, version: int) -> tuple[int, Any]:
    answer = await api.call("PUT", f"{TARGETS}/{period}", token, json=body, headers={"If-Match": f'"{version}"'})
    return answer.status_code, answer.json()


async def test_targets_by_month_and_year(api: Api, shop: Shop):
    none = (await api.call("GET", f"{TARGETS}/2027", shop.director)).json()
    assert (none["version"], none["members"], none["recruitment_rate"]) == (0, None, None)
    body = {"members": 1200, "recruitment_rate": 0.56606}
    status, made = await put(api, shop.hq, "2027", body, 0)
    assert status == 200
    assert made == {
        "dealer_code": "BJ001", "period": "2027", "members": 1200, "new_members": None, "recruitment_rate": 0.5661,
        "joining_rate": None, "version": 1,
    }  # fmt: skip
    assert (await put(api, shop.hq, "2027", body, 0))[0] == 412
    # a PUT says all of it
    assert (await put(api, shop.hq, "2027", {"new_members": 90}, 1))[1]["members"] is None
    for month in ("2027-02", "2027-01"):
        assert (await put(api, shop.hq, month, {"new_members": 8}, 0))[0] == 200
    first = (await shop.get(TARGETS, shop.director, limit=2))[1]
    rest = (await shop.get(TARGETS, shop.director, limit=2, cursor=first["next_cursor"]))[1]
    found = [target["period"] for target in first["items"] + rest["items"]]
    assert found == ["2027", "2027-01", "2027-02"]


async def test_targets_that_are_refused(api: Api, shop: Shop):
    for body, fault in (
        ({"recruitment_rate": 1.2}, ("/recruitment_rate", "less_than_equal")),
        ({"members": -1}, ("/members", "greater_than_equal")),
        ({"profit": 1}, ("/profit", "extra_forbidden")),
    ):
        status, problem = await put(api, shop.hq, "2028", body, 0)
        assert (status, pointers(problem)) == (422, [fault])
    assert (await put(api, shop.hq, "2028-13", {}, 0))[0] == 422
    assert (await put(api, shop.director, "2028", {}, 0))[0] == 403
    foreign = api.token(Role.CARE_DIRECTOR, dealer="SH001")
    assert (await api.call("GET", f"{TARGETS}/2027", foreign)).status_code == 404
    assert (await api.call("GET", TARGETS, foreign)).status_code == 404


async def test_of_two_who_set_it_first_one_does(api: Api, shop: Shop):
    answers = await asyncio.gather(*(put(api, shop.hq, "2029", {"members": n}, 0) for n in range(4)))
    assert sorted(status for status, _ in answers) == [200, 412, 412, 412]


pytestmark = pytest.mark.usefixtures("shop")
