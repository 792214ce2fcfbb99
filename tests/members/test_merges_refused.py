"""What of two memberships keeps them from becoming one, and who may not make them one; nothing is half-done."""

from typing import Any
from uuid import UUID

import pytest

from app.core.actors import Role
from app.privacy import retention
from tests.api import SETTINGS, Api
from tests.members.merges import WHY, kind, merge, merged, read, sound, undo  # noqa: F401 (a fixture)
from tests.now import NOW
from tests.shop import Shop


async def test_two_who_cannot_be_one(api: Api, shop: Shop):
    first, second, third = [await shop.member(points=10) for _ in range(3)]
    nobody = first._replace(id=UUID(int=5))
    assert kind(await merge(shop, first, first)) == (409, "/problems/same-member")
    assert kind(await merge(shop, first, nobody)) == (404, "/problems/not-found")
    assert kind(await merge(shop, nobody, first)) == (404, "/problems/not-found")
    await merged(shop, first, second)
    for source, target in ((first, third), (second, first), (third, first), (first, second)):
        assert kind(await merge(shop, source, target)) == (409, "/problems/already-merged")
    assert await shop.wallet(second) == (20, 0, 0, 0)


async def test_held_points_keep_a_member(api: Api, shop: Shop):
    source, target = await shop.member(points=10), await shop.member()
    held = {"member_id": str(source.id), "points": 4, "order_no": "RO-1", "dealer_code": "BJ001"}
    assert (await shop.post("/holds", held, shop.program))[0] == 201
    assert kind(await merge(shop, source, target)) == (409, "/problems/holds-open")
    assert (await read(shop, source))["status"] == "active"
    assert len((await read(shop, target))["vehicles"]) == 1
    assert (await merge(shop, target, source))[0] == 201, "the other way nothing is in the way"


@pytest.mark.parametrize("whose", [0, 1])
async def test_only_active_members_who_stay(api: Api, shop: Shop, whose: int):
    pair = source, target = await shop.member(), await shop.member()
    step = {"to": "suspended", "reason": "asked for it"}
    assert (await shop.post(f"/members/{pair[whose].id}/status", step, shop.hq))[0] == 200
    assert kind(await merge(shop, source, target)) == (409, "/problems/wrong-status")
    assert (await api.call("PUT", f"/members/{pair[whose].id}/erasure", shop.hq, json={})).status_code == 200
    assert kind(await merge(shop, source, target)) == (409, "/problems/erasure-pending")
    await retention.apply(api.db, SETTINGS, now=NOW.replace(year=2028))
    assert kind(await merge(shop, source, target)) == (404, "/problems/not-found")


@pytest.mark.parametrize(
    ("role", "options", "status"),
    [
        (Role.HQ_OPERATIONS, {}, 201),
        (Role.CARE_DIRECTOR, {"dealer": "BJ001"}, 201),
        (Role.CARE_DIRECTOR, {"dealer": "SH001"}, 404),
        (Role.CARE_STAFF, {"dealer": "BJ001"}, 403),
        (Role.REGIONAL_MANAGER, {"region": "BJ"}, 403),
        (Role.HQ_FINANCE, {}, 403),
        (Role.API_CLIENT, {"scopes": "members:decide members:write"}, 403),
        (Role.MEMBER, {"member": UUID(int=1)}, 403),
    ],
)
async def test_who_merges(api: Api, shop: Shop, role: Role, options: dict[str, Any], status: int):
    source, target = await shop.member(), await shop.member()
    token = api.token(role, **options)
    answer = await merge(shop, source, target, token)
    assert answer[0] == status, answer
    merge_id = answer[1]["id"] if status == 201 else await merged(shop, source, target)
    assert (await undo(shop, merge_id, token))[0] == {201: 200}.get(status, status)


async def test_a_director_merges_only_his_own(api: Api, shop: Shop):
    own, foreign = await shop.member(), await shop.member(dealer="SH001")
    for source, target in ((own, foreign), (foreign, own)):
        assert kind(await merge(shop, source, target, shop.director)) == (404, "/problems/not-found")
    merge_id = await merged(shop, foreign, own)
    assert (await shop.get(f"/members/merges/{merge_id}", shop.director))[0] == 200
    assert kind(await undo(shop, merge_id, shop.director)) == (404, "/problems/not-found")


@pytest.mark.parametrize("fault", [{"reason": ""}, {"from_id": "x"}, {"force": True}])
async def test_the_body_is_checked(shop: Shop, fault: dict[str, Any]):
    body = {"from_id": str(UUID(int=1)), "into_id": str(UUID(int=2))} | WHY | fault
    assert kind(await shop.post("/members/merges", body, shop.hq)) == (422, "/problems/invalid-payload")


async def test_a_key_answers_alike(shop: Shop):
    source, target, other = [await shop.member() for _ in range(3)]
    first = await merge(shop, source, target, key="merge-once")
    assert first[0] == 201
    assert await merge(shop, source, target, key="merge-once") == first
    assert kind(await merge(shop, other, target, key="merge-once")) == (409, "/problems/idempotency-key-conflict")
