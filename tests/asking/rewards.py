"""What requests about rewards and their orders need."""

from app.core.actors import Role
from tests.asking.base import (
    REASON,
    SHIPMENT,
    Bodies,
    Body,
    Files,
    Fresh,
    Lists,
    Target,
    Versions,
    World,
    offered,
    post,
    serials,
)
from tests.asking.members import new_member
from tests.shop import Shop


async def _pooled(world: World, target: Target, _: Role) -> Target:
    """A coupon whose codes are uploaded."""
    return target._replace(reward=await _reward(world.shop, _gift(target) | {"kind": "coupon", "codes": "pool"}))


async def _couponed(world: World, target: Target, role: Role) -> Target:
    """A coupon whose code a new member has."""
    target = await new_member(world, target, role)
    coupon = await _reward(world.shop, _gift(target) | {"kind": "coupon", "codes": "own", "is_counted": False})
    token = world.api.token(Role.MEMBER, member=target.member.id)
    order = await post(world.shop, "/members/me/reward-orders", {"reward_id": coupon}, token)
    return target._replace(reward=coupon, reward_code=order["codes"][0])


async def _wished(world: World, target: Target, role: Role) -> Target:
    """A gift that a new member has ordered."""
    target = await new_member(world, target, role)
    token = world.api.token(Role.MEMBER, member=target.member.id)
    order = await post(world.shop, "/members/me/reward-orders", {"reward_id": target.reward}, token)
    return target._replace(reward_order=order["id"])


async def _granted_wish(world: World, target: Target, role: Role) -> Target:
    target = await _wished(world, target, role)
    await post(world.shop, f"/reward-orders/{target.reward_order}/confirmation", {})
    return target


async def _sent_wish(world: World, target: Target, role: Role) -> Target:
    target = await _granted_wish(world, target, role)
    await post(world.shop, f"/reward-orders/{target.reward_order}/shipment", SHIPMENT)
    return target


async def _pictured(world: World, target: Target, _: Role) -> Target:
    answer = await world.api.call("POST", f"/rewards/{target.reward}/images", world.shop.hq, **_picture())
    assert answer.status_code == 201, answer.text
    return target._replace(reward_image=answer.json()["image_urls"][-1].rpartition("/")[2])


def _picture() -> Body:
    return {"content": b"\xff\xd8\xff", "headers": {"Content-Type": "image/jpeg"}}


def _gift(target: Target) -> Body:
    return {
        "kind": "gift", "name": f"茶杯{next(serials)}", "dealer_code": target.dealer, "prices": [{"points": 1}],
        "valid_from": "2026-01-01", "is_counted": True,
    }  # fmt: skip


async def belongings(shop: Shop, target: Target) -> Body:
    """A gift with enough of it."""
    reward = await _reward(shop, _gift(target))
    await post(shop, f"/rewards/{reward}/movements", {"change": 1_000_000} | REASON)
    return {"reward": reward}


async def _reward(shop: Shop, body: Body) -> str:
    """A reward that is offered."""
    return await offered(shop, f"/rewards/{(await post(shop, '/rewards', body))['id']}")


FRESH: Fresh = {
    "reward_orders_cancel": _wished,
    "reward_orders_confirm": _wished,
    "reward_orders_deliver": _granted_wish,
    "reward_orders_get": _wished,
    "reward_orders_list": _wished,
    "reward_orders_mine": _wished,
    "reward_orders_order": new_member,
    "reward_orders_place": new_member,
    "reward_orders_return": _sent_wish,
    "reward_orders_ship": _granted_wish,
    "rewards_image": _pictured,
    "rewards_upload_codes": _pooled,
    "rewards_use_code": _couponed,
}

BODIES: Bodies = {
    "reward_orders_cancel": lambda _: REASON,
    "reward_orders_order": lambda target: {"reward_id": target.reward},
    "reward_orders_place": lambda target: {
        "reward_id": target.reward, "member_id": str(target.member.id), "code": target.code or "000000",
    },
    "reward_orders_return": lambda _: REASON | {"is_restocked": True},
    "reward_orders_ship": lambda _: SHIPMENT,
    "rewards_change_stock": lambda _: {"change": 1} | REASON,
    "rewards_create": _gift,
    "rewards_update": lambda _: {"name": "新茶杯"},
    "rewards_use_code": lambda target: {"code": target.reward_code},
    "rewards_upload_codes": lambda _: {"codes": [f"TEA-{next(serials)}"]} | REASON,
}  # fmt: skip

VERSIONS: Versions = {
    "rewards_update": "/rewards/{reward_id}",
}

LISTS: Lists = {
    "reward_orders_list": lambda target: target.reward_order,
    "reward_orders_mine": lambda target: target.reward_order,
    "rewards_list": lambda target: target.reward,
    "rewards_offers": lambda target: target.reward,
}

FILES: Files = {"rewards_add_image": _picture()}
