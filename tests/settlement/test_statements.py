"""Statements through the API: their life, who may see them, how they read."""

import asyncio
import csv
import io
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.core.actors import Role
from tests.api import Api
from tests.now import NOW
from tests.settlement.desk import Desk

# --- a statement's life ---


async def test_issued_confirmed_paid(desk: Desk) -> None:
    issued = await desk.read()
    assert (issued["status"], issued["confirm_by"], issued["period"]) == (
        "issued",
        "2026-11-26",
        f"{desk.month:%Y-%m}",
    )
    status, confirmed = await desk.confirm()
    assert (status, confirmed["status"]) == (200, "confirmed")
    assert confirmed["confirmed_by"] == f"finance_clerk:{desk.dealer}"
    status, paid = await desk.pay()
    assert (status, paid["status"], paid["payment_reference"]) == (200, "paid", "P-1")
    assert (await desk.read())["paid_at"] is not None


async def test_each_step_is_refused_out_of_turn(desk: Desk) -> None:
    status, problem = await desk.pay()
    assert (status, problem["type"], problem["current"], problem["allowed"]) == (
        409, "/problems/wrong-status", "issued", ["confirmed"],
    )  # fmt: skip
    await desk.confirm()
    assert (await desk.confirm())[0] == 409
    assert (await desk.dispute())[0] == 409
    await desk.pay()
    for step in (desk.confirm, desk.dispute, desk.pay):
        status, problem = await step()
        assert (status, problem["current"]) == (409, "paid")
    assert (await desk.read())["disputes"] == []


async def test_disputes_end_with_headquarters_last_answer_and_a_new_day(desk: Desk) -> None:
    status, first = await desk.dispute(line_no=1)
    assert (status, first["line_no"], first["answer"]) == (201, 1, None)
    _, second = await desk.dispute(reason="整张有误")
    assert (await desk.read())["status"] == "disputed"
    assert (await desk.confirm())[0] == 409
    assert (await desk.pay())[0] == 409

    desk.api.app.state.now = NOW + timedelta(days=3)
    desk.hq, desk.clerk = desk.api.token(Role.HQ_ADMIN), desk.api.token(Role.FINANCE_CLERK, dealer=desk.dealer)
    status, answered = await desk.answer(first["id"])
    assert (status, answered["answer"], answered["answered_by"]) == (200, "下月更正", "hq_admin:all")
    assert (await desk.read())["status"] == "disputed"
    await desk.answer(second["id"])
    after = await desk.read()
    assert (after["status"], after["confirm_by"]) == ("issued", "2026-11-29")
    assert [dispute["answer"] for dispute in after["disputes"]] == ["下月更正", "下月更正"]
    status, problem = await desk.answer(second["id"])
    assert (status, problem["current"]) == (409, "answered")
    assert (await desk.confirm())[0] == 200


async def test_last_answers_at_the_same_moment_issue_once(desk: Desk) -> None:
    opened = [(await desk.dispute())[1]["id"] for _ in range(4)]
    answers = await asyncio.gather(*(desk.answer(dispute) for dispute in opened * 2))
    assert sorted(status for status, _ in answers) == [200] * 4 + [409] * 4
    assert (await desk.read())["status"] == "issued"


async def test_confirming_and_disputing_at_once_lets_one_through(desk: Desk) -> None:
    answers = await asyncio.gather(*(step() for step in (desk.confirm, desk.dispute) * 4))
    confirmed = sum(status == 200 for status, _ in answers)
    disputed = sum(status == 201 for status, _ in answers)
    assert (confirmed, disputed) in {(1, 0), (0, 4)}
    after = await desk.read()
    assert (after["status"], len(after["disputes"])) == (("confirmed", 0) if confirmed else ("disputed", 4))


async def test_a_retry_under_the_same_key_gets_the_first_answer(desk: Desk) -> None:
    path, body = f"/statements/{desk.statement}/disputes", {"reason": "少了一单"}
    first = await desk.post(path, desk.clerk, body, key="d-1")
    assert await desk.post(path, desk.clerk, body, key="d-1") == first
    assert len((await desk.read())["disputes"]) == 1
    assert (await desk.post(path, desk.clerk, {"reason": "另一单"}, key="d-1"))[0] == 409
    # the same words about another statement are another request
    status, problem = await desk.post(f"/statements/{uuid4()}/disputes", desk.clerk, body, key="d-1")
    assert (status, problem["type"]) == (409, "/problems/idempotency-key-conflict")
    await desk.answer(first[1]["id"])
    confirmed = await desk.post(f"/statements/{desk.statement}/confirmation", desk.clerk, key="c-1")
    assert confirmed[0] == 200
    assert await desk.post(f"/statements/{desk.statement}/confirmation", desk.clerk, key="c-1") == confirmed


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"reason": ""}, 422),
        ({}, 422),
        ({"reason": "x", "amount_fen": 1}, 422),
        ({"reason": "x", "line_no": 0}, 422),
        ({"reason": "x", "line_no": 2**40}, 422),
        ({"reason": "x", "line_no": 99}, 404),
    ],
)
async def test_a_dispute_needs_a_reason_and_an_existing_line(desk: Desk, body: Any, status: int) -> None:
    answered, _ = await desk.post(f"/statements/{desk.statement}/disputes", desk.clerk, body)
    assert answered == status
    after = await desk.read()
    assert (after["status"], after["disputes"]) == ("issued", [])


