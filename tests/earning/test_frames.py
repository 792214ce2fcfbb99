"""Rules of chapters through the API: their own, out of their own budgets, and within headquarters' frame."""

from uuid import UUID

import pytest

from app.core.actors import Actor, Role
from app.earning import rules_queries
from tests.callers import as_caller
from tests.earning.writing import HOUSE, WITHIN, Body, act, example, frame, groups, made, published, refused, rule
from tests.now import NOW
from tests.shop import Shop, pointers

BUDGET = """INSERT INTO budget (code, name, dealer_code, period, points, created_by, created_at, version)
            VALUES ($1, '预算', $2, 'year', 1000, 'hq', $3, 1)"""


@pytest.fixture(scope="module")
async def framed(shop: Shop) -> Body:
    """The general frame."""
    answer: Body
    status, answer = await shop.post("/rule-frames", frame(), shop.hq)
    assert status == 201
    return answer


async def test_the_audience_is_a_segment_of_ones_own(shop: Shop, framed: Body) -> None:
    tree = {"filter": {"field": "status", "op": "is", "value": "active"}}
    status, general = await shop.post("/segments", {"name": next(groups)} | tree, shop.hq)
    assert status == 201
    status, foreign = await shop.post("/segments", {"name": next(groups), "dealer_code": "SH001"} | tree, shop.hq)
    assert status == 201
    await made(shop, shop.hq, audience=general["id"])
    await made(shop, shop.director, audience=general["id"], **WITHIN)
    assert await refused(shop, shop.director, audience=foreign["id"], **WITHIN) == [
        ("/definition/audience", "rule_unknown_segment")
    ]
    assert await refused(shop, shop.hq, audience=foreign["id"]) == [("/definition/audience", "rule_unknown_segment")]


async def test_a_rule_draws_on_budgets_of_its_own(shop: Shop, framed: Body) -> None:
    await shop.pool.execute(BUDGET, "of-sh001", "SH001", NOW)
    await shop.pool.execute(BUDGET, "of-bj001", "BJ001", NOW)
    await shop.pool.execute(BUDGET, "of-all", None, NOW)
    await made(shop, shop.hq, budgets=["of-all"])
    await made(shop, shop.director, budgets=["of-bj001"], **WITHIN)
    unknown = [("/definition/budgets", "rule_unknown_budget")]
    assert await refused(shop, shop.director, budgets=["of-sh001", "of-bj001"], **WITHIN) == unknown
    assert await refused(shop, shop.director, budgets=["of-all"], **WITHIN) == unknown
    # unless headquarters says so
    status, own = await shop.post("/rule-frames", frame(dealer_code="BJ001", budget="of-all"), shop.hq)
    assert status == 201
    await made(shop, shop.director, budgets=["of-all", "of-bj001"], **WITHIN)
    path, first = f"/rule-frames/{own['id']}", {"If-Match": '"1"'}
    assert (await shop.api.call("DELETE", path, shop.hq, headers=first)).status_code == 204
    status, answer = await shop.post("/rule-frames", frame(dealer_code="BJ001", budget="of-sh001"), shop.hq)
    assert (status, pointers(answer)) == (422, [("/budget", "rule_unknown_budget")])


async def test_a_chapter_writes_its_own_rules(shop: Shop, framed: Body) -> None:
    first = await published(shop, shop.director, **WITHIN)
    assert first["dealer_code"] == "BJ001"
    foreign = shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")
    for path in (f"/rules/{first['id']}", f"/rules/{first['id']}/versions"):
        assert (await shop.get(path, foreign))[0] == 404
    assert (await act(shop, first, "/retirement", foreign))[0] == 404
    assert first["id"] not in {one["id"] for one in (await shop.get("/rules", foreign, limit=200))[1]["items"]}
    _, page = await shop.get("/rules", shop.director, dealer_code="BJ001", limit=200)
    assert first["id"] in {one["id"] for one in page["items"]}
    assert {one["dealer_code"] for one in page["items"]} == {"BJ001"}
    assert (await act(shop, first, "/retirement", shop.director))[0] == 200
    assert (await shop.post("/rules", rule(dealer_code="SH001", **WITHIN), shop.director))[0] == 404


async def test_headquarters_rules_are_read_and_not_written_by_chapters(shop: Shop) -> None:
    first = await published(shop, shop.hq)
    status, read = await shop.get(f"/rules/{first['id']}", shop.director)
    assert (status, read) == (200, first)
    assert (await act(shop, first, "", shop.director, label_en="Ours"))[0] == 403
    assert (await shop.get("/rules", shop.advisor))[0] == 403
    assert (await shop.post("/rule-frames", frame(), shop.director))[0] == 403


