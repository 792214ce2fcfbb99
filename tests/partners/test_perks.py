"""Perks: who may claim what, when, and how many."""

from datetime import timedelta
from typing import Any

import pytest

from app.core.actors import Role
from tests.now import NOW
from tests.partners.deals import change, claim, claimed, kind, own, partner, perk
from tests.shop import Person, Shop, pointers


async def offered(shop: Shop, member: Person) -> set[str]:
    found = (await shop.get("/members/me/perks", own(shop, member), limit=200))[1]["items"]
    return {one["id"] for one in found}


async def test_a_chapters_perk_is_for_its_members(shop: Shop) -> None:
    here, there = await shop.member(), await shop.member(dealer="SH001")
    local = await perk(shop, await partner(shop, token=shop.director), token=shop.director)
    national = await perk(shop, await partner(shop))
    abroad = await perk(shop, await partner(shop), dealer_codes=["SH001"])
    mine = {local, national, abroad}
    assert await offered(shop, here) & mine == {local, national}
    assert await offered(shop, there) & mine == {national, abroad}
    assert kind(await claim(shop, there, local)) == (404, "not-found")
    assert kind(await claim(shop, here, abroad)) == (409, "perk-not-offered")
    assert (await claim(shop, here, local))[0] == 201


async def test_a_segment_decides_at_the_claim(shop: Shop) -> None:
    lucky, other = await shop.member(name="刘吉祥"), await shop.member()
    rule = {"field": "name", "op": "is", "value": "刘吉祥"}
    status, segment = await shop.post("/segments", {"name": "吉祥", "filter": rule}, shop.hq)
    assert status == 201, segment
    tea = await perk(shop, await partner(shop), segment_id=segment["id"])
    assert tea in await offered(shop, lucky)
    assert tea not in await offered(shop, other)
    assert kind(await claim(shop, other, tea)) == (409, "perk-not-offered")
    assert (await claim(shop, lucky, tea))[0] == 201
    etag = {"If-Match": '"1"'}
    assert (await shop.api.call("DELETE", f"/segments/{segment['id']}", shop.hq, headers=etag)).status_code == 204
    assert kind(await claim(shop, lucky, tea)) == (409, "perk-not-offered")


@pytest.mark.parametrize(
    "fields",
    [
        {"valid_from": "2026-11-22"},
        {"valid_from": "2026-01-01", "valid_until": "2026-11-20"},
        {"dealer_codes": ["SH001"]},
    ],
)
async def test_what_is_not_offered_is_not_claimed(shop: Shop, fields: Any) -> None:
    tea = await perk(shop, await partner(shop), **fields)
    assert kind(await claim(shop, await shop.member(), tea)) == (409, "perk-not-offered")


async def test_not_before_it_is_offered_nor_after_its_partners_contract(shop: Shop) -> None:
    member = await shop.member()
    ended = await partner(shop, valid_until="2026-11-20")
    for tea in (await perk(shop, await partner(shop), offered=False), await perk(shop, ended)):
        assert kind(await claim(shop, member, tea)) == (409, "perk-not-offered")


async def test_quotas_in_all_and_for_one(shop: Shop) -> None:
    one, other = await shop.member(), await shop.member()
    tea = await perk(shop, await partner(shop), quota=2, quota_per_member=1)
    await claimed(shop, one, tea)
    assert kind(await claim(shop, one, tea)) == (409, "perk-limit")
    await claimed(shop, other, tea)
    answer = await claim(shop, await shop.member(), tea)
    assert (kind(answer), answer[1]["quota"]) == ((409, "perk-gone"), 2)
    assert tea not in await offered(shop, await shop.member())
    status, body = await change(shop, f"/perks/{tea}", shop.hq, quota=1)
    assert (status, pointers(body)) == (422, [("/quota", "quota_taken")])
    assert (await change(shop, f"/perks/{tea}", shop.hq, quota=3))[0] == 200
    assert (await claim(shop, await shop.member(), tea))[0] == 201


