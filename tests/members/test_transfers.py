"""Transfers: asked for, answered by whom it concerns, in force from a day on; who was where on a day."""

import asyncio
from datetime import date, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from app.core.actors import Role
from app.members import places, transfers
from app.members.models import Member
from app.settlement.service import month_lines
from app.wiring import verify
from tests.api import Api
from tests.now import NOW
from tests.shop import Person, Shop, pointers

TODAY = date(2026, 11, 21)


class Desk(NamedTuple):
    """Who asks and who answers."""

    shop: Shop
    giving: str
    receiving: str

    async def ask(self, member: Person, token: str = "", **fields: Any) -> dict[str, Any]:
        """A transfer of a member of BJ001 to SH001."""
        body = {"to_dealer_code": "SH001", "reason": "搬家"} | fields
        status, made = await self.shop.post(f"/members/{member.id}/transfers", body, token or self.giving)
        assert status == 201, made
        return dict(made)

    async def refused(self, member: Person, token: str = "", **fields: Any) -> tuple[int, Any]:
        """The same, refused."""
        body = {"to_dealer_code": "SH001", "reason": "搬家"} | fields
        return await self.shop.post(f"/members/{member.id}/transfers", body, token or self.giving)

    async def step(self, transfer: dict[str, Any], step: str, token: str) -> tuple[int, Any]:
        """One step of a transfer."""
        body = None if step == "acceptance" else {"reason": "说明"}
        return await self.shop.post(f"/transfers/{transfer['id']}/{step}", body, token)

    async def where(self, member: Person) -> list[tuple[str | None, str, str | None]]:
        """A member's places, as headquarters reads them."""
        status, found = await self.shop.get(f"/members/{member.id}/places", self.shop.hq)
        assert status == 200
        return [(place["dealer_code"], place["since"], place["until"]) for place in found["items"]]


@pytest.fixture(scope="module")
async def desk(api: Api, shop: Shop) -> Desk:
    return Desk(shop, shop.director, api.token(Role.CARE_DIRECTOR, dealer="SH001"))


async def on(desk: Desk, member: Person, day: date) -> Any:
    place = (
        "SELECT dealer_code FROM member_place WHERE member_id = $1 AND since <= $2 AND (until > $2 OR until IS NULL)"
    )
    return await desk.shop.pool.fetchval(place, member.id, day)


async def test_asked_by_the_chapter_and_taken_in_by_the_other(api: Api, desk: Desk):
    member = await desk.shop.member(points=50, name="张小伟")
    assert (await api.call("GET", f"/members/{member.id}", desk.receiving)).status_code == 404
    asked = await desk.ask(member)
    assert (asked["status"], asked["asked_as"], asked["from_dealer_code"]) == ("asked", "chapter", "BJ001")
    assert (asked["name"], asked["member_no"], asked["answer_by"]) == ("张小伟", member.member_no, "2026-12-05")
    # who is to receive the member knows whom, but not all of the name
    seen = (await api.call("GET", f"/transfers/{asked['id']}", desk.receiving)).json()
    assert (seen["name"], seen["member_no"]) == ("张**", member.member_no)
    assert (await api.call("GET", f"/members/{member.id}", desk.receiving)).status_code == 404
    status, done = await desk.step(asked, "acceptance", desk.receiving)
    assert (status, done["status"], done["moved_on"], done["name"]) == (200, "done", "2026-11-21", "张小伟")
    moved = (await api.call("GET", f"/members/{member.id}", desk.receiving)).json()
    assert (moved["dealer_code"], moved["phone"], moved["version"]) == ("SH001", f"+86{member.phone}", 2)
    assert (await api.call("GET", f"/members/{member.id}", desk.giving)).status_code == 404
    assert (await api.call("GET", f"/transfers/{asked['id']}", desk.giving)).json()["name"] == "张**"
    assert await desk.where(member) == [("SH001", "2026-11-21", None)]  # joined on the same day
    assert await desk.shop.wallet(member) == (50, 0, 0, 0)


async def test_the_day_counts(api: Api, desk: Desk):
    member = await desk.shop.member()
    async with desk.shop.at(NOW + timedelta(days=40)):
        # by then SH001's token is over
        assert (await desk.step(await desk.ask(member), "acceptance", desk.shop.hq))[0] == 200
    assert await desk.where(member) == [("BJ001", "2026-11-21", "2026-12-31"), ("SH001", "2026-12-31", None)]
    assert await on(desk, member, date(2026, 11, 20)) is None
    assert await on(desk, member, date(2026, 12, 30)) == "BJ001"
    assert await on(desk, member, date(2026, 12, 31)) == "SH001"
    # a former chapter knows the row, and no more
    assert (await api.call("GET", f"/members/{member.id}/places", desk.giving)).status_code == 404


