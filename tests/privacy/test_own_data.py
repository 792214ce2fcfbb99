"""A member's own data: to take away, to read, to set right."""

import re

from app.core.actors import Role
from tests.api import Api
from tests.shop import Person, Shop, order, problem


def own(api: Api, member: Person) -> str:
    """The member's token."""
    return api.token(Role.MEMBER, member=member.id)


async def busy_member(shop: Shop, api: Api, name: str = "张伟") -> Person:
    """A member with points, an order, an answer and a provision."""
    member = await shop.member(points=70, name=name)
    assert (await api.call("POST", "/repair-orders", shop.hq, json=order(member.vin))).is_success
    partner = {"code": "HOTEL-01", "name": "西湖酒店"}
    body = {"purpose": "partner", "decision": "given", "version": 1, "channel": "mini_program", "partner": partner}
    assert (await api.call("POST", f"/members/{member.id}/consents", own(api, member), json=body)).is_success
    sent = {"partner_code": "HOTEL-01", "kinds": ["phone"], "reason": "预订"}
    assert (await api.call("POST", f"/members/{member.id}/provisions", shop.hq, json=sent)).is_success
    return member


async def test_the_export_is_whole(shop: Shop, api: Api):
    member = await busy_member(shop, api)
    answer = await api.call("GET", f"/members/{member.id}/own-data", own(api, member))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    data = answer.json()
    assert data["profile"]["phone"] == f"+86{member.phone}", "whole: it is the member's own"
    assert data["points"]["available"] >= 70
    assert [vehicle["vin"] for vehicle in data["vehicles"]] == [member.vin]
    assert [made["vin"] for made in data["repair_orders"]] == [member.vin]
    assert len(data["postings"]) == 2
    assert [(a["purpose"], a["partner"]) for a in data["consents"]] == [("partner", "西湖酒店")]
    assert [p["kinds"] for p in data["provisions"]] == [["phone"]]
    assert [step["status"] for step in data["membership"]] == ["active"]


async def test_the_export_has_the_profile(shop: Shop, api: Api):
    member = await shop.member()
    path = f"/members/{member.id}"
    body = {"value_class": "G", "contact": {"channels": ["wechat"]}, "attributes": {"hobby": ["food", "music"]}}
    changed = await api.call("PATCH", f"{path}/profile", shop.director, json=body, headers={"If-Match": '"0"'})
    assert changed.status_code == 200
    for part, sent in (("household", {"relation": "spouse", "name": "李娜"}), ("notes", {"text": "爱喝茶"})):
        assert (await api.call("POST", f"{path}/{part}", shop.director, json=sent)).status_code == 201
    data = (await api.call("GET", f"{path}/own-data", own(api, member))).json()
    facts = [(fact["name"], fact["value"]) for fact in data["facts"]]
    assert facts == [
        ("value_class", "G"), ("channels", "wechat"), ("days", "any"), ("hobby", "food"), ("hobby", "music"),
    ]  # fmt: skip
    assert [(person["relation"], person["name"]) for person in data["household"]] == [("spouse", "李娜")]
    assert [note["text"] for note in data["notes"]] == ["爱喝茶"]
    page = await api.call("GET", f"{path}/own-data/page", own(api, member))
    assert "配偶" in page.text
    assert "爱喝茶" in page.text


async def test_the_export_holds_nobody_elses_data(shop: Shop, api: Api):
    member, other = await busy_member(shop, api), await busy_member(shop, api, name="赵别人")
    answer = await api.call("GET", f"/members/{member.id}/own-data", own(api, member))
    for foreign in (other.vin, other.phone, other.member_no, "赵别人"):
        assert foreign not in answer.text


async def test_the_page_reads_in_both_languages(shop: Shop, api: Api):
    member = await busy_member(shop, api)
    pages = {}
    for language in ("zh", "en"):
        headers = {"Accept-Language": language}
        answer = await api.call("GET", f"/members/{member.id}/own-data/page", own(api, member), headers=headers)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Content-Language"] == language
        pages[language] = answer.text
    assert "您的个人信息" in pages["zh"]
    assert "提供给合作伙伴" in pages["zh"]
    assert "Your data" in pages["en"]
    assert "given to a partner" in pages["en"]
    assert all(member.vin in page and member.member_no in page for page in pages.values())
    assert not re.search(r"<script|https?://", pages["en"])


async def test_the_page_shows_text_and_runs_none(shop: Shop, api: Api):
    member = await shop.member(name="<script>alert(1)</script>")
    page = (await api.call("GET", f"/members/{member.id}/own-data/page", own(api, member))).text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


async def test_headquarters_answers_a_request_for_a_member_and_a_chapter_does_not(shop: Shop, api: Api):
    member = await shop.member()
    assert (await api.call("GET", f"/members/{member.id}/own-data", shop.hq)).status_code == 200
    assert problem(await api.call("GET", f"/members/{member.id}/own-data", shop.director)) == (
        403, "/problems/forbidden",
    )  # fmt: skip


async def test_a_member_corrects_its_name(shop: Shop, api: Api):
    member = await shop.member()
    read = await api.call("GET", f"/members/{member.id}", own(api, member))
    path, fresh = f"/members/{member.id}/own-data", {"If-Match": read.headers["ETag"]}
    corrected = await api.call("PATCH", path, own(api, member), json={"name": "章伟"}, headers=fresh)
    assert corrected.status_code == 200
    assert corrected.json()["name"] == "章伟"
    assert corrected.headers["ETag"] != read.headers["ETag"]
    stale = await api.call("PATCH", path, own(api, member), json={"name": "张玮"}, headers=fresh)
    assert problem(stale) == (412, "/problems/precondition-failed")
    other = await api.call("PATCH", path, own(api, await shop.member()), json={"name": "外人"}, headers=fresh)
    assert problem(other) == (404, "/problems/not-found")
    assigned = {"status": "active", "dealer_code": "SH001", "member_no": "1000000016"}
    refused = await api.call("PATCH", path, own(api, member), json=assigned, headers=fresh)
    assert {fault["code"] for fault in refused.json()["errors"]} == {"extra_forbidden"}
