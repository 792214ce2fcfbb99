"""Segments that are saved: changed, and seen by whom they are for."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.core.actors import Actor, Role
from tests.api import Api
from tests.callers import as_caller
from tests.core.test_filters import where
from tests.members.test_segments import LEFT
from tests.now import NOW
from tests.shop import Shop


@pytest.fixture
async def made(shop: Shop) -> AsyncIterator[dict[str, Any]]:
    """A segment of BJ001's, with two members to choose, and one of another chapter."""
    for dealer in ("BJ001", "BJ001", "SH001"):
        await shop.member(dealer=dealer)
    body = {"name": "老朋友", "filter": where("joined_on", "at_least", {"months_ago": 6})}
    status, made = await shop.post("/segments", body, shop.director)
    assert status == 201, made
    yield made
    await shop.pool.execute("DELETE FROM segment WHERE id = $1", made["id"])


async def test_a_saved_segment_says_what_it_is(shop: Shop, made: dict[str, Any]) -> None:
    assert made["dealer_code"] == "BJ001"
    assert made["explanation"] == {
        "zh": "入会日期不早于6 个月前",
        "en": "day of joining is not before 6 months ago",
    }
    status, page = await shop.get(f"/segments/{made['id']}/members", shop.director, limit=1)
    assert (status, len(page["items"])) == (200, 1)
    seen = [page["items"][0]["id"]]
    while page["next_cursor"]:
        _, page = await shop.get(f"/segments/{made['id']}/members", shop.director, limit=1, cursor=page["next_cursor"])
        seen += [member["id"] for member in page["items"]]
    assert len(seen) == len(set(seen)) >= 2
    # headquarters looks at the chapter's segment, and sees the chapter's members only
    _, all_of_them = await shop.get(f"/segments/{made['id']}/members", shop.hq)
    assert {member["dealer_code"] for member in all_of_them["items"]} == {"BJ001"}


async def test_it_chooses_anew_each_day(shop: Shop, made: dict[str, Any]) -> None:
    async with shop.at(NOW + timedelta(days=200)):
        _, page = await shop.get(f"/segments/{made['id']}/members", shop.director)
    assert page["items"] == []


async def test_names_are_taken_once_a_chapter(shop: Shop, api: Api, made: dict[str, Any]) -> None:
    body = {"name": made["name"], "filter": LEFT}
    status, refused = await shop.post("/segments", body, shop.director)
    assert (status, refused["type"]) == (409, "/problems/segment-exists")
    elsewhere = api.token(Role.CARE_DIRECTOR, dealer="SH001")
    assert (await shop.post("/segments", body, elsewhere))[0] == 201
    assert (await shop.post("/segments", body, shop.hq))[0] == 201
    assert (await shop.post("/segments", body, shop.hq))[0] == 409


async def test_the_same_key_saves_once(shop: Shop) -> None:
    body = {"name": "一次", "filter": LEFT}
    first = await shop.post("/segments", body, shop.hq, key="segment-once")
    assert await shop.post("/segments", body, shop.hq, key="segment-once") == first


async def test_changes_need_the_version_read(shop: Shop, api: Api, made: dict[str, Any]) -> None:
    path = f"/segments/{made['id']}"

    async def change(body: dict[str, Any], etag: str, method: str = "PATCH") -> tuple[int, Any]:
        sent: dict[str, Any] = {"json": body} if body else {}
        answer = await api.call(method, path, shop.director, headers={"If-Match": etag}, **sent)
        return answer.status_code, answer.json() if answer.content else None

    read = await api.call("GET", path, shop.director)
    assert read.headers["ETag"] == '"1"'
    status, changed = await change({"filter": LEFT}, '"1"')
    assert (status, changed["explanation"]["zh"], changed["version"]) == (200, "会员状态为已退会", 2)
    assert (await change({"name": "旧"}, '"1"'))[0] == 412
    assert (await change({"filter": where("x", "is", 1)}, '"2"'))[0] == 422
    assert (await change({"name": None}, '"2"'))[0] == 422
    assert (await change({}, '"1"', "DELETE"))[0] == 412
    assert (await change({}, '"2"', "DELETE"))[0] == 204
    assert (await api.call("GET", path, shop.director)).status_code == 404


async def test_whose_segments_one_sees_and_changes(shop: Shop, api: Api, made: dict[str, Any]) -> None:
    _, national = await shop.post("/segments", {"name": "全国", "filter": LEFT}, shop.hq)
    elsewhere = api.token(Role.CARE_DIRECTOR, dealer="SH001")
    region = api.token(Role.REGIONAL_MANAGER, region="BJ")
    seen = {}
    for who, token in {"own": shop.director, "other": elsewhere, "region": region, "hq": shop.hq}.items():
        _, page = await shop.get("/segments", token)
        seen[who] = {segment["id"] for segment in page["items"]} & {made["id"], national["id"]}
    both = {made["id"], national["id"]}
    assert seen == {"own": both, "other": {national["id"]}, "region": both, "hq": both}

    for token, segment, status in (
        (elsewhere, made, 404), (shop.director, national, 403), (shop.advisor, made, 403), (shop.hq, made, 200),
    ):  # fmt: skip
        answer = await api.call(
            "PATCH", f"/segments/{segment['id']}", token, json={"filter": LEFT}, headers={"If-Match": '"1"'}
        )
        assert answer.status_code == status
    assert (await shop.get(f"/segments/{made['id']}/members", elsewhere))[0] == 404
    assert (await shop.post("/segments", {"name": "x", "filter": LEFT, "dealer_code": "SH001"}, shop.director))[
        0
    ] == 404
    assert (await shop.post("/segments", {"name": "x", "filter": LEFT, "dealer_code": "BJ002"}, shop.hq))[0] == 404
    assert (await shop.get(f"/segments/{uuid4()}", shop.hq))[0] == 404


async def test_the_database_keeps_chapters_apart(api: Api, made: dict[str, Any]) -> None:
    with as_caller(Actor("director", Role.CARE_DIRECTOR, "SH001")):
        async with api.db.session() as session:
            rows = await session.execute(text("SELECT id FROM segment WHERE dealer_code IS NOT NULL"))
            assert made["id"] not in {str(row_id) for (row_id,) in rows}
