"""Signals as tests look for them and give reasons for them."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from app.reports import signals
from tests.api import SETTINGS
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Person, Shop

SOON = NOW + timedelta(days=4)
"""By then a repair order would have come."""
serials = count(900_001)

Found = list[dict[str, Any]]


async def found(shop: Shop, kind: str, *, now: datetime = SOON, **settings: Any) -> Found:
    """The signals of a kind after a night's search."""
    await signals.find(shop.api.db, SETTINGS.model_copy(update=settings), now=now)
    status, page = await shop.get("/signals", shop.hq, kind=kind, limit=200)
    assert status == 200, page
    return list(page["items"])


def about(items: Found, member: Person) -> Found:
    return [item for item in items if str(member.id) in item["member_ids"]]


async def spend(shop: Shop, member: Person, order_no: str, token: str = "", **fields: Any) -> dict[str, Any]:
    status, made = await shop.redeem(
        member, 50, token or shop.program, order_no=order_no, **({"dealer_code": "BJ001"} | fields)
    )
    assert status == 201, made
    return dict(made)


async def judge(shop: Shop, item: dict[str, Any], verdict: str, version: int | None = None) -> tuple[int, Any]:
    answer = await shop.api.call(
        "POST", f"/signals/{item['id']}/judgement", shop.hq, json={"status": verdict, "reason": "查过"},
        headers={"If-Match": f'"{version or item["version"]}"'},
    )  # fmt: skip
    return answer.status_code, answer.json()


async def applied(shop: Shop, phone: str, name: str) -> None:
    body = {"name": name, "phone": phone, "vin": car(next(serials)), "source": "event", "dealer_code": "BJ001"}
    status, made = await shop.post("/applications", body, shop.hq)
    assert status == 201, made
