"""Whom a signal names has earnings held for review, by a rule for them; headquarters decides. Through the API."""

import pytest

from app.core.actors import Role
from app.earning import audiences
from tests.earning.telling import answered, cases, decide, survey_rule, tell
from tests.earning.writing import Body, groups, published
from tests.now import NOW
from tests.referrals.conftest import Desk
from tests.reports.signalling import about, found, judge
from tests.shop import Person, Shop

NAMED = {"field": "signal", "op": "is", "value": True}


@pytest.fixture(scope="module")
async def ring(shop: Shop) -> tuple[Person, Person]:
    """Two owners, each of whom got points for the other's next car."""
    desk = Desk(shop)
    repurchase = {"fields": {"cars_before": 1}, "on": "2026-11-21", "points": 1}
    await published(shop, shop.hq, trigger="repurchase", amount="1", examples=[repurchase])
    one, other = await shop.member(), await shop.member()
    for referrer, buyer in ((one, other), (other, one)):
        made = await desk.registered(referrer, buyer_phone=buyer.phone)
        await desk.deliver(buyer.phone)
        assert (await desk.read(made))["status"] == "delivered"
    return one, other


async def suspects(shop: Shop) -> str:
    """The segment of all whom a signal names."""
    status, made = await shop.post("/segments", {"name": next(groups), "filter": NAMED}, shop.hq)
    assert status == 201, made
    return str(made["id"])


async def watched(shop: Shop) -> Body:
    """Points for a survey, which whom a signal names gets only after a review."""
    group = {"group": next(groups), "mode": "priority"}
    rule = await survey_rule(shop, stacking=group)
    says = {part: rule["published"]["definition"][part] for part in ("trigger", "condition", "amount", "examples")}
    held = {"stacking": group | {"priority": 9}, "audience": await suspects(shop), "hold_for_review": "true"}
    await published(shop, shop.hq, **says | held)
    return rule


async def test_a_ring_is_found_and_what_it_earns_is_held(shop: Shop, ring: tuple[Person, Person]):
    (signal,) = about(await found(shop, "referral_ring", now=NOW), ring[0])
    assert (sorted(signal["member_ids"]), signal["facts"]) == (sorted(str(one.id) for one in ring), {"members": 2})
    rule, honest = await watched(shop), await shop.member()

    assert (await tell(shop, answered(rule, honest)))["points"] == 50
    told = await tell(shop, answered(rule, ring[0]))
    assert (told["points"], len(told["cases"]), await shop.wallet(ring[0])) == (0, 1, (0, 0, 0, 0))
    (case,) = await cases(shop, ring[0])
    assert (case["kind"], case["status"], case["points"]) == ("review", "open", 50)
    (held,) = about(await found(shop, "held_earning", now=NOW), ring[0])
    assert (held["facts"]["case_id"], held["status"]) == (case["id"], "open")
    assert "50" in held["reason"]

    assert (await decide(shop, case, "approval"))[0] == 200
    assert await shop.wallet(ring[0]) == (50, 0, 0, 0)
    (held,) = about(await found(shop, "held_earning", now=NOW), ring[0])
    assert (held["status"], held["decision"]) == ("cleared", "核对无误")

    # cleared, it holds nothing from the next night on
    (signal,) = about(await found(shop, "referral_ring", now=NOW), ring[0])
    assert (await judge(shop, signal, "cleared"))[0] == 200
    await audiences.choose_anew(shop.api.db, now=NOW)
    assert (await tell(shop, answered(rule, ring[0])))["points"] == 50


async def test_an_earning_that_is_held_names_nobody_for_more(shop: Shop):
    rule, member = await survey_rule(shop, hold_for_review="true"), await shop.member()
    await tell(shop, answered(rule, member))
    assert len(about(await found(shop, "held_earning", now=NOW), member)) == 1
    assert (await tell(shop, answered(await watched(shop), member)))["points"] == 50


@pytest.mark.parametrize("role", [Role.CARE_DIRECTOR, Role.GENERAL_MANAGER])
@pytest.mark.parametrize("dealer", ["BJ001", "SH001"])
async def test_no_dealer_learns_whom_a_signal_names(shop: Shop, ring: tuple[Person, Person], role: Role, dealer: str):
    """Neither by the list, nor by a filter of its own, nor by headquarters' segment."""
    token = shop.api.token(role, dealer=dealer)
    items = await found(shop, "referral_ring", now=NOW)
    assert about(items, ring[0]) != []
    for path in ("/signals", f"/signals/{items[0]['id']}"):
        assert (await shop.get(path, token))[0] == 403
    status, refusal = await shop.post("/members/search", {"filter": NAMED}, token)
    assert (status, refusal["type"], refusal["fields"]) == (403, "/problems/field-not-visible", "signal")
    status, refusal = await shop.get(f"/segments/{await suspects(shop)}/members", token)
    assert (status, refusal["type"]) == (403, "/problems/field-not-visible")
