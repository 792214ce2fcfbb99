"""Partners as parties: points they fund, ahead or afterwards; what is settled with them; the five parties' figures."""

from datetime import timedelta
from typing import Any

from app.core.actors import Role
from app.worker import nightly_work
from tests.now import NOW
from tests.partners.deals import (
    agree,
    change,
    claimed,
    clerk,
    code_of,
    disagreeing,
    kind,
    partner,
    perk,
    publish,
    report,
    rule,
    use,
    visit,
)
from tests.shop import Shop, pointers

BLOCK = {"points": 100, "amount_fen": 50_000, "reference": "2026112100017"}


async def account(shop: Shop, code: str, token: str = "") -> Any:
    return (await shop.get(f"/partners/{code}/account", token or shop.hq))[1]


async def test_points_paid_ahead_are_given_down_to_the_reserve(shop: Shop, dsn: str) -> None:
    hotel, member = await partner(shop, is_prepaid=True, reserve_points=70, low_points=10), await shop.member()
    budget = f"partner-{hotel.lower()}"
    status, block = await shop.post(f"/partners/{hotel}/blocks", BLOCK, shop.hq)
    assert (status, block["points"], block["commission_fen"]) == (201, 100, 0)
    await publish(shop, rule(hotel, budgets=[budget]))
    assert (await visit(shop, member, hotel, "1"))["points"] == 10
    assert await account(shop, hotel) == {
        "partner_code": hotel, "bought": 100, "reserve": 70, "given": 10, "left": 20, "is_low": False,
    }  # fmt: skip
    assert (await visit(shop, member, hotel, "2"))["points"] == 10
    assert (await account(shop, hotel, clerk(shop, hotel)))["is_low"]
    listed = (await shop.get("/partner-accounts", shop.hq, limit=200))[1]["items"]
    assert [one["is_low"] for one in listed if one["partner_code"] == hotel] == [True]
    assert (await shop.get("/partner-accounts", shop.director))[1]["items"] == []
    assert (await visit(shop, member, hotel, "3"))["points"] == 10
    late = await visit(shop, member, hotel, "4")
    assert (late["points"], len(late["cases"])) == (0, 1), "nothing is lost: it waits for another block"
    assert (await account(shop, hotel))["left"] == 0
    assert (await change(shop, f"/partners/{hotel}", shop.hq, reserve_points=0))[0] == 200
    assert (await account(shop, hotel))["left"] == 70
    assert await disagreeing(dsn) == {}


async def test_blocks_are_finances_to_book(shop: Shop) -> None:
    hotel = await partner(shop, is_prepaid=True)
    finance, operations = (shop.api.token(role) for role in (Role.HQ_FINANCE, Role.HQ_OPERATIONS))
    path = f"/partners/{hotel}/blocks"
    assert kind(await shop.post(path, BLOCK, operations)) == (403, "forbidden")
    assert kind(await shop.post(path, BLOCK, clerk(shop, hotel))) == (403, "forbidden")
    for _ in range(2):
        assert (await shop.post(path, BLOCK, finance, key=f"block-{hotel}"))[0] == 201
    assert len((await shop.get(path, clerk(shop, hotel)))[1]["items"]) == 1
    afterwards = await partner(shop)
    assert kind(await shop.post(f"/partners/{afterwards}/blocks", BLOCK, finance)) == (409, "partner-not-prepaid")
    assert kind(await shop.get(f"/partners/{afterwards}/account", shop.hq)) == (409, "partner-not-prepaid")
    for other in (clerk(shop, afterwards), shop.director):
        for what in (path, f"/partners/{hotel}/account"):
            assert (await shop.get(what, other))[0] == 404


async def test_rules_name_partners_there_are_and_draw_on_what_they_paid(shop: Shop) -> None:
    hotel, local = await partner(shop, is_prepaid=True), await partner(shop, token=shop.director)
    for code, fault in (
        (hotel, ("/definition/budgets", "rule_needs_partner_budget")),
        (local, ("/definition/funders/0/party", "unknown_partner")),
        ("NOBODY", ("/definition/funders/0/party", "unknown_partner")),
    ):
        status, body = await shop.post("/rules", rule(code), shop.hq)
        assert (status, pointers(body)) == (422, [fault])


