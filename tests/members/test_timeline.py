"""A member's timeline: everything from every domain, in order, paged, and for whom."""

from datetime import timedelta
from typing import Any

import pytest

from app.core.actors import Actor, Role
from app.core.catalogue import Language, texts
from app.core.paging import encode_cursor
from app.members import timeline
from tests.now import NOW
from tests.shop import Person, Shop, order


@pytest.fixture(scope="module")
async def member(shop: Shop) -> Person:
    """A member with something of everything, each a day apart."""
    steps: list[Any] = []
    member = await shop.member(name="张伟")
    path = f"/members/{member.id}"
    steps = [
        ("/deliveries", {
            "vin": member.vin, "dealer_code": "BJ001", "delivered_on": str(NOW.date()), "owner_kind": "individual",
            "owner_name": "张伟", "phone": member.phone, "model": "途观",
        }, shop.director),
        ("/repair-orders", order(member.vin), shop.advisor),
        (f"{path}/notes", {"text": "爱喝茶"}, shop.director),
        (f"{path}/consents", {"purpose": "marketing", "decision": "refused", "channel": "app"}, shop.hq),
        (f"{path}/status", {"to": "suspended", "reason": "核实身份"}, shop.director),
        (f"{path}/status", {"to": "active", "reason": "已核实"}, shop.director),
    ]  # fmt: skip
    for days, (to, body, token) in enumerate(steps, 1):
        async with shop.at(NOW + timedelta(days=days)):
            answer = await shop.api.call("POST", to, token, json=body, key=f"timeline-{days}")
            assert answer.is_success, (to, answer.text)
    async with shop.at(NOW + timedelta(days=20)):
        sold = {"vin": member.vin, "sold_on": str((NOW + timedelta(days=10)).date())}
        answer = await shop.api.call("POST", f"{path}/sold-vehicles", shop.hq, json=sold)
        assert answer.is_success, answer.text
    return member


async def read(shop: Shop, member: Person, token: str, **params: Any) -> list[dict[str, Any]]:
    """All of it, by pages of three."""
    seen: list[dict[str, Any]] = []
    while True:
        status, page = await shop.get(f"/members/{member.id}/timeline", token, **{"limit": 3} | params)
        assert status == 200, page
        seen += page["items"]
        if page["next_cursor"] is None:
            return seen
        params["cursor"] = page["next_cursor"]


async def test_all_domains_tell_in_order(shop: Shop, member: Person) -> None:
    seen = await read(shop, member, shop.hq)
    assert [one["at"] for one in seen] == sorted((one["at"] for one in seen), reverse=True)
    assert len({(one["source"], one["id"]) for one in seen}) == len(seen)
    told = [(one["source"], one["kind"]) for one in seen]
    assert told[:5] == [
        ("vehicle", "given_up"),
        ("status", "active"),
        ("status", "suspended"),
        ("consent", "refused"),
        ("note", "written"),
    ]
    assert {"points", "visit", "delivery", "status", "vehicle", "note", "consent"} <= {source for source, _ in told}
    assert await read(shop, member, shop.hq, limit=200) == seen, "pages lose nothing and repeat nothing"


async def test_it_is_said_in_the_readers_language(shop: Shop, member: Person) -> None:
    seen = {(one["source"], one["kind"]): one for one in await read(shop, member, shop.hq)}
    assert seen["status", "suspended"]["text"] == "会籍暂停：核实身份"
    assert seen["consent", "refused"]["text"] == "拒绝（营销信息，手机应用）"
    assert seen["delivery", "delivered"]["text"] == "BJ001 交车：途观"
    answer = await shop.api.call(
        "GET", f"/members/{member.id}/timeline", shop.hq, params={"source": "visit"}, headers={"Accept-Language": "en"}
    )
    (visit,) = answer.json()["items"]
    assert visit["text"] == f"Maintenance at BJ001, order {visit['facts']['order_no']}"
    assert visit["facts"]["paid_fen"] == 12345


async def test_what_the_member_reads(shop: Shop, member: Person) -> None:
    seen = await read(shop, member, shop.api.token(Role.MEMBER, member=member.id))
    sources = {one["source"] for one in seen}
    assert {"points", "visit", "status", "vehicle", "consent"} <= sources
    assert not sources & {"note", "delivery"}
    assert {one["by"] for one in seen} == {None}
    staff = await read(shop, member, shop.director)
    assert {one["by"] for one in staff if one["source"] == "note"} == {"care_director:BJ001"}


async def test_a_program_reads_what_its_scopes_name(shop: Shop, member: Person) -> None:
    program = shop.api.token(Role.API_CLIENT, scopes="members:read")
    sources = {one["source"] for one in await read(shop, member, program)}
    assert {"status", "vehicle", "note", "consent"} <= sources
    assert not sources & {"points", "visit", "delivery"}
    assert await read(shop, member, program, source="points") == []
    assert await read(shop, member, program, source="weather") == []


async def test_others_visits_stay_where_they_were(shop: Shop) -> None:
    """A chapter sees its member's visits to itself; the member and headquarters see them all."""
    member = await shop.member()
    for dealer in ("BJ001", "SH001"):
        answer = await shop.post("/repair-orders", order(member.vin, dealer_code=dealer), shop.hq)
        assert answer[0] == 201, answer
    mine = shop.api.token(Role.MEMBER, member=member.id)
    for token, dealers in ((shop.hq, {"BJ001", "SH001"}), (mine, {"BJ001", "SH001"}), (shop.director, {"BJ001"})):
        seen = await read(shop, member, token, source="visit")
        assert {one["facts"]["dealer"] for one in seen} == dealers


async def test_happenings_of_one_moment_have_an_order(shop: Shop) -> None:
    member = await shop.member()
    for _ in range(4):
        assert (await shop.earn(member, 10))[0] == 201
    seen = await read(shop, member, shop.hq, source="points", limit=1)
    numbers = [int(one["id"]) for one in seen]
    assert len(numbers) == 4
    assert numbers == sorted(numbers, reverse=True)


@pytest.mark.parametrize(
    "cursor",
    [encode_cursor("now", "visit", "x"), encode_cursor("2026-01-01T00:00:00", "visit", "x"), encode_cursor(1), "?"],
)
async def test_a_cursor_of_another_list(shop: Shop, member: Person, cursor: str) -> None:
    status, refused = await shop.get(f"/members/{member.id}/timeline", shop.hq, cursor=cursor)
    assert (status, refused["errors"][0]["code"]) == (422, "cursor_invalid")


def test_whatever_can_happen_has_its_words() -> None:
    for source in timeline.sources():
        assert source.kinds
        for kind in source.kinds:
            for language in Language:
                assert f"timeline.{source.name}.{kind}" in texts(language), (source.name, kind)


def test_a_name_is_taken_once() -> None:
    first = timeline.sources()[0]
    with pytest.raises(AssertionError, match="already"):
        timeline.register(first)


async def test_without_a_source_to_read_there_is_nothing(shop: Shop, member: Person) -> None:
    nobody = Actor("x", Role.PARTNER_CLERK)
    async with shop.api.db.session() as session:
        found = await timeline.timeline(session, nobody, member.id, only="points", before=None, limit=5)
    assert found == []
