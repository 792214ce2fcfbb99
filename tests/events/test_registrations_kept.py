"""What registrations leave behind: what a member is shown of them, what is forgotten, and what `club verify` names."""

import pytest

from app.core.clock import china_date
from app.privacy import retention
from tests.api import SETTINGS
from tests.events.desk import Desk
from tests.events.guests import Guests, disagreeing
from tests.now import NOW
from tests.shop import Shop

BREAKS = {
    "events-seats": "UPDATE club_event SET capacity = 1 WHERE id = $1",
    "events-fees": "UPDATE registration SET fee_posting_no = NULL, wallet_id = NULL WHERE event_id = $1",
    "events-registrations": """INSERT INTO check_in (id, event_id, registration_id, nonce, at, by, recorded_at)
        SELECT gen_random_uuid(), event_id, id, 'planted', now(), 'tests', now()
          FROM registration WHERE event_id = $1 AND status = 'cancelled'""",
    "events-attendance": """INSERT INTO award (document, attempt, part, trigger, member_id, rule_no, funder, place,
                                               points, status_points, booked_on, inputs, posted_at)
        SELECT 'event_attended:' || id, 1, 1, 'event_attended', member_id, (SELECT min(no) FROM rule_version), 'HQ',
               'HQ', 0, 1, current_date, '{}', now()
          FROM registration WHERE event_id = $1 AND status = 'registered'""",
}


@pytest.mark.parametrize("check", BREAKS)
async def test_verify_names_what_is_wrong(guests: Guests, desk: Desk, shop: Shop, dsn: str, check: str) -> None:
    event = await desk.opened(fee_points=1)
    await guests.seated(event, party=2, points=2)
    gone, _ = await guests.seated(event, points=1)
    await guests.do(event, gone, "cancellation")
    assert check not in await disagreeing(dsn)
    await shop.pool.execute(BREAKS[check], event["id"])
    assert check in await disagreeing(dsn)


async def test_a_member_takes_along_what_it_registered_for(guests: Guests, desk: Desk, shop: Shop) -> None:
    event = await desk.opened(questions=[{"key": "note", "text": "备注"}])
    member = await guests.member()
    await guests.register(event, member, {"name": "李娜"}, answers={"note": "靠窗"})
    data = (await shop.get(f"/members/{member.id}/own-data", desk.of(member)))[1]["more"]
    (registered,), (companion,) = data["event_registrations"], data["event_companions"]
    assert (registered["event"], registered["party"]) == ("秋日采摘", 2)
    assert (registered["registration_status"], "靠窗" in registered["answers"]) == ("registered", True)
    assert (companion["name"], companion["is_minor"]) == ("李娜", False)
    told = (await shop.get(f"/members/{member.id}/timeline", shop.hq, source="registration"))[1]["items"]
    assert [item["text"] for item in told] == ["报名活动「秋日采摘」，2 人"]


async def test_the_erased_leave_neither_companions_nor_answers(
    guests: Guests, desk: Desk, shop: Shop, dsn: str
) -> None:
    event = await desk.opened(questions=[{"key": "note", "text": "备注"}])
    member = await guests.member()
    _, made = await guests.register(event, member, {"name": "李娜"}, answers={"note": "靠窗"})
    token = desk.of(member)
    assert (await shop.api.call("PUT", f"/members/{member.id}/erasure", token, json={})).status_code == 200
    await shop.pool.execute("UPDATE erasure SET due_on = $2 WHERE member_id = $1", member.id, china_date(NOW))
    await retention.apply(shop.api.db, SETTINGS, now=NOW)
    left = "SELECT answers, party, (SELECT count(*) FROM companion WHERE registration_id = r.id) FROM registration r"
    (row,) = await shop.pool.fetch(f"{left} WHERE id = $1", made["id"])
    assert tuple(row) == (None, 2, 0)