async def test_five_parties_five_figures(shop: Shop, dsn: str) -> None:
    agency = code_of("A")
    assert (await shop.post("/agencies", {"code": agency, "name": "联众代理"}, shop.hq))[0] == 201
    hotel = await partner(shop, agency_code=agency, agency_percent="5", is_prepaid=True)
    winery = await partner(shop, category="winery")
    shares = [
        {"party": "hq", "percent": "10"}, {"party": "dealer", "percent": "20"},
        {"party": f"partner:{winery}", "percent": "30"}, {"party": f"partner:{hotel}", "percent": "40"},
    ]  # fmt: skip
    evening = await perk(shop, hotel, value_fen=10_001, shares=shares, hands_over=["name"])
    assert (await shop.post(f"/partners/{hotel}/blocks", BLOCK, shop.hq))[0] == 201
    guests = [await shop.member(), await shop.member(), await shop.member(dealer="SH001")]
    for guest in guests:
        await agree(shop, guest, hotel)
    vouchers = [await claimed(shop, guest, evening) for guest in guests]
    for voucher in (vouchers[0], vouchers[2]):
        assert (await use(shop, hotel, voucher["code"]))[0] == 201

    me = shop.api.token(Role.MEMBER, member=guests[0].id)
    mine = (await shop.get("/members/me/perk-figures", me))[1]
    assert mine == {"claimed": 1, "used": 1, "value_fen": 10_001, "points": 0}
    (dealer,) = (await shop.get("/perk-figures/dealers", shop.director, since="2026-11-21"))[1]["items"]
    assert (dealer["dealer_code"], dealer["value_fen"], dealer["borne_fen"], dealer["saved_fen"]) == (
        "BJ001", 10_001, 2_000, 8_001,
    )  # fmt: skip
    own = [(await shop.get("/perk-figures/partners", clerk(shop, code)))[1]["items"] for code in (hotel, winery)]
    assert own[0] == [
        {"partner_code": hotel, "name": "湖滨酒店", "reach": 3, "claimed": 3, "redemptions": 2,
         "delivered_fen": 20_002, "borne_fen": 8_002, "owed_fen": 12_000, "paid_fen": 0},
    ]  # fmt: skip
    assert (own[1][0]["redemptions"], own[1][0]["owed_fen"]) == (0, -6_000)
    paid = (await shop.get("/perk-figures/agencies", shop.hq))[1]["items"]
    sums = {"blocks_fen": 50_000, "points_fen": 0, "value_fen": 20_002, "commission_fen": 2_500 + 2 * 500}
    assert [one for one in paid if one["agency_code"] == agency] == [
        {"agency_code": agency, "name": "联众代理", "partners": 1, "paid_fen": 0} | sums
        | {"by_partner": [{"partner_code": hotel, "name": "湖滨酒店"} | sums]},
    ]  # fmt: skip
    whole = (await shop.get("/perk-figures", shop.hq))[1]
    assert (whole["used"], whole["value_fen"], whole["borne_by_hq_fen"]) == (2, 20_002, 2_000)
    assert sum(one["net_fen"] for one in whole["parties"]) == 0
    before = (await shop.get("/perk-figures", shop.hq, since="2026-01-01", until="2026-11-20"))[1]
    assert (before["used"], before["parties"]) == (0, [])
    assert await disagreeing(dsn) == {}


