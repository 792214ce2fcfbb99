"""A tier programme as tests run one through the API."""

from typing import Any
from uuid import uuid4

from tests.earning.telling import survey_rule, tell
from tests.shop import Person, Shop

Body = dict[str, Any]


async def tier(shop: Shop, code: str, threshold: int, token: str = "") -> tuple[int, Body]:
    """A tier, if it may be written."""
    body = {"code": code, "label_zh": f"{code}卡", "label_en": code.title(), "threshold": threshold}
    return await shop.post("/tiers", body, token or shop.hq)


async def programme(shop: Shop, **changes: Any) -> tuple[int, Body]:
    """The programme changed."""
    return await change(shop, "/tier-programme", **changes)


async def change(shop: Shop, path: str, **changes: Any) -> tuple[int, Body]:
    """What stands at a path, changed as it was read."""
    version = (await shop.api.call("GET", path, shop.hq)).headers["ETag"]
    answer = await shop.api.call("PATCH", path, shop.hq, json=changes, headers={"If-Match": version})
    return answer.status_code, answer.json()


async def standing(shop: Shop, member: Person, token: str = "") -> Body:
    """Where a member stands."""
    status, answer = await shop.get(f"/members/{member.id}/tier", token or shop.hq)
    assert status == 200, answer
    return dict(answer)


async def held(shop: Shop, member: Person) -> str | None:
    """The code of a member's tier."""
    found = (await standing(shop, member))["tier"]
    return found and str(found["code"])


async def steps(shop: Shop, member: Person) -> list[tuple[str, str | None, str | None]]:
    """What happened to a member's tier, in order."""
    history = (await standing(shop, member))["history"]
    return [(one["kind"], one["from_tier"], one["to_tier"]) for one in reversed(history)]


async def status_rule(shop: Shop) -> Body:
    """A hundred status points a score, and no points that can be spent."""
    return await survey_rule(shop, amount="0", status_amount="event.score * 100", examples=[_EXAMPLE])


_EXAMPLE = {"fields": {"survey": "any", "score": 2}, "on": "2026-11-21", "points": 0}


async def earned(shop: Shop, rule: Body, member: Person, status_points: int) -> Body:
    """Status points of a survey, today."""
    event = {
        "trigger": "survey_answered", "key": uuid4().hex, "member_id": str(member.id), "dealer_code": "BJ001",
        "fields": {"survey": rule["survey"], "score": status_points // 100},
    }  # fmt: skip
    return await tell(shop, event)
