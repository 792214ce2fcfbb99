"""Draft rules over a past month's real orders: the rules in force give what happened, others what they would have."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from app.core.actors import Role
from app.core.db import Database
from app.earning import whatif
from tests.earning.writing import OWN, definition
from tests.shop import Shop, order, pointers

NOVEMBER = date(2026, 11, 1)


def file(folder: Path, *rules: dict[str, Any]) -> Path:
    """A file of draft rules, numbered."""
    drafts = [{"code": f"draft-{number}", "definition": rule} for number, rule in enumerate(rules, 1)]
    path = folder / "rules.json"
    path.write_text(json.dumps(drafts))
    return path


async def tried(database: Database, path: Path) -> whatif.WhatIf:
    async with database.transaction(undo=True) as connection:
        return await whatif.run(connection, whatif.read(path), NOVEMBER)


async def test_drafts_against_what_happened(shop: Shop, database: Database, tmp_path: Path):
    """Two orders of 123.45 yuan, one of them cancelled; a rate of 5,000 fen for 1,000 points."""
    member = await shop.member()
    kept, gone = order(member.vin), order(member.vin)
    for made in (kept, gone):
        assert (await shop.post("/repair-orders", made, shop.hq))[0] == 201
    path = f"/repair-orders/{gone['dealer_code']}/{gone['order_no']}/cancellation"
    assert (await shop.post(path, {"reason": "退单"}, shop.hq))[0] in (200, 204)

    found = await tried(database, file(tmp_path, definition(stacking=None)))
    assert (found.events, found.draft.points, found.happened.points) == (1, 123, 123)
    assert [(row.place, row.funder, row.draft.fen) for row in found.rows] == [("BJ001", "HQ", 615)]

    double = definition(
        amount="event.paid_fen / 50", funders=[{"party": "dealer", "percent": "100"}], examples=[],
        hold_for_review='event.kind == "maintenance"',
    )  # fmt: skip
    survey = definition(trigger="survey_answered", amount="5", examples=[])
    held = await tried(database, file(tmp_path, double | {"hold_for_review": "true"}, survey))
    assert (held.draft.points, held.waiting, held.not_tried) == (0, {"draft-1": 1}, ["survey_answered"])
    given = await tried(database, file(tmp_path, double | {"hold_for_review": None}))
    assert {(row.funder, row.draft.points, row.happened.points) for row in given.rows} == {
        ("BJ001", 246, 0), ("HQ", 0, 123),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("days", "gives", "moved"),
    [
        ({"valid_from": "2026-12-01"}, True, True),
        ({"valid_from": "2026-01-01", "valid_until": "2026-10-31"}, True, True),
        ({"valid_from": "2026-01-01", "valid_until": "2026-11-01"}, False, False),
        ({"valid_from": "2026-11-21", "valid_until": "2026-11-21"}, True, False),
        ({"valid_from": "2026-11-22"}, False, False),
    ],
)
async def test_a_draft_of_days_to_come_is_tried_on_days_gone_by(
    shop: Shop, database: Database, tmp_path: Path, days: dict[str, str], gives: bool, moved: bool
):
    """What holds on some day of the month holds on that alone; all orders are of 21 November."""
    assert (await shop.post("/repair-orders", order((await shop.member()).vin), shop.hq))[0] == 201
    found = await tried(database, file(tmp_path, definition(examples=[], **days)))
    assert found.draft.points == (found.happened.points if gives else 0)
    assert found.happened.points > 0
    assert found.as_if_in_force == (["draft-1"] if moved else [])


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (definition(amount="event.paid_yuan"), "event.paid_yuan"),
        (definition(funders=[{"party": "hq", "percent": "101"}]), "100"),
        (definition(examples=[{"fields": {"kind": "repair", "paid_fen": 1}, "on": "2026-11-21", "points": 2}]), "exam"),
    ],
)  # fmt: skip
def test_a_wrong_draft_is_refused(tmp_path: Path, rule: dict[str, Any], said: str):
    with pytest.raises(whatif.DraftFault, match=said):
        whatif.read(file(tmp_path, rule))


def test_a_file_that_is_none(tmp_path: Path):
    with pytest.raises(whatif.DraftFault, match="No such file"):
        whatif.read(tmp_path / "none.json")


# --- over HTTP ---


def asked(*rules: dict[str, Any], **fields: Any) -> dict[str, Any]:
    drafts = [{"code": f"draft-{number}", "definition": rule} for number, rule in enumerate(rules, 1)]
    return {"month": "2026-11", "rules": drafts} | fields


async def test_a_programme_is_tried_over_http(shop: Shop):
    member = await shop.member()
    made = order(member.vin, dealer_code="SH001", paid_fen=100_000, labour_fen=100_000, parts_fen=0)
    assert (await shop.post("/repair-orders", made, shop.hq))[0] == 201
    double = definition(amount="event.paid_fen / 50", examples=[])
    status, found = await shop.post("/rules/what-if", asked(double), shop.hq)
    assert (status, found["month"], found["waiting"], found["not_tried"]) == (200, "2026-11", {}, [])
    (row,) = [row for row in found["rows"] if row["place"] == "SH001"]
    assert row == {
        "place": "SH001", "funder": "HQ", "draft": {"points": 2_000, "fen": 10_000},
        "happened": {"points": 1_000, "fen": 5_000},
    }  # fmt: skip
    assert found["draft"]["points"] == sum(row["draft"]["points"] for row in found["rows"])
    # nothing was given or written
    assert await shop.wallet(member) == (1_000, 0, 0, 0)
    assert await shop.pool.fetchval("SELECT count(*) FROM rule WHERE code LIKE 'draft-%'") == 0
    _, empty = await shop.post("/rules/what-if", asked(double, month="2026-06"), shop.hq)
    assert (empty["events"], empty["rows"]) == (0, [])


async def test_a_chapter_tries_its_own_rules_beside_headquarters(shop: Shop):
    member = await shop.member()
    for dealer in ("BJ001", "SH001"):
        assert (await shop.post("/repair-orders", order(member.vin, dealer_code=dealer), shop.hq))[0] == 201
    extra = definition(amount="10", funders=[OWN], examples=[])
    status, found = await shop.post("/rules/what-if", asked(extra), shop.director)
    assert (status, {row["place"] for row in found["rows"]}) == (200, {"BJ001"})
    by_funder = {row["funder"]: (row["draft"]["points"], row["happened"]["points"]) for row in found["rows"]}
    assert by_funder["BJ001"] == (10 * found["events"], 0)
    assert by_funder["HQ"][0] == by_funder["HQ"][1] > 0
    # headquarters sees what the director sees
    assert await shop.post("/rules/what-if", asked(extra, dealer_code="BJ001"), shop.hq) == (200, found)


async def test_who_may_not_try(shop: Shop):
    extra = definition(amount="10", examples=[])
    foreign = asked(extra) | {"rules": [{"code": "draft-1", "dealer_code": "SH001", "definition": extra}]}
    status, answer = await shop.post("/rules/what-if", foreign, shop.director)
    assert (status, pointers(answer)) == (422, [("/rules/0/dealer_code", "not_your_dealer")])
    assert (await shop.post("/rules/what-if", asked(extra, dealer_code="SH001"), shop.director))[0] == 404
    assert (await shop.post("/rules/what-if", asked(extra, dealer_code="ZZ999"), shop.hq))[0] == 404
    for token in (shop.advisor, shop.program, shop.api.token(Role.AUDITOR)):
        assert (await shop.post("/rules/what-if", asked(extra), token))[0] == 403


def exclusive(mode: str = "priority") -> dict[str, Any]:
    return definition(stacking={"group": "rivals", "mode": mode, "priority": 1})


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        (asked(definition(), definition(amount="event.price")), [
            ("/rules/1/definition/amount", "expression_unknown_name")]),
        (asked(definition(funders=[{"party": "hq", "percent": "101"}])), [
            ("/rules/0/definition/funders/0/percent", "less_than_equal")]),
        (asked(definition(amount="event.paid_fen - 20000")), [
            ("/rules/0/definition/examples/0", "rule_example_fails")]),
        (asked(exclusive(), exclusive()), [("/rules/1/definition/stacking", "rule_overlaps")]),
        (asked(exclusive(), exclusive("best")), [("/rules/1/definition/stacking", "rule_group_mode")]),
        (asked(), [("/rules", "value_invalid")]),
        (asked(definition(), month="2026-11-01"), [("/month", "string_pattern_mismatch")]),
    ],
)  # fmt: skip
async def test_a_wrong_set_is_named_where_it_is(shop: Shop, body: dict[str, Any], faults: list[tuple[str, str]]):
    status, answer = await shop.post("/rules/what-if", body, shop.hq)
    assert (status, pointers(answer)) == (422, faults)
