"""Two memberships of one person become one over HTTP, and two again: what moves, what comes back, who races."""

import asyncio
from uuid import UUID

from app.privacy import retention
from tests.api import SETTINGS, Api
from tests.members.conftest import car
from tests.members.merges import BACK, WHY, kind, merge, merged, read, sound, undo  # noqa: F401 (a fixture)
from tests.now import NOW
from tests.shop import Shop

# --- what moves ---


async def test_one_goes_on_for_both(api: Api, shop: Shop):
    source, target = await shop.member(points=60), await shop.member(points=5, name="张伟伟")
    status, body = await merge(shop, source, target)
    assert (status, body["points"], body["moved"]) == (201, 60, {"vehicles": 1})
    assert (body["actor"], body["reason"], body["undone_at"]) == ("hq_admin:all", WHY["reason"], None)

    gone, goes_on = await read(shop, source), await read(shop, target)
    assert (gone["status"], gone["merged_into"], gone["vehicles"]) == ("left", str(target.id), [])
    assert (goes_on["status"], goes_on["merged_into"], goes_on["name"]) == ("active", None, "张伟伟")
    assert {vehicle["vin"] for vehicle in goes_on["vehicles"]} == {source.vin, target.vin}
    assert (await shop.wallet(source), await shop.wallet(target)) == ((0, 0, 0, 0), (65, 0, 0, 0))

    for token in (shop.hq, shop.director):
        assert await shop.get(f"/members/merges/{body['id']}", token) == (200, body)
        for member in (source, target):
            assert await shop.get(f"/members/{member.id}/merges", token) == (
                200, {"items": [body], "next_cursor": None},
            )  # fmt: skip
    assert kind(await shop.get(f"/members/merges/{body['id']}", shop.foreign)) == (404, "/problems/not-found")


async def test_undone_each_has_what_is_left(api: Api, shop: Shop):
    source, target = await shop.member(points=60), await shop.member(points=5)
    merge_id = await merged(shop, source, target)
    order = {"member_id": str(target.id), "points": 20, "order_no": "RO-1", "dealer_code": "BJ001"}
    assert (await shop.post("/redemptions", order, shop.program))[0] == 201

    status, body = await undo(shop, merge_id, key="undo-once")
    assert (status, body["undone_by"], body["undone_reason"]) == (200, "hq_admin:all", BACK["reason"])
    assert await undo(shop, merge_id, key="undo-once") == (200, body)
    before, after = await read(shop, source), await read(shop, target)
    assert (before["status"], before["merged_into"]) == ("active", None)
    assert [vehicle["vin"] for vehicle in before["vehicles"]] == [source.vin]
    assert [vehicle["vin"] for vehicle in after["vehicles"]] == [target.vin]
    wallets = await shop.wallet(source), await shop.wallet(target)
    assert sum(available for available, *_ in wallets) == 45
    assert body["points_returned"] == wallets[0][0]
    assert (await shop.earn(source, 10))[0] == 201
    assert kind(await undo(shop, merge_id)) == (409, "/problems/not-merged")
    assert (await merge(shop, source, target))[0] == 201, "and again"


async def test_only_what_is_still_there_comes_back(api: Api, shop: Shop):
    source, target = await shop.member(), await shop.member()
    note = (await shop.post(f"/members/{source.id}/notes", {"text": "likes tea"}, shop.director))[1]
    merge_id = await merged(shop, source, target)
    assert (await shop.get(f"/members/{target.id}/notes", shop.director))[1]["items"][0]["id"] == note["id"]
    sale = {"vin": source.vin, "sold_on": str(NOW.date())}
    assert (await shop.post(f"/members/{target.id}/sold-vehicles", sale, shop.hq))[0] == 200
    buyer = {"name": "王芳", "phone": "13600000001", "vin": source.vin, "source": "event", "dealer_code": "BJ001"}
    assert (await shop.post("/members", buyer, shop.hq))[0] == 201
    assert (await undo(shop, merge_id))[0] == 200
    assert (await read(shop, source))["vehicles"] == [], "its stretch came back, as it ended meanwhile"
    stretches = await api.db.pool.fetch(
        "SELECT member_id FROM ownership WHERE vin = $1 AND until IS NOT NULL", source.vin
    )
    assert [row["member_id"] for row in stretches] == [source.id]
    assert (await shop.get(f"/members/{target.id}/notes", shop.director))[1]["items"] == []


