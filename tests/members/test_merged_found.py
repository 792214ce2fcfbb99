"""Whoever looks for a member that was merged finds who goes on for it."""

from datetime import timedelta

import pytest

from tests.api import Api
from tests.members.conftest import car
from tests.members.merges import WHY, kind, merge, merged, sound, undo  # noqa: F401 (a fixture)
from tests.members.test_sign_in import Phones, asked, enter, phones  # noqa: F401 (a fixture)
from tests.now import NOW
from tests.shop import Shop


async def test_the_counter_finds_who_goes_on(api: Api, shop: Shop):
    source, target = await shop.member(points=60), await shop.member()
    await merged(shop, source, target)
    for by in ({"member_no": source.member_no}, {"phone": source.phone}, {"vin": source.vin}):
        for token in (shop.advisor, shop.foreign):
            status, found = await shop.post("/counter/lookup", by, token)
            assert (status, found["member_id"], found["available"]) == (200, str(target.id), 60), by


async def test_search_finds_who_goes_on_and_lists_leave_the_merged_out(api: Api, shop: Shop):
    source, target = await shop.member(name="欧阳锋"), await shop.member(name="欧阳克")
    merge_id = await merged(shop, source, target)
    for by in ({"member_no": source.member_no}, {"phone": source.phone}, {"vin": source.vin}, {"name": "欧阳"}):
        found = (await shop.post("/members/search", by, shop.director))[1]["items"]
        assert [member["id"] for member in found] == [str(target.id)], by
    every = (await shop.get("/members", shop.hq, limit=200))[1]["items"]
    assert str(source.id) not in {member["id"] for member in every}
    with_merged = (await shop.get("/members", shop.hq, limit=200, include_merged=True))[1]["items"]
    assert {member["id"]: member["merged_into"] for member in with_merged}[str(source.id)] == str(target.id)
    preview = {"filter": {"field": "name", "op": "starts_with", "value": "欧阳"}}
    status, seen = await shop.post("/segments/preview", preview, shop.hq)
    assert (status, seen["count"]) == (200, 1), seen
    assert (await undo(shop, merge_id))[0] == 200
    assert len((await shop.post("/members/search", {"name": "欧阳"}, shop.director))[1]["items"]) == 2


async def test_their_phone_signs_in_who_goes_on(api: Api, shop: Shop, phones: Phones):  # noqa: F811
    source, target = await shop.member(), await shop.member()
    before = (await enter(api, source.phone, await asked(api, phones, source)))[1]
    await merged(shop, source, target)
    again = await api.call("POST", "/sign-in/refresh", json={"refresh_token": before["refresh_token"]})
    assert again.status_code == 401

    api.app.state.now = NOW + timedelta(minutes=2)
    status, tokens = await enter(api, source.phone, await asked(api, phones, source))
    assert status == 200
    assert (await api.call("GET", "/me", tokens["access_token"])).json()["subject"] == target.member_no


class Wechat:
    """A mini-program whose codes are its users, and their numbers."""

    app_id = "app"

    async def openid(self, code: str) -> str:
        return code

    async def phone(self, code: str) -> str | None:
        return code


async def test_their_wechat_signs_in_who_goes_on(api: Api, shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(api.app.state, "wechat", Wechat())
    source, target = await shop.member(), await shop.member()

    async def sign_in(openid: str) -> str:
        answer = await api.call("POST", "/member-sign-in/wechat", json={"code": openid})
        if answer.status_code == 202:
            shown = {"link_token": answer.json()["link_token"], "code": source.phone}
            answer = await api.call("POST", "/member-sign-in/wechat/phone", json=shown)
        assert answer.status_code == 200, answer.text
        return str((await api.call("GET", "/me", answer.json()["access_token"])).json()["subject"])

    assert await sign_in("known-before") == source.member_no
    merge_id = await merged(shop, source, target)
    assert await sign_in("known-before") == await sign_in("new") == target.member_no
    assert (await undo(shop, merge_id))[0] == 200
    assert (await sign_in("known-before"), await sign_in("new")) == (source.member_no, target.member_no)


@pytest.mark.parametrize("name", ["张伟", "张小伟"])
async def test_enrolment_with_their_phone_finds_who_goes_on(api: Api, shop: Shop, name: str):
    source, target = await shop.member(name="张伟"), await shop.member(name="张小伟")
    await merged(shop, source, target)
    vin = car(int(source.phone[-6:]) + 300_000)
    body = {"name": name, "phone": source.phone, "vin": vin, "source": "event", "dealer_code": "BJ001"}
    status, made = await shop.post("/members", body, shop.hq)
    assert (status, made["id"], made["outcome"]) == (201, str(target.id), "add_vehicle")
    other = body | {"name": "李四", "vin": vin}
    assert kind(await shop.post("/members", other, shop.hq)) == (409, "/problems/phone-taken")


async def test_the_merged_are_not_taken_up_again(api: Api, shop: Shop):
    source, target = await shop.member(), await shop.member()
    await merged(shop, source, target)
    answer = await shop.post(f"/members/{source.id}/status", {"to": "active"} | WHY, shop.hq)
    assert kind(answer) == (409, "/problems/member-merged")
    assert answer[1]["merged_into"] == str(target.id)
    assert kind(await shop.earn(source, 5)) == (409, "/problems/wallet-closed")


async def test_who_goes_on_has_the_history_of_both(api: Api, shop: Shop):
    source, target = await shop.member(points=60), await shop.member(points=5)
    await merged(shop, source, target)
    status, told = await shop.get(f"/members/{target.id}/timeline", shop.hq, limit=3)
    assert status == 200
    seen = told["items"]
    while told["next_cursor"]:
        told = (await shop.get(f"/members/{target.id}/timeline", shop.hq, limit=3, cursor=told["next_cursor"]))[1]
        seen += told["items"]
    kinds = [(item["source"], item["kind"]) for item in seen]
    assert kinds.count(("status", "left")) == 1
    assert kinds.count(("status", "active")) == kinds.count(("points", "earn")) == kinds.count(("points", "merge")) == 2

    own = (await shop.get(f"/members/{target.id}/own-data", shop.hq))[1]
    assert sorted(posting["points"] for posting in own["postings"]) == [-60, 5, 60, 60]


async def test_a_delivery_with_their_phone_is_who_goes_ons(api: Api, shop: Shop):
    source, target = await shop.member(), await shop.member()
    await merged(shop, source, target)
    vin = car(int(source.phone[-6:]) + 320_000)
    delivered = {
        "dealer_code": "SH001", "vin": vin, "delivered_on": str(NOW.date()), "owner_kind": "individual",
        "owner_name": "张伟", "phone": source.phone,
    }  # fmt: skip
    assert (await shop.post("/deliveries", delivered, shop.hq))[0] in (200, 201)
    assert await api.db.pool.fetchval("SELECT member_id FROM delivery WHERE vin = $1", vin) == target.id
