"""Deliveries matched with memberships whichever comes first, and misses closed with a reason."""

import httpx

from app.core.actors import Role
from app.core.db import Database
from app.core.vault import Vault, fresh_key
from app.members import sealing
from app.privacy import retention
from app.visits import deliveries_queries
from app.visits.deliveries_models import Delivery
from tests.api import DATA_KEY, SETTINGS
from tests.callers import BJ, HQ, NORTH, PARTNER, SH, seen
from tests.now import NOW
from tests.shop import Person, Shop, pointers, problem
from tests.visits.delivered import Body, deliver, delivery, enrol, read

# --- matching ---


async def test_an_owner_who_is_a_member_already(shop: Shop):
    member = await shop.member()
    by_vin = await deliver(shop, vin=member.vin, phone="13700000001", owner_name="别人")
    by_phone = await deliver(shop, phone=member.phone)
    for made in (by_vin, by_phone):
        assert (made["state"], made["member_id"], made["matched_on"]) == ("joined", str(member.id), "2026-11-21")
        # the member's own data stands with the member
        assert (made["owner_name"], made["phone"]) == (None, None)


async def test_an_owner_who_joins_later(shop: Shop):
    body = delivery()
    made = await deliver(shop, **body)
    member = await enrol(shop, body)
    found = await read(shop, made)
    assert (found["state"], found["member_id"], found["matched_on"]) == ("joined", member["id"], "2026-11-21")
    # the feed's row again is known still
    assert (await shop.post("/deliveries", body, shop.hq))[0] == 200


async def test_an_owner_who_joins_another_chapter(shop: Shop):
    body = delivery()
    made = await deliver(shop, **body)
    director = shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")
    person = {"name": body["owner_name"], "phone": body["phone"], "vin": body["vin"], "source": "showroom"}
    assert (await shop.post("/members", person, director))[0] == 201
    assert (await read(shop, made, shop.director))["state"] == "joined"


async def test_by_phone_with_another_car_and_the_car_has_the_last_word(shop: Shop):
    body = delivery()
    made = await deliver(shop, **body)
    by_phone = await enrol(shop, body | {"vin": delivery()["vin"]})
    assert (await read(shop, made))["member_id"] == by_phone["id"]
    by_vin = await enrol(shop, body | {"owner_name": "张伟", "phone": delivery()["phone"]})
    assert (await read(shop, made))["member_id"] == by_vin["id"]


async def test_an_approved_application_counts(shop: Shop):
    body = delivery()
    made = await deliver(shop, **body)
    person = {"name": body["owner_name"], "phone": body["phone"], "vin": body["vin"], "source": "event"}
    _, applied = await shop.post("/applications", person, shop.director)
    assert (await read(shop, made))["state"] == "open"
    assert (await shop.post(f"/applications/{applied['id']}/approval", {}, shop.director))[0] == 200
    assert (await read(shop, made))["state"] == "joined"


async def test_who_left_has_not_joined(shop: Shop):
    member = await shop.member()
    left = {"to": "left", "reason": "搬家"}
    assert (await shop.post(f"/members/{member.id}/status", left, shop.director))[0] == 200
    made = await deliver(shop, phone=member.phone)
    assert made["state"] == "open"
    assert (await shop.post(f"/members/{member.id}/status", left | {"to": "active"}, shop.director))[0] == 200
    assert (await read(shop, made))["state"] == "joined"


async def test_a_membership_is_found_by_the_number_that_was_corrected(shop: Shop):
    member = await shop.member()
    made = await deliver(shop)
    path, tag = f"/deliveries/{made['id']}", {"If-Match": '"1"'}
    answer = await shop.api.call("PATCH", path, shop.director, json={"phone": member.phone}, headers=tag)
    assert (answer.status_code, answer.json()["member_id"], answer.headers["ETag"]) == (200, str(member.id), '"2"')


async def test_what_two_data_keys_hid_is_found_at_night(shop: Shop):
    member = await shop.member()
    made = await deliver(shop)
    # as if the delivery had been under another key when the owner joined
    index = "SELECT phone_index FROM member WHERE id = $1"
    await shop.pool.execute(f"UPDATE delivery SET phone_index = ({index}) WHERE vin = $2", member.id, made["vin"])
    assert (await read(shop, made))["state"] == "open"
    await deliveries_queries.match_open(shop.pool)
    assert (await read(shop, made))["member_id"] == str(member.id)


