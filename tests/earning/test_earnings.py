"""Earnings through the API: accepted once by key and by cause, refused by the field, rehearsed without trace."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.core.actors import Role
from app.wiring import verify
from tests.earning.writing import OWN, published
from tests.now import NOW
from tests.shop import Person, Shop, order, pointers


def body(member: Person, points: int = 50, **fields: Any) -> dict[str, Any]:
    cause = {"type": "campaign", "key": uuid4().hex}
    return {"member_id": str(member.id), "points": points, "cause": cause} | fields


async def test_an_earning_is_answered_alike_for_its_key(shop: Shop):
    member = await shop.member()
    asked = body(member, funder="SH001", place="BJ001", reason="春季活动")
    first = await shop.api.call("POST", "/points/earnings", shop.program, json=asked, key="first")
    assert first.status_code == 201
    assert "Idempotent-Replayed" not in first.headers
    assert first.json() == {
        "member_id": str(member.id), "posting_no": 1, "kind": "earn", "points": 50,
        "cause": f"campaign:{asked['cause']['key']}", "booked_on": "2026-11-21", "period": "2026-11-01",
        "posted_at": "2026-11-21T02:00:00+00:00", "available": 50, "pending": 0, "held": 0, "owed": 0,
    }  # fmt: skip
    await shop.earn(member, 7)
    again = await shop.api.call("POST", "/points/earnings", shop.program, json=asked, key="first")
    assert (again.status_code, again.headers["Idempotent-Replayed"], again.json()) == (201, "true", first.json())
    assert await shop.wallet(member) == (57, 0, 0, 0)

    status, answer = await shop.post("/points/earnings", asked | {"points": 51}, shop.program, key="first")
    assert (status, answer["type"]) == (409, "/problems/idempotency-key-conflict")
    assert await shop.wallet(member) == (57, 0, 0, 0)


async def test_a_cause_is_accepted_once(shop: Shop):
    member = await shop.member()
    asked = body(member)
    status, first = await shop.post("/points/earnings", asked, shop.program)
    assert status == 201
    # another key, another caller: the document is known
    for token in (shop.program, shop.hq):
        assert await shop.post("/points/earnings", asked, token) == (201, first)
    for change in ({"points": 51}, {"member_id": str((await shop.member()).id)}, {"funder": "SH001"}):
        status, answer = await shop.post("/points/earnings", asked | change, shop.program)
        assert (status, answer["type"]) == (409, "/problems/document-conflict")
    assert await shop.wallet(member) == (50, 0, 0, 0)


async def test_keys_are_their_callers_own(shop: Shop):
    one, two = await shop.member(), await shop.member()
    assert (await shop.post("/points/earnings", body(one), shop.program, key="shared"))[0] == 201
    assert (await shop.post("/points/earnings", body(two), shop.hq, key="shared"))[0] == 201


async def test_a_retry_after_midnight_is_the_same_request(shop: Shop):
    """Dates that the caller left out are those of the first time."""
    member = await shop.member()
    asked = body(member)
    _, first = await shop.post("/points/earnings", asked, shop.hq, key="late")
    async with shop.at(NOW + timedelta(days=1)):
        assert await shop.post("/points/earnings", asked, shop.hq, key="late") == (201, first)
        assert await shop.post("/points/earnings", asked, shop.hq) == (201, first)
        other = asked | {"booked_on": "2026-11-22"}
        assert (await shop.post("/points/earnings", other, shop.hq, key="late"))[0] == 409


async def test_default_dates(shop: Shop):
    member = await shop.member()
    # 00:30 on 1 December in China
    async with shop.at(datetime(2026, 11, 30, 16, 30, tzinfo=UTC)):
        status, posted = await shop.earn(member, 5)
        assert (status, posted["booked_on"], posted["period"]) == (201, "2026-12-01", "2026-12-01")
        _, read = await shop.get(f"/members/{member.id}/points", shop.hq)
    assert read["next_expiries"] == [{"expires_on": "2028-12-31", "points": 5, "is_extendable": False}]


async def test_a_late_earning_keeps_its_date(shop: Shop):
    member = await shop.member()
    status, posted = await shop.earn(member, 5, booked_on="2025-05-04")
    assert (status, posted["booked_on"], posted["period"]) == (201, "2025-05-04", "2025-05-01")
    # before the first month of the books
    status, posted = await shop.earn(member, 5, booked_on="2025-04-30")
    assert (status, posted["booked_on"], posted["period"]) == (201, "2025-04-30", "2025-05-01")
    _, read = await shop.get(f"/members/{member.id}/points", shop.hq)
    assert read["next_expiries"] == [
        {"expires_on": "2027-04-30", "points": 5, "is_extendable": False},
        {"expires_on": "2027-05-31", "points": 5, "is_extendable": False},
    ]  # fmt: skip


async def test_pending_until_its_day(shop: Shop):
    member = await shop.member()
    status, posted = await shop.earn(member, 40, spendable_from="2026-11-24", expires_on="2026-11-30")
    assert (status, posted["available"], posted["pending"]) == (201, 0, 40)
    for day, wallet in ((23, (0, 40, 0, 0)), (24, (40, 0, 0, 0)), (30, (40, 0, 0, 0)), (31, (0, 0, 0, 0))):
        async with shop.at(NOW + timedelta(days=day - 21)):
            assert await shop.wallet(member) == wallet
    assert (await shop.redeem(member, 1, shop.program, dealer_code="BJ001"))[1]["available"] == 0


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"funder": "ZZ999"}, ("/funder", "unknown_dealer")),
        ({"place": "ZZ999"}, ("/place", "unknown_dealer")),
        ({"funder": "hq"}, ("/funder", "string_pattern_mismatch")),
        ({"cause": {"type": "repair_order", "key": "BJ001:1"}}, ("/cause", "cause_reserved")),
        ({"cause": {"type": "campaign", "key": "two words"}}, ("/cause/key", "string_pattern_mismatch")),
        ({"cause": {"type": "campaign"}}, ("/cause/key", "missing")),
        ({"points": 0}, ("/points", "greater_than_equal")),
        ({"points": 100_000_001}, ("/points", "less_than_equal")),
        ({"points": "5"}, ("/points", "int_type")),
        ({"points": 5.0}, ("/points", "int_type")),
        ({"points": True}, ("/points", "int_type")),
        ({"member_id": "me"}, ("/member_id", "uuid_parsing")),
        ({"booked_on": "yesterday"}, ("/booked_on", "date_from_datetime_parsing")),
        ({"booked_on": "2026-11-21", "spendable_from": "2026-11-20"}, ("/spendable_from", "date_too_early")),
        ({"spendable_from": "2026-12-01", "expires_on": "2026-11-30"}, ("/expires_on", "date_too_early")),
        ({"booked_on": "2026-11-01", "expires_on": "2026-10-31"}, ("/expires_on", "date_too_early")),
        ({"booked_on": "0001-01-01"}, ("/booked_on", "greater_than_equal")),
        ({"expires_on": "9999-12-31"}, ("/expires_on", "less_than_equal")),
        ({"reason": ""}, ("/reason", "string_too_short")),
        ({"reason": "a\0b"}, ("", "nul_character")),
        ({"rate": 1}, ("/rate", "extra_forbidden")),
    ],
)
async def test_a_fault_names_its_field(shop: Shop, change: dict[str, Any], fault: tuple[str, str]):
    member = await shop.member()
    status, answer = await shop.post("/points/earnings", body(member) | change, shop.program)
    assert (status, answer["type"], pointers(answer)) == (422, "/problems/invalid-payload", [fault])
    assert await shop.wallet(member) == (0, 0, 0, 0)


@pytest.mark.parametrize("day", ["2026-11-22", "2199-12-31"])
async def test_a_future_date(shop: Shop, day: str):
    status, answer = await shop.post("/points/earnings", body(await shop.member(), booked_on=day), shop.program)
    assert (status, answer["type"]) == (422, "/problems/future-date")


async def test_a_key_is_needed(shop: Shop):
    member = await shop.member()
    for headers in ({}, {"Idempotency-Key": ""}, {"Idempotency-Key": "x" * 256}):
        answer = await shop.api.call("POST", "/points/earnings", shop.program, json=body(member), headers=headers)
        assert answer.status_code == 422
        assert [pointer for pointer, _ in pointers(answer.json())] == ["/header/Idempotency-Key"]
    assert await shop.wallet(member) == (0, 0, 0, 0)


async def test_an_unknown_member_and_one_who_has_left(shop: Shop):
    nobody = (await shop.member())._replace(id=uuid4())
    status, answer = await shop.post("/points/earnings", body(nobody), shop.program)
    assert (status, answer["type"]) == (404, "/problems/not-found")
    gone = await shop.member()
    assert (await shop.post(f"/members/{gone.id}/status", {"to": "left", "reason": "moved"}, shop.hq))[0] == 200
    status, answer = await shop.post("/points/earnings", body(gone), shop.program)
    assert (status, answer["type"]) == (409, "/problems/wallet-closed")


async def test_a_rehearsal_leaves_nothing(shop: Shop):
    member = await shop.member()
    asked = body(member)
    status, answer = await shop.post("/points/earnings?dry_run=true", asked, shop.program, key="rehearsed")
    assert (status, answer["available"], answer["posting_no"]) == (200, 50, 1)
    assert await shop.wallet(member) == (0, 0, 0, 0)
    # the key and the cause are free as before
    assert (await shop.post("/points/earnings", asked | {"points": 60}, shop.program, key="rehearsed"))[0] == 201
    assert (await shop.post("/points/earnings?dry_run=true", asked, shop.program))[0] == 409
    assert await shop.wallet(member) == (60, 0, 0, 0)


async def test_who_may_earn(shop: Shop):
    member = await shop.member()
    refused = [
        shop.advisor, shop.director, shop.api.token(Role.FINANCE_CLERK, dealer="BJ001"),
        shop.api.token(Role.MEMBER, member=member.id), shop.api.token(Role.API_CLIENT, scopes="points:redeem"),
    ]  # fmt: skip
    for token in refused:
        assert (await shop.post("/points/earnings", body(member), token))[0] == 403
    assert (await shop.post("/points/earnings", body(member), "nonsense"))[0] == 401


async def test_a_regions_rule_wins_from_its_day_on(shop: Shop):
    """An order of Shanghai's dealer: two points a yuan, the dealer pays, for a year."""
    await published(
        shop, shop.hq, condition='dealer.region == "SH"', amount="event.paid_fen / 100 * 2", funders=[OWN],
        expiry={"kind": "rolling_months", "months": 12}, valid_from="2026-11-21",
        stacking={"group": "orders", "mode": "priority", "priority": 100},
        examples=[{"fields": {"kind": "repair", "paid_fen": 12_345}, "dealer": {"code": "SH001", "region": "SH"},
                   "on": "2026-11-21", "points": 246}],
    )  # fmt: skip
    member = await shop.member()
    await shop.pool.execute("UPDATE ownership SET since = '2026-01-01' WHERE member_id = $1", member.id)
    for dealer, closed_at in (("SH001", "2026-11-20T23:59:59+08:00"), ("SH001", "2026-11-21T00:00:00+08:00"),
                              ("BJ001", "2026-11-21T00:00:00+08:00")):  # fmt: skip
        made = order(member.vin, dealer_code=dealer, closed_at=closed_at)
        assert (await shop.post("/repair-orders", made, shop.hq))[0] == 201
    lots = await shop.pool.fetch(
        "SELECT granted, funder, expires_on FROM ledger.lot WHERE member_id = $1 ORDER BY lot_no", member.id
    )
    assert [tuple(lot) for lot in lots] == [
        (123, "HQ", date(2028, 11, 30)), (246, "SH001", date(2027, 11, 30)), (123, "HQ", date(2028, 11, 30)),
    ]  # fmt: skip


async def test_the_books_hold(dsn: str):
    assert {check.name: found for check, found in await verify(dsn) if found} == {}
