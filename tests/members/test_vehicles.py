"""What is known of a car: by whom it is seen, said and read."""

import asyncio
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from app.core.actors import Role
from app.core.tabular import Row, open_rows
from app.members.vehicle_rules import Read, drops
from app.visits.jobs import KINDS, ORDERS, json_rows
from app.visits.rules import COLUMNS, MILEAGE, mileage_km
from app.visits.service import import_orders
from tests.core.test_filters import where
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Person, Shop, order, pointers

ABSENT = str(UUID(int=34))


async def one(shop: Shop, member: Person, token: str = "") -> dict[str, Any]:
    """A member's car as the caller finds it."""
    status, found = await shop.post("/vehicles/search", {"vin": member.vin}, token or shop.hq)
    assert status == 200, found
    assert len(found["items"]) == 1
    return dict(found["items"][0])


async def say(shop: Shop, vehicle: dict[str, Any], body: dict[str, Any], token: str = "") -> tuple[int, Any]:
    """A PATCH of a car as last read."""
    answer = await shop.api.call(
        "PATCH", f"/vehicles/{vehicle['id']}", token or shop.hq, json=body,
        headers={"If-Match": f'"{vehicle["version"]}"'},
    )  # fmt: skip
    return answer.status_code, answer.json()


async def note(shop: Shop, vehicle: dict[str, Any], km: int, read_on: str, token: str = "") -> dict[str, Any]:
    """A reading noted."""
    body = {"km": km, "read_on": read_on}
    status, noted = await shop.post(f"/vehicles/{vehicle['id']}/mileage", body, token or shop.hq)
    assert status == 201, noted
    return dict(noted)


def myself(shop: Shop, member: Person) -> str:
    return shop.api.token(Role.MEMBER, member=member.id)


# --- what is said of it ---

ALL = {
    "model": "Sedan 1.8T", "warranty_ends_on": "2029-11-01", "plate": "京A12345", "purchased_on": "2026-11-01",
    "insurance_ends_on": "2027-10-31",
}  # fmt: skip


async def test_what_is_said_is_read(shop: Shop):
    member = await shop.member()
    vehicle = await one(shop, member)
    assert (vehicle["model"], vehicle["owner"]["plate"], vehicle["mileage"], vehicle["version"]) == (
        None,
        None,
        None,
        1,
    )
    status, said = await say(shop, vehicle, ALL | {"plate": "京a·12345"})
    assert status == 200, said
    owners = ALL.keys() - {"model", "warranty_ends_on"}
    assert {name: said[name] for name in ALL.keys() - owners} | {n: said["owner"][n] for n in owners} == ALL
    answer = await shop.api.call("GET", f"/vehicles/{vehicle['id']}", shop.director)
    assert (answer.status_code, answer.json(), answer.headers["ETag"]) == (200, said, '"2"')
    assert (await say(shop, said, {"plate": None}))[1]["owner"]["plate"] is None


async def test_of_two_editors_one_is_told(shop: Shop):
    vehicle = await one(shop, await shop.member())
    answers = await asyncio.gather(*(say(shop, vehicle, {"model": f"M{n}"}) for n in range(4)))
    assert sorted(status for status, _ in answers) == [200, 412, 412, 412]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"plate": "京I12345"}, ("/plate", "plate_format")),
        ({"purchased_on": "2026-12-31"}, ("/purchased_on", "date_in_future")),
        ({"purchased_on": "1900-01-01"}, ("/purchased_on", "greater_than_equal")),
        ({"model": "\x00"}, ("/model", "string_pattern_mismatch")),
        ({"vin": car(1)}, ("/vin", "extra_forbidden")),
    ],
)
async def test_nonsense_is_refused_and_changes_nothing(shop: Shop, body: dict[str, str], fault: tuple[str, str]):
    vehicle = await one(shop, await shop.member())
    status, answer = await say(shop, vehicle, {"insurance_ends_on": "2027-01-01"} | body)
    assert (status, pointers(answer)) == (422, [fault])
    answer = await shop.api.call("GET", f"/vehicles/{vehicle['id']}", shop.hq)
    assert answer.json() == vehicle


