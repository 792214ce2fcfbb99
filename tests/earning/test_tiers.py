"""Tiers through the API: won at once, kept for a period, warned of and lost; their benefits; who may do what."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import AsyncMock
from uuid import uuid4

import pytest

from app.core.actors import Role
from app.earning import tiers
from app.privacy import holdings
from app.wiring import verify
from tests.earning.telling import answered, cases, decide
from tests.earning.tiering import change, earned, held, programme, standing, status_rule, steps, tier
from tests.earning.writing import example, published
from tests.now import NOW
from tests.shop import Person, Shop, order, pointers

Body = dict[str, Any]
LADDER = {"silver": 0, "gold": 1_000, "diamond": 3_000}
PERIOD_ENDS = datetime.fromisoformat("2027-11-30T12:00:00+08:00")
NEXT_DAY = PERIOD_ENDS + timedelta(hours=13)


@pytest.fixture(scope="module")
async def rule(shop: Shop, dsn: str) -> AsyncIterator[Body]:
    """The programme runs; what it did agrees in the end."""
    for code, threshold in LADDER.items():
        assert (await tier(shop, code, threshold))[0] == 201
    assert (await programme(shop, is_active=True))[0] == 200
    yield await status_rule(shop)
    assert {check.name: found for check, found in await verify(dsn) if found} == {}


async def golden(shop: Shop, rule: Body) -> Person:
    member = await shop.member()
    await earned(shop, rule, member, 1_000)
    return member


async def night(shop: Shop, moment: datetime) -> tiers.Moved:
    return await tiers.work(shop.api.db, now=moment)


# --- up ---


async def test_everybody_begins_in_the_tier_that_asks_for_nothing(shop: Shop, rule: Body):
    member = await shop.member()
    own = shop.api.token(Role.MEMBER, member=member.id)
    status, mine = await shop.get("/members/me/tier", own)
    assert (status, mine["measure"], mine["amount"], mine["tier"]["code"]) == (200, "status_points", 0, "silver")
    assert (mine["keeping"], mine["next"]["tier"]["code"], mine["next"]["missing"]) == (None, "gold", 1_000)


async def test_who_has_enough_rises_at_once(shop: Shop, rule: Body):
    member = await shop.member()
    await earned(shop, rule, member, 400)
    found = await standing(shop, member)
    assert (found["tier"]["code"], found["amount"], found["next"]["missing"]) == ("silver", 400, 600)
    await earned(shop, rule, member, 600)
    found = await standing(shop, member)
    assert (found["tier"]["code"], found["since"], found["next"]["missing"]) == ("gold", str(NOW.date()), 2_000)
    assert found["keeping"] == {"held_until": "2027-11-30", "counts": 0, "missing": 1_000, "warned_on": None}
    await earned(shop, rule, member, 5_000)
    assert await steps(shop, member) == [("risen", None, "gold"), ("risen", "gold", "diamond")]
    assert (await standing(shop, member))["next"] is None
    assert await shop.wallet(member) == (0, 0, 0, 0)


@pytest.mark.parametrize("is_locked", [True, False])
async def test_two_that_are_enough_together_do_not_miss_each_other(
    shop: Shop, rule: Body, monkeypatch: pytest.MonkeyPatch, is_locked: bool
):
    """With the lock taken out they do."""
    if not is_locked:
        monkeypatch.setattr(tiers, "_lock", AsyncMock())
    members = [await shop.member() for _ in range(10)]
    await asyncio.gather(*(earned(shop, rule, member, 500) for member in members for _ in range(2)))
    found = {await held(shop, member) for member in members}
    assert (found == {"gold"}) is is_locked
    # the night finds who was missed
    await night(shop, NOW)
    assert {await held(shop, member) for member in members} == {"gold"}


async def test_what_a_person_approves_counts(shop: Shop, rule: Body):
    name = uuid4().hex[:12]
    reviewed = await published(
        shop, shop.hq, trigger="survey_answered", condition=f'event.survey == "{name}"', amount="1",
        status_amount="1000", hold_for_review="true",
        examples=[{"fields": {"survey": name}, "on": "2026-11-21", "points": 1}],
    )  # fmt: skip
    member = await shop.member()
    assert (await shop.post("/points/earnings", answered(reviewed | {"survey": name}, member), shop.program))[0] == 201
    assert await held(shop, member) == "silver"
    assert (await decide(shop, (await cases(shop, member))[0], "approval"))[0] == 200
    assert await held(shop, member) == "gold"


async def test_a_lower_threshold_lifts_in_the_night(shop: Shop, rule: Body):
    member = await shop.member()
    await earned(shop, rule, member, 900)
    assert (await change(shop, "/tiers/gold", threshold=900))[0] == 200
    assert await held(shop, member) == "silver"
    assert (await night(shop, NOW)).risen >= 1
    assert await held(shop, member) == "gold"
    assert (await change(shop, "/tiers/gold", threshold=1_000))[0] == 200
    assert (await night(shop, NOW)).judged == 0
    assert await held(shop, member) == "gold"


# --- down ---


async def test_a_tier_is_kept_for_its_period_and_lost_after_a_warning(shop: Shop, rule: Body):
    member, other = await golden(shop, rule), await golden(shop, rule)
    warns = PERIOD_ENDS - timedelta(days=60)
    assert (await night(shop, warns - timedelta(days=1))).warned == 0
    assert (await night(shop, warns)).warned >= 2
    assert (await night(shop, warns)).warned == 0
    async with shop.at(warns):
        found = await standing(shop, member)
        assert found["keeping"] == {
            "held_until": "2027-11-30", "counts": 0, "missing": 1_000, "warned_on": str(warns.date()),
        }  # fmt: skip
        # one earns what is missing
        await earned(shop, rule, other, 1_000)
        assert (await standing(shop, other))["keeping"]["missing"] == 0
    assert (await night(shop, PERIOD_ENDS)).judged == 0
    assert await held(shop, member) == "gold"
    assert (await night(shop, NEXT_DAY)).judged >= 2
    assert await steps(shop, member) == [("risen", None, "gold"), ("warned", "gold", "gold"), ("fallen", "gold", None)]
    assert await steps(shop, other) == [
        ("risen", None, "gold"), ("warned", "gold", "gold"), ("renewed", "gold", "gold"),
    ]  # fmt: skip
    found = await standing(shop, other)
    assert (found["keeping"]["held_until"], found["keeping"]["warned_on"]) == ("2028-11-30", None)


async def test_one_falls_to_what_one_has(shop: Shop, rule: Body):
    member = await shop.member()
    await earned(shop, rule, member, 3_000)
    async with shop.at(PERIOD_ENDS - timedelta(days=90)):
        await earned(shop, rule, member, 1_500)
    await night(shop, NEXT_DAY)
    assert await steps(shop, member) == [("risen", None, "diamond"), ("fallen", "diamond", "gold")]
    assert (await standing(shop, member))["since"] == str(NEXT_DAY.date())


async def test_what_was_taken_back_counts_no_longer(shop: Shop, rule: Body):
    name = uuid4().hex[:12]
    paying = await published(
        shop, shop.hq, trigger="survey_answered", condition=f'event.survey == "{name}"', amount="10",
        status_amount="1000", examples=[{"fields": {"survey": name}, "on": "2026-11-21", "points": 10}],
    )  # fmt: skip
    member = await shop.member()
    _, told = await shop.post("/points/earnings", answered(paying | {"survey": name}, member), shop.program)
    back = {"member_id": str(member.id), "posting_no": told["posting_nos"][0], "reason": "误报"}
    assert (await shop.post("/points/reversals", back, shop.hq))[0] == 201
    found = await standing(shop, member)
    assert (found["amount"], found["tier"]["code"]) == (0, "gold")
    # a period ends with too little; headquarters need not wait for that
    taken = {"tier": None, "reason": "积分已冲正"}
    answer = await shop.api.call("PUT", f"/members/{member.id}/tier", shop.hq, json=taken)
    assert answer.json()["tier"]["code"] == "silver"


# --- benefits ---


async def test_a_multiplier_for_a_tier(shop: Shop, rule: Body):
    """An event is judged by the tier of its day, so that a late one earns what it would have earned in time."""
    group = {"group": "surveys", "mode": "priority", "priority": 1}
    name = uuid4().hex[:12]
    condition = f'event.survey == "{name}"'
    says: Body = {
        "trigger": "survey_answered", "condition": condition, "amount": "100", "stacking": group,
        "examples": [{"fields": {"survey": name}, "on": "2026-11-21", "points": 100}],
    }  # fmt: skip
    await published(shop, shop.hq, **says)
    examples = [
        example(fields={"survey": name}, member={"tier": code}, points=percent)
        for code, percent in (("silver", 100), ("gold", 150))
    ]
    of_gold = {"condition": f'{condition} && member.tier == "gold"', "examples": examples}
    await published(shop, shop.hq, **says | of_gold | {"amount": None, "factor_percent": 150})
    simple, gold = await shop.member(), await golden(shop, rule)
    survey = {"survey": name}
    for member, at, points in ((simple, NOW, 100), (gold, NOW, 150), (gold, NOW - timedelta(days=1), 100)):
        event = answered(survey, member, occurred_at=at.isoformat())
        _, told = await shop.post("/points/earnings", event, shop.program)
        assert told["points"] == points, (member, at)


async def test_a_reward_at_the_price_of_a_tier(shop: Shop, rule: Body):
    reward = {
        "kind": "gift", "name": "茶杯", "prices": [{"points": 100}, {"tier": "gold", "points": 60}],
        "valid_from": "2026-01-01",
    }  # fmt: skip
    _, made = await shop.post("/rewards", reward, shop.hq)
    assert (await change(shop, f"/rewards/{made['id']}", is_offered=True))[0] == 200
    prices = []
    for member in (await shop.member(), await golden(shop, rule)):
        _, page = await shop.get("/members/me/rewards", shop.api.token(Role.MEMBER, member=member.id))
        prices += [one["price"]["points"] for one in page["items"] if one["id"] == made["id"]]
    assert prices == [100, 60]


async def test_tiers_choose_members(shop: Shop, rule: Body):
    simple, gold = await shop.member(), await golden(shop, rule)

    async def chosen(field: str, op: str, value: str | None) -> set[str]:
        condition = {"field": field, "op": op} | ({"value": value} if value else {})
        status, page = await shop.post("/members/search?limit=200", {"filter": condition}, shop.director)
        assert status == 200, page
        return {one["id"] for one in page["items"]} & {str(simple.id), str(gold.id)}

    assert await chosen("tier", "is", "Gold") == {str(gold.id)}
    assert await chosen("tier", "is", "silver") == {str(simple.id)}
    assert await chosen("tier.held_until", "is", "2027-11-30") == {str(gold.id)}
    assert await chosen("tier.warned_on", "filled", None) == set()


async def test_the_timeline_and_ones_own_data_tell(shop: Shop, rule: Body):
    gold = await golden(shop, rule)
    own = shop.api.token(Role.MEMBER, member=gold.id)
    answer = await shop.api.call(
        "GET", f"/members/{gold.id}/timeline?source=tier", own, headers={"Accept-Language": "zh"}
    )
    assert "升级为gold卡" in answer.text
    exported = await shop.api.call("GET", f"/members/{gold.id}/own-data", own)
    assert [(one["tier_step"], one["tier"]) for one in exported.json()["more"]["tier_changes"]] == [("risen", "gold卡")]


# --- one person ---


async def test_the_higher_tier_goes_on_and_comes_back(shop: Shop, rule: Body):
    simple, gold = await shop.member(), await golden(shop, rule)
    await earned(shop, rule, simple, 500)
    body = {"from_id": str(gold.id), "into_id": str(simple.id), "reason": "同一人"}
    status, merged = await shop.post("/members/merges", body, shop.hq)
    assert status == 201, merged
    found = await standing(shop, simple)
    assert (found["tier"]["code"], found["amount"]) == ("gold", 1_500)
    assert (await shop.post(f"/members/merges/{merged['id']}/undo", {"reason": "误合并"}, shop.hq))[0] == 200
    assert [await held(shop, one) for one in (simple, gold)] == ["silver", "gold"]
    assert (await standing(shop, simple))["amount"] == 500


async def test_a_lower_tier_is_no_loss_in_a_merge(shop: Shop, rule: Body):
    gold, diamond = await golden(shop, rule), await shop.member()
    await earned(shop, rule, diamond, 3_000)
    body = {"from_id": str(gold.id), "into_id": str(diamond.id), "reason": "同一人"}
    _, merged = await shop.post("/members/merges", body, shop.hq)
    assert await held(shop, diamond) == "diamond"
    assert (await shop.post(f"/members/merges/{merged['id']}/undo", {"reason": "误合并"}, shop.hq))[0] == 200
    assert [await held(shop, one) for one in (gold, diamond)] == ["gold", "diamond"]


async def test_ones_own_lower_tier_comes_back(shop: Shop, rule: Body):
    gold, diamond = await golden(shop, rule), await shop.member()
    await earned(shop, rule, diamond, 3_000)
    body = {"from_id": str(diamond.id), "into_id": str(gold.id), "reason": "同一人"}
    _, merged = await shop.post("/members/merges", body, shop.hq)
    assert await held(shop, gold) == "diamond"
    assert (await shop.post(f"/members/merges/{merged['id']}/undo", {"reason": "误合并"}, shop.hq))[0] == 200
    assert [await held(shop, one) for one in (gold, diamond)] == ["gold", "diamond"]
    assert await steps(shop, gold) == [
        ("risen", None, "gold"), ("merged", "gold", "diamond"), ("parted", "diamond", "gold"),
    ]  # fmt: skip


# --- headquarters ---


async def test_a_tier_by_hand(shop: Shop, rule: Body):
    member = await shop.member()
    given = {"tier": "diamond", "held_until": "2026-12-31", "reason": "贵宾"}
    answer = await shop.api.call("PUT", f"/members/{member.id}/tier", shop.hq, json=given)
    assert (answer.status_code, answer.json()["tier"]["code"]) == (200, "diamond")
    assert answer.json()["history"][0] | {"at": ""} == {
        "kind": "set", "from_tier": None, "to_tier": "diamond", "amount": None, "day": str(NOW.date()),
        "held_until": "2026-12-31", "reason": "贵宾", "at": "",
    }  # fmt: skip
    await night(shop, datetime.fromisoformat("2027-01-01T00:05:00+08:00"))
    assert await held(shop, member) == "silver"
    # the reason tells of the person, and goes with it
    forget = next(one.erase for one in holdings.holdings() if one.name == "tier_changes")
    assert forget is not None
    async with shop.api.db.session() as session:
        await forget(session, member.id, NOW)
    assert {one["reason"] for one in (await standing(shop, member))["history"]} == {None}


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"tier": "platinum"}, "/tier", "unknown_tier"),
        ({"tier": "silver"}, "/tier", "unknown_tier"),
        ({"held_until": None}, "/held_until", "missing"),
        ({"held_until": "2026-11-20"}, "/held_until", "date_before_start"),
        ({"reason": ""}, "/reason", "string_too_short"),
    ],
)
async def test_what_cannot_be_given(shop: Shop, rule: Body, change: Body, pointer: str, code: str):
    member = await shop.member()
    body = {"tier": "gold", "held_until": "2026-12-31", "reason": "贵宾"} | change
    answer = await shop.api.call("PUT", f"/members/{member.id}/tier", shop.hq, json=body)
    assert (answer.status_code, pointers(answer.json())) == (422, [(pointer, code)])
    assert await steps(shop, member) == []


async def test_who_may_not(shop: Shop, rule: Body):
    member, stranger = await shop.member(), await shop.member(dealer="SH001")
    given = {"tier": "gold", "held_until": "2026-12-31", "reason": "贵宾"}
    answer = await shop.api.call("PUT", f"/members/{member.id}/tier", shop.director, json=given)
    assert answer.status_code == 403
    assert (await tier(shop, "own", 7, shop.director))[0] == 403
    assert (await shop.get(f"/members/{stranger.id}/tier", shop.director))[0] == 404
    own = shop.api.token(Role.MEMBER, member=member.id)
    assert (await shop.get(f"/members/{stranger.id}/tier", own))[0] == 404
    answer = await shop.api.call("PUT", f"/members/{uuid4()}/tier", shop.hq, json=given)
    assert answer.status_code == 404


async def test_what_may_not_change_while_members_stand_on_it(shop: Shop, rule: Body):
    status, answer = await programme(shop, measure="spend")
    assert (status, answer["type"], answer["current"]) == (409, "/problems/wrong-status", "active")
    deleted = await shop.api.call("DELETE", "/tiers/silver", shop.hq)
    assert (deleted.status_code, deleted.json()["type"]) == (409, "/problems/wrong-status")
    for code, threshold in (("gold", 50), ("platinum", 1_000)):
        status, refused = await tier(shop, code, threshold)
        assert (status, refused["type"]) == (409, "/problems/tier-exists")
    stale = await shop.api.call("PATCH", "/tiers/gold", shop.hq, json={"threshold": 1}, headers={"If-Match": '"99"'})
    assert stale.status_code == 412
    assert (await change(shop, "/tiers/diamond", threshold=1_000))[1]["type"] == "/problems/tier-exists"
    assert (await shop.get("/tiers/platinum", shop.hq))[0] == 404


async def test_a_programme_that_is_stopped(shop: Shop, rule: Body):
    """Nobody has a tier, nobody moves; started again, all stand where they stood."""
    gold = await golden(shop, rule)
    assert (await programme(shop, is_active=False))[0] == 200
    try:
        found = await standing(shop, gold)
        assert (found["measure"], found["tier"], found["keeping"], len(found["history"])) == (None, None, None, 1)
        await earned(shop, rule, gold, 5_000)
        assert await night(shop, NEXT_DAY) == tiers.Moved()
        answer = await shop.api.call("DELETE", "/tiers/gold", shop.hq)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/tier-held")
        assert (await tier(shop, "spare", 9_999))[0] == 201
        assert (await shop.api.call("DELETE", "/tiers/spare", shop.hq)).status_code == 204
    finally:
        assert (await programme(shop, is_active=True))[0] == 200
    assert await held(shop, gold) == "gold"
    assert (await night(shop, NOW)).risen >= 1
    assert await held(shop, gold) == "diamond"


async def test_an_order_without_tiers_in_play_leaves_no_trace(shop: Shop, rule: Body):
    member = await shop.member()
    assert (await shop.post("/repair-orders", order(member.vin, paid_fen=14_345), shop.hq))[0] == 201
    assert (await standing(shop, member))["amount"] == 0
