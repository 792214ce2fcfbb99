"""What requests about repair orders, deliveries and recruitment need."""

from app.core.actors import Role
from tests.asking.base import LINES, REASON, Bodies, Body, Files, Fresh, Lists, Target, Versions, World, post, serials
from tests.asking.members import _applied
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Shop


async def _upload(shop: Shop, token: str) -> str:
    answer = await shop.api.call("POST", "/repair-orders/imports", token, content=b"", headers=LINES)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def _ordered(world: World, target: Target, _: Role) -> Target:
    order = await post(world.shop, "/repair-orders", order_of(target))
    return target._replace(order=order["order_no"])


async def _sent(world: World, target: Target, role: Role) -> Target:
    """A file of the caller's own, where it may send some."""
    if target.dealer != world.own.dealer or role in {Role.AUDITOR, Role.MEMBER}:
        return target
    return target._replace(job=await _upload(world.shop, world.token(role, target.member)))


async def _delivered(world: World, target: Target, _: Role) -> Target:
    """A car that the caller delivered, if it is a sales consultant."""
    consultant = world.accounts[Role.SALES_CONSULTANT][0]
    made = await post(world.shop, "/deliveries", delivery_to(target) | {"consultant": consultant})
    return target._replace(delivery=made["id"])


async def _closed(world: World, target: Target, role: Role) -> Target:
    """A miss of the caller's that was closed."""
    made = await _delivered(world, target, role)
    await post(world.shop, f"/deliveries/{made.delivery}/closing", {"reason": "declined"})
    return made


async def _deliveries_sent(world: World, target: Target, role: Role) -> Target:
    """A file of the caller's own; a care director sends the foreign one, and the one an auditor looks at."""
    is_own = target.dealer == world.own.dealer and role is not Role.AUDITOR
    token = world.token(role, target.member) if is_own else world.api.token(Role.CARE_DIRECTOR, dealer=target.dealer)
    answer = await world.api.call("POST", "/deliveries/imports", token, content=b"", headers=LINES)
    assert answer.status_code == 202, answer.text
    return target._replace(job=str(answer.json()["id"]))


def order_of(target: Target) -> Body:
    return {
        "dealer_code": target.dealer, "order_no": f"RO{next(serials)}", "vin": target.member.vin,
        "closed_at": "2026-11-21T09:30:00+08:00", "kind": "repair", "labour_fen": 1_000, "parts_fen": 0,
        "paid_fen": 1_000,
    }  # fmt: skip


def delivery_to(target: Target) -> Body:
    serial = next(serials)
    return {
        "dealer_code": target.dealer, "vin": car(serial), "delivered_on": str(NOW.date()), "owner_kind": "individual",
        "owner_name": "王芳", "phone": f"135{serial:08d}",
    }  # fmt: skip


async def belongings(shop: Shop, target: Target) -> Body:
    """A repair order, a file of them, and a delivered car."""
    advisor = shop.api.token(Role.SERVICE_ADVISOR, dealer=target.dealer)
    order = await post(shop, "/repair-orders", order_of(target), advisor)
    delivery = await post(shop, "/deliveries", delivery_to(target))
    return {"order": order["order_no"], "job": await _upload(shop, advisor), "delivery": delivery["id"]}


FRESH: Fresh = {
    "deliveries_cancel": _delivered,
    "deliveries_close": _delivered,
    "deliveries_get": _delivered,
    "deliveries_import_read": _deliveries_sent,
    "deliveries_import_rejected": _deliveries_sent,
    "deliveries_list": _delivered,
    "deliveries_reopen": _closed,
    "deliveries_update": _delivered,
    "orders_cancel": _ordered,
    "orders_import_read": _sent,
    "orders_import_rejected": _sent,
    "recruitment_applications_age": _applied,
    "recruitment_consultants": _delivered,
    "recruitment_misses": _delivered,
}

BODIES: Bodies = {
    "deliveries_cancel": lambda _: REASON,
    "deliveries_close": lambda _: {"reason": "declined"},
    "deliveries_record": delivery_to,
    "deliveries_update": lambda _: {"model": "Sedan"},
    "orders_cancel": lambda _: REASON,
    "orders_record": order_of,
    "orders_search": lambda target: {"vin": target.member.vin},
    "recruitment_plan_set": lambda _: {"target": 10},
}  # fmt: skip

VERSIONS: Versions = {
    "deliveries_update": "/deliveries/{delivery_id}",
    "recruitment_plan_set": "/recruitment/plan/{period}/{dealer_code}",
}

LISTS: Lists = {
    "deliveries_list": lambda target: target.delivery,
    "orders_list": lambda target: target.order,
    "orders_search": lambda target: target.order,
    "recruitment_applications_age": lambda target: f'"dealer_code":"{target.dealer}"',
    "recruitment_consultants": lambda target: f'"dealer_code":"{target.dealer}"',
    "recruitment_misses": lambda target: target.delivery,
    "recruitment_plan": lambda target: f'"dealer_code":"{target.dealer}"',
}

_NO_LINES: Body = {"content": b"", "headers": LINES}
FILES: Files = {"orders_import": _NO_LINES, "deliveries_import": _NO_LINES}
