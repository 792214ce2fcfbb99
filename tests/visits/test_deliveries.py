"""Deliveries: taken in once, matched with memberships whichever comes first, misses closed with a reason."""

import gzip
import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.core.actors import Role
from app.core.db import Database
from app.core.tabular import Row, open_rows
from app.core.vault import Vault, fresh_key
from app.members import sealing
from app.privacy import retention
from app.visits import deliveries, deliveries_queries, jobs
from app.visits.deliveries import import_deliveries
from app.visits.deliveries_models import Delivery
from app.visits.deliveries_rules import COLUMNS
from tests.api import DATA_KEY, SETTINGS
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Person, Shop, pointers, problem
from tests.test_rows import BJ, HQ, NORTH, PARTNER, SH, seen

_serial = iter(range(600_001, 700_000))
Body = dict[str, Any]


def delivery(**fields: Any) -> Body:
    """A car that BJ001 delivered to an individual whom nobody knows."""
    serial = next(_serial)
    return {
        "dealer_code": "BJ001", "vin": car(serial), "delivered_on": "2026-11-20", "owner_kind": "individual",
        "owner_name": "王芳", "phone": f"138{serial:08d}", "consultant": "li.bj001", "model": "Sedan",
    } | fields  # fmt: skip


async def deliver(shop: Shop, **fields: Any) -> Body:
    """A new delivery, as headquarters reads it."""
    status, read = await shop.post("/deliveries", delivery(**fields), shop.hq)
    assert status == 201, read
    return dict(read)


async def read(shop: Shop, made: Body, token: str = "") -> Body:
    status, found = await shop.get(f"/deliveries/{made['id']}", token or shop.hq)
    assert status == 200, found
    return dict(found)


async def enrol(shop: Shop, body: Body) -> Body:
    person = {"name": body["owner_name"], "phone": body["phone"], "vin": body["vin"], "source": "delivery"}
    status, made = await shop.post("/members", person | {"dealer_code": "BJ001"}, shop.hq)
    assert status == 201, made
    return dict(made)


def line(made: Body) -> str:
    return ",".join(str(made[name] or "") for name in COLUMNS)


def as_csv(*made: Body) -> bytes:
    return "\n".join([",".join(COLUMNS), *map(line, made)]).encode()


async def load(shop: Shop, made: list[Body], **options: Any) -> tuple[tuple[int, ...], list[tuple[int, str]]]:
    """Counts (read, posted, known, refused), and each refused line with its reason."""
    rows = [Row(number, [str(one[name] or "") for name in COLUMNS]) for number, one in enumerate(made, 2)]
    report, rejections = await import_deliveries(shop.api.db, rows, now=NOW, **options)
    return tuple(report.model_dump().values()), [(refused.line, refused.reason) for refused in rejections]


# --- taking in ---


async def test_a_delivery_is_taken_once(shop: Shop):
    body = delivery()
    status, first = await shop.post("/deliveries", body, shop.director)
    assert (status, first["state"], first["member_id"], first["version"]) == (201, "open", None, 1)
    assert (first["phone"], first["consultant"]) == ("+86" + body["phone"], "li.bj001")
    assert await shop.post("/deliveries", body, shop.director) == (200, first)
    status, refused = await shop.post("/deliveries", body | {"delivered_on": "2026-11-19"}, shop.director)
    assert (status, refused["type"]) == (409, "/problems/delivery-conflict")
    assert "delivered_on" in refused["detail"]
    assert (await shop.post("/deliveries", body | {"phone": "13900000000"}, shop.hq))[0] == 409
    # who it stands under changes here and not by the feed
    assert (await shop.post("/deliveries", body | {"consultant": "wang", "model": None}, shop.hq)) == (200, first)
    assert await shop.pool.fetchval("SELECT count(*) FROM delivery WHERE vin = $1", body["vin"]) == 1


