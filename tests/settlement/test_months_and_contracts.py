"""Months and contracts through the API, and which role each route is for."""

import asyncio
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from app.core.actors import Role
from app.core.clock import add_months
from app.points import ledger
from app.settlement import queries, service
from app.settlement.schemas import ContractCreate
from tests.api import Api
from tests.now import NOW
from tests.settlement.books import Books
from tests.settlement.desk import Desk

SETTLERS = {Role.HQ_ADMIN, Role.HQ_FINANCE}
READERS = SETTLERS | {
    Role.HQ_OPERATIONS, Role.AUDITOR, Role.REGIONAL_MANAGER, Role.GENERAL_MANAGER, Role.CARE_DIRECTOR,
    Role.FINANCE_CLERK, Role.PARTNER_CLERK, Role.PARTNER_MANAGER,
}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/contracts", SETTLERS | {Role.AUDITOR}),
        ("POST", "/contracts", SETTLERS),
        ("POST", "/periods/2025-05/close", SETTLERS),
        ("GET", "/periods", READERS),
        ("GET", "/statements", READERS),
        ("GET", "/statements/{id}", READERS),
        ("POST", "/statements/{id}/confirmation", {Role.FINANCE_CLERK, Role.PARTNER_MANAGER}),
        ("POST", "/statements/{id}/disputes", {Role.FINANCE_CLERK, Role.PARTNER_MANAGER}),
        ("POST", "/statements/{id}/payment", SETTLERS),
        ("POST", "/disputes/{id}/answer", SETTLERS),
    ],
)
async def test_each_route_is_open_to_its_roles_only(api: Api, method: str, path: str, allowed: set[Role]) -> None:
    for role in Role:
        token = api.token(role, dealer="XX999" if role.is_dealer_staff else None, scopes="members.read")
        response = await api.call(method, path.replace("{id}", str(uuid4())), token)
        assert (response.status_code != 403) == (role in allowed), role
    assert (await api.call(method, path.replace("{id}", str(uuid4())))).status_code == 401


async def test_a_month_is_closed_over_the_api_once(api: Api, books: Books) -> None:
    month = await queries.first_open(api.db.pool)
    place, member = await books.dealer(), await books.member()
    await books.earn(member, 100, month)
    await books.redeem(member, 30, place, month)
    hq, path = api.token(Role.HQ_ADMIN), f"/periods/{month:%Y-%m}/close"
    forecast = (await api.call("POST", f"{path}?dry_run=true", hq)).json()
    assert (forecast["seal"], forecast["hq_net_fen"]) == (None, -150)
    closed = await api.call("POST", path, hq)
    assert closed.status_code == 200
    assert closed.json()["net_fen"] + closed.json()["hq_net_fen"] == 0
    assert (await api.call("POST", path, hq)).json() == closed.json()
    listed = (await api.call("GET", "/periods?limit=200", hq)).json()["items"]
    expected = {
        "period": f"{month:%Y-%m}",
        "sealed_at": closed.json()["sealed_at"],
        "seal": closed.json()["seal"],
    }
    assert expected in listed


@pytest.mark.parametrize(
    ("months", "kind"), [(-24, "period-before-first"), (3, "period-gap"), (24, "period-not-ended")]
)
async def test_a_month_that_may_not_be_closed_says_why(api: Api, books: Books, months: int, kind: str) -> None:
    month = add_months(await queries.first_open(api.db.pool), months)
    response = await api.call("POST", f"/periods/{month:%Y-%m}/close", api.token(Role.HQ_ADMIN))
    assert (response.status_code, response.json()["type"]) == (409, f"/problems/{kind}")


async def test_a_month_must_be_written_as_one(api: Api) -> None:
    for text in ("2026-00", "2026-1", "2026-10-01", "0001-01"):
        assert (await api.call("POST", f"/periods/{text}/close", api.token(Role.HQ_ADMIN))).status_code == 422


async def test_periods_are_listed_by_page(desk: Desk) -> None:
    page = (await desk.get("/periods?limit=1", desk.clerk))[1]
    rest = (await desk.get(f"/periods?cursor={page['next_cursor']}", desk.clerk))[1] if page["next_cursor"] else page
    months = [item["period"] for item in page["items"] + rest["items"]]
    assert months == sorted(months, reverse=True)
    assert (await desk.get("/periods?cursor=abc", desk.clerk))[0] == 422