async def test_owners_say_what_is_theirs(shop: Shop):
    member = await shop.member()
    me = myself(shop, member)
    vehicle = (await shop.api.call("GET", f"/members/{member.id}/vehicles", me)).json()["items"][0]
    read = (await shop.api.call("GET", f"/vehicles/{vehicle['vehicle_id']}", me)).json()
    status, said = await say(shop, read, {"plate": "京AD12345", "insurance_ends_on": "2027-01-01"}, me)
    assert (status, said["owner"]["plate"]) == (200, "京AD12345")
    for body in ({"model": "Other"}, {"warranty_ends_on": "2040-01-01", "plate": "京A00000"}):
        assert (await say(shop, said, body, me))[0] == 403
    other = myself(shop, await shop.member())
    assert (await say(shop, said, {"plate": "京A00000"}, other))[0] == 404
    assert (await shop.api.call("GET", f"/vehicles/{read['id']}", other)).status_code == 404


async def test_other_chapters_do_not_see_it(shop: Shop):
    member = await shop.member()
    vehicle = await one(shop, member)
    assert (await shop.post("/vehicles/search", {"vin": member.vin}, shop.foreign))[1] == {"items": []}
    for path in ("", "/history", "/mileage"):
        for vehicle_id in (vehicle["id"], ABSENT):
            answer = await shop.api.call("GET", f"/vehicles/{vehicle_id}{path}", shop.foreign)
            assert answer.status_code == 404
    assert (await say(shop, vehicle, {"plate": "京A00000"}, shop.foreign))[0] == 404
    reading = {"km": 1, "read_on": "2026-11-01"}
    assert (await shop.post(f"/vehicles/{vehicle['id']}/mileage", reading, shop.foreign))[0] == 404
    assert (await shop.api.call("GET", f"/members/{member.id}/vehicles", shop.foreign)).status_code == 404


async def test_plates_are_masked_but_for_who_cares(shop: Shop):
    member = await shop.member()
    _, vehicle = await say(shop, await one(shop, member), {"plate": "京B54321"})
    region = shop.api.token(Role.REGIONAL_MANAGER, region="BJ")
    for token, plate in (
        (shop.advisor, "京B***21"), (region, "京B***21"), (shop.director, "京B54321"), (shop.hq, "京B54321"),
        (myself(shop, member), "京B54321"),
    ):  # fmt: skip
        read = (await shop.api.call("GET", f"/vehicles/{vehicle['id']}", token)).json()
        assert read["owner"]["plate"] == plate
        listed = (await shop.api.call("GET", f"/members/{member.id}/vehicles", token)).json()["items"]
        assert [owned["plate"] for owned in listed] == [plate]
    shown = "SELECT count(*) FROM audit_event WHERE action = 'unmasked' AND target_kind = 'ownership' AND actor = $1"
    assert await shop.pool.fetchval(shown, "care_director:BJ001") >= 2
    assert await shop.pool.fetchval(shown, "service_advisor:BJ001") == 0


async def test_plates_find_members_and_cars(shop: Shop):
    member = await shop.member()
    await say(shop, await one(shop, member), {"plate": "京C00001"})
    _, found = await shop.post("/members/search", {"plate": "京c·00001"}, shop.advisor)
    assert [one["id"] for one in found["items"]] == [str(member.id)]
    _, found = await shop.post("/vehicles/search", {"plate": "京C00001"}, shop.advisor)
    assert [one["vin"] for one in found["items"]] == [member.vin]
    for body in ({}, {"vin": member.vin, "plate": "京C00001"}):
        status, answer = await shop.post("/vehicles/search", body, shop.advisor)
        assert (status, pointers(answer)) == (422, [("", "exactly_one")])
    tree = {"field": "vehicle.plate", "op": "is", "value": "京c00001"}
    _, found = await shop.post("/members/search", {"filter": tree}, shop.advisor)
    assert [one["id"] for one in found["items"]] == [str(member.id)]


async def test_the_trail_tells_of_the_car_without_its_vin(shop: Shop):
    vehicle = await one(shop, await shop.member())
    await say(shop, vehicle, {"model": "Wagon", "plate": "京A99999"})
    rows = await shop.pool.fetch(
        "SELECT target_kind, changes::text FROM audit_event WHERE $1 = ANY (target_ids) AND action = 'changed'",
        vehicle["id"],
    )
    assert [tuple(row) for row in rows] == [("vehicle", '{"model": [null, "Wagon"]}')]
    assert await shop.pool.fetchval("SELECT count(*) FROM audit_event WHERE changes::text LIKE '%99999%'") == 0


