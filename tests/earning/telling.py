"""Events of one rule, as tests tell them, and what comes of them: lots, budgets, cases."""

from typing import Any
from uuid import uuid4

from tests.earning.writing import Body, published
from tests.shop import Person, Shop


async def survey_rule(shop: Shop, **fields: Any) -> Body:
    """Ten points a score of surveys of its own name."""
    name = uuid4().hex[:12]
    made = await published(
        shop, shop.hq, trigger="survey_answered", condition=f'event.survey == "{name}"',
        **{"amount": "event.score * 10",
           "examples": [{"fields": {"survey": name, "score": 2}, "dealer": {"code": "BJ001"}, "on": "2026-11-21",
                        "points": 20}]} | fields,
    )  # fmt: skip
    return made | {"survey": name}


def answered(rule: Body, member: Person, score: int = 5, **fields: Any) -> Body:
    return {
        "trigger": "survey_answered", "key": uuid4().hex, "member_id": str(member.id), "dealer_code": "BJ001",
        "fields": {"survey": rule["survey"], "score": score},
    } | fields  # fmt: skip


async def tell(shop: Shop, event: Body, **query: Any) -> Body:
    suffix = "?dry_run=true" if query.get("dry_run") else ""
    answer: Body
    status, answer = await shop.post(f"/points/earnings{suffix}", event, shop.program)
    assert status == (200 if suffix else 201), answer
    return answer


async def lots(shop: Shop, member: Person) -> list[tuple[Any, ...]]:
    rows = await shop.pool.fetch(
        "SELECT funder, granted, pending, available, document FROM ledger.lot WHERE member_id = $1 ORDER BY lot_no",
        member.id,
    )
    return [tuple(row) for row in rows]


async def budget(shop: Shop, points: int, **fields: Any) -> str:
    code = f"b-{uuid4().hex[:8]}"
    body = {"code": code, "name": "预算", "period": "month", "points": points} | fields
    status, answer = await shop.post("/points/budgets", body, shop.hq)
    assert (status, answer["used"]) == (201, 0), answer
    return code


async def used(shop: Shop, code: str) -> int:
    status, answer = await shop.get(f"/points/budgets/{code}", shop.hq)
    assert status == 200, answer
    return int(answer["used"])


async def cases(shop: Shop, member: Person, **query: Any) -> list[Body]:
    _, page = await shop.get("/points/cases", shop.hq, limit=200, **query)
    return [case for case in page["items"] if case["member_id"] == str(member.id)]


async def decide(shop: Shop, case: Body, how: str) -> tuple[int, Body]:
    return await shop.post(f"/points/cases/{case['id']}/{how}", {"reason": "核对无误"}, shop.hq)
