"""What requests about statements, disputes and contracts need."""

from datetime import date, timedelta

from app.core.actors import Role
from tests.asking.base import REASON, Bodies, Body, Fresh, Lists, Target, World, post, serials
from tests.shop import Shop


async def statements_of(shop: Shop, dealer: str) -> list[str]:
    status, found = await shop.get("/statements", shop.api.token(Role.FINANCE_CLERK, dealer=dealer))
    assert status == 200
    return [statement["id"] for statement in found["items"]]


async def _statement(world: World, target: Target, _: Role) -> Target:
    return target._replace(statement=world.statements[target.dealer].pop())


async def _confirmed(world: World, target: Target, role: Role) -> Target:
    target = await _statement(world, target, role)
    clerk = world.api.token(Role.FINANCE_CLERK, dealer=target.dealer)
    await post(world.shop, f"/statements/{target.statement}/confirmation", {}, clerk)
    return target


async def _disputed(world: World, target: Target, _: Role) -> Target:
    clerk = world.api.token(Role.FINANCE_CLERK, dealer=target.dealer)
    dispute = await post(world.shop, f"/statements/{target.statement}/disputes", REASON, clerk)
    return target._replace(dispute=dispute["id"])


def _contract(target: Target) -> Body:
    day = date(2100, 1, 1) + timedelta(days=next(serials) % 30_000)
    return {"dealer_code": target.dealer, "valid_from": str(day), "rate_fen_per_thousand": 5_000}


async def belongings(shop: Shop, target: Target) -> Body:
    """A statement, and a dispute of it."""
    clerk = shop.api.token(Role.FINANCE_CLERK, dealer=target.dealer)
    statement = (await statements_of(shop, target.dealer))[0]
    dispute = await post(shop, f"/statements/{statement}/disputes", REASON, clerk)
    return {"statement": statement, "dispute": dispute["id"]}


FRESH: Fresh = {
    "disputes_answer": _disputed,
    "statements_confirm": _statement,
    "statements_pay": _confirmed,
}

BODIES: Bodies = {
    "contracts_add": _contract,
    "disputes_answer": lambda _: {"answer": "更正"},
    "statements_dispute": lambda _: REASON,
    "statements_pay": lambda _: {"reference": "x"},
}  # fmt: skip

LISTS: Lists = {
    "statements_list": lambda target: target.statement,
}