async def test_a_delivery_tells_the_model_whichever_comes_first(shop: Shop):
    later, earlier = await shop.member(), car(700_101)
    delivery = {
        "dealer_code": "BJ001", "delivered_on": "2026-11-20", "owner_kind": "individual", "owner_name": "张伟",
        "model": "Sedan",
    }  # fmt: skip
    for vin in (later.vin, earlier):
        assert (await shop.post("/deliveries", delivery | {"vin": vin}, shop.hq))[0] == 201
    body = {"name": "张伟", "phone": "13800700101", "vin": earlier, "source": "delivery", "dealer_code": "BJ001"}
    assert (await shop.post("/members", body, shop.hq))[0] == 201
    for vin in (later.vin, earlier):
        _, found = await shop.post("/vehicles/search", {"vin": vin}, shop.hq)
        assert found["items"][0]["model"] == "Sedan"
        # the owner is found by it
        conditions = [where("vehicle.model", "is", "Sedan"), where("vehicle.vin", "is", vin)]
        _, owners = await shop.post("/members/search", {"filter": {"and": conditions}}, shop.hq)
        assert len(owners["items"]) == 1


# --- mileage ---


async def test_a_mileage_only_rises(shop: Shop):
    vehicle = await one(shop, await shop.member())
    found = [
        (await note(shop, vehicle, km, day))["is_drop"]
        for km, day in ((10_000, "2026-06-01"), (9_999, "2026-07-01"), (12_000, "2026-08-01"), (11_000, "2026-05-01"))
    ]
    assert found == [False, True, False, True]
    read = (await shop.api.call("GET", f"/vehicles/{vehicle['id']}", shop.hq)).json()
    assert read["mileage"] == {"km": 12_000, "read_on": "2026-08-01"}
    listed = (await shop.api.call("GET", f"/vehicles/{vehicle['id']}/mileage", shop.hq)).json()["items"]
    assert [reading["km"] for reading in listed] == [12_000, 9_999, 10_000, 11_000]