async def test_a_month_behind_is_settled_as_before(api: Api, desk: Desk):
    member = await desk.shop.member(points=100)
    assert (await desk.shop.redeem(member, 30, desk.shop.advisor, code=await desk.shop.code(member)))[0] == 201
    before = await month_lines(api.db.pool, date(2026, 11, 1))
    assert any(line.place == "BJ001" for line in before)
    assert (await desk.step(await desk.ask(member), "acceptance", desk.receiving))[0] == 200
    assert await month_lines(api.db.pool, date(2026, 11, 1)) == before


async def test_asked_by_the_member_itself_and_refused(api: Api, desk: Desk):
    member, other = await desk.shop.member(), await desk.shop.member()
    own = api.token(Role.MEMBER, member=member.id)
    asked = await desk.ask(member, own)
    assert asked["asked_as"] == "member"
    # it concerns neither another member, nor is it the member's to decide
    assert (await desk.refused(other, own))[0] == 404
    assert (await desk.step(asked, "acceptance", own))[0] == 403
    assert (
        await api.call("GET", f"/transfers/{asked['id']}", api.token(Role.MEMBER, member=other.id))
    ).status_code == 404
    status, refused = await desk.step(asked, "refusal", desk.receiving)
    assert (status, refused["status"], refused["answer"], refused["moved_on"]) == (200, "refused", "说明", None)
    assert await desk.where(member) == [("BJ001", "2026-11-21", None)]
    listed = (await api.call("GET", "/transfers", own)).json()["items"]
    assert [transfer["id"] for transfer in listed] == [asked["id"]]
    status, problem = await desk.step(asked, "acceptance", desk.receiving)
    assert (status, problem["current"], problem["allowed"]) == (409, "refused", ["asked"])
    # answered, it is over: another may be asked for, and taken back
    again = await desk.ask(member, own)
    assert (await desk.step(again, "withdrawal", own))[1]["status"] == "withdrawn"


async def test_each_side_does_its_own_part(api: Api, desk: Desk):
    asked = await desk.ask(await desk.shop.member())
    for step, token in (("acceptance", desk.giving), ("refusal", desk.giving), ("withdrawal", desk.receiving)):
        assert (await desk.step(asked, step, token))[0] == 403, step
    body = {"code": "BJ009", "region_code": "BJ", "has_after_sales": True}
    assert (await desk.shop.post("/dealers", body, desk.shop.hq))[0] == 201
    assert (await desk.shop.post("/dealers/BJ009/chapter", {}, desk.shop.hq))[0] == 201
    third = api.token(Role.CARE_DIRECTOR, dealer="BJ009")
    for step in ("acceptance", "refusal", "withdrawal"):
        assert (await desk.step(asked, step, third))[0] == 404, step
    assert (await api.call("GET", "/transfers?limit=200", third)).json()["items"] == []
    north = api.token(Role.REGIONAL_MANAGER, region="BJ")
    assert asked["id"] in (await api.call("GET", "/transfers?limit=200&status=asked", north)).text
    assert (await desk.step(asked, "acceptance", north))[0] == 403
    assert (await desk.step(asked, "withdrawal", desk.shop.hq))[0] == 200


async def test_what_cannot_be_asked_for(api: Api, desk: Desk):
    member = await desk.shop.member()
    assert (await desk.refused(member, to_dealer_code="BJ002"))[1]["type"] == "/problems/no-chapter"
    for fields, fault in (
        ({"to_dealer_code": "SH999"}, ("/to_dealer_code", "unknown_dealer")),
        ({"to_dealer_code": "BJ001"}, ("/to_dealer_code", "same_chapter")),
        ({"effective_on": "2026-11-20"}, ("/effective_on", "date_too_early")),
        ({"effective_on": "2028-01-01"}, ("/effective_on", "date_too_late")),
        ({"reason": " "}, ("/reason", "string_too_short")),
    ):
        status, problem = await desk.refused(member, **fields)
        assert (status, pointers(problem)) == (422, [fault])
    status, problem = await desk.shop.post(f"/members/{member.id}/transfers", {"reason": "搬家"}, desk.giving)
    assert (status, pointers(problem)) == (422, [("/to_dealer_code", "missing")])
    foreign = await desk.shop.member(dealer="SH001")
    assert (await desk.refused(foreign))[0] == 404
    assert (await desk.refused(foreign._replace(id=UUID(int=7)), desk.shop.hq))[0] == 404
    await desk.ask(member)
    assert (await desk.refused(member, to_dealer_code=None))[1]["type"] == "/problems/transfer-open"
    gone = await desk.shop.member()
    await desk.shop.post(f"/members/{gone.id}/status", {"to": "left", "reason": "x"}, desk.giving)
    status, problem = await desk.refused(gone)
    assert (status, problem["current"], problem["allowed"]) == (409, "left", ["active", "suspended"])
    assert await desk.where(member) == [("BJ001", "2026-11-21", None)]


