"""What requests about earning rules, frames, budgets, cases and tiers need."""

from typing import Any

from app.core.actors import Role
from tests.asking.base import REASON, Bodies, Body, Fresh, Lists, Target, Versions, World, post, send, serials
from tests.asking.chapters import new_chapter
from tests.asking.visits import order_of
from tests.now import NOW
from tests.shop import Shop

_FRAME: Body = {
    "triggers": ["repair_order"], "most_points_an_award": 100, "most_points_a_member_month": 100,
    "most_expiry_months": 24,
}  # fmt: skip


def _tier() -> Body:
    serial = next(serials)
    return {"code": f"t{serial}", "label_zh": "金卡", "label_en": "Gold", "threshold": serial}


def _budget(dealer: str) -> Body:
    return {"code": f"b{next(serials)}", "name": "预算", "dealer_code": dealer, "period": "month", "points": 100}


async def _drafted(world: World, target: Target, _: Role) -> Target:
    return target._replace(rule=(await post(world.shop, "/rules", _rule(target.dealer)))["id"])


async def _published(world: World, target: Target, role: Role, *, drafted: bool = False) -> Target:
    target = target if drafted else await _drafted(world, target, role)
    path, first = f"/rules/{target.rule}/publication", {"If-Match": '"1"'}
    assert (await world.api.call("POST", path, world.shop.hq, headers=first)).status_code == 200
    return target


async def _cased(world: World, target: Target, role: Role) -> Target:
    """An answer to a survey of its own that headquarters is to look at first."""
    name = f"s{next(serials)}"
    says: dict[str, Any] = {
        "trigger": "survey_answered", "condition": f'event.survey == "{name}"', "amount": "5",
        "hold_for_review": "true", "stacking": None, "caps": {},
        "examples": [
            {"fields": {"survey": name}, "dealer": {"code": target.dealer}, "on": str(NOW.date()), "points": 5}
        ],
    }  # fmt: skip
    draft = _rule(target.dealer) | {"dealer_code": None}
    made = await post(world.shop, "/rules", draft | {"definition": draft["definition"] | says})
    await _published(world, target._replace(rule=made["id"]), role, drafted=True)
    event = {
        "trigger": "survey_answered", "key": name, "member_id": str(target.member.id), "dealer_code": target.dealer,
        "fields": {"survey": name},
    }  # fmt: skip
    return target._replace(case=(await post(world.shop, "/points/earnings", event))["cases"][0])


async def _explained(world: World, target: Target, role: Role) -> Target:
    """An earning of an order, by the rule for orders."""
    await post(world.shop, "/repair-orders", order_of(target))
    page = await send(world.shop, "GET", f"/members/{target.member.id}/postings")
    earning = next(one for one in page["items"] if one["cause"].startswith("repair_order:"))
    return target._replace(earning=str(earning["posting_no"]))


async def _tiered(world: World, target: Target, _: Role) -> Target:
    return target._replace(tier=(await post(world.shop, "/tiers", _tier()))["code"])


async def _framed(world: World, target: Target, role: Role) -> Target:
    target = await new_chapter(world, target, role)
    frame = await post(world.shop, "/rule-frames", _FRAME | {"dealer_code": target.dealer})
    return target._replace(frame=frame["id"])


def _rule(dealer: str) -> Body:
    definition = {
        "trigger": "repair_order", "amount": "1", "funders": [{"party": "dealer", "percent": "100"}],
        "expiry": {"kind": "rolling_months", "months": 24}, "caps": {"per_order": 1, "per_member_month": 1},
        "valid_from": "2026-11-01",
        "examples": [{"fields": {"kind": "repair", "paid_fen": 1}, "on": "2026-11-21", "points": 1}],
    }  # fmt: skip
    named = {"code": f"r{next(serials)}", "label_zh": "规则", "label_en": "Rule", "dealer_code": dealer}
    return named | {"definition": definition}


def _tried(target: Target) -> Body:
    """A draft of a dealer on a month."""
    draft = {name: value for name, value in _rule(target.dealer).items() if not name.startswith("label_")}
    return {"month": "2026-10", "dealer_code": target.dealer, "rules": [draft]}


async def belongings(shop: Shop, target: Target) -> Body:
    """A chapter's frame, and a draft of its own within it; a budget, a tier."""
    frame = (await post(shop, "/rule-frames", _FRAME | {"dealer_code": target.dealer}))["id"]
    rule = (await post(shop, "/rules", _rule(target.dealer)))["id"]
    budget = (await post(shop, "/points/budgets", _budget(target.dealer)))["code"]
    return {"frame": frame, "rule": rule, "budget": budget, "tier": (await post(shop, "/tiers", _tier()))["code"]}


FRESH: Fresh = {
    "cases_approve": _cased,
    "cases_get": _cased,
    "cases_list": _cased,
    "cases_refuse": _cased,
    "members_posting_why": _explained,
    "rule_frames_create": new_chapter,
    "rule_frames_delete": _framed,
    "rules_publish": _drafted,
    "rules_retire": _published,
    "tiers_delete": _tiered,
}

BODIES: Bodies = {
    "budgets_create": lambda target: _budget(target.dealer),
    "budgets_update": lambda _: {"points": 200},
    "cases_approve": lambda _: REASON,
    "cases_refuse": lambda _: REASON,
    "rule_frames_create": lambda target: _FRAME | {"dealer_code": target.dealer},
    "rule_frames_update": lambda _: {"most_expiry_months": 24},
    "rules_create": lambda target: _rule(target.dealer),
    "rules_retire": lambda _: {},
    "rules_what_if": _tried,
    "rules_update": lambda _: {"label_en": "Rule"},
    "tier_programme_update": lambda _: {"warn_days": 60},
    "tiers_create": lambda _: _tier(),
    "tiers_give": lambda target: {"tier": target.tier, "held_until": "2026-12-31"} | REASON,
    "tiers_update": lambda _: {"label_en": "Tier"},
}  # fmt: skip

VERSIONS: Versions = {
    "budgets_update": "/points/budgets/{budget_code}",
    "rule_frames_delete": "/rule-frames/{frame_id}",
    "rule_frames_update": "/rule-frames/{frame_id}",
    "rules_publish": "/rules/{rule_id}",
    "rules_retire": "/rules/{rule_id}",
    "rules_update": "/rules/{rule_id}",
    "tier_programme_update": "/tier-programme",
    "tiers_update": "/tiers/{tier_code}",
}

LISTS: Lists = {
    "rule_frames_list": lambda target: target.frame,
    "budgets_list": lambda target: target.budget,
    "cases_list": lambda target: target.case,
    "rules_list": lambda target: target.rule,
}
