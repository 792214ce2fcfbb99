"""What requests about partners, perks, vouchers and claims need."""

from datetime import timedelta

from app.core.actors import Reach, Role
from app.core.db import new_id
from app.partners.rules import PerkClaimStatus
from tests.asking.base import (
    PARTNER,
    REASON,
    Bodies,
    Body,
    Fresh,
    Lists,
    Making,
    Target,
    Versions,
    World,
    offered,
    post,
    send,
    serials,
)
from tests.asking.members import new_member
from tests.now import NOW
from tests.shop import Shop

_PARTNER: Body = {"name": "茶馆", "category": "restaurant", "valid_from": "2026-01-01"}
_PERK: Body = {"name": "下午茶", "valid_from": "2026-01-01"}


async def _vouchered(world: World, target: Target, role: Role) -> Target:
    """A voucher that a new member has claimed."""
    target = await new_member(world, target, role)
    token = world.api.token(Role.MEMBER, member=target.member.id)
    made = await post(world.shop, "/members/me/vouchers", {"perk_id": target.perk}, token)
    return target._replace(voucher=made["id"], voucher_code=made["code"])


async def _offline(world: World, target: Target, role: Role) -> Target:
    """The list by which a till works without a connection."""
    clerk = world.api.token(Role.PARTNER_CLERK, partner=target.partner)
    return target._replace(offline_list=(await send(world.shop, "GET", "/vouchers/offline", token=clerk))["token"])


def _claim(status: PerkClaimStatus) -> Making:
    """A line of claims in a status: who asks pays it, an agency gets it."""

    async def make(world: World, target: Target, role: Role) -> Target:
        payers = {Reach.DEALER: target.dealer, Reach.PARTNER: f"partner:{target.partner}"}
        payee = f"agency:{target.agency}" if role.reach is Reach.AGENCY else "partner:X"
        made, is_approved = new_id(), status is PerkClaimStatus.APPROVED
        await world.shop.pool.execute(
            """INSERT INTO perk_claim (id, period, payer, payee, basis, partner_code, count, amount_fen, status,
                                       claimed_at, reason, approved_at, version)
               VALUES ($1, $2, $3, $4, 'vouchers', $5, 1, 1, $6, $7, 'x', $8, 1)""",
            made, NOW.date() + timedelta(days=next(serials)), payers.get(role.reach, "HQ"), payee, target.partner,
            status, NOW, NOW if is_approved else None,
        )  # fmt: skip
        return target._replace(perk_claim=str(made))

    return make


async def belongings(shop: Shop, target: Target) -> Body:
    """A chapter's partner that pays ahead, its agency, and a perk of it that is offered."""
    code = {"BJ001": PARTNER["code"], "SH001": "TEA"}[target.dealer]
    agency = (await post(shop, "/agencies", {"code": f"A{next(serials)}", "name": "代理"}))["code"]
    paying = {"code": code, "name": PARTNER["name"], "dealer_code": target.dealer, "is_prepaid": True}
    await post(shop, "/partners", _PARTNER | paying)
    made = await post(shop, "/perks", _PERK | {"partner_code": code})
    return {"partner": code, "agency": agency, "perk": await offered(shop, f"/perks/{made['id']}")}


FRESH: Fresh = {
    "perk_claims_answer": _claim(PerkClaimStatus.DISPUTED),
    "perk_claims_approve": _claim(PerkClaimStatus.CLAIMED),
    "perk_claims_dispute": _claim(PerkClaimStatus.CLAIMED),
    "perk_claims_pay": _claim(PerkClaimStatus.APPROVED),
    "perk_figures_dealers": _vouchered,
    "vouchers_check": _vouchered,
    "vouchers_claim": new_member,
    "vouchers_claim_for": new_member,
    "vouchers_list": _vouchered,
    "vouchers_mine": _vouchered,
    "vouchers_qr": _vouchered,
    "vouchers_report": _offline,
    "vouchers_return": _vouchered,
    "vouchers_use": _vouchered,
}

BODIES: Bodies = {
    "agencies_create": lambda _: {"code": f"A{next(serials)}", "name": "代理"},
    "agencies_update": lambda _: {"name": "新代理"},
    "partners_add_block": lambda _: {"points": 1, "amount_fen": 1, "reference": "B-1"},
    "partners_create": lambda target: _PARTNER | {"code": f"P{next(serials)}", "dealer_code": target.dealer},
    "partners_update": lambda _: {"place": "杭州"},
    "perk_claims_answer": lambda _: {"answer": "已核对"},
    "perk_claims_dispute": lambda _: REASON,
    "perk_claims_pay": lambda _: {"paid_on": str(NOW.date()), "reference": "x"},
    "perks_create": lambda target: _PERK | {"partner_code": target.partner},
    "perks_update": lambda _: {"terms": "两人份"},
    "vouchers_check": lambda target: {"code": target.voucher_code},
    "vouchers_claim": lambda target: {"perk_id": target.perk},
    "vouchers_claim_for": lambda target: {"perk_id": target.perk, "member_id": str(target.member.id)},
    "vouchers_report": lambda target: {
        "token": target.offline_list, "uses": [{"code": "2222-2222-2222", "used_on": str(NOW.date())}],
    },
    "vouchers_use": lambda target: {"code": target.voucher_code},
}  # fmt: skip

VERSIONS: Versions = {
    "agencies_update": "/agencies/{agency_code}",
    "partners_update": "/partners/{partner_code}",
    "perks_update": "/perks/{perk_id}",
}

LISTS: Lists = {
    "partners_list": lambda target: f'"code":"{target.partner}"',
    "perk_figures_agencies": lambda target: f'"agency_code":"{target.agency}"',
    "perk_figures_dealers": lambda target: f'"dealer_code":"{target.dealer}"',
    "perk_figures_partners": lambda target: f'"partner_code":"{target.partner}"',
    "partners_accounts": lambda target: f'"partner_code":"{target.partner}"',
    "perks_list": lambda target: target.perk,
    "perks_offers": lambda target: target.perk,
    "vouchers_list": lambda target: target.voucher,
    "vouchers_mine": lambda target: target.voucher,
}