async def test_a_company_is_no_owner(shop: Shop):
    made = await deliver(shop, owner_kind="company", owner_name="某公司")
    assert (made["state"], made["phone"], made["owner_name"]) == ("none", None, "某公司")
    assert await shop.pool.fetchval("SELECT phone IS NULL FROM delivery WHERE vin = $1", made["vin"])
    closed = await shop.post(f"/deliveries/{made['id']}/closing", {"reason": "declined"}, shop.hq)
    assert (closed[0], closed[1]["type"]) == (409, "/problems/not-a-miss")


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"dealer_code": "ZZ999"}, ("/dealer_code", "unknown_dealer")),
        ({"delivered_on": "2026-11-22"}, ("/delivered_on", "date_in_future")),
        ({"owner_name": None}, ("/owner_name", "missing")),
        ({"vin": "LSVAB26E0T2000000"}, ("/vin", "vin_check_digit")),
        ({"phone": "12345"}, ("/phone", "phone_format")),
        ({"owner_kind": "club"}, ("/owner_kind", "enum")),
        ({"colour": "red"}, ("/colour", "extra_forbidden")),
    ],
)
async def test_what_is_wrong_with_a_delivery(shop: Shop, fields: Body, fault: tuple[str, str]):
    status, body = await shop.post("/deliveries", delivery(**fields), shop.hq)
    assert (status, pointers(body)) == (422, [fault])


async def test_only_ones_own_dealers(shop: Shop):
    status, body = await shop.post("/deliveries", delivery(dealer_code="SH001"), shop.director)
    assert (status, body["type"]) == (404, "/problems/not-found")
    theirs = await deliver(shop, dealer_code="SH001")
    north = shop.api.token(Role.REGIONAL_MANAGER, region="BJ")
    for token in (shop.director, north):
        assert (await shop.get(f"/deliveries/{theirs['id']}", token))[0] == 404
        _, page = await shop.get("/deliveries", token, limit=200)
        assert {one["dealer_code"] for one in page["items"]} <= {"BJ001"}
    for token in (shop.advisor, shop.api.token(Role.MEMBER, member=uuid4())):
        assert (await shop.get(f"/deliveries/{theirs['id']}", token))[0] == 403
    dms = shop.api.token(Role.API_CLIENT, scopes="deliveries:write")
    assert (await shop.post("/deliveries", delivery(), dms))[0] == 201


# --- files ---


async def test_each_bad_line_has_its_reason(shop: Shop):
    good = delivery()
    made = [
        good,
        good,  # 3 the same again
        good | {"owner_name": "李娜", "phone": "13900000001"},  # 4
        delivery(dealer_code="ZZ999"),  # 5
        delivery(vin="WVGZZZ5NZEW06929O"),  # 6
        delivery(delivered_on="2026-11-22"),  # 7
        delivery(delivered_on="20.11.2026"),  # 8
        delivery(owner_kind="firm"),  # 9
        delivery(owner_name=""),  # 10
        delivery(phone="12345"),  # 11
        delivery(phone=""),  # 12 a miss without a number
        delivery(owner_kind="government", owner_name="", phone="010-1"),  # 13
        delivery(dealer_code="SH001"),  # 14
        delivery(model="x" * 101),  # 15
    ]
    counts, refused = await load(shop, made, only_dealers=frozenset({"BJ001"}))
    assert counts == (14, 3, 1, 10)
    assert dict(refused) == {
        4: f"vin: {good['vin']} is known with another owner_name, phone; the first stands",
        5: "dealer_code: there is no dealer 'ZZ999'",
        6: "vin: 'WVGZZZ5NZEW06929O' is not 17 letters and digits without I, O and Q",
        7: "delivered_on: 2026-11-22 lies in the future",
        8: "delivered_on: '20.11.2026' must be a date such as 2026-10-31",
        9: "owner_kind: 'firm' must be one of individual, company, government",
        10: "owner_name: an individual's must be given",
        11: "phone: is not a mainland mobile number",
        14: "dealer_code: SH001 is not your dealer BJ001",
        15: "model: over 100 characters or unprintable",
    }
    assert (await load(shop, made, only_dealers=frozenset({"BJ001"})))[0] == (14, 0, 4, 10)


async def test_a_rehearsal_counts_and_writes_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(deliveries, "CHUNK", 2)
    made = [delivery() for _ in range(3)]
    before = await shop.pool.fetchval("SELECT count(*) FROM delivery")
    assert (await load(shop, [*made, *made], dry_run=True))[0] == (6, 3, 3, 0)
    assert await shop.pool.fetchval("SELECT count(*) FROM delivery") == before
    assert (await load(shop, [*made, *made]))[0] == (6, 3, 3, 0)