async def test_a_voucher_never_outlives_its_perk(shop: Shop) -> None:
    week = (NOW + timedelta(days=6)).date()
    tea = await perk(shop, await partner(shop), days=7)
    assert (await claimed(shop, await shop.member(), tea))["expires_on"] == str(week)
    short = await perk(shop, await partner(shop, valid_until="2026-11-24"), days=7)
    assert (await claimed(shop, await shop.member(), short))["expires_on"] == "2026-11-24"


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"valid_until": "2025-12-31"}, [("/valid_until", "date_before_start")]),
        ({"shares": [{"party": "hq", "percent": "60"}]}, [("/shares", "rule_shares")]),
        ({"shares": [{"party": "partner:NOBODY", "percent": "100"}]}, [("/shares/0/party", "unknown_partner")]),
        ({"segment_id": "00000000-0000-0000-0000-000000000009"}, [("/segment_id", "rule_unknown_segment")]),
        ({"hands_over": ["vehicle"]}, [("/hands_over/0", "literal_error")]),
        ({"days": 0}, [("/days", "greater_than_equal")]),
        ({"quota": 0}, [("/quota", "greater_than_equal")]),
        (
            {"dealer_codes": ["BJ001", "ZZ999", "BJ002"]},
            [
                ("/dealer_codes/1", "unknown_dealer"),
                ("/dealer_codes/2", "unknown_dealer"),
            ],
        ),
        ({"valid_from": "2025-12-31"}, [("/valid_from", "date_too_early")]),
        ({"valid_from": "2027-01-01"}, [("/valid_from", "date_too_late")]),
        ({"valid_until": "2027-01-01"}, [("/valid_until", "date_too_late")]),
        ({"blackout": ["2026-05-01", "2025-05-01"]}, [("/blackout/1", "date_too_early")]),
        ({"valid_until": "2026-06-30", "blackout": ["2026-07-01"]}, [("/blackout/0", "date_too_late")]),
    ],
)
async def test_perks_that_make_no_sense_are_refused(shop: Shop, fields: Any, faults: Any) -> None:
    code = await partner(shop, valid_until="2026-12-31")
    body = {"partner_code": code, "name": "茶", "valid_from": "2026-01-01"} | fields
    status, answer = await shop.post("/perks", body, shop.hq)
    assert (status, pointers(answer)) == (422, faults)
    assert "DataKind" not in str(answer), "callers know values, not Python's names"


async def test_days_said_earlier_stand_when_the_contract_becomes_shorter(shop: Shop) -> None:
    code = await partner(shop)
    tea = await perk(shop, code, valid_until="2026-12-31", blackout=["2026-12-24"])
    assert (await change(shop, f"/partners/{code}", shop.hq, valid_until="2026-11-30"))[0] == 200
    assert (await change(shop, f"/perks/{tea}", shop.hq, is_offered=False))[0] == 200
    status, body = await change(shop, f"/perks/{tea}", shop.hq, valid_until="2026-12-30")
    assert (status, pointers(body)) == (422, [("/valid_until", "date_too_late")])
    status, body = await change(shop, f"/perks/{tea}", shop.hq, valid_from="2027-05-01")
    assert (status, pointers(body)) == (422, [("/valid_until", "date_before_start")])


async def test_a_chapter_gives_at_its_own_cost(shop: Shop) -> None:
    local = await partner(shop, token=shop.director)
    body = {"partner_code": local, "name": "茶", "valid_from": "2026-01-01"}
    for fields, fault in (
        ({"shares": [{"party": "hq", "percent": "100"}]}, ("/shares/0/party", "own_cost_only")),
        ({"dealer_codes": ["SH001"]}, ("/dealer_codes", "not_your_dealer")),
    ):
        status, answer = await shop.post("/perks", body | fields, shop.director)
        assert (status, pointers(answer)) == (422, [fault])
    halves = [{"party": "dealer", "percent": "50"}, {"party": f"partner:{local}", "percent": "50"}]
    assert (await shop.post("/perks", body | {"shares": halves}, shop.director))[0] == 201
    for code, token in (
        (await partner(shop), shop.director),
        (local, shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")),
    ):
        assert (await shop.post("/perks", body | {"partner_code": code}, token))[0] == 404