async def test_pages_of_mileage(shop: Shop):
    vehicle = await one(shop, await shop.member())
    for km in (1, 2, 3, 4, 5):
        await note(shop, vehicle, km, "2026-06-01")
    read: list[int] = []
    cursor = None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await shop.api.call("GET", f"/vehicles/{vehicle['id']}/mileage", shop.hq, params=params)).json()
        read += [reading["km"] for reading in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert read == [5, 4, 3, 2, 1]


async def test_a_wrong_reading_is_taken_back(shop: Shop):
    vehicle = await one(shop, await shop.member())
    wrong = await note(shop, vehicle, 900_000, "2026-06-01")
    assert (await note(shop, vehicle, 20_000, "2026-07-01"))["is_drop"]
    path = f"/vehicles/{vehicle['id']}/mileage/{wrong['id']}/withdrawal"
    assert (await shop.post(path, {}, shop.advisor))[0] == 403
    assert (await shop.post(path, {}, shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")))[0] == 404
    assert (await shop.post(path.replace(wrong["id"], ABSENT), {}, shop.director))[0] == 404
    for _ in range(2):
        status, withdrawn = await shop.post(path, {}, shop.director)
        assert (status, bool(withdrawn["withdrawn_at"])) == (200, True)
    read = (await shop.api.call("GET", f"/vehicles/{vehicle['id']}", shop.hq)).json()
    assert read["mileage"] == {"km": 20_000, "read_on": "2026-07-01"}
    assert not (await note(shop, vehicle, 20_001, "2026-07-02"))["is_drop"]


async def test_owners_read_it_too_but_not_in_the_future(shop: Shop):
    member = await shop.member()
    vehicle = await one(shop, member)
    assert (await note(shop, vehicle, 7, "2026-11-01", myself(shop, member)))["source"] == "owner"
    path = f"/vehicles/{vehicle['id']}/mileage"
    status, answer = await shop.post(path, {"km": 8, "read_on": "2026-12-24"}, shop.hq)
    assert (status, pointers(answer)) == (422, [("/read_on", "date_in_future")])
    status, answer = await shop.post(path, {"km": -1, "read_on": "2026-11-01"}, shop.hq)
    assert (status, pointers(answer)) == (422, [("/km", "greater_than_equal")])


async def test_two_who_read_at_once_are_both_judged(shop: Shop):
    vehicle = await one(shop, await shop.member())
    await asyncio.gather(*(note(shop, vehicle, km, "2026-06-01") for km in (5, 4, 3, 2, 1)))
    rows = await shop.pool.fetch(
        "SELECT km, is_drop FROM vehicle_mileage WHERE vin = $1 ORDER BY noted_at, id", vehicle["vin"]
    )
    assert [row["is_drop"] for row in rows] == drops(Read(NOW.date(), row["km"]) for row in rows)
    assert any(row["is_drop"] for row in rows) or [row["km"] for row in rows] == [1, 2, 3, 4, 5]
    read = (await shop.api.call("GET", f"/vehicles/{vehicle['id']}", shop.hq)).json()
    assert read["mileage"]["km"] == 5


# --- service ---


async def test_the_next_service_by_time_and_mileage(shop: Shop):
    member = await shop.member()
    _, vehicle = await say(shop, await one(shop, member), {"model": "Coupe"})
    assert vehicle["next_service"] is None
    body = {"model": "Coupe", "months": 6, "km": 10_000}
    assert (await shop.post("/service-intervals", body, shop.director))[0] == 403
    status, interval = await shop.post("/service-intervals", body, shop.hq)
    assert status == 201
    assert (await shop.post("/service-intervals", body, shop.hq))[0] == 409
    read = (await shop.api.call("GET", f"/vehicles/{vehicle['id']}", shop.hq)).json()
    assert read["next_service"] == {"last_on": None, "due_on": "2027-05-21", "due_km": 10_000, "is_due": False}
    await note(shop, vehicle, 10_000, "2026-11-21")
    read = (await shop.api.call("GET", f"/vehicles/{vehicle['id']}", shop.hq)).json()
    assert read["next_service"]["is_due"]
    assert (await shop.post("/repair-orders", order(member.vin, kind="repair"), shop.advisor))[0] == 201
    assert (await shop.api.call("GET", f"/vehicles/{vehicle['id']}", shop.hq)).json() == read
    assert (await shop.post("/repair-orders", order(member.vin), shop.advisor))[0] == 201
    read = (await shop.api.call("GET", f"/vehicles/{vehicle['id']}", shop.hq)).json()
    due = {"last_on": "2026-11-21", "due_on": "2027-05-21", "due_km": 20_000, "is_due": False}
    assert read["next_service"] == due
    answer = await shop.api.call(
        "PATCH", f"/service-intervals/{interval['id']}", shop.hq, json={"months": 3}, headers={"If-Match": '"1"'}
    )
    assert answer.json() == interval | {"months": 3, "version": 2}
    read = (await shop.api.call("GET", f"/vehicles/{vehicle['id']}", shop.hq)).json()
    assert read["next_service"] == due | {"due_on": "2027-02-21"}


async def test_models_without_an_interval_have_the_general_one(shop: Shop):
    vehicle = await one(shop, await shop.member())
    for status in (201, 409):
        assert (await shop.post("/service-intervals", {"months": 12}, shop.hq))[0] == status
    read = (await shop.api.call("GET", f"/vehicles/{vehicle['id']}", shop.hq)).json()
    assert read["next_service"] == {"last_on": None, "due_on": "2027-11-21", "due_km": None, "is_due": False}
    stale = await shop.api.call("PATCH", f"/service-intervals/{ABSENT}", shop.hq, json={}, headers={"If-Match": '"1"'})
    assert stale.status_code == 404
    listed = (await shop.api.call("GET", "/service-intervals", shop.advisor)).json()["items"]
    general = next(one for one in listed if one["model"] is None)
    stale = await shop.api.call(
        "PATCH", f"/service-intervals/{general['id']}", shop.hq, json={"km": 1}, headers={"If-Match": '"7"'}
    )
    assert stale.status_code == 412
    bad = await shop.api.call(
        "PATCH", f"/service-intervals/{general['id']}", shop.hq, json={"km": 0}, headers={"If-Match": '"1"'}
    )
    assert (bad.status_code, pointers(bad.json())) == (422, [("/km", "greater_than_equal")])


# --- what workshops tell ---


async def listed(shop: Shop, member: Person) -> list[tuple[int, str, bool, bool]]:
    """A car's readings: km, source, whether it is a drop, whether it was withdrawn."""
    vehicle = await one(shop, member)
    _, page = await shop.get(f"/vehicles/{vehicle['id']}/mileage", shop.hq)
    return [(got["km"], got["source"], got["is_drop"], got["withdrawn_at"] is not None) for got in page["items"]]


async def test_repair_orders_tell_the_mileage(shop: Shop):
    member = await shop.member()
    told = order(member.vin, mileage_km=20_000)
    for status in (201, 200):
        assert (await shop.post("/repair-orders", told, shop.advisor))[0] == status
    assert await listed(shop, member) == [(20_000, "workshop", False, False)]
    # known already: the order stands as it is, and so does what it told
    assert (await shop.post("/repair-orders", told | {"mileage_km": 30_000}, shop.advisor))[0] == 200
    assert (await shop.post("/repair-orders", order(member.vin), shop.advisor))[0] == 201
    assert (await shop.post("/repair-orders", order(member.vin, mileage_km=19_000), shop.advisor))[0] == 201
    assert (await one(shop, member))["mileage"]["km"] == 20_000
    assert sorted(await listed(shop, member)) == [(19_000, "workshop", True, False), (20_000, "workshop", False, False)]


async def test_an_order_taken_out_of_the_books_takes_its_mileage_along(shop: Shop):
    member = await shop.member()
    wrong, right = order(member.vin, mileage_km=900_000), order(member.vin, mileage_km=9_000)
    for told in (wrong, right):
        assert (await shop.post("/repair-orders", told, shop.advisor))[0] == 201
    path = f"/repair-orders/BJ001/{wrong['order_no']}/cancellation"
    status, _ = await shop.post(path, {"reason": "里程录错"}, shop.director)
    assert status == 200
    assert (await one(shop, member))["mileage"]["km"] == 9_000
    corrected = wrong | {"mileage_km": 9_100, "labour_fen": 4_346}
    assert (await shop.post("/repair-orders", corrected, shop.advisor))[0] == 201
    assert (await one(shop, member))["mileage"]["km"] == 9_100


@pytest.mark.parametrize("km", [-1, 10**7, "1", 1.5])
async def test_a_mileage_that_is_none_refuses_the_order(shop: Shop, km: object):
    status, faults = await shop.post("/repair-orders", order(car(1), mileage_km=km), shop.hq)
    assert status == 422
    assert [pointer for pointer, _ in pointers(faults)] == ["/mileage_km"]


async def test_files_may_have_a_column_for_it(shop: Shop, tmp_path: Path):
    members = [await shop.member() for _ in range(3)]
    columns = ["mileage_km", *COLUMNS]
    made = [order(member.vin, mileage_km=km) for member, km in zip(members, ("8000", "", "8k"), strict=True)]
    lines = [",".join(columns), *(",".join(str(row[name]) for name in columns) for row in made)]
    file = tmp_path / "orders.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    rows = list(open_rows(file, COLUMNS, optional=[MILEAGE]))
    for posted in (2, 0):
        report, refused = await import_orders(shop.api.db, rows, actor="test", now=NOW)
        assert (report.posted, [(one.line, one.reason) for one in refused]) == (
            posted, [(4, "mileage_km: '8k' must be whole km, 0 to 9999999, or empty")],
        )  # fmt: skip
    assert [await listed(shop, member) for member in members] == [[(8_000, "workshop", False, False)], [], []]
    rehearsed = [Row(1, [*(str(order(members[1].vin)[name]) for name in COLUMNS), "9000"])]
    report, _ = await import_orders(shop.api.db, rehearsed, actor="test", now=NOW, dry_run=True)
    assert report.posted == 1
    assert await listed(shop, members[1]) == []


def test_json_lines_may_say_it_too():
    told = [order(car(2), mileage_km=8_000), order(car(3), mileage_km=None), order(car(4))]
    file = BytesIO(b"\n".join(map(orjson.dumps, told)))
    assert [mileage_km(row.cells) for row in json_rows(file, KINDS[ORDERS])] == [8_000, None, None]
