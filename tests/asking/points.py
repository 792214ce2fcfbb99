"""What requests about postings need."""

from app.core.actors import Role
from tests.asking.base import REASON, Bodies, Body, Fresh, Target, World, post, serials
from tests.asking.members import new_member
from tests.shop import Shop


async def _owing(world: World, target: Target, _: Role) -> Target:
    shop = world.shop
    member = await shop.member(dealer=target.dealer)
    earned = await post(shop, "/points/earnings", _earning(target._replace(member=member)))
    target = target._replace(member=member, earning=str(earned["posting_no"]))
    await post(shop, "/redemptions", spending(target), shop.program)
    await post(shop, "/points/reversals", _reversal(target))
    return target


async def _earned(world: World, target: Target, _: Role) -> Target:
    earned = await post(world.shop, "/points/earnings", _earning(target))
    return target._replace(earning=str(earned["posting_no"]))


async def _held(world: World, target: Target, _: Role) -> Target:
    return target._replace(
        hold=str((await post(world.shop, "/holds", spending(target), world.shop.program))["posting_no"])
    )


async def _redeemed(world: World, target: Target, _: Role) -> Target:
    redeemed = await post(world.shop, "/redemptions", spending(target), world.shop.program)
    return target._replace(redemption=str(redeemed["posting_no"]))


def spending(target: Target) -> Body:
    how = {"code": target.code} if target.code else {"dealer_code": target.dealer}
    return {"member_id": str(target.member.id), "points": 5, "order_no": f"RO{next(serials)}"} | how


def _earning(target: Target) -> Body:
    cause = {"type": "campaign", "key": f"c-{next(serials)}"}
    return {"member_id": str(target.member.id), "points": 10, "cause": cause}


def _reversal(target: Target) -> Body:
    return {"member_id": str(target.member.id), "posting_no": int(target.earning)} | REASON


def _correction(target: Target) -> Body:
    return {"member_id": str(target.member.id), "points": 1} | REASON


async def belongings(shop: Shop, target: Target) -> Body:
    """Points that were spent."""
    return {"redemption": str((await post(shop, "/redemptions", spending(target), shop.program))["posting_no"])}


FRESH: Fresh = {
    "holds_capture": _held,
    "holds_create": new_member,
    "holds_release": _held,
    "points_reverse": _earned,
    "points_write_off": _owing,
    "redemptions_redeem": new_member,
    "redemptions_refund": _redeemed,
    "redemptions_send_code": new_member,
}

BODIES: Bodies = {
    "holds_capture": lambda _: {"points": 1},
    "holds_create": spending,
    "points_adjust": _correction,
    "points_earn": _earning,
    "points_reverse": _reversal,
    "points_write_off": _correction,
    "redemptions_redeem": spending,
    "redemptions_refund": lambda _: {"points": 1, "reason": "说明"},
    "redemptions_send_code": lambda target: {"member_id": str(target.member.id), "points": 10},
}  # fmt: skip