async def test_a_contract_starts_after_the_last_sealed_month(desk: Desk) -> None:
    first_day = await queries.first_open(desk.api.db.pool)
    body = {"dealer_code": desk.dealer, "rate_fen_per_thousand": 4800, "charging": "issuance"}
    early = {"valid_from": (first_day - timedelta(days=1)).isoformat()}
    status, problem = await desk.post("/contracts", desk.hq, body | early)
    assert (status, problem["type"], problem["earliest"]) == (
        409, "/problems/contract-too-early", first_day.isoformat(),
    )  # fmt: skip
    right = {"valid_from": first_day.isoformat()}
    status, made = await desk.post("/contracts", desk.hq, body | right, key="k-1")
    assert (status, made["confirm_days"], made["charging"]) == (201, 5, "issuance")
    assert await desk.post("/contracts", desk.hq, body | right, key="k-1") == (status, made)
    status, problem = await desk.post("/contracts", desk.hq, body | right)
    assert (status, problem["type"]) == (409, "/problems/contract-exists")
    listed = (await desk.get(f"/contracts?dealer_code={desk.dealer}", desk.hq))[1]["items"]
    assert listed == [made]


async def test_another_broken_constraint_is_no_contract_that_exists(desk: Desk) -> None:
    first_day = await queries.first_open(desk.api.db.pool)
    order = ContractCreate(dealer_code=desk.dealer, valid_from=first_day, rate_fen_per_thousand=1)
    with pytest.raises(IntegrityError, match="ck_contract_rate"):
        async with desk.api.db.session() as session:
            await service.add_contract(session, order.model_copy(update={"rate_fen_per_thousand": -1}))


async def test_contracts_are_listed_by_page(desk: Desk) -> None:
    body = {"dealer_code": desk.dealer, "rate_fen_per_thousand": 1}
    for day in range(3):
        start = date(2027, 1, 1 + day)
        await desk.post("/contracts", desk.hq, body | {"valid_from": start.isoformat()})
    first = (await desk.get(f"/contracts?dealer_code={desk.dealer}&limit=2", desk.hq))[1]
    rest = (await desk.get(f"/contracts?dealer_code={desk.dealer}&cursor={first['next_cursor']}", desk.hq))[1]
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)


@pytest.mark.parametrize(
    "change",
    [
        {"dealer_code": "ZZ999"},
        {"dealer_code": "x"},
        {"rate_fen_per_thousand": -1},
        {"rate_fen_per_thousand": 1.5},
        {"charging": "never"},
        {"confirm_days": 0},
        {"valid_from": "2027-02-30"},
        {"note": "x"},
    ],
)
async def test_a_contract_with_a_fault_is_refused(desk: Desk, change: dict[str, Any]) -> None:
    body = {"dealer_code": desk.dealer, "valid_from": "2027-01-01", "rate_fen_per_thousand": 5000}
    status, problem = await desk.post("/contracts", desk.hq, body | change)
    assert (status, problem["type"]) == (422, "/problems/invalid-payload")
    assert problem["errors"][0]["pointer"] == f"/{next(iter(change))}"


async def test_the_general_contract_is_made_once(api: Api, books: Books) -> None:
    await books.default_contract()
    general = await api.db.pool.fetch(
        "SELECT valid_from, rate_fen_per_thousand FROM contract WHERE dealer_code IS NULL"
    )
    assert [tuple(row) for row in general] == [(date(2025, 5, 1), 5000)]


async def test_a_contract_waits_for_a_closing_under_way(desk: Desk) -> None:
    body = {"dealer_code": desk.dealer, "rate_fen_per_thousand": 1}
    month = await queries.first_open(desk.api.db.pool)
    async with desk.api.db.transaction() as closer:
        await queries.lock_contracts(closer)
        assert await ledger.lock_period(closer, month, now=NOW) == "ready"
        made = asyncio.create_task(desk.post("/contracts", desk.hq, body | {"valid_from": month.isoformat()}))
        await asyncio.sleep(0.2)
        assert not made.done()
        await service._seal(closer, month, NOW)
    status, problem = await made
    assert (status, problem["type"]) == (409, "/problems/contract-too-early")
