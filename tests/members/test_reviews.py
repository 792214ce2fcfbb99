"""Members who may be one person, found and dismissed; and calls that verify what is on record."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from app.core.actors import Role
from app.core.vault import Vault, fresh_key
from app.members import duplicates
from tests.identity.staff import hire
from tests.now import NOW
from tests.shop import Person, Shop, pointers


async def found(shop: Shop, token: str, **params: Any) -> dict[str, set[str]]:
    """The pairs somebody sees: the members' ids by kind."""
    status, page = await shop.get("/members/duplicates", token, limit=200, **params)
    assert status == 200, page
    return {pair["kind"]: {member["id"] for member in pair["members"]} for pair in page["items"]}


async def search(shop: Shop) -> int:
    return await duplicates.find(shop.api.db, now=NOW)


async def plate(shop: Shop, person: Person, text: str) -> None:
    await shop.pool.execute("UPDATE ownership SET plate = $2 WHERE vin = $1 AND until IS NULL", person.vin, text)


async def namesakes(shop: Shop, name: str, dealers: tuple[str, str] = ("BJ001", "BJ001")) -> tuple[Person, Person]:
    one, other = [await shop.member(name=name, dealer=dealer) for dealer in dealers]
    for person in (one, other):
        await plate(shop, person, f"京A{one.vin[-5:]}")
    return one, other


def ids(*people: Person) -> set[str]:
    return {str(person.id) for person in people}


@pytest.fixture
async def pair(shop: Shop) -> tuple[Person, Person]:
    """Two of one name and plate, on the list alone."""
    await shop.pool.execute("DELETE FROM duplicate; UPDATE ownership SET plate = NULL")
    await search(shop)
    await shop.pool.execute("UPDATE duplicate SET dismissed_at = now(), dismissed_by = 'me', reason = 'another test'")
    pair = await namesakes(shop, "李娜")
    assert await search(shop) == 1
    return pair


async def test_name_and_plate_are_listed_once_and_go_when_they_differ(shop: Shop, pair: tuple[Person, Person]) -> None:
    assert await found(shop, shop.hq) == {"name_plate": ids(*pair)}
    assert await search(shop) == 0
    await plate(shop, pair[1], "京B00001")
    await search(shop)
    assert await found(shop, shop.hq) == {}


async def test_one_plate_of_two_names_is_no_duplicate(shop: Shop, pair: tuple[Person, Person]) -> None:
    stranger = await shop.member(name="王刚")
    await plate(shop, stranger, f"京A{pair[0].vin[-5:]}")
    assert await search(shop) == 0


async def test_a_car_that_went_to_a_namesake(shop: Shop, pair: tuple[Person, Person]) -> None:
    seller = await shop.member(name="赵敏")
    await shop.pool.execute("UPDATE ownership SET until = since WHERE vin = $1", seller.vin)
    body = {"name": "赵敏", "phone": "13377770001", "vin": seller.vin, "source": "delivery", "dealer_code": "BJ001"}
    status, made = await shop.post("/members", body, shop.hq)
    assert status == 201, made
    assert await search(shop) == 1
    assert (await found(shop, shop.hq, kind="vin")) == {"vin": {str(seller.id), made["id"]}}


async def test_one_number_under_two_data_keys(shop: Shop, pair: tuple[Person, Person]) -> None:
    one, other = await shop.member(), await shop.member()
    old, new = shop.api.db.vault, Vault(lambda: (fresh, *keys))
    fresh, keys = fresh_key(), tuple(old.keys())
    sealed = (new.seal(f"+86{one.phone}"), new.index(f"+86{one.phone}"))
    await shop.pool.execute("UPDATE member SET phone = $2, phone_index = $3 WHERE id = $1", other.id, *sealed)
    shop.api.db.vault = new
    try:
        assert await search(shop) == 1
        row = await shop.pool.fetchrow("SELECT member_id, other_id FROM duplicate WHERE kind = 'phone'")
    finally:
        shop.api.db.vault = old
        await shop.pool.execute(
            "UPDATE member SET phone = $2, phone_index = $3 WHERE id = $1",
            other.id, old.seal(f"+86{other.phone}"), old.index(f"+86{other.phone}"),
        )  # fmt: skip
    assert set(row or ()) == {one.id, other.id}
    await search(shop)
    assert set(await found(shop, shop.hq)) == {"name_plate"}


