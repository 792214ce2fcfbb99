"""Partners found by headquarters and by chapters, and the agencies that manage them."""

from typing import Any

import pytest

from app.core.actors import Role
from tests.partners.deals import change, clerk, code_of, kind, partner
from tests.shop import Shop, pointers

HOTEL = {"name": "湖滨酒店", "category": "hotel", "valid_from": "2026-01-01"}


async def create(shop: Shop, token: str, **fields: Any) -> Any:
    return await shop.post("/partners", HOTEL | {"code": code_of()} | fields, token)


async def codes(shop: Shop, token: str) -> set[str]:
    found = (await shop.get("/partners", token, limit=200))[1]["items"]
    return {one["code"] for one in found}


async def test_a_national_partner_is_everybodys_and_a_chapters_own_is_not(shop: Shop) -> None:
    national, local = await partner(shop), await partner(shop, token=shop.director)
    assert {national, local} <= await codes(shop, shop.director)
    abroad = shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")
    assert await codes(shop, abroad) & {national, local} == {national}
    assert (await shop.get(f"/partners/{local}", abroad))[0] == 404
    assert (await shop.get(f"/partners/{local}", shop.director))[1]["dealer_code"] == "BJ001"
    assert await codes(shop, clerk(shop, national)) == {national}
    assert (await shop.get(f"/partners/{local}", clerk(shop, national)))[0] == 404


async def test_a_chapter_keeps_its_own_alone(shop: Shop) -> None:
    national, local = await partner(shop), await partner(shop, token=shop.director)
    assert (await change(shop, f"/partners/{local}", shop.director, name="西湖酒店"))[1]["name"] == "西湖酒店"
    for code, token in ((national, shop.director), (local, shop.api.token(Role.CARE_DIRECTOR, dealer="SH001"))):
        assert (await change(shop, f"/partners/{code}", token, name="西湖酒店"))[0] == 404
    assert (await create(shop, shop.director, dealer_code="SH001"))[0] == 404


async def test_who_read_an_old_version_does_not_change_it(shop: Shop) -> None:
    path = f"/partners/{await partner(shop)}"
    assert (await change(shop, path, shop.hq, place="杭州"))[0] == 200
    stale = await shop.api.call("PATCH", path, shop.hq, json={"place": "上海"}, headers={"If-Match": '"1"'})
    assert (stale.status_code, (await shop.get(path, shop.hq))[1]["place"]) == (412, "杭州")


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"valid_until": "2025-12-31"}, ("/valid_until", "date_before_start")),
        ({"agency_code": "NOBODY", "agency_percent": "5"}, ("/agency_code", "unknown_agency")),
        ({"agency_percent": "5"}, ("/agency_code", "missing")),
        ({"agency_code": "NOBODY"}, ("/agency_percent", "missing")),
        ({"agency_code": "NOBODY", "agency_percent": "100.5"}, ("/agency_percent", "less_than_equal")),
        ({"reserve_points": 5}, ("/reserve_points", "only_prepaid")),
        ({"category": "casino"}, ("/category", "enum")),
        ({"code": "hotel 1"}, ("/code", "string_pattern_mismatch")),
    ],
)
async def test_partners_that_make_no_sense_are_refused(shop: Shop, fields: Any, fault: tuple[str, str]) -> None:
    status, body = await create(shop, shop.hq, **fields)
    assert (status, pointers(body)) == (422, [fault])


async def test_only_headquarters_lets_partners_pay_ahead(shop: Shop) -> None:
    status, body = await create(shop, shop.director, is_prepaid=True)
    assert (status, pointers(body)) == (422, [("/is_prepaid", "headquarters_only")])


async def test_codes_are_taken_once(shop: Shop) -> None:
    code = await partner(shop)
    assert kind(await create(shop, shop.hq, code=code)) == (409, "partner-exists")
    agency = {"code": code_of("A"), "name": "联众代理"}
    assert (await shop.post("/agencies", agency, shop.hq))[0] == 201
    assert kind(await shop.post("/agencies", agency, shop.hq)) == (409, "partner-exists")


async def test_agencies_are_headquarters_to_take_on(shop: Shop) -> None:
    body = {"code": code_of("A"), "name": "联众代理", "contact": "王经理"}
    assert kind(await shop.post("/agencies", body, shop.director)) == (403, "forbidden")
    assert (await shop.post("/agencies", body, shop.hq))[0] == 201
    changed = await change(shop, f"/agencies/{body['code']}", shop.hq, contact=None)
    assert (changed[0], changed[1]["contact"], changed[1]["version"]) == (200, None, 2)
    assert body["code"] in {one["code"] for one in (await shop.get("/agencies", shop.hq))[1]["items"]}
    assert kind(await shop.get("/agencies", shop.director)) == (403, "forbidden")
    assert (await shop.get("/agencies/NOBODY", shop.hq))[0] == 404
