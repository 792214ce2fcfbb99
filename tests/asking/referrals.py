"""What requests about referrals and dealers' own incentives need."""

from itertools import count

from app.core.actors import Role
from tests.asking.base import REASON, Bodies, Body, Fresh, Lists, Target, Versions, World, post, serials
from tests.shop import Shop

_list_months = (f"{2000 + number // 12}-{number % 12 + 1:02}" for number in count())
_LOST = {"status": "lost", "note": "说明"}


def _list_asked(dealer: str) -> Body:
    return {"month": next(_list_months), "dealer_code": dealer}


def _incentive(dealer: str) -> Body:
    example = {"fields": {"source": "delivery"}, "on": "2026-11-10", "fen": 100}
    terms = {"trigger": "enrolment", "amount_fen": "100", "valid_from": "2026-11-01", "examples": [example]}
    return {
        "code": f"i{next(serials)}", "label_zh": "奖励", "label_en": "Incentive", "dealer_code": dealer, "terms": terms,
    }  # fmt: skip


async def _lead(world: World, target: Target, _: Role) -> Target:
    """A lead of the caller's, if it is a sales consultant; its own referral, if it is the member."""
    own = {"consultant": world.accounts[Role.SALES_CONSULTANT][0]} if target.dealer == world.own.dealer else {}
    body = _referral(target) | own
    return target._replace(referral=(await post(world.shop, "/referrals", body))["id"])


async def _asked_lead(world: World, target: Target, _: Role) -> Target:
    token = world.api.token(Role.MEMBER, member=target.member.id)
    return target._replace(referral=(await post(world.shop, "/referrals", _referral(target), token))["id"])


async def _lost_lead(world: World, target: Target, role: Role) -> Target:
    target = await _lead(world, target, role)
    await post(world.shop, f"/referrals/{target.referral}/feedback", _LOST)
    return target


async def _listed_pay(world: World, target: Target, _: Role) -> Target:
    """A chapter's list of incentives of a month of its own."""
    made = await post(world.shop, "/incentive-lists", _list_asked(target.dealer))
    return target._replace(incentive_list=made["id"])


async def _approved_pay(world: World, target: Target, role: Role) -> Target:
    target = await _listed_pay(world, target, role)
    path = f"/incentive-lists/{target.incentive_list}/approval"
    answer = await world.api.call("POST", path, world.shop.hq, headers={"If-Match": '"1"'})
    assert answer.status_code == 200, answer.text
    return target


async def _appealed_lead(world: World, target: Target, role: Role) -> Target:
    target = await _lost_lead(world, target, role)
    await post(world.shop, f"/referrals/{target.referral}/appeal", REASON)
    return target


def _referral(target: Target) -> Body:
    return {
        "referrer_no": target.member.member_no, "buyer_name": "赵敏", "buyer_phone": f"138{next(serials):08d}",
        "may_contact": True, "dealer_code": target.dealer,
    }  # fmt: skip


async def belongings(shop: Shop, target: Target) -> Body:
    """A chapter's incentive rule, and a list drawn up by its rules."""
    rule = await post(shop, "/incentive-rules", _incentive(target.dealer))
    drawn_up = await post(shop, "/incentive-lists", _list_asked(target.dealer))
    return {"incentive_rule": rule["id"], "incentive_list": drawn_up["id"]}


FRESH: Fresh = {
    "referrals_appeal": _lost_lead,
    "referrals_confirm": _asked_lead,
    "referrals_decide": _appealed_lead,
    "referrals_get": _lead,
    "referrals_list": _lead,
    "referrals_refuse": _asked_lead,
    "referrals_report": _lead,
    "referrals_steps": _lead,
    "referrals_withdraw": _lead,
    "incentive_lists_approve": _listed_pay,
    "incentive_lists_export": _listed_pay,
    "incentive_lists_get": _listed_pay,
    "incentive_lists_lines": _listed_pay,
    "incentive_lists_list": _listed_pay,
    "incentive_lists_pay": _approved_pay,
}

BODIES: Bodies = {
    "referrals_appeal": lambda _: REASON,
    "referrals_appeal_refusal": lambda target: _referral(target) | {"buyer_phone": target.member.phone} | REASON,
    "referrals_decide": lambda _: {"granted": False} | REASON,
    "referrals_refuse": lambda _: REASON,
    "referrals_register": _referral,
    "referrals_report": lambda _: _LOST,
    "referrals_withdraw": lambda _: REASON,
    "incentive_rules_create": lambda target: _incentive(target.dealer),
    "incentive_lists_draw_up": lambda target: {"month": "2026-10", "dealer_code": target.dealer},
    "incentive_lists_pay": lambda _: {"reference": "工资"},
}  # fmt: skip

VERSIONS: Versions = {
    "incentive_rules_end": "/incentive-rules/{incentive_rule_id}",
    "incentive_lists_approve": "/incentive-lists/{incentive_list_id}",
    "incentive_lists_pay": "/incentive-lists/{incentive_list_id}",
}

LISTS: Lists = {
    "referrals_list": lambda target: target.referral,
    "incentive_rules_list": lambda target: target.incentive_rule,
    "incentive_lists_list": lambda target: target.incentive_list,
}