async def test_a_key_answers_alike(desk: Desk):
    member, body = await desk.shop.member(), {"to_dealer_code": "SH001", "reason": "搬家"}
    path = f"/members/{member.id}/transfers"
    first = await desk.shop.post(path, body, desk.giving, key="move")
    assert first[0] == 201
    assert await desk.shop.post(path, body, desk.giving, key="move") == first
    assert (await desk.shop.post(path, body | {"reason": "别的"}, desk.giving, key="move"))[0] == 409


async def test_it_takes_effect_on_its_day(api: Api, desk: Desk):
    member = await desk.shop.member()
    asked = await desk.ask(member, effective_on="2026-12-01")
    status, accepted = await desk.step(asked, "acceptance", desk.receiving)
    assert (status, accepted["status"], accepted["moved_on"]) == (200, "accepted", None)
    for day, moved in ((9, 0), (10, 1), (11, 0)):
        assert (await transfers.work(api.db, now=NOW + timedelta(days=day))).moved == moved
    assert await desk.where(member) == [("BJ001", "2026-11-21", "2026-12-01"), ("SH001", "2026-12-01", None)]
    assert (await api.call("GET", f"/transfers/{asked['id']}", desk.giving)).json()["status"] == "done"
    assert (await desk.step(asked, "withdrawal", desk.giving))[0] == 409


async def test_silence_is_consent(api: Api, desk: Desk):
    member = await desk.shop.member()
    asked = await desk.ask(member)
    assert await transfers.work(api.db, now=NOW + timedelta(days=14)) == (0, 0)
    # of other tests, too
    assert (await transfers.work(api.db, now=NOW + timedelta(days=15))).timed_out >= 1
    assert await desk.where(member) == [("BJ001", "2026-11-21", "2026-12-06"), ("SH001", "2026-12-06", None)]
    found = (await api.call("GET", f"/transfers/{asked['id']}", desk.receiving)).json()
    assert (found["status"], found["moved_on"]) == ("done", "2026-12-06")
    by = await api.db.pool.fetchval("SELECT decided_by FROM transfer WHERE id = $1", UUID(asked["id"]))
    assert by == "time-out"


async def test_who_leaves_waits_no_longer(api: Api, desk: Desk):
    member = await desk.shop.member()
    asked = await desk.ask(member, effective_on="2026-12-01")
    assert (await desk.step(asked, "acceptance", desk.receiving))[0] == 200
    await desk.shop.post(f"/members/{member.id}/status", {"to": "left", "reason": "x"}, desk.giving)
    found = (await api.call("GET", f"/transfers/{asked['id']}", desk.receiving)).json()
    assert (found["status"], found["answer"]) == ("withdrawn", "the member left")
    await transfers.work(api.db, now=NOW + timedelta(days=30))
    assert await desk.where(member) == [("BJ001", "2026-11-21", None)]


async def test_one_that_cannot_take_effect_ends(api: Api, desk: Desk):
    member = await desk.shop.member()
    asked = await desk.ask(member, effective_on="2026-12-01")
    assert (await desk.step(asked, "acceptance", desk.receiving))[0] == 200
    # by whatever way, past the service
    await api.db.pool.execute("UPDATE member SET status = 'left' WHERE id = $1", member.id)
    assert (await transfers.work(api.db, now=NOW + timedelta(days=30))).moved == 0
    found = (await api.call("GET", f"/transfers/{asked['id']}", desk.giving)).json()
    assert (found["status"], found["moved_on"]) == ("withdrawn", None)


async def test_headquarters_own_roll(api: Api, desk: Desk):
    member = await desk.shop.member()
    asked = await desk.ask(member, to_dealer_code=None)
    assert (await desk.step(asked, "acceptance", desk.giving))[0] == 403
    assert (await desk.step(asked, "acceptance", desk.shop.hq))[0] == 200
    assert (await desk.where(member))[-1] == (None, "2026-11-21", None)
    back = await desk.ask(member, desk.shop.hq, to_dealer_code="BJ001")
    assert (back["asked_as"], back["from_dealer_code"]) == ("headquarters", None)
    assert (await desk.step(back, "acceptance", desk.giving))[0] == 200
    # twice on one day: where the day ends is what counts
    assert await desk.where(member) == [("BJ001", "2026-11-21", None)]


