"""Deliveries: taken in once, one at a time and as files."""

import gzip
import json
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from app.core.actors import Role
from app.core.tabular import open_rows
from app.visits import deliveries, jobs
from app.visits.deliveries import import_deliveries
from app.visits.deliveries_rules import COLUMNS
from tests.now import NOW
from tests.shop import Shop, pointers, problem
from tests.visits.delivered import Body, as_csv, deliver, delivery, line, load

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
