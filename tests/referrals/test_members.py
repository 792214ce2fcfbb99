"""What referrals are to the rest of a member: segments, merges, own data, erasure, the numbers' seal."""

from app.core.vault import Vault, fresh_key
from app.members import sealing
from app.privacy import retention
from tests.api import DATA_KEY
from tests.now import NOW
from tests.referrals.conftest import Desk


async def test_segments_ask_for_successes(desk: Desk):
    member = await desk.shop.member()
    made = await desk.registered(member)
    asked = {"filter": {"field": "referrals.successes", "op": "at_least", "value": 1}}
    status, before = await desk.shop.post("/segments/preview", asked, desk.shop.director)
    assert status == 200, before
    await desk.deliver(made["buyer_phone"])
    status, after = await desk.shop.post("/segments/preview", asked, desk.shop.director)
    assert after["count"] == before["count"] + 1


async def test_merged_members_have_their_referrals_together(desk: Desk):
    one, other = await desk.shop.member(), await desk.shop.member()
    made = await desk.registered(one)
    merge = {"from_id": str(one.id), "into_id": str(other.id), "reason": "同一人"}
    status, merged = await desk.shop.post("/members/merges", merge, desk.shop.hq)
    assert status == 201, merged
    assert (await desk.read(made))["referrer_id"] == str(other.id)
    undone = await desk.shop.post(f"/members/merges/{merged['id']}/undo", {"reason": "两人"}, desk.shop.hq)
    assert undone[0] == 200, undone
    assert (await desk.read(made))["referrer_id"] == str(one.id)


async def test_a_members_own_data_tells_of_its_referrals(desk: Desk):
    member = await desk.shop.member()
    made = await desk.registered(member)
    status, own = await desk.shop.get(f"/members/{member.id}/own-data", desk.of(member))
    assert status == 200, own
    (told,) = own["more"]["referrals"]
    assert told == {"registered_on": "2026-11-21", "dealer_code": "BJ001", "status": "open", "delivered_on": None}
    assert made["buyer_name"] not in str(own)


async def test_who_is_erased_is_no_lead_any_more(desk: Desk):
    made = await desk.registered(await desk.shop.member())
    sold = await desk.deliver(made["buyer_phone"])
    body = {"name": "赵敏", "phone": made["buyer_phone"], "vin": sold["vin"], "source": "delivery"}
    joined = (await desk.shop.post("/members", body | {"dealer_code": "BJ001"}, desk.shop.hq))[1]
    await desk.night()
    left = {"to": "left", "reason": "搬家"}
    assert (await desk.shop.post(f"/members/{joined['id']}/status", left, desk.shop.hq))[0] == 200
    async with desk.shop.api.db.session() as session:
        await retention.erase(session, joined["id"], NOW)
    found = await desk.read(made)
    assert (found["status"], found["buyer_name"], found["buyer_phone"]) == ("delivered", None, None)
    assert found["buyer_id"] is None


async def test_numbers_move_under_a_new_key(desk: Desk):
    made = await desk.registered(await desk.shop.member())
    database = desk.shop.api.db
    before, newer = database.vault.keys, fresh_key()
    database.vault.keys = lambda: (newer, DATA_KEY)
    try:
        assert await sealing.reseal(database) > 0
        sealed = await desk.shop.pool.fetchrow("SELECT phone, phone_index FROM referral WHERE id = $1", made["id"])
        assert sealed is not None
        fresh = Vault(lambda: (newer,))
        assert fresh.open(sealed["phone"]) == made["buyer_phone"]
        assert sealed["phone_index"] == fresh.index(made["buyer_phone"])
    finally:
        database.vault.keys = lambda: (DATA_KEY, newer)
        await sealing.reseal(database)
        database.vault.keys = before