async def test_what_the_survivor_has_of_its_own_stays(api: Api, shop: Shop):
    source, target = await shop.member(), await shop.member()
    other = await shop.member()
    born = (
        "INSERT INTO member_birth (member_id, born_on, recorded_at, recorded_by) VALUES ($1, $2::text::date, $3, 'hq')"
    )
    await api.db.pool.execute(born, source.id, "1980-01-01", NOW)
    await api.db.pool.execute(born, target.id, "1990-01-01", NOW)
    first = await merged(shop, source, target)

    async def days() -> dict[UUID, str]:
        ids = [source.id, target.id, other.id]
        found = await api.db.pool.fetch("SELECT * FROM member_birth WHERE member_id = ANY ($1)", ids)
        return {row["member_id"]: str(row["born_on"]) for row in found}

    own = {source.id: "1980-01-01", target.id: "1990-01-01"}
    assert await days() == own
    second = await merged(shop, target, other)
    assert await days() == {source.id: "1980-01-01", other.id: "1990-01-01"}
    assert (await undo(shop, second))[0] == (await undo(shop, first))[0] == 200
    assert await days() == own


async def test_deliveries_and_wechat_move(api: Api, shop: Shop):
    source, target = await shop.member(), await shop.member()
    delivered = {
        "dealer_code": "BJ001", "vin": source.vin, "delivered_on": str(NOW.date()), "owner_kind": "individual",
        "owner_name": "张伟", "phone": source.phone,
    }  # fmt: skip
    assert (await shop.post("/deliveries", delivered, shop.hq))[0] in (200, 201)
    await api.db.pool.execute(
        "INSERT INTO wechat_user (app_id, openid, member_id, linked_at) VALUES ('app', $1::text, $2, $3)",
        str(source.id), source.id, NOW,
    )  # fmt: skip

    async def whose() -> set[UUID]:
        found = await api.db.pool.fetch(
            "SELECT member_id FROM delivery WHERE vin = $1"
            " UNION SELECT member_id FROM wechat_user WHERE openid = $2",
            source.vin, str(source.id),
        )  # fmt: skip
        return {row["member_id"] for row in found}

    _, body = await merge(shop, source, target)
    assert body["moved"] == {"vehicles": 1, "deliveries": 1, "wechat": 1}
    assert await whose() == {target.id}
    assert (await undo(shop, body["id"]))[0] == 200
    assert await whose() == {source.id}


MOVED = {
    "ownership.member_id", "vehicle_claim.claimant_id", "member_note.member_id", "household_person.member_id",
    "member_attribute.member_id", "member_profile.member_id", "member_birth.member_id", "wechat_user.member_id",
    "delivery.member_id", "verification_call.member_id", "member_tier.member_id",
    "earning_case.member_id", "reward_order.member_id", "referral.referrer_id", "referral.buyer_id",
    "voucher.member_id", "event_notice.member_id", "registration.member_id", "invitation.member_id",
    "survey_answer.member_id",
    "event_result.member_id", "auction_bid.member_id",
}  # fmt: skip
STAYS = {
    "application.member_id",  # what was applied for, and by whom
    "consent.member_id", "provision.member_id",  # nobody consents for another
    "duplicate.member_id", "duplicate.other_id",  # what was found of them
    "repair_order.member_id",  # with the posting
    "tier_change.member_id",  # each one's own history
    "award.member_id", "rule_use.member_id", "incentive_line.member_id",  # with the posting
    "registration.wallet_id",  # whose points paid: a refund follows the merge
    "audience_member.member_id",  # found anew each night
    "login_session.member_id",  # ended
    "member_status_change.member_id", "member_place.member_id", "transfer.member_id",  # what was, and its figures
    "erasure.member_id", "member_merge.from_id", "member_merge.into_id", "member.merged_into",
    "vehicle_claim.from_member_id",  # who handed the car over
}  # fmt: skip