async def test_a_months_claims_say_who_pays_whom(shop: Shop, dsn: str) -> None:
    hotel, winery = await partner(shop), await partner(shop, category="winery")
    shares = [
        {"party": "hq", "percent": "10"}, {"party": "dealer", "percent": "20"},
        {"party": f"partner:{winery}", "percent": "30"}, {"party": f"partner:{hotel}", "percent": "40"},
    ]  # fmt: skip
    evening = await perk(shop, hotel, value_fen=10_001, shares=shares)
    vouchers = [await claimed(shop, await shop.member(), evening) for _ in range(3)]
    for voucher in vouchers[:2]:
        assert (await use(shop, hotel, voucher["code"]))[0] == 201
    theirs = (await shop.get("/perk-claims/2026-11", clerk(shop, hotel)))[1]
    assert (theirs["month"], theirs["is_final"]) == ("2026-11", False)
    assert {(one["payer"], one["payee"], one["count"], one["amount_fen"]) for one in theirs["lines"]} == {
        ("HQ", f"partner:{hotel}", 2, 2_000), ("BJ001", f"partner:{hotel}", 2, 4_000),
        (f"partner:{winery}", f"partner:{hotel}", 2, 6_000),
    }  # fmt: skip
    own = next(net for net in theirs["nets"] if net["party"] == f"partner:{hotel}")
    assert own == {"party": f"partner:{hotel}", "receives_fen": 12_000, "pays_fen": 0, "net_fen": 12_000,
                   "open_fen": 12_000}  # fmt: skip
    whole = (await shop.get("/perk-claims/2026-11", shop.hq))[1]
    assert sum(net["net_fen"] for net in whole["nets"]) == 0
    finance = shop.api.token(Role.FINANCE_CLERK, dealer="BJ001")
    dealer = (await shop.get("/perk-claims/2026-11", finance))[1]["lines"]
    assert dealer
    assert {one["payer"] for one in dealer} == {"BJ001"}, "others' money is not a dealer's to see"
    # reported in December by a till that was offline: the list of a month that is over stays as it is
    async with shop.at(NOW + timedelta(days=10)):
        late = [{"code": vouchers[2]["code"], "used_on": "2026-11-30"}]
        assert (await report(shop, hotel, late))[1]["conflicts"] == 0
        final = (await shop.get("/perk-claims/2026-11", clerk(shop, hotel)))[1]
        assert final == theirs | {"is_final": True}
        december = (await shop.get("/perk-claims/2026-12", clerk(shop, hotel)))[1]["lines"]
        assert sum(one["amount_fen"] for one in december) == 6_000
    assert await disagreeing(dsn) == {}


async def test_claims_as_a_file_are_for_who_may_export(shop: Shop) -> None:
    file = await shop.api.call("GET", "/perk-claims/2026-11?format=csv", shop.hq)
    assert file.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert file.content.decode("utf-8-sig").startswith("month,payer,payee,basis,partner_code,count,amount_fen")
    hotel = await partner(shop)
    assert kind(await shop.get("/perk-claims/2026-11", clerk(shop, hotel), format="csv")) == (403, "forbidden")
    assert kind(await shop.get("/perk-claims/2026-11", shop.advisor)) == (403, "forbidden")
    status, body = await shop.get("/perk-claims/2026-13", shop.hq)
    assert (status, pointers(body)) == (422, [("/path/period", "string_pattern_mismatch")])


async def test_figures_are_for_whom_they_are(shop: Shop) -> None:
    for path in ("/perk-figures", "/perk-figures/agencies"):
        assert kind(await shop.get(path, shop.director)) == (403, "forbidden")
    assert kind(await shop.get("/perk-figures/dealers", clerk(shop, "P001"))) == (403, "forbidden")
    status, body = await shop.get("/perk-figures", shop.hq, since="2026-11-21", until="2026-11-20")
    assert (status, pointers(body)) == (422, [("/query/until", "date_before_start")])


async def test_the_merged_keep_their_vouchers_and_their_points(shop: Shop, dsn: str) -> None:
    hotel, gone, stays = await partner(shop), await shop.member(points=300), await shop.member()
    voucher = await claimed(shop, gone, await perk(shop, hotel, points=300, days=2))
    body = {"from_id": str(gone.id), "into_id": str(stays.id), "reason": "同一人"}
    assert (await shop.post("/members/merges", body, shop.hq))[0] == 201
    token = shop.api.token(Role.MEMBER, member=stays.id)
    assert [one["id"] for one in (await shop.get("/members/me/vouchers", token))[1]["items"]] == [voucher["id"]]
    await nightly_work(shop.api.db, lambda: NOW + timedelta(days=5))
    assert (await shop.wallet(stays))[0] == 300
    data = (await shop.get(f"/members/{stays.id}/own-data", token))[1]
    assert data["more"]["vouchers"][0]["voucher_status"] == "expired"
    told = (await shop.get(f"/members/{stays.id}/timeline", shop.hq))[1]["items"]
    assert {"claimed", "expired"} <= {one["kind"] for one in told if one["source"] == "voucher"}
    assert await disagreeing(dsn) == {}