async def test_the_erased_are_forgotten_and_counted(shop: Shop):
    member = await shop.member()
    made = await deliver(shop, vin=member.vin)
    await shop.pool.execute("UPDATE member SET status = 'left' WHERE id = $1", member.id)
    await shop.pool.execute("SELECT restricted.erase($1, $2)", member.id, NOW)
    found = await read(shop, made)
    assert (found["state"], found["member_id"], found["matched_on"]) == ("joined", None, "2026-11-21")


async def test_who_never_joined_is_forgotten(shop: Shop):
    old, new = await deliver(shop), await deliver(shop)
    await shop.pool.execute(
        "UPDATE delivery SET received_at = received_at - interval '366 days' WHERE vin = $1", old["vin"]
    )
    await retention.apply(shop.api.db, SETTINGS, now=NOW)
    assert [(await read(shop, made))["owner_name"] for made in (old, new)] == [None, "王芳"]
    assert (await read(shop, old))["state"] == "open"


# --- misses ---


async def test_misses_stand_under_their_consultant(shop: Shop):
    mine = await deliver(shop, consultant="zhao.bj001", delivered_on="2026-11-02")
    later = await deliver(shop, consultant="zhao.bj001", delivered_on="2026-11-03")
    other = await deliver(shop, consultant="qian.bj001")
    joined = delivery(consultant="zhao.bj001")
    await deliver(shop, **joined)
    await enrol(shop, joined)
    zhao = shop.api.token(Role.SALES_CONSULTANT, dealer="BJ001", subject="zhao.bj001")
    _, page = await shop.get("/recruitment/misses", zhao, limit=1)
    assert [one["id"] for one in page["items"]] == [mine["id"]]
    _, rest = await shop.get("/recruitment/misses", zhao, limit=1, cursor=page["next_cursor"])
    assert ([one["id"] for one in rest["items"]], rest["next_cursor"]) == ([later["id"]], None)
    # who is to call has the number, others see it masked
    assert page["items"][0]["phone"] == mine["phone"]
    staff = shop.api.token(Role.CARE_STAFF, dealer="BJ001")
    _, seen = await shop.get("/recruitment/misses", staff, consultant="zhao.bj001")
    assert [one["phone"] for one in seen["items"]] == [masked(mine), masked(later)]
    assert (await shop.get(f"/deliveries/{other['id']}", zhao))[0] == 404
    assert (await shop.post(f"/deliveries/{other['id']}/closing", {"reason": "declined"}, zhao))[0] == 404
    unmasked = (
        "SELECT count(*) FROM audit_event WHERE action = 'unmasked' AND target_ids @> $1 AND actor = 'zhao.bj001'"
    )
    assert await shop.pool.fetchval(unmasked, [mine["id"]]) == 1
    assert (await shop.get("/recruitment/misses", staff, cursor="WyJ4IiwieSJd"))[0] == 422


def masked(made: Body) -> str:
    number = made["phone"].removeprefix("+86")
    return f"{number[:3]}****{number[-4:]}"


async def test_a_miss_is_closed_with_a_reason(shop: Shop):
    body = delivery()
    made = await deliver(shop, **body)
    path = f"/deliveries/{made['id']}/closing"
    status, refused = await shop.post(path, {"reason": "other"}, shop.director)
    assert (status, pointers(refused)) == (422, [("/note", "missing")])
    assert (await shop.post(path, {"reason": "lazy"}, shop.director))[0] == 422
    status, closed = await shop.post(path, {"reason": "not_the_user", "note": "公司同事使用"}, shop.director)
    assert (status, closed["state"], closed["miss_reason"]) == (200, "closed", "not_the_user")
    assert closed["closed_by"] == "care_director:BJ001"
    status, again = await shop.post(path, {"reason": "declined"}, shop.director)
    assert (status, again["type"]) == (409, "/problems/wrong-status")
    for query, found in (({}, False), ({"closed": True}, True)):
        _, page = await shop.get("/recruitment/misses", shop.hq, limit=200, **query)
        assert (made["id"] in [one["id"] for one in page["items"]]) is found
    # the owner joins after all
    await enrol(shop, body)
    assert (await read(shop, made))["state"] == "joined"
    for step, reason in ((path, {"reason": "declined"}), (f"/deliveries/{made['id']}/reopening", None)):
        status, joined = await shop.post(step, reason, shop.director)
        assert (status, joined["type"]) == (409, "/problems/not-a-miss")