async def test_everything_of_a_member_moves_or_stays_on_purpose(api: Api):
    """A new table about members: register a mover, or say here why its rows stay."""
    columns = await api.db.pool.fetch(
        """SELECT c.relname || '.' || a.attname AS name FROM pg_constraint k
             JOIN pg_class c ON c.oid = k.conrelid
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
            WHERE k.contype = 'f' AND k.confrelid = 'member'::regclass
            UNION
           SELECT table_name || '.' || column_name FROM information_schema.columns
            WHERE table_schema = 'public' AND column_name = 'member_id'"""
    )
    assert {row["name"] for row in columns} == MOVED | STAYS


# --- undoing ---


async def test_a_chain_is_undone_from_its_end(api: Api, shop: Shop):
    first, second, third = [await shop.member(points=points) for points in (7, 20, 0)]
    one, two = await merged(shop, first, second), await merged(shop, second, third)
    assert (await read(shop, first))["merged_into"] == str(third.id)
    assert (await shop.post("/counter/lookup", {"phone": first.phone}, shop.advisor))[1]["member_id"] == str(third.id)
    assert kind(await undo(shop, one)) == (409, "/problems/merged-since")
    assert (await undo(shop, two))[0] == 200
    assert (await read(shop, first))["merged_into"] == str(second.id)
    assert {vehicle["vin"] for vehicle in (await read(shop, second))["vehicles"]} == {first.vin, second.vin}
    assert (await undo(shop, one))[0] == 200
    assert [await shop.wallet(member) for member in (first, second, third)] == [
        (7, 0, 0, 0), (20, 0, 0, 0), (0, 0, 0, 0),
    ]  # fmt: skip


async def test_who_goes_on_has_to_be_there_to_undo(api: Api, shop: Shop):
    source, target = await shop.member(), await shop.member()
    merge_id = await merged(shop, source, target)
    assert (await shop.post(f"/members/{target.id}/status", {"to": "left"} | WHY, shop.hq))[0] == 200
    assert kind(await undo(shop, merge_id)) == (409, "/problems/wallet-closed")
    assert (await read(shop, source))["merged_into"] == str(target.id)
    assert kind(await undo(shop, str(UUID(int=3)))) == (404, "/problems/not-found")


async def test_who_was_merged_is_erased_with_who_goes_on(api: Api, shop: Shop):
    source, target = await shop.member(), await shop.member()
    merge_id = await merged(shop, source, target)
    answer = await api.call("PUT", f"/members/{source.id}/erasure", shop.hq, json={})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/member-merged")
    path = f"/members/{target.id}/erasure"
    assert (await api.call("PUT", path, shop.hq, json={})).status_code == 200
    assert kind(await undo(shop, merge_id)) == (409, "/problems/erasure-pending")
    assert (await api.call("DELETE", path, shop.hq)).status_code == 200
    assert (await shop.get(f"/members/{source.id}/erasure", shop.hq))[0] == 404

    assert (await api.call("PUT", path, shop.hq, json={})).status_code == 200
    await retention.apply(api.db, SETTINGS, now=NOW.replace(year=2028))
    assert [(await shop.get(f"/members/{member.id}", shop.hq))[0] for member in (source, target)] == [404, 404]
    (kept,) = await api.db.pool.fetch("SELECT reason, moved FROM member_merge WHERE id = $1", UUID(merge_id))
    assert tuple(kept) == ("erased", "{}")
    assert kind(await undo(shop, merge_id)) == (404, "/problems/not-found")