async def test_the_database_keeps_drafts_from_foreign_chapters(shop: Shop, framed: Body) -> None:
    draft = await made(shop, shop.director, **WITHIN)
    for dealer, seen in (("BJ001", 1), ("SH001", 0)):
        with as_caller(Actor("director", Role.CARE_DIRECTOR, dealer)):
            async with shop.api.db.session() as session:
                found = await rules_queries.versions(session, UUID(draft["id"]), before=None, limit=9)
                assert len(found) == seen


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"trigger": "birthday", "amount": "5", "examples": []}, [("trigger", "frame_trigger")]),
        ({"caps": {"per_member_month": 2_000}}, [("caps/per_order", "frame_award")]),
        ({"caps": {"per_order": 501, "per_member_month": 2_000}}, [("caps/per_order", "frame_award")]),
        ({"caps": {"per_order": 500}}, [("caps/per_member_month", "frame_month")]),
        ({"expiry": {"kind": "rolling_months", "months": 13}}, [("expiry", "frame_expiry")]),
        ({"expiry": {"kind": "activity", "months": 1}}, [("expiry", "frame_expiry")]),
        ({"expiry": {"kind": "fixed_date", "on": "2027-12-01"}}, [("expiry", "frame_expiry")]),
        ({"expiry": {"kind": "fixed_date", "on": "2027-11-30"}}, []),
        ({"status_amount": "1"}, [("status_amount", "frame_status")]),
        ({"funders": [{"party": "hq", "percent": "1"}, {"party": "dealer", "percent": "99"}]}, [
            ("funders", "frame_funding")]),
        ({"funders": [{"party": "partner:TEA", "percent": "50"}, {"party": "dealer", "percent": "50"}]}, []),
        ({"trigger": "birthday", "amount": "5", "examples": [], "caps": {}, "funders": [HOUSE]}, [
            ("trigger", "frame_trigger"), ("caps/per_order", "frame_award"),
            ("caps/per_member_month", "frame_month"), ("funders", "frame_funding")]),
        ({"stacking": {"group": "orders", "mode": "priority", "priority": 999}}, [("stacking", "rule_group_taken")]),
    ],
)  # fmt: skip
async def test_a_chapters_rule_keeps_within_the_frame(
    shop: Shop, framed: Body, fields: Body, faults: list[tuple[str, str]]
) -> None:
    tea = {"code": "TEA", "name": "茶馆", "category": "restaurant", "valid_from": "2026-01-01"}
    assert (await shop.post("/partners", tea, shop.hq))[0] in {201, 409}
    if not faults:
        await made(shop, shop.director, **WITHIN | fields)
        return
    expected = [(f"/definition/{part}", code) for part, code in faults]
    assert await refused(shop, shop.director, **WITHIN | fields) == expected
    # nor does headquarters write it for the chapter
    assert await refused(shop, shop.hq, dealer_code="BJ001", **WITHIN | fields) == expected


async def test_a_chapters_own_frame_goes_before_the_general_one(shop: Shop, framed: Body) -> None:
    other = shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")
    status, own = await shop.post("/rule-frames", frame(dealer_code="SH001", most_points_an_award=100), shop.hq)
    assert status == 201
    assert (await shop.post("/rule-frames", frame(dealer_code="SH001"), shop.hq))[0] == 409
    assert (await shop.post("/rule-frames", frame(), shop.hq))[0] == 409
    assert (await shop.post("/rule-frames", frame(dealer_code="BJ002"), shop.hq))[0] == 404
    status, page = await shop.get("/rule-frames", other)
    assert [one["dealer_code"] for one in page["items"]] == [None, "SH001"]
    status, page = await shop.get("/rule-frames", shop.director)
    assert [one["dealer_code"] for one in page["items"]] == [None]

    assert await refused(shop, other, **WITHIN) == [("/definition/caps/per_order", "frame_award")]
    draft = await made(shop, other, **WITHIN | {"caps": {"per_order": 100, "per_member_month": 500}, "examples": [
        example(points=100)]})  # fmt: skip
    path, first = f"/rule-frames/{own['id']}", {"If-Match": '"1"'}
    await shop.pool.execute(BUDGET, "local", "SH001", NOW)
    changes = {"most_points_an_award": 50, "budget": "local"}
    nothing = await shop.api.call("PATCH", path, shop.hq, json=changes | {"budget": "nothing"}, headers=first)
    assert (nothing.status_code, pointers(nothing.json())) == (422, [("/budget", "rule_unknown_budget")])
    answer = await shop.api.call("PATCH", path, shop.hq, json=changes, headers=first)
    assert (answer.status_code, answer.headers["ETag"], answer.json()["budget"]) == (200, '"2"', "local")
    assert await shop.get(path, other) == (200, answer.json())
    assert (await shop.get(path, shop.director))[0] == 404
    # narrowed meanwhile
    status, refusal = await act(shop, draft, "/publication", other)
    assert (status, pointers(refusal)) == (
        422, [("/definition/caps/per_order", "frame_award"), ("/definition/budgets", "frame_budget")],
    )  # fmt: skip
    for method in ("PATCH", "DELETE"):
        body: Body | None = {} if method == "PATCH" else None
        assert (await shop.api.call(method, path, shop.hq, headers=first, json=body)).status_code == 412
    assert (await shop.api.call("DELETE", path, shop.hq, headers={"If-Match": '"2"'})).status_code == 204
    assert (await shop.api.call("DELETE", path, shop.hq, headers={"If-Match": '"2"'})).status_code == 404
    assert (await act(shop, draft, "/publication", other))[0] == 200