async def test_a_closed_miss_is_opened_again(shop: Shop):
    made = await deliver(shop)
    closing, reopening = (f"/deliveries/{made['id']}/{step}" for step in ("closing", "reopening"))
    status, early = await shop.post(reopening, None, shop.director)
    assert (status, early["type"], early["current"]) == (409, "/problems/wrong-status", "open")
    assert (await shop.post(closing, {"reason": "other", "note": "出国"}, shop.director))[0] == 200
    assert (await shop.post(reopening, None, director_of(shop, "SH001")))[0] == 404
    assert (await shop.post(reopening, None, shop.advisor))[0] == 403
    status, opened = await shop.post(reopening, None, shop.director)
    assert (status, opened["state"], opened["version"]) == (200, "open", 3)
    assert {opened[name] for name in ("miss_reason", "miss_note", "closed_at", "closed_by")} == {None}
    _, page = await shop.get("/recruitment/misses", shop.director, limit=200)
    assert made["id"] in [one["id"] for one in page["items"]]
    assert (await shop.post(closing, {"reason": "declined"}, shop.director))[1]["miss_reason"] == "declined"


def director_of(shop: Shop, dealer: str) -> str:
    return shop.api.token(Role.CARE_DIRECTOR, dealer=dealer)


async def test_a_miss_goes_to_another_consultant(shop: Shop):
    made = await deliver(shop)
    path = f"/deliveries/{made['id']}"

    async def change(version: str, body: Body, token: str = "") -> httpx.Response:
        return await shop.api.call("PATCH", path, token or shop.director, json=body, headers={"If-Match": version})

    assert (await change('"1"', {"consultant": "sun.bj001"})).json()["consultant"] == "sun.bj001"
    assert problem(await change('"1"', {"consultant": "x"})) == (412, "/problems/precondition-failed")
    foreign = shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")
    assert problem(await change('"2"', {"consultant": "x"}, foreign)) == (404, "/problems/not-found")
    assert (await change('"2"', {"owner_name": None})).status_code == 422
    company = await change('"2"', {"owner_kind": "company", "owner_name": "某公司"})
    assert (company.json()["state"], company.json()["phone"]) == ("none", None)
    back = await change('"3"', {"owner_kind": "individual", "phone": "13712345678"})
    assert (back.json()["state"], back.json()["phone"]) == ("open", "+8613712345678")
    await shop.post(path + "/closing", {"reason": "unreachable"}, shop.director)
    assert problem(await change('"5"', {"owner_kind": "company"})) == (409, "/problems/wrong-status")


async def test_a_members_delivery_is_corrected_with_the_member(shop: Shop):
    member: Person = await shop.member()
    made = await deliver(shop, vin=member.vin)
    tag = {"If-Match": '"1"'}
    answer = await shop.api.call(
        "PATCH", f"/deliveries/{made['id']}", shop.hq, json={"phone": "13712345678"}, headers=tag
    )
    assert problem(answer) == (409, "/problems/not-a-miss")


async def test_a_forgotten_filter_shows_only_ones_own(shop: Shop):
    for dealer in ("BJ001", "SH001"):
        await deliver(shop, dealer_code=dealer)
    found = [await seen(shop.api.db, actor, Delivery) for actor in (HQ, BJ, SH, NORTH)]
    assert found[0] == found[1] + found[2]
    assert found[1] == found[3]
    assert min(found) > 0
    assert await seen(shop.api.db, PARTNER, Delivery) == 0


async def test_numbers_come_under_the_newest_key(shop: Shop, dsn: str):
    """The last test here: afterwards the service lacks the key."""
    body = delivery()
    made = await deliver(shop, **body)
    keys = (fresh_key(), DATA_KEY)
    async with Database.open(dsn, vault=Vault(lambda: keys)) as database:
        assert await sealing.reseal(database) > 0
    kept = await shop.pool.fetchrow("SELECT phone, phone_index FROM delivery WHERE vin = $1", made["vin"])
    assert kept is not None
    phone, index = kept
    newest = Vault(lambda: keys[:1])
    assert (newest.open(phone), newest.index("+86" + body["phone"])) == ("+86" + body["phone"], index)