async def test_both_are_recorded_with_their_reasons(api: Api, shop: Shop):
    source, target = await shop.member(), await shop.member()
    merge_id = await merged(shop, source, target)
    assert (await undo(shop, merge_id, shop.director))[0] == 200
    deeds = await api.db.pool.fetch(
        "SELECT operation, actor, changes->'reason'->>1, changes->'undone_reason'->>1 FROM audit_event"
        " WHERE target_kind = 'merge' AND $1 = ANY (target_ids) ORDER BY id",
        merge_id,
    )
    assert [tuple(deed) for deed in deeds] == [
        ("merges_create", "hq_admin:all", WHY["reason"], None),
        ("merges_undo", "care_director:BJ001", None, BACK["reason"]),
    ]
    told = await api.db.pool.fetch(
        "SELECT changes->'goes_on_for'->>0, changes->'goes_on_for'->>1 FROM audit_event"
        " WHERE target_kind = 'member' AND $1 = ANY (target_ids) AND changes ? 'goes_on_for' ORDER BY id",
        str(target.id),
    )
    assert [tuple(deed) for deed in told] == [(None, str(source.id)), (str(source.id), None)]


# --- races ---


async def test_of_two_merges_at_once_one_is_done(api: Api, shop: Shop):
    first, second, third = [await shop.member(points=10) for _ in range(3)]
    answers = await asyncio.gather(
        merge(shop, first, second), merge(shop, second, first), merge(shop, first, third), merge(shop, first, second)
    )
    assert sorted(answer[0] for answer in answers) == [201, 409, 409, 409]
    wallets = [await shop.wallet(member) for member in (first, second, third)]
    assert sum(available for available, *_ in wallets) == 30


async def test_a_ring_does_not_close(api: Api, shop: Shop):
    ring = [await shop.member(points=10) for _ in range(4)]
    answers = await asyncio.gather(*(merge(shop, ring[i], ring[(i + 1) % 4]) for i in range(4)))
    assert 409 in {answer[0] for answer in answers} <= {201, 409}
    into = [(await read(shop, member))["merged_into"] for member in ring]
    assert None in into
    standing = [str(member.id) for member, other in zip(ring, into, strict=True) if other is None]
    assert {other for other in into if other} <= set(standing)


async def test_redeeming_while_merging_loses_nothing(api: Api, shop: Shop):
    source, target = await shop.member(points=100), await shop.member(points=100)
    spend = [
        shop.redeem(member, 10, shop.program, dealer_code="BJ001") for member in (source, target) for _ in range(6)
    ]
    answers = await asyncio.gather(*spend[:6], merge(shop, source, target), *spend[6:])
    assert answers.pop(6)[0] == 201
    assert {answer[0] for answer in answers} <= {201, 409}
    spent = 10 * sum(answer[0] == 201 for answer in answers)
    assert spent >= 60, "who goes on always can"
    assert await shop.wallet(source) == (0, 0, 0, 0)
    assert await shop.wallet(target) == (200 - spent, 0, 0, 0)


async def test_enrolling_while_merging_finds_somebody(api: Api, shop: Shop):
    source, target = await shop.member(), await shop.member()
    vins = [car(int(source.phone[-6:]) + 310_000 + n) for n in range(4)]
    body = {"name": "张伟", "phone": source.phone, "source": "event", "dealer_code": "BJ001"}
    enrol = [shop.post("/members", body | {"vin": vin}, shop.hq) for vin in vins]
    answers = await asyncio.gather(*enrol[:2], merge(shop, source, target), *enrol[2:])
    assert {answer[0] for answer in answers} == {201}
    owned = {vehicle["vin"] for vehicle in (await read(shop, target))["vehicles"]}
    assert owned == {source.vin, target.vin, *vins}