# --- who may ---


async def test_a_foreign_statement_is_not_there(desk: Desk) -> None:
    _, opened = await desk.dispute()
    assert (await desk.get(f"/statements/{desk.statement}", desk.foreign))[0] == 404
    assert (await desk.post(f"/statements/{desk.statement}/confirmation", desk.foreign))[0] == 404
    assert (await desk.post(f"/statements/{desk.statement}/disputes", desk.foreign, {"reason": "x"}))[0] == 404
    assert (await desk.get(f"/statements?dealer_code={desk.dealer}", desk.foreign))[1]["items"] == []
    assert (await desk.get(f"/statements/{uuid4()}", desk.hq))[0] == 404
    assert (await desk.post(f"/statements/{uuid4()}/payment", desk.hq, {"reference": "x"}))[0] == 404
    assert (await desk.answer(str(uuid4())))[0] == 404
    after = await desk.read()
    assert (after["status"], [dispute["id"] for dispute in after["disputes"]]) == ("disputed", [opened["id"]])


# --- reading ---


async def test_a_care_director_reads_but_does_not_confirm(desk: Desk) -> None:
    director = desk.api.token(Role.CARE_DIRECTOR, dealer=desk.dealer)
    assert (await desk.get(f"/statements/{desk.statement}", director))[0] == 200
    assert (await desk.post(f"/statements/{desk.statement}/confirmation", director))[0] == 403


async def test_a_statement_as_json(desk: Desk) -> None:
    statement = await desk.read()
    assert (statement["credit_fen"], statement["charge_fen"], statement["net_fen"]) == (150, 150, 0)
    common = {
        "basis": "redemption", "funder": desk.dealer, "place": desk.dealer,
        "rate_fen_per_thousand": 5000, "points": 30, "amount_fen": 150,
    }  # fmt: skip
    assert statement["lines"] == [
        {"line_no": 1, "direction": "charge"} | common, {"line_no": 2, "direction": "credit"} | common,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "headers"), [("?format=csv", {}), ("", {"Accept": "text/csv"})], ids=["query", "accept"]
)
async def test_a_statement_as_csv(desk: Desk, query: str, headers: dict[str, str]) -> None:
    response = await desk.api.call("GET", f"/statements/{desk.statement}{query}", desk.clerk, headers=headers)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    name = f"statement-{desk.month:%Y-%m}-{desk.dealer}.csv"
    assert response.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert response.content.startswith(b"\xef\xbb\xbfperiod,")
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert [row["direction"] for row in rows] == ["charge", "credit"]
    assert list(rows[0].values()) == [
        f"{desk.month:%Y-%m}", desk.dealer, "1", "charge", "redemption", desk.dealer, desk.dealer,
        "5000", "30", "150",
    ]  # fmt: skip
    document = desk.api.app.openapi()["paths"]["/api/v1/statements/{statement_id}"]["get"]["responses"]["200"]
    assert set(document["content"]) == {"application/json", "text/csv"}


async def test_statements_are_listed_by_filter_and_page(desk: Desk) -> None:
    month = f"{desk.month:%Y-%m}"
    one = f"/statements?period={month}&dealer_code={desk.dealer}"
    _, found = await desk.get(f"{one}&status=issued", desk.hq)
    assert [item["id"] for item in found["items"]] == [desk.statement]
    for path in (f"{one}&status=paid", f"/statements?period=2024-01&dealer_code={desk.dealer}"):
        assert (await desk.get(path, desk.hq))[1]["items"] == []

    seen, cursor = [], ""
    while True:
        page = (await desk.get(f"/statements?limit=2{cursor}", desk.hq))[1]
        assert len(page["items"]) <= 2
        seen += [(item["period"], item["dealer_code"]) for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(seen) == len(set(seen)) == await desk.api.db.pool.fetchval("SELECT count(*) FROM statement")
    assert [period for period, _ in seen] == sorted((period for period, _ in seen), reverse=True)
    own = (await desk.get("/statements", desk.clerk))[1]["items"]
    assert {item["dealer_code"] for item in own} == {desk.dealer}


@pytest.mark.parametrize("query", ["period=2026-13", "period=2026", "status=lost", "cursor=abc", "limit=0"])
async def test_a_list_refuses_what_it_cannot_read(api: Api, query: str) -> None:
    assert (await api.call("GET", f"/statements?{query}", api.token(Role.HQ_ADMIN))).status_code == 422


async def test_who_may_only_look_exports_nothing(desk: Desk) -> None:
    statement = (await desk.read())["id"]
    for role in (Role.REGIONAL_MANAGER, Role.GENERAL_MANAGER):
        token = desk.api.token(
            role,
            dealer=desk.dealer if role.is_dealer_staff else None,
            region="T" if role is Role.REGIONAL_MANAGER else None,
        )
        assert (await desk.api.call("GET", f"/statements/{statement}", token)).status_code == 200
        assert (await desk.api.call("GET", f"/statements/{statement}?format=csv", token)).status_code == 403
