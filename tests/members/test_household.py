"""A member's household, and the notes of those who care for it."""

from datetime import timedelta
from typing import Any

import pytest

from app.core.actors import Role
from tests.now import NOW
from tests.shop import Person, Shop, pointers


def own(shop: Shop, member: Person) -> str:
    return shop.api.token(Role.MEMBER, member=member.id)


@pytest.fixture
async def member(shop: Shop) -> Person:
    return await shop.member(name="张伟")


# --- household ---


async def test_a_household(shop: Shop, member: Person) -> None:
    path = f"/members/{member.id}/household"
    _, spouse = await shop.post(
        path, {"relation": "spouse", "name": "李娜", "born_on": "1985-02-03", "drives": True}, shop.director
    )
    status, child = await shop.post(path, {"relation": "child", "is_minor": True}, own(shop, member))
    assert (status, child["name"], child["born_on"]) == (201, None, None)
    _, known = await shop.get(f"/members/{member.id}/profile", shop.director)
    assert known["household"] == [spouse, child]
    other = await shop.member()
    for whose, status in ((other, 404), (member, 204), (member, 404)):
        answer = await shop.api.call("DELETE", f"/members/{whose.id}/household/{spouse['id']}", shop.director)
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"is_minor": True, "name": "小明"}, [("/name", "minor_details")]),
        ({"is_minor": True, "born_on": "2020-01-01"}, [("/born_on", "minor_details")]),
        ({"born_on": str((NOW - timedelta(days=365 * 17)).date())}, [("/born_on", "minor_details")]),
        ({"born_on": str((NOW + timedelta(days=2)).date())}, [("/born_on", "date_in_future")]),
        ({"relation": "cat"}, [("/relation", "enum")]),
    ],
)
async def test_no_details_of_minors(
    shop: Shop, member: Person, body: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    status, refused = await shop.post(f"/members/{member.id}/household", {"relation": "child"} | body, shop.director)
    assert (status, pointers(refused)) == (422, faults)


async def test_a_person_of_the_household_changes(shop: Shop, member: Person) -> None:
    path = f"/members/{member.id}/household"
    _, made = await shop.post(path, {"relation": "other", "name": "李娜", "born_on": "1985-02-03"}, shop.director)

    async def patch(body: dict[str, Any], version: int, whose: Person = member, token: str = "") -> tuple[int, Any]:
        answer = await shop.api.call(
            "PATCH", f"/members/{whose.id}/household/{made['id']}", token or shop.director, json=body,
            headers={"If-Match": f'"{version}"'},
        )  # fmt: skip
        return answer.status_code, answer.json()

    status, changed = await patch({"relation": "spouse", "drives": True}, 1)
    assert (status, changed) == (200, made | {"relation": "spouse", "drives": True, "version": 2})
    read = await shop.api.call("GET", f"{path}/{made['id']}", own(shop, member))
    assert (read.json(), read.headers["ETag"]) == (changed, '"2"')
    refusals = [
        await patch({"drives": None}, 1),
        await patch({"is_minor": True}, 2),
        await patch({"relation": None}, 2),
        await patch({"born_on": str((NOW - timedelta(days=365 * 17)).date())}, 2),
        await patch({}, 2, await shop.member()),
        await patch({}, 2, token=shop.advisor),
    ]
    assert [status for status, _ in refusals] == [412, 422, 422, 422, 404, 403]
    assert pointers(refusals[1][1]) == [(f"/{name}", "minor_details") for name in ("name", "born_on", "drives")]
    assert (await shop.get(f"/members/{member.id}/profile", shop.director))[1]["household"] == [changed]
    # the member may say it as well
    _, nameless = await patch({"name": None, "born_on": None, "drives": None}, 2, token=own(shop, member))
    assert nameless == {
        "id": made["id"], "relation": "spouse", "is_minor": False, "name": None, "born_on": None, "drives": None,
        "version": 3,
    }  # fmt: skip


async def test_a_household_ends_somewhere(shop: Shop, member: Person) -> None:
    path = f"/members/{member.id}/household"
    for _ in range(20):
        assert (await shop.post(path, {"relation": "other"}, shop.director))[0] == 201
    status, refused = await shop.post(path, {"relation": "other"}, shop.director)
    assert (status, refused["type"]) == (409, "/problems/household-full")


# --- notes ---


async def test_notes_the_pinned_first(shop: Shop, member: Person) -> None:
    path = f"/members/{member.id}/notes"
    made = [(await shop.post(path, {"text": f"第{n}次"}, shop.director))[1] for n in range(4)]
    answer = await shop.api.call(
        "PATCH", f"{path}/{made[1]['id']}", shop.director, json={"is_pinned": True}, headers={"If-Match": '"1"'}
    )
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while cursor or not seen:
        _, page = await shop.get(path, shop.director, limit=1, **cursor)
        seen += [note["text"] for note in page["items"]]
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
    assert seen == ["第1次", "第3次", "第2次", "第0次"]
    assert (await shop.get(path, shop.director, cursor="WzEsInh5eiJd"))[0] == 422


async def test_a_note_is_its_writers(shop: Shop, member: Person) -> None:
    path = f"/members/{member.id}/notes"
    staff = shop.api.token(Role.CARE_STAFF, dealer="BJ001")
    _, note = await shop.post(path, {"text": "爱喝茶"}, shop.director, key="note-once")
    assert (await shop.post(path, {"text": "爱喝茶"}, shop.director, key="note-once"))[1] == note
    one = f"{path}/{note['id']}"

    async def change(body: dict[str, Any], version: int, token: str) -> int:
        answer = await shop.api.call("PATCH", one, token, json=body, headers={"If-Match": f'"{version}"'})
        return answer.status_code

    assert await change({"text": "爱喝酒"}, 1, staff) == 403
    assert await change({"is_pinned": True}, 1, staff) == 200
    assert await change({"is_pinned": False}, 1, staff) == 412
    assert await change({"text": "爱喝绿茶"}, 2, shop.director) == 200
    assert (await shop.api.call("DELETE", one, staff)).status_code == 403
    assert (await shop.get(one, shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")))[0] == 404
    assert (await shop.get(path, own(shop, member)))[0] == 403, "the member does not read them here"
    assert (await shop.api.call("DELETE", one, shop.director)).status_code == 204
    assert (await shop.get(one, shop.director))[0] == 404
