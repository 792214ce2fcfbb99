"""Two memberships that become one, and two again: how tests ask for it, and what must hold after each."""

from typing import Any

import pytest

from app.wiring import CHECKS
from tests.api import Api
from tests.shop import Answer, Person, Shop

WHY = {"reason": "one person with two numbers"}
BACK = {"reason": "father and son after all"}


async def merge(shop: Shop, source: Person, target: Person, token: str | None = None, key: str | None = None) -> Answer:
    body = {"from_id": str(source.id), "into_id": str(target.id)} | WHY
    return await shop.post("/members/merges", body, token or shop.hq, key=key)


async def merged(shop: Shop, source: Person, target: Person) -> str:
    """A merge that is done; its id."""
    status, body = await merge(shop, source, target)
    assert status == 201, body
    return str(body["id"])


async def undo(shop: Shop, merge_id: str, token: str | None = None, key: str | None = None) -> Answer:
    return await shop.post(f"/members/merges/{merge_id}/undo", BACK, token or shop.hq, key=key)


async def read(shop: Shop, member: Person) -> dict[str, Any]:
    status, body = await shop.get(f"/members/{member.id}", shop.hq)
    assert status == 200
    return dict(body)


def kind(answer: Answer) -> tuple[int, str]:
    return answer[0], answer[1]["type"]


@pytest.fixture(autouse=True)
async def sound(api: Api):
    """After every test all that `club verify` asks still holds."""
    yield
    async with api.db.connection() as connection:
        assert {check.name: rows for check in CHECKS if (rows := await check.run(connection))} == {}
