"""Recruitment's figures: month plans and how far they are, who recruits, how long applications wait."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.core.actors import Role
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Shop, problem

Body = dict[str, Any]
MONTH = "2026-11"
_serial = iter(range(710_001, 720_000))


async def deliver(shop: Shop, consultant: str | None, *, joins: bool = False, **fields: Any) -> Body:
    """A car delivered to an individual, who joins or not."""
    serial = next(_serial)
    person = {"vin": car(serial), "phone": f"138{serial:08d}"}
    body = person | {
        "dealer_code": "BJ001", "delivered_on": "2026-11-10", "owner_kind": "individual", "owner_name": "王芳",
        "consultant": consultant,
    } | fields  # fmt: skip
    status, made = await shop.post("/deliveries", body, shop.hq)
    assert status == 201, made
    if joins:
        enrolment = person | {"name": "王芳", "source": "delivery", "dealer_code": body["dealer_code"]}
        assert (await shop.post("/members", enrolment, shop.hq))[0] == 201
    return dict(made)


async def put(shop: Shop, path: str, target: object, version: str, token: str = "") -> httpx.Response:
    return await shop.api.call(
        "PUT", f"/recruitment/plan/{path}", token or shop.director, json={"target": target},
        headers={"If-Match": f'"{version}"'},
    )  # fmt: skip


@pytest.fixture(scope="module")
async def november(shop: Shop) -> None:
    """Li: two of two join. Wang: one of two, one closed. One without a consultant; a company; another month; SH001."""
    await deliver(shop, "li", joins=True)
    await deliver(shop, "li", joins=True)
    await deliver(shop, "wang", joins=True)
    missed = await deliver(shop, "wang")
    assert (await shop.post(f"/deliveries/{missed['id']}/closing", {"reason": "declined"}, shop.hq))[0] == 200
    await deliver(shop, None)
    await deliver(shop, "li", owner_kind="company")
    await deliver(shop, "li", delivered_on="2026-10-31")
    await deliver(shop, "zhou", dealer_code="SH001")


async def test_consultants_are_ranked(shop: Shop, november: None):
    def told(one: Body) -> tuple[Any, ...]:
        return tuple(one.values())

    status, page = await shop.get("/recruitment/consultants", shop.hq, month=MONTH)
    assert (status, [told(one) for one in page["items"]]) == (
        200,
        [
            (1, "BJ001", "li", 2, 2, 1.0, 0, 0),
            (2, "BJ001", "wang", 2, 1, 0.5, 0, 1),
            (3, "BJ001", None, 1, 0, 0.0, 1, 0),
            (3, "SH001", "zhou", 1, 0, 0.0, 1, 0),
        ],
    )
    assert list(page["items"][0]) == [
        "rank", "dealer_code", "consultant", "delivered", "joined", "joining_rate", "open_misses", "closed_misses",
    ]  # fmt: skip
    _, first = await shop.get("/recruitment/consultants", shop.hq, month=MONTH, limit=3)
    _, rest = await shop.get("/recruitment/consultants", shop.hq, month=MONTH, limit=3, cursor=first["next_cursor"])
    assert (first["items"] + rest["items"], rest["next_cursor"]) == (page["items"], None)
    # a chapter's own, a dealer's
    for token, filtered in ((shop.director, {}), (shop.hq, {"dealer_code": "BJ001"})):
        _, own = await shop.get("/recruitment/consultants", token, month=MONTH, **filtered)
        assert own["items"] == page["items"][:3]
    assert (await shop.get("/recruitment/consultants", shop.hq))[1] == page
    assert (await shop.get("/recruitment/consultants", shop.hq, month="2026-13"))[0] == 422
    assert (await shop.get("/recruitment/consultants", shop.advisor, month=MONTH))[0] == 403


async def test_a_plan_and_how_far_it_is(shop: Shop, november: None):
    assert (await put(shop, f"{MONTH}/BJ001", 40, "0")).status_code == 200
    word_of_mouth = {"name": "李", "phone": "13755555555", "vin": car(next(_serial)), "source": "word_of_mouth"}
    assert (await shop.post("/members", word_of_mouth, shop.director))[0] == 201
    _, page = await shop.get("/recruitment/plan", shop.hq, month=MONTH)
    assert page["items"] == [
        {
            "dealer_code": "BJ001", "month": MONTH, "target": 40, "version": 1, "recruited": 4,
            "by_source": {"delivery": 3, "word_of_mouth": 1}, "delivered": 5, "joined": 3, "joining_rate": 0.6,
        },
        {
            "dealer_code": "SH001", "month": MONTH, "target": None, "version": 0, "recruited": 0,
            "by_source": {}, "delivered": 1, "joined": 0, "joining_rate": 0.0,
        },
    ]  # fmt: skip
    _, first = await shop.get("/recruitment/plan", shop.hq, month=MONTH, limit=1)
    _, rest = await shop.get("/recruitment/plan", shop.hq, month=MONTH, limit=1, cursor=first["next_cursor"])
    assert first["items"] + rest["items"] == page["items"]
    _, own = await shop.get("/recruitment/plan", shop.director, month=MONTH)
    assert own["items"] == page["items"][:1]
    _, december = await shop.get("/recruitment/plan", shop.director, month="2026-12")
    assert december["items"][0]["joining_rate"] is None


async def test_who_joined_counts_where_it_joined(shop: Shop):
    """Moved to another chapter, or merged with an earlier membership, since."""

    async def recruited(token: str) -> dict[str, int]:
        _, page = await shop.get("/recruitment/plan", token, month=MONTH)
        return {one["dealer_code"]: one["recruited"] for one in page["items"]}

    before = await recruited(shop.hq)
    moved, first, again = [await shop.member() for _ in range(3)]
    transfer = {"to_dealer_code": "SH001", "reason": "搬家"}
    async with shop.at(NOW + timedelta(days=1)):
        status, asked = await shop.post(f"/members/{moved.id}/transfers", transfer, shop.hq)
        assert (status, (await shop.post(f"/transfers/{asked['id']}/acceptance", {}, shop.hq))[0]) == (201, 200)
    merge = {"from_id": str(again.id), "into_id": str(first.id), "reason": "同一人"}
    status, merged = await shop.post("/members/merges", merge, shop.hq)
    assert status == 201, merged
    after = {"BJ001": before["BJ001"] + 2, "SH001": before["SH001"]}
    assert await recruited(shop.hq) == after
    # its director does not see the member any more, and counts it all the same
    assert (await shop.get(f"/members/{moved.id}", shop.director))[0] == 404
    assert await recruited(shop.director) == {"BJ001": after["BJ001"]}


async def test_a_plan_is_changed_as_it_was_read(shop: Shop):
    path = "2027-01/BJ001"
    none = await shop.api.call("GET", f"/recruitment/plan/{path}", shop.director)
    assert (none.status_code, none.headers["ETag"], none.json()["target"]) == (200, '"0"', None)
    made = await put(shop, path, 30, "0")
    assert (made.status_code, made.headers["ETag"]) == (200, '"1"')
    assert made.json() == {"dealer_code": "BJ001", "month": "2027-01", "target": 30, "version": 1}
    # two who set it first; an old version; none
    for version in ("0", "2", "x"):
        assert problem(await put(shop, path, 31, version)) == (412, "/problems/precondition-failed")
    assert (await put(shop, path, 35, "1", shop.hq)).headers["ETag"] == '"2"'
    audited = "SELECT changes FROM audit_event WHERE target_kind = 'recruitment_plan' AND action = 'changed'"
    assert "35" in await shop.pool.fetchval(audited)


async def test_plans_that_are_refused(shop: Shop):
    assert problem(await put(shop, "2026-10/BJ001", 1, "0")) == (409, "/problems/month-over")
    assert problem(await put(shop, f"{MONTH}/BJ002", 1, "0", shop.hq)) == (409, "/problems/no-chapter")
    assert problem(await put(shop, f"{MONTH}/ZZ999", 1, "0", shop.hq)) == (404, "/problems/not-found")
    assert problem(await put(shop, f"{MONTH}/SH001", 1, "0")) == (404, "/problems/not-found")
    assert problem(await shop.api.call("GET", f"/recruitment/plan/{MONTH}/SH001", shop.director))[0] == 404
    for target in (-1, 1.5, "9", None):
        assert (await put(shop, f"{MONTH}/BJ001", target, "0")).status_code == 422
    staff = shop.api.token(Role.CARE_STAFF, dealer="BJ001")
    assert problem(await put(shop, f"{MONTH}/BJ001", 1, "0", staff)) == (403, "/problems/forbidden")


async def test_open_applications_show_their_age(shop: Shop):
    for days in (0, 2, 5, 20, 40):
        serial = next(_serial)
        person = {"name": "李娜", "phone": f"136{serial:08d}", "vin": car(serial), "source": "event"}
        _, applied = await shop.post("/applications", person | {"dealer_code": "BJ001"}, shop.hq)
        await shop.pool.execute(
            "UPDATE application SET applied_at = $2 WHERE id = $1::uuid", applied["id"], NOW - timedelta(days=days)
        )
    withdrawn = await shop.post(f"/applications/{applied['id']}/withdrawal", {"reason": "重复"}, shop.director)
    assert withdrawn[0] == 200
    ages = {
        "dealer_code": "BJ001", "open": 4, "oldest_on": "2026-11-01", "oldest_days": 20, "up_to_3_days": 2,
        "up_to_7_days": 1, "up_to_30_days": 1, "over_30_days": 0,
    }  # fmt: skip
    for token, items in ((shop.hq, [ages]), (shop.director, [ages]), (director_of(shop, "SH001"), [])):
        assert await shop.get("/recruitment/applications-age", token) == (200, {"items": items, "next_cursor": None})


def director_of(shop: Shop, dealer: str) -> str:
    return shop.api.token(Role.CARE_DIRECTOR, dealer=dealer)