async def test_a_file_with_gzip(shop: Shop, tmp_path: Path):
    path = tmp_path / "deliveries.csv.gz"
    path.write_bytes(gzip.compress(as_csv(delivery(), delivery())))
    report, _ = await import_deliveries(shop.api.db, open_rows(path, COLUMNS), now=NOW)
    assert report.posted == 2


async def upload(shop: Shop, content: bytes, token: str, *, kind: str = "text/csv", query: str = "") -> httpx.Response:
    headers = {"Content-Type": kind}
    return await shop.api.call("POST", f"/deliveries/imports{query}", token, content=content, headers=headers)


async def test_an_upload_is_a_job(shop: Shop):
    good, bad = delivery(), delivery(dealer_code="SH001")
    answer = await upload(shop, as_csv(good, good, bad), shop.director)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    job_id = UUID(answer.json()["id"])
    # whose numbers they are is nobody's to read beside the keys
    kept = await shop.pool.fetchval("SELECT content FROM import_chunk WHERE job_id = $1", job_id)
    assert good["phone"].encode() not in kept
    await jobs.work_off(shop.api.db, job_id, NOW)

    path = f"/deliveries/imports/{job_id}"
    status, job = await shop.get(path, shop.director)
    counts = job["status"], job["read"], job["posted"], job["already_known"], job["refused"], job["points"]
    assert (status, counts) == (200, ("done", 3, 1, 1, 1, 0))
    rejected = await shop.api.call("GET", path + "/rejected.csv", shop.director)
    assert rejected.text.splitlines()[1] == f'4,dealer_code: SH001 is not your dealer BJ001,"{line(bad)}"'
    kept = await shop.pool.fetchval("SELECT row FROM import_rejection WHERE job_id = $1", job_id)
    assert bad["phone"] not in kept
    for foreign in (
        shop.api.token(Role.CARE_DIRECTOR, dealer="SH001"),
        shop.api.token(Role.CARE_DIRECTOR, dealer="BJ001", subject="x"),
    ):
        assert (await shop.get(path, foreign))[0] == 404
    # an import of orders it is not
    assert (await shop.get(f"/repair-orders/imports/{job_id}", shop.hq))[0] == 404


async def test_json_lines_may_leave_out_what_may_be_empty(shop: Shop):
    full, short = delivery(), delivery(owner_kind="company", owner_name=None, phone=None)
    del short["model"], short["consultant"]
    lines = [json.dumps(full), json.dumps(short), json.dumps({"vin": full["vin"]})]
    answer = await upload(shop, "\n".join(lines).encode(), shop.hq, kind="application/x-ndjson")
    await jobs.work_off(shop.api.db, UUID(answer.json()["id"]), NOW)
    _, job = await shop.get(f"/deliveries/imports/{answer.json()['id']}", shop.hq)
    assert (job["posted"], job["refused"]) == (2, 1)


async def test_a_rehearsed_upload(shop: Shop):
    made = delivery()
    answer = await upload(shop, as_csv(made), shop.hq, query="?dry_run=true")
    await jobs.work_off(shop.api.db, UUID(answer.json()["id"]), NOW)
    _, job = await shop.get(f"/deliveries/imports/{answer.json()['id']}", shop.hq)
    assert (job["dry_run"], job["status"], job["posted"]) == (True, "done", 1)
    assert await shop.pool.fetchval("SELECT count(*) FROM delivery WHERE vin = $1", made["vin"]) == 0


async def test_an_upload_in_an_unknown_format(shop: Shop):
    assert problem(await upload(shop, b"{}", shop.hq, kind="application/json")) == (415, "/problems/unknown-format")
    unreadable = await upload(shop, b"dealer_code,vin\n", shop.hq)
    await jobs.work_off(shop.api.db, UUID(unreadable.json()["id"]), NOW)
    _, job = await shop.get(f"/deliveries/imports/{unreadable.json()['id']}", shop.hq)
    assert (job["status"], "lacks the column(s) delivered_on" in job["fault"]) == ("failed", True)


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
    status, joined = await shop.post(path, {"reason": "declined"}, shop.director)
    assert (status, joined["type"]) == (409, "/problems/not-a-miss")


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
