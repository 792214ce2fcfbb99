"""Rules as tests write them through the API."""

from collections.abc import Mapping
from itertools import count
from typing import Any

from tests.shop import Shop, pointers

Body = dict[str, Any]
HOUSE = {"party": "hq", "percent": "100"}
OWN = {"party": "dealer", "percent": "100"}
codes = (f"rule-{number}" for number in count(1))
groups = (f"group-{number}" for number in count(1))


def definition(**fields: Any) -> Body:
    """One point a yuan of repair orders, paid by headquarters."""
    return {
        "trigger": "repair_order",
        "amount": "event.paid_fen / 100",
        "funders": [HOUSE],
        "expiry": {"kind": "rolling_months", "months": 24},
        "valid_from": "2026-11-01",
        "examples": [example()],
    } | fields


def example(**fields: Any) -> Body:
    return {"fields": {"kind": "repair", "paid_fen": 12_345}, "on": "2026-11-21", "points": 123} | fields


def rule(**fields: Any) -> Body:
    """A rule to be sent; what is no field of the rule itself is one of its definition."""
    own = {name: fields.pop(name) for name in ("code", "dealer_code") if name in fields}
    return {"code": next(codes), "label_zh": "规则", "label_en": "Rule", "definition": definition(**fields)} | own


def frame(**fields: Any) -> Body:
    return {
        "triggers": ["repair_order", "enrolment"], "most_points_an_award": 500, "most_points_a_member_month": 2_000,
        "most_expiry_months": 12,
    } | fields  # fmt: skip


WITHIN = {
    "caps": {"per_order": 500, "per_member_month": 2_000}, "funders": [OWN],
    "expiry": {"kind": "rolling_months", "months": 12},
}  # fmt: skip
"""What a chapter's rule needs in that frame."""


async def made(shop: Shop, token: str, **fields: Any) -> Body:
    """A draft."""
    answer: Body
    status, answer = await shop.post("/rules", rule(**fields), token)
    assert status == 201, answer
    return answer


async def act(shop: Shop, read: Mapping[str, Any], deed: str, token: str, **body: Any) -> tuple[int, Body]:
    """Publish, retire or (no deed) change what was read."""
    answer = await shop.api.call(
        "POST" if deed else "PATCH", f"/rules/{read['id']}{deed}", token, json=body,
        headers={"If-Match": f'"{read["version"]}"'},
    )  # fmt: skip
    if answer.status_code == 200:
        assert answer.headers["ETag"] == f'"{answer.json()["version"]}"'
    return answer.status_code, answer.json()


async def published(shop: Shop, token: str, **fields: Any) -> Body:
    """A rule in force."""
    status, answer = await act(shop, await made(shop, token, **fields), "/publication", token)
    assert status == 200, answer
    return answer


async def refused(shop: Shop, token: str, **fields: Any) -> list[tuple[str, str]]:
    """The faults for which a rule is refused."""
    status, answer = await shop.post("/rules", rule(**fields), token)
    assert status == 422, answer
    return pointers(answer)
