"""Rewards of the tests, and orders for them as members and counters place them."""

from datetime import timedelta
from itertools import count
from typing import Any

from app.core.actors import Role
from app.wiring import verify
from tests.now import NOW
from tests.shop import Answer, Person, Shop

GIFT: dict[str, Any] = {"kind": "gift", "prices": [{"points": 300}], "is_counted": True}
COUPON: dict[str, Any] = {"kind": "coupon", "prices": [{"points": 50}], "codes": "own"}
POOL = COUPON | {"codes": "pool"}
DONATION: dict[str, Any] = {"kind": "donation", "prices": [{"points": 1000, "least_points": 1}]}
SERVICE: dict[str, Any] = {
    "kind": "service",
    "covers": ["labour", "parts"],
    "max_share_percent": 30,
    "fen_per_point": 7,
}
REASON = {"reason": "说明"}
LAPSED = NOW + timedelta(hours=73)
_serials = count(1)


def entry(**fields: Any) -> dict[str, Any]:
    """The body of a reward with a name of its own, a gift of 300 points unless `fields` say otherwise."""
    return {"name": f"礼品{next(_serials)}", "valid_from": "2026-01-01"} | fields


async def reward(shop: Shop, *, stock: int | None = None, token: str = "", **fields: Any) -> str:
    """A reward that is offered, with so much in stock; its id."""
    status, made = await shop.post("/rewards", entry(**fields), token or shop.hq)
    assert (status, made["is_offered"]) == (201, False), made
    answer = await patch(shop, made["id"], token or shop.hq, is_offered=True)
    assert answer[0] == 200, answer
    if stock:
        change = {"change": stock} | REASON
        assert (await shop.post(f"/rewards/{made['id']}/movements", change, token or shop.hq))[0] == 201
    return str(made["id"])


async def patch(shop: Shop, reward_id: str, token: str, **fields: Any) -> Answer:
    """A change of an entry as it stands."""
    etag = (await shop.api.call("GET", f"/rewards/{reward_id}", shop.hq)).headers["ETag"]
    answer = await shop.api.call("PATCH", f"/rewards/{reward_id}", token, json=fields, headers={"If-Match": etag})
    return answer.status_code, answer.json()


def own(shop: Shop, member: Person) -> str:
    """The member's own token."""
    return shop.api.token(Role.MEMBER, member=member.id)


async def order(shop: Shop, member: Person, reward_id: str, *, key: str | None = None, **fields: Any) -> Answer:
    """What a member orders in the app."""
    return await shop.post("/members/me/reward-orders", {"reward_id": reward_id} | fields, own(shop, member), key=key)


async def at_counter(shop: Shop, member: Person, reward_id: str, *, token: str = "", **fields: Any) -> Answer:
    """What a member orders at BJ001's counter with the code of the app."""
    body = {"reward_id": reward_id, "member_id": str(member.id), "code": await shop.code(member)} | fields
    return await shop.post("/reward-orders", body, token or shop.advisor)


async def step(shop: Shop, ordered: Any, name: str, body: Any, token: str = "", key: str | None = None) -> Answer:
    """A step of an order."""
    return await shop.post(f"/reward-orders/{ordered['id']}/{name}", body, token or shop.hq, key=key)


async def stock(shop: Shop, reward_id: str) -> tuple[int | None, int, int, int | None]:
    """Stock, reserved, issued and left."""
    found = (await shop.get(f"/rewards/{reward_id}", shop.hq))[1]
    return found["stock"], found["reserved"], found["issued"], found["left"]


def kind(answer: Answer) -> tuple[int, str]:
    """A refusal's status and type."""
    return answer[0], answer[1]["type"].removeprefix("/problems/")


async def disagreeing(dsn: str) -> dict[str, list[str]]:
    """Which of the checks of rewards and of the ledger fail, and over which rows."""
    return {check.name: list(rows) for check, rows in await verify(dsn) if rows}
