"""A program bound to dealers, or to a region, reaches those alone; and after its last day nothing."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from app.core.actors import PROGRAM_SCOPES
from app.members.models import Application, Member
from app.visits import jobs
from app.visits.rules import COLUMNS
from tests.api import Api
from tests.callers import seen
from tests.identity.staff import admin
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Shop, order, pointers, problem

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
DEALERS = {"dealer_codes": ["BJ001"]}
REGION = {"region_code": "BJ"}
BOUND = pytest.mark.parametrize("reach", [DEALERS, REGION], ids=["dealers", "region"])


@pytest.fixture(autouse=True)
async def network(shop: Shop) -> AsyncIterator[None]:
    yield
    shop.api.app.state.now = NOW


async def create(api: Api, username: str, **fields: Any) -> Any:
    body = {"username": username, "name": "DMS", "scopes": sorted(PROGRAM_SCOPES)} | fields
    return await api.call("POST", "/programs", admin(api), json=body)


async def ask(api: Api, made: dict[str, Any]) -> Any:
    form = {"grant_type": "client_credentials", "client_id": made["client_id"], "client_secret": made["client_secret"]}
    return await api.request("POST", "/oauth/token", token=None, headers=FORM, data=form)


async def token(api: Api, username: str, **fields: Any) -> str:
    """A token of a new program."""
    made = await create(api, username, **fields)
    assert made.status_code == 201, made.text
    return str((await ask(api, made.json())).json()["access_token"])


@BOUND
async def test_it_sees_its_own_alone(shop: Shop, api: Api, reach: dict[str, Any]):
    mine, theirs = await shop.member(points=10), await shop.member(dealer="SH001", points=10)
    program = await token(api, f"sees.{next(iter(reach))}", **reach)
    for member, status in ((mine, 200), (theirs, 404)):
        for path in (f"/members/{member.id}", f"/members/{member.id}/points", f"/members/{member.id}/postings"):
            assert (await api.call("GET", path, program)).status_code == status
    dealers = {item["code"] for item in (await api.call("GET", "/dealers", program)).json()["items"]}
    assert "BJ001" in dealers
    assert "SH001" not in dealers
    found = await api.call("GET", "/members?limit=200", program)
    assert {item["dealer_code"] for item in found.json()["items"]} == {"BJ001"}
    for dealer, code in (("BJ001", "BJ1"), ("SH001", "SH1")):
        body = order(mine.vin, dealer_code=dealer, order_no=f"{code}-{next(iter(reach))}")
        assert (await api.call("POST", "/repair-orders", shop.hq, json=body)).status_code == 201
        read = await api.call("GET", f"/repair-orders/{dealer}/{body['order_no']}", program)
        assert read.status_code == (200 if dealer == "BJ001" else 404)
    orders = await api.call("GET", "/repair-orders?limit=200", program)
    assert {item["dealer_code"] for item in orders.json()["items"]} == {"BJ001"}


@BOUND
async def test_it_acts_for_its_own_alone(shop: Shop, api: Api, reach: dict[str, Any]):
    program, serial = await token(api, f"acts.{next(iter(reach))}", **reach), 870_001 + len(next(iter(reach)))
    member = await shop.member(points=500)
    for path in ("/members", "/applications"):
        person = {"name": "李四", "phone": f"136{serial:08d}", "vin": car(serial), "source": "delivery"}
        assert problem(await api.call("POST", path, program, json=person | {"dealer_code": "SH001"})) == (
            404, "/problems/not-found",
        )  # fmt: skip
        nowhere = await api.call("POST", path, program, json=person)
        assert pointers(nowhere.json()) == [("/dealer_code", "missing")]
        assert (await api.call("POST", path, program, json=person | {"dealer_code": "BJ001"})).status_code == 201
    foreign = await api.call("POST", "/repair-orders", program, json=order(member.vin, dealer_code="SH001"))
    assert problem(foreign) == (404, "/problems/not-found")
    assert (await api.call("POST", "/repair-orders", program, json=order(member.vin))).status_code == 201


@BOUND
async def test_it_posts_at_its_own_alone(shop: Shop, api: Api, reach: dict[str, Any]):
    program = await token(api, f"posts.{next(iter(reach))}", **reach)
    member = await shop.member(points=500)
    for place, fault in (("SH001", "unknown_dealer"), ("HQ", "unknown_dealer")):
        refused = await shop.post("/points/earnings", _earning(member.id, "a", place=place), program)
        assert (refused[0], pointers(refused[1])) == (422, [("/place", fault)])
    funder = await shop.post("/points/earnings", _earning(member.id, "b", place="BJ001", funder="SH001"), program)
    assert (funder[0], pointers(funder[1])) == (422, [("/funder", "unknown_dealer")])
    posted = await shop.post("/points/earnings", _earning(member.id, f"c{next(iter(reach))}", place="BJ001"), program)
    assert posted[0] == 201, posted
    elsewhere = await shop.earn(member, 5, place="SH001")
    taken_back = [
        (await shop.post("/points/reversals", _reversal(member.id, no), program))[0]
        for no in (posted[1]["posting_no"], elsewhere[1]["posting_no"])
    ]
    assert taken_back == [201, 404]
    spent = [(await shop.redeem(member, 1, program, dealer_code=dealer))[0] for dealer in ("BJ001", "SH001")]
    assert spent == [201, 422]
    at_shanghai = (await shop.redeem(member, 1, shop.program, dealer_code="SH001", order_no="RO-SH"))[1]["posting_no"]
    refund = await shop.post(f"/redemptions/{member.id}/{at_shanghai}/refund", {"points": 1, "reason": "x"}, program)
    assert refund[0] == 404


def _earning(member_id: Any, key: str, **fields: Any) -> dict[str, Any]:
    return {"member_id": str(member_id), "points": 5, "cause": {"type": "campaign", "key": f"bound-{key}"}} | fields


def _reversal(member_id: Any, posting_no: int) -> dict[str, Any]:
    return {"member_id": str(member_id), "posting_no": posting_no, "reason": "x"}


@BOUND
async def test_its_files_bring_its_own_orders_alone(shop: Shop, api: Api, reach: dict[str, Any]):
    program = await token(api, f"files.{next(iter(reach))}", **reach)
    member = await shop.member()
    rows = [order(member.vin), order(member.vin, dealer_code="SH001")]
    file = "\n".join([",".join(COLUMNS), *(",".join(str(row[name]) for name in COLUMNS) for row in rows)])
    taken = await api.call(
        "POST", "/repair-orders/imports", program, content=file.encode(), headers={"Content-Type": "text/csv"}
    )
    assert taken.status_code == 202
    async with api.db.connection() as connection:
        job_id = await connection.fetchval("SELECT id FROM import_job WHERE owner = $1", f"files.{next(iter(reach))}")
    await jobs.work_off(api.db, job_id, NOW)
    done = (await api.call("GET", f"/repair-orders/imports/{job_id}", program)).json()
    assert (done["posted"], done["refused"]) == (1, 1)


async def test_the_second_wall_knows_several_dealers(shop: Shop, api: Api):
    await shop.member(), await shop.member(dealer="SH001")
    verify = api.app.state.authenticate
    both = verify(await token(api, "wall.two", dealer_codes=["SH001", "BJ001"]))
    one, none = (
        verify(await token(api, "wall.one", **DEALERS)),
        verify(await token(api, "wall.no", dealer_codes=["BJ002"])),
    )
    all_there = await api.db.pool.fetchval("SELECT count(*) FROM member")
    in_bj = await api.db.pool.fetchval("SELECT count(*) FROM member WHERE dealer_code = 'BJ001'")
    assert [await seen(api.db, actor, Member) for actor in (both, one, none)] == [all_there, in_bj, 0]
    assert await seen(api.db, none, Application) == 0


async def test_its_last_day_is_its_last(shop: Shop, api: Api):
    made = (await create(api, "dms.last", last_day="2026-11-22")).json()
    assert (await ask(api, made)).json()["expires_in"] == 900
    # ten minutes to midnight in China
    api.app.state.now = NOW.replace(day=22, hour=15, minute=50)
    near = (await ask(api, made)).json()
    assert near["expires_in"] == 600
    api.app.state.now += timedelta(minutes=10)
    assert (await api.call("GET", "/me", near["access_token"])).status_code == 401
    refused = await ask(api, made)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


async def test_reach_and_last_day_are_changed(shop: Shop, api: Api):
    made = (await create(api, "dms.moved", **DEALERS)).json()
    path = f"/accounts/{made['account_id']}"
    me = await api.call("GET", "/me", (await ask(api, made)).json()["access_token"])
    assert me.json()["dealer_codes"] == ["BJ001"]
    read = await api.call("GET", path, admin(api))
    assert {name: read.json()[name] for name in ("region_code", "dealer_codes", "last_day")} == {
        "region_code": None, "dealer_codes": ["BJ001"], "last_day": None,
    }  # fmt: skip
    both = await api.call("PATCH", path, admin(api), json=REGION, headers={"If-Match": read.headers["ETag"]})
    assert pointers(both.json()) == [("/dealer_codes", "region_or_dealers")]
    change = {"region_code": "BJ", "dealer_codes": [], "last_day": "2027-01-31"}
    moved = await api.call("PATCH", path, admin(api), json=change, headers={"If-Match": read.headers["ETag"]})
    assert (moved.status_code, {name: moved.json()[name] for name in change}) == (200, change)
    program = (await ask(api, made)).json()["access_token"]
    assert (await api.call("GET", "/me", program)).json()["region_code"] == "BJ"


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        (DEALERS | REGION, ("/dealer_codes", "region_or_dealers")),
        ({"dealer_codes": ["BJ001", "ZZ999"]}, ("/dealer_codes", "unknown_dealer")),
        ({"region_code": "ZZ"}, ("/region_code", "unknown_region")),
        ({"last_day": "2026-11-20"}, ("/last_day", "date_too_early")),
    ],
)
async def test_a_reach_that_makes_no_sense(api: Api, fields: dict[str, Any], fault: tuple[str, str]):
    refused = await create(api, "dms.nonsense", **fields)
    assert (refused.status_code, pointers(refused.json())) == (422, [fault])


async def test_a_person_has_grants_instead(api: Api):
    person = {"username": "no.reach", "name": "x", "password": "a long first password", "grant": {"role": "auditor"}}
    made = await api.call("POST", "/accounts", admin(api), json=person)
    assert made.status_code == 201, made.text
    for field, value in (("dealer_codes", ["BJ001"]), ("region_code", "BJ"), ("last_day", "2027-01-01")):
        refused = await api.call(
            "PATCH", f"/accounts/{made.json()['id']}", admin(api), json={field: value}, headers={"If-Match": '"1"'}
        )
        assert pointers(refused.json()) == [(f"/{field}", "scopes_of_person")]


@pytest.mark.parametrize("code", ["hotel", "A", "X" * 33, "HO TEL"])
async def test_a_partners_code_has_a_form(api: Api, code: str):
    grant = {"role": "partner_clerk", "partner_code": code}
    body = {"username": "till.one", "name": "x", "password": "a long first password", "grant": grant}
    refused = await api.call("POST", "/accounts", admin(api), json=body)
    assert pointers(refused.json()) == [("/grant/partner_code", "string_pattern_mismatch")]
