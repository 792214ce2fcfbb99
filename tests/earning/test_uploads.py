"""Bad input to rules in an upload of orders: every row is posted, what waits for a person says so, none is lost."""

from typing import Any

import pytest

from app.core.db import FEW
from tests.earning.telling import budget, cases, decide, used
from tests.earning.writing import OWN, Body, published
from tests.shop import Person, Shop, order
from tests.visits.test_jobs import as_json_lines, rejected, upload, worked_off

KIND = "application/x-ndjson"


async def rule_of(shop: Shop, labour: int, **fields: Any) -> Body:
    """A second rule, for orders with so much labour."""
    known = {"kind": "repair", "paid_fen": 12_345, "labour_fen": labour, "mileage_km": 200}
    example = {"fields": known, "dealer": {"code": "BJ001", "region": "BJ"}, "on": "2026-11-21", "points": 123}
    says: Body = {"condition": f"event.labour_fen == {labour}", "examples": [example]}
    return await published(shop, shop.hq, **says | fields)


def orders(member: Person, labour: int, count: int) -> list[Body]:
    return [order(member.vin, labour_fen=labour, parts_fen=12_345 - labour, mileage_km=200) for _ in range(count)]


@pytest.mark.parametrize("again", ["the same file", "the rest of it"])
async def test_a_budget_is_used_up_in_the_middle_of_an_upload(shop: Shop, again: str):
    """Three of five orders fit: all five are posted, two say that a rule waits, once whatever is sent again."""
    labour = 21 if "same" in again else 22
    code, member = await budget(shop, 3 * 123 + 100), await shop.member()
    rule, made = await rule_of(shop, labour, budgets=[code]), orders(member, labour, 5)

    answer = await upload(shop, as_json_lines(made), kind=KIND)
    job = await worked_off(shop, answer)
    assert (job["status"], job["posted"], job["refused"], job["parked"]) == ("done", 5, 0, 2)
    assert job["points"] == 5 * 123 + 3 * 123
    said = f"posted; rule {rule['code']} waits for a person: budget {code} has 100 of 123 points left"
    assert [(line, reason[: len(said)]) for line, reason, _ in await rejected(shop, answer)] == [
        ("4", said),
        ("5", said),
    ]
    waiting = await cases(shop, member, kind="budget")
    assert [case["document"] for case in waiting] == [f"repair_order:BJ001:{one['order_no']}" for one in made[3:]]
    assert (await used(shop, code), (await shop.wallet(member))[0]) == (369, 8 * 123)

    second = await worked_off(shop, await upload(shop, as_json_lines(made if "same" in again else made[3:]), kind=KIND))
    assert (second["posted"], second["already_known"], second["parked"]) == (0, 5 if "same" in again else 2, 0)
    assert await cases(shop, member, kind="budget") == waiting
    raised = await shop.api.call(
        "PATCH", f"/points/budgets/{code}", shop.hq, json={"points": 5 * 123}, headers={"If-Match": '"1"'}
    )
    assert raised.status_code == 200
    assert [(await decide(shop, case, "approval"))[0] for case in waiting] == [200, 200]
    assert (await used(shop, code), (await shop.wallet(member))[0]) == (615, 10 * 123)


@pytest.mark.parametrize(
    ("labour", "amount", "said"),
    [
        (31, "event.paid_fen / 100 * 200 / event.mileage_km", "zero"),
        (32, "event.paid_fen / 100 + event.mileage_km - 200", "-77 is no"),
    ],
)
async def test_an_order_that_a_rule_cannot_judge_is_parked(shop: Shop, labour: int, amount: str, said: str):
    """Of three orders the second has no mileage: sent alone or in a file it earns by the other rule all the same."""
    rule, member = await rule_of(shop, labour, amount=amount), await shop.member()
    made = orders(member, labour, 3)
    made[1]["mileage_km"] = ""
    answer = await upload(shop, as_json_lines(made), kind=KIND)
    job = await worked_off(shop, answer)
    assert (job["posted"], job["refused"], job["parked"], job["points"]) == (3, 0, 1, 5 * 123)
    ((line, reason, _),) = await rejected(shop, answer)
    assert (line, f"rule {rule['code']} waits for a person" in reason, said in reason) == ("2", True, True)

    alone = order(member.vin, labour_fen=labour, parts_fen=12_345 - labour)
    status, posted = await shop.post("/repair-orders", alone, shop.hq)
    assert (status, posted["points"]) == (201, 123)
    found = await cases(shop, member, kind="parked")
    assert [case["document"].split(":")[2] for case in found] == [made[1]["order_no"], alone["order_no"]]
    assert all(said in case["reason"] for case in found)


@pytest.mark.parametrize(
    ("labour", "terms"),
    [
        (41, {}),
        (42, {"funders": [OWN]}),
        (43, {"pending": {"kind": "days", "days": 14}}),
        (44, {"expiry": {"kind": "activity", "months": 3}}),
        (45, {"expiry": {"kind": "fixed_date", "on": "2027-06-30"}, "funders": [OWN]}),
        (46, {"funders": [{"party": "hq", "percent": "60"}, {"party": "dealer", "percent": "40"}]}),
    ],
)
async def test_an_order_in_a_file_earns_what_it_earns_alone(shop: Shop, labour: int, terms: Body):
    """Alone its lots are sent to the ledger, of a long file the database tells what plain ones are from their rows."""
    first = {"stacking": {"group": "orders", "mode": "priority", "priority": 100 + labour}}
    await rule_of(shop, labour, **first, **terms)
    member = await shop.member()
    alone, *filed = orders(member, labour, FEW + 2)
    assert (await shop.post("/repair-orders", alone, shop.hq))[0] == 201
    job = await worked_off(shop, await upload(shop, as_json_lines(filed), kind=KIND))
    assert (job["posted"], job["points"]) == (len(filed), len(filed) * 123)

    lots: dict[str, list[tuple[Any, ...]]] = {}
    for document, *lot in await shop.pool.fetch(_LOTS, member.id):
        lots.setdefault(document.rpartition(":")[2], []).append(tuple(lot))
    assert set(lots) == {made["order_no"] for made in (alone, *filed)}
    assert sum(points for points, *_ in lots[alone["order_no"]]) == 123
    assert all(lots[made["order_no"]] == lots[alone["order_no"]] for made in filed)


_LOTS = """
SELECT l.document, l.granted, l.funder, l.pending, l.available, l.granted_on, l.spendable_from, l.expires_on,
       l.activity_months, p.place, p.booked_on, p.request_key = md5(l.document || '#1')::uuid
  FROM ledger.lot l JOIN ledger.posting p USING (member_id, posting_no)
 WHERE l.member_id = $1 ORDER BY l.document, l.funder"""