async def test_a_chapter_sees_pairs_of_its_own_alone(shop: Shop, pair: tuple[Person, Person]) -> None:
    await namesakes(shop, "周杰", ("BJ001", "SH001"))
    assert await search(shop) == 1
    assert await found(shop, shop.director) == {"name_plate": ids(*pair)}
    assert await found(shop, shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")) == {}
    status, page = await shop.get("/members/duplicates", shop.hq)
    assert (status, len(page["items"])) == (200, 2)
    foreign = next(item["id"] for item in page["items"] if {m["id"] for m in item["members"]} != ids(*pair))
    path = f"/members/duplicates/{foreign}/dismissal"
    assert (await shop.post(path, {"reason": "two"}, shop.director))[0] == 404


async def test_dismissed_is_dismissed(shop: Shop, pair: tuple[Person, Person]) -> None:
    _, page = await shop.get("/members/duplicates", shop.hq)
    path = f"/members/duplicates/{page['items'][0]['id']}/dismissal"
    assert (await shop.post(path, {"reason": " "}, shop.director))[0] == 422
    assert (await shop.post(path, {"reason": "father and son"}, shop.advisor))[0] == 403
    status, read = await shop.post(path, {"reason": "father and son"}, shop.director)
    assert (status, read["dismissed_by"], read["reason"]) == (200, "care_director:BJ001", "father and son")
    status, refused = await shop.post(path, {"reason": "again"}, shop.director)
    assert (status, refused["type"]) == (409, "/problems/wrong-status")
    assert await search(shop) == 0
    assert await found(shop, shop.hq) == {}
    assert await found(shop, shop.hq, dismissed=True, kind="name_plate") == {"name_plate": ids(*pair)}


async def test_the_merged_leave_the_list_at_once(shop: Shop, pair: tuple[Person, Person]) -> None:
    merge = {"from_id": str(pair[0].id), "into_id": str(pair[1].id), "reason": "one person"}
    status, made = await shop.post("/members/merges", merge, shop.hq)
    assert status == 201, made
    assert await found(shop, shop.hq) == {}


async def test_an_unknown_pair(shop: Shop) -> None:
    assert (await shop.post(f"/members/duplicates/{uuid4()}/dismissal", {"reason": "two"}, shop.hq))[0] == 404


# --- verification calls ---


class Desk:
    """Care staff of BJ001 and SH001, by their accounts."""

    def __init__(self, shop: Shop, own: str, foreign: str, advisor: str) -> None:
        self.shop, self.own, self.foreign, self.adviser = shop, own, foreign, advisor
        self.caller = shop.api.token(Role.CARE_STAFF, dealer="BJ001", subject=own)

    async def ask(self, member: UUID, to: str, token: str, **fields: Any) -> tuple[int, Any]:
        body = {"member_id": str(member), "assigned_to": to, "question": "Is the plate still right?"} | fields
        return await self.shop.post("/verification-calls", body, token)


@pytest.fixture(scope="module")
async def desk(shop: Shop) -> Desk:
    own = await hire(shop.api, "caller.bj", Role.CARE_STAFF, dealer="BJ001")
    foreign = await hire(shop.api, "caller.sh", Role.CARE_STAFF, dealer="SH001")
    advisor = await hire(shop.api, "advisor.bj", Role.SERVICE_ADVISOR, dealer="BJ001")
    return Desk(shop, own.username, foreign.username, advisor.username)


async def test_a_call_is_asked_for_made_and_closed(shop: Shop, desk: Desk) -> None:
    person = await shop.member()
    status, asked = await desk.ask(person.id, desk.own, shop.director, due_on="2026-11-30")
    assert (status, asked["outcome"], asked["member_no"]) == (201, None, person.member_no)
    status, page = await shop.get("/verification-calls", desk.caller, mine=True, closed=False)
    assert (status, [call["id"] for call in page["items"]]) == (200, [asked["id"]])
    # who is to call has the number, others of the chapter do not
    assert page["items"][0]["phone"] == f"+86{person.phone}"
    other = shop.api.token(Role.CARE_STAFF, dealer="BJ001")
    assert (await shop.get("/verification-calls", other))[1]["items"][0]["phone"] == f"139****{person.phone[-4:]}"
    assert (await shop.get("/verification-calls", other, mine=True))[1]["items"] == []
    unmasked = "SELECT count(*) FROM audit_event WHERE action = 'unmasked' AND actor = $1 AND $2 = ANY (target_ids)"
    assert await shop.pool.fetchval(unmasked, desk.own, str(person.id)) == 1

    path, body = f"/verification-calls/{asked['id']}/closing", {"outcome": "confirmed", "answer": "All right"}
    assert (await shop.post(path, body, other))[0] == 403
    status, closed = await shop.post(path, body, desk.caller)
    assert (status, closed["outcome"], closed["closed_by"]) == (200, "confirmed", desk.own)
    assert closed["phone"] == f"139****{person.phone[-4:]}"
    assert (await shop.post(path, body, desk.caller))[0] == 409
    assert (await shop.get("/verification-calls", desk.caller, mine=True, closed=False))[1]["items"] == []
    _, told = await shop.get(f"/members/{person.id}/timeline", shop.director, source="call")
    assert {(one["kind"], one["facts"]["text"]) for one in told["items"]} == {
        ("asked", asked["question"]), ("confirmed", "All right"),
    }  # fmt: skip
    mine = shop.api.token(Role.MEMBER, member=person.id)
    assert (await shop.get(f"/members/{person.id}/timeline", mine, source="call"))[1]["items"] == []


async def test_who_decides_may_close_it_too(shop: Shop, desk: Desk) -> None:
    person = await shop.member()
    _, asked = await desk.ask(person.id, desk.own, shop.hq)
    path = f"/verification-calls/{asked['id']}/closing"
    assert (await shop.post(path, {"outcome": "maybe"}, shop.director))[0] == 422
    assert (await shop.post(path, {"outcome": "unreachable"}, shop.director))[0] == 200


async def test_nobody_else_is_asked_to_call(shop: Shop, desk: Desk) -> None:
    person = await shop.member()
    for to in (desk.foreign, desk.adviser, "nobody"):
        status, refused = await desk.ask(person.id, to, shop.hq)
        assert (status, pointers(refused)) == (422, [("/assigned_to", "no_caller")]), to
    status, refused = await desk.ask(person.id, desk.own, shop.hq, due_on="2026-11-20")
    assert (status, pointers(refused)) == (422, [("/due_on", "date_too_early")])
    assert (await desk.ask(person.id, desk.own, desk.caller))[0] == 403


async def test_another_chapters_calls_are_not_there(shop: Shop, desk: Desk) -> None:
    theirs = await shop.member(dealer="SH001")
    assert (await desk.ask(theirs.id, desk.foreign, shop.director))[0] == 404
    status, asked = await desk.ask(theirs.id, desk.foreign, shop.hq)
    assert status == 201
    path = f"/verification-calls/{asked['id']}/closing"
    assert (await shop.post(path, {"outcome": "refused"}, desk.caller))[0] == 404
    _, page = await shop.get("/verification-calls", shop.director, limit=200)
    assert asked["id"] not in {call["id"] for call in page["items"]}


async def test_what_was_asked_about_the_erased_goes_with_them(shop: Shop, pair: tuple[Person, Person]) -> None:
    call = "INSERT INTO verification_call (id, member_id, question, assigned_to, asked_by, asked_at)"
    erase = "UPDATE member SET name = '', phone = NULL, phone_index = NULL, erased_at = now() WHERE id = $1"
    left = "SELECT (SELECT count(*) FROM duplicate WHERE $1 IN (member_id, other_id)), count(*)"
    async with shop.api.db.transaction(undo=True) as connection:
        await connection.execute(f"{call} VALUES ($1, $2, 'why', 'me', 'hq', now())", uuid4(), pair[1].id)
        await connection.execute(erase, pair[1].id)
        rest = await connection.fetchrow(f"{left} FROM verification_call WHERE member_id = $1", pair[1].id)
    assert rest is not None
    assert tuple(rest) == (0, 0)