async def test_of_two_answers_one_holds(api: Api, desk: Desk):
    member = await desk.shop.member()
    steps = ["acceptance", "refusal", "acceptance", "refusal"]
    asked = await desk.ask(member)
    answers = await asyncio.gather(*(desk.step(asked, step, desk.receiving) for step in steps))
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409]
    waiting = await desk.shop.member()
    asked_often = await asyncio.gather(*(desk.refused(waiting) for _ in range(5)))
    assert sorted(status for status, _ in asked_often) == [201, 409, 409, 409, 409]


# --- who was where ---


async def test_every_way_into_a_chapter_leaves_its_trail(api: Api, desk: Desk):
    member = await desk.shop.member()
    await desk.shop.post(f"/members/{member.id}/status", {"to": "left", "reason": "x"}, desk.giving)
    again = {"name": "张伟", "phone": member.phone, "vin": member.vin, "source": "event", "dealer_code": "SH001"}
    async with desk.shop.at(NOW + timedelta(days=5)):
        status, back = await desk.shop.post("/members", again, desk.shop.hq)
        assert (status, back["outcome"]) == (201, "already_known")
    assert await desk.where(member) == [("BJ001", "2026-11-21", "2026-11-26"), ("SH001", "2026-11-26", None)]
    # even one that nobody thought of, on the day on which it was done
    other = await desk.shop.member()
    await api.db.pool.execute("UPDATE member SET dealer_code = NULL WHERE id = $1", other.id)
    assert [place for place, _, _ in await desk.where(other)][-1] is None


async def test_the_trail_is_not_the_services_to_rewrite(api: Api, desk: Desk):
    member = await desk.shop.member()
    for statement in ("UPDATE member_place SET since = since - 1", "DELETE FROM member_place"):
        with pytest.raises(Exception, match="permission denied"):
            await api.db.pool.execute(f"{statement} WHERE member_id = $1", member.id)


async def test_a_day_before_the_last_move_changes_nothing_that_was(api: Api, desk: Desk):
    member = await desk.shop.member()
    async with api.db.session() as session:
        found = await session.get(Member, member.id, with_for_update=True)
        assert found is not None
        await places.move(session, found, "SH001", TODAY - timedelta(days=9))
    assert await desk.where(member) == [("SH001", "2026-11-21", None)]


async def test_erased_with_its_reasons(api: Api, desk: Desk):
    member = await desk.shop.member()
    asked = await desk.ask(member)
    await desk.shop.post(f"/members/{member.id}/status", {"to": "left", "reason": "x"}, desk.giving)
    await api.db.pool.execute("SELECT restricted.erase($1, $2)", member.id, NOW)
    rows = await api.db.pool.fetch("SELECT reason, answer FROM transfer WHERE id = $1", UUID(asked["id"]))
    assert [tuple(row) for row in rows] == [("erased", None)]


async def test_the_timeline_and_the_members_own_data_tell_it(api: Api, desk: Desk):
    member = await desk.shop.member()
    own = api.token(Role.MEMBER, member=member.id)
    assert (await desk.step(await desk.ask(member, own), "refusal", desk.receiving))[0] == 200
    assert (await desk.step(await desk.ask(member, own, to_dealer_code=None), "acceptance", desk.shop.hq))[0] == 200
    told = (await api.call("GET", f"/members/{member.id}/timeline", own)).json()["items"]
    kinds = [(event["source"], event["kind"]) for event in told if event["source"] in {"transfer", "place"}]
    assert sorted(kinds) == [
        ("place", "roll"), ("transfer", "accepted"), ("transfer", "asked"), ("transfer", "asked"),
        ("transfer", "refused"),
    ]  # fmt: skip
    data = (await api.call("GET", f"/members/{member.id}/own-data", own)).json()
    assert data["chapters"] == [{"chapter": None, "since": "2026-11-21", "until": None}]
    assert [(asked["to_chapter"], asked["status"]) for asked in data["transfers"]] == [
        ("SH001", "refused"), (None, "done"),
    ]  # fmt: skip


async def test_the_books_agree(dsn: str, desk: Desk):
    assert {check.name: rows for check, rows in await verify(dsn) if check.name.startswith("members-")} == {
        "members-have-places": []
    }
