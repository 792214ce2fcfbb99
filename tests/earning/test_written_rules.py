"""Rules through the API: drafted, tried on their examples, published, revised and retired."""

import asyncio
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.earning import rules_queries
from tests.earning.writing import HOUSE, OWN, Body, act, definition, example, groups, made, published, refused, rule
from tests.shop import Shop, pointers


async def test_the_default_rule_is_a_rule_like_any_other(shop: Shop) -> None:
    status, page = await shop.get("/rules", shop.hq)
    assert status == 200
    default = page["items"][0]
    assert (default["code"], default["dealer_code"], default["draft"]) == ("orders", None, None)
    said = default["published"]["definition"]
    assert (said["amount"], said["funders"]) == ("event.paid_fen / 100", [HOUSE])
    assert said["expiry"] == {"kind": "rolling_months", "months": 24}
    # and it would be taken again as it stands, but for its group
    said["stacking"]["priority"] += 1
    status, answer = await shop.post("/rules", rule(**said), shop.hq)
    assert status == 201, answer


async def test_a_rule_is_drafted_published_revised_and_retired(shop: Shop) -> None:
    draft = await made(shop, shop.hq)
    assert (draft["version"], draft["published"]) == (1, None)
    assert (draft["draft"]["version"], draft["draft"]["status"]) == (1, "draft")

    status, first = await act(shop, draft, "/publication", shop.hq)
    assert (status, first["draft"], first["published"]["status"]) == (200, None, "published")
    assert first["published"]["published_by"] == "hq_admin:all"

    twice = definition(amount="event.paid_fen / 50", valid_from="2026-12-01", examples=[example(points=0)])
    status, second = await act(shop, first, "", shop.hq, definition=twice, label_en="Twice")
    assert (status, second["label_en"], second["draft"]["version"]) == (200, "Twice", 2)
    assert second["published"]["version"] == 1
    status, second = await act(shop, second, "/publication", shop.hq)
    assert (status, second["published"]["version"]) == (200, 2)

    status, page = await shop.get(f"/rules/{draft['id']}/versions", shop.hq, limit=1)
    assert (status, [one["version"] for one in page["items"]]) == (200, [2])
    status, page = await shop.get(f"/rules/{draft['id']}/versions", shop.hq, cursor=page["next_cursor"])
    assert [(one["version"], one["valid_until"]) for one in page["items"]] == [(1, "2026-11-30")]
    # what was written stays as it was written
    assert page["items"][0]["definition"]["valid_until"] is None

    status, ended = await act(shop, second, "/retirement", shop.hq, last_day="2027-01-31")
    assert (status, ended["published"]["status"]) == (200, "retired")
    assert (ended["published"]["valid_until"], ended["published"]["retired_by"]) == ("2027-01-31", "hq_admin:all")
    status, ended = await act(shop, ended, "/retirement", shop.hq)
    assert (status, ended["published"]["valid_until"]) == (200, "2026-11-21")
    status, answer = await act(shop, ended, "/retirement", shop.hq)
    assert (status, answer["type"]) == (409, "/problems/wrong-status")


async def test_a_draft_is_rewritten_until_it_is_published(shop: Shop) -> None:
    draft = await made(shop, shop.hq)
    changed = definition(amount="event.paid_fen / 1000", examples=[example(points=12)])
    status, again = await act(shop, draft, "", shop.hq, definition=changed)
    assert (status, again["draft"]["version"], again["draft"]["definition"]["amount"]) == (200, 1, changed["amount"])
    status, answer = await act(shop, draft, "", shop.hq, definition=definition())
    assert (status, answer["type"]) == (412, "/problems/precondition-failed")
    status, answer = await act(shop, draft, "/publication", shop.hq)
    assert status == 412
    status, answer = await act(shop, again, "/retirement", shop.hq)
    assert (status, answer["current"]) == (409, "draft")


async def test_what_is_published_has_an_example(shop: Shop) -> None:
    draft = await made(shop, shop.hq, examples=[])
    status, answer = await act(shop, draft, "/publication", shop.hq)
    assert (status, pointers(answer)) == (422, [("/definition/examples", "rule_example_missing")])


async def test_there_is_something_to_publish(shop: Shop) -> None:
    first = await published(shop, shop.hq)
    status, answer = await act(shop, first, "/publication", shop.hq)
    assert (status, answer["current"], answer["allowed"]) == (409, "published", ["draft"])


async def test_the_database_keeps_what_is_published(shop: Shop) -> None:
    first = await published(shop, shop.hq, valid_until="2026-12-31")
    no = first["published"]["no"]
    for change in (
        "definition = '{}'",
        "valid_until = NULL",
        "valid_until = '2027-01-01'",
        "valid_from = '2026-01-01'",
        "status = 'draft', published_at = NULL, published_by = NULL",
        "published_by = 'me'",
        "version = 9",
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="only ends earlier"):
            await shop.pool.execute(f"UPDATE rule_version SET {change} WHERE no = $1", no)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await shop.pool.execute("DELETE FROM rule_version WHERE no = $1", no)


async def test_two_rules_have_two_codes(shop: Shop) -> None:
    status, answer = await shop.post("/rules", rule(code="orders"), shop.hq)
    assert (status, answer["type"]) == (409, "/problems/rule-exists")


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"amount": "event.price"}, [("amount", "expression_unknown_name")]),
        ({"amount": "event.kind"}, [("amount", "expression_not_number")]),
        ({"condition": "event.paid_fen"}, [("condition", "expression_not_flag")]),
        ({"amount": "1 +", "hold_for_review": "1"}, [
            ("amount", "expression_unreadable"), ("hold_for_review", "expression_not_flag")]),
        ({"status_amount": "on.date"}, [("status_amount", "expression_not_number")]),
        ({"examples": [example(points=124)]}, [("examples/0/points", "rule_example_differs")]),
        ({"amount": "event.paid_fen - 20000"}, [("examples/0", "rule_example_fails")]),
        ({"amount": "event.paid_fen / event.mileage_km"}, [("examples/0", "rule_example_fails")]),
        ({"examples": [example(), example(fields={"paid": 1, "kind": "repair"})]}, [
            ("examples/1/fields/paid", "rule_field_unknown"), ("examples/1/fields/paid_fen", "missing")]),
        ({"examples": [example(member={"months": "x"}, dealer={"name": "x"})]}, [
            ("examples/0/member/months", "rule_value_number"), ("examples/0/dealer/name", "rule_field_unknown")]),
        ({"funders": [{"party": "hq", "percent": "60"}, {"party": "dealer", "percent": "41"}]}, [
            ("funders", "rule_shares")]),
        ({"funders": [{"party": "hq", "percent": "60"}, {"party": "hq", "percent": "40"}]}, [
            ("funders", "rule_funder_repeated")]),
        ({"funders": [{"party": "bank", "percent": "100"}]}, [("funders/0/party", "string_pattern_mismatch")]),
        ({"funders": [{"party": "hq", "percent": "99.999"}]}, [("funders/0/percent", "value_invalid")]),
        ({"funders": []}, [("funders", "rule_shares")]),
        ({"funders": [OWN]}, [("examples/0", "rule_example_fails")]),
        ({"factor_percent": 200}, [("", "rule_amount_or_factor")]),
        ({"amount": None}, [("", "rule_amount_or_factor")]),
        ({"amount": None, "factor_percent": 200}, [("", "rule_factor_alone")]),
        ({"valid_until": "2026-10-31"}, [("", "rule_dates")]),
        ({"audience": str(uuid4())}, [("audience", "rule_unknown_segment")]),
        ({"expiry": {"kind": "rolling_months", "months": 0}}, [("expiry/months", "greater_than_equal")]),
        ({"expiry": {"kind": "activity", "months": 121}}, [("expiry/months", "less_than_equal")]),
        ({"expiry": {"kind": "activity"}}, [("expiry/months", "missing")]),
        ({"expiry": {"kind": "fixed_date"}}, [("expiry/on", "missing")]),
        ({"pending": {"kind": "days", "days": 1, "hours": 1}}, [("pending/hours", "extra_forbidden")]),
        ({"expiry": {"kind": "never"}}, [("expiry", "value_invalid")]),
        ({"expiry": {"months": 24}}, [("expiry", "value_invalid")]),
        ({"budgets": ["nothing"]}, [("budgets", "rule_unknown_budget")]),
        ({"trigger": "lottery"}, [("trigger", "enum")]),
        ({"bonus": 1}, [("bonus", "extra_forbidden")]),
        ({"caps": {"per_order": 0}}, [("caps/per_order", "greater_than_equal")]),
    ],
)  # fmt: skip
async def test_a_mistake_is_named_where_it_is(shop: Shop, fields: Body, faults: list[tuple[str, str]]) -> None:
    expected = [(f"/definition/{part}".rstrip("/"), code) for part, code in faults]
    assert await refused(shop, shop.hq, **fields) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"condition": "member.months > 12", "examples": [example(points=0), example(member={"months": 13})]},
        {"caps": {"per_order": 100}, "examples": [example(points=100)]},
        {"valid_from": "2026-12-01", "examples": [example(points=0)]},
        {"hold_for_review": "event.paid_fen > 10000"},
        {"funders": [OWN], "examples": [example(dealer={"code": "BJ001"})]},
        {"funders": [{"party": "hq", "percent": "33.33"}, {"party": "partner:HOTEL-01", "percent": 66.67}]},
        {"pending": {"kind": "until_event", "event": "return-over", "at_most_days": 30}},
        {"expiry": {"kind": "fixed_date", "on": "2027-12-31"}},
        {"expiry": {"kind": "activity", "months": 12}},
        {"trigger": "custom", "condition": "event.name == 'wash'", "amount": "event.count * 10",
         "examples": [example(fields={"name": "wash", "count": 3}, points=30)]},
    ],
)  # fmt: skip
async def test_a_sound_rule_is_taken(shop: Shop, fields: Body) -> None:
    hotel = {"code": "HOTEL-01", "name": "酒店", "category": "hotel", "valid_from": "2026-01-01"}
    assert (await shop.post("/partners", hotel, shop.hq))[0] in {201, 409}
    draft = await made(shop, shop.hq, **fields)
    status, again = await shop.get(f"/rules/{draft['id']}", shop.hq)
    assert (status, again) == (200, draft)


async def test_a_multiplier_says_what_100_points_become(shop: Shop) -> None:
    stacking = {"group": next(groups), "mode": "best", "priority": 0}
    weekend = {"amount": None, "factor_percent": 150, "condition": "on.weekday >= 6", "stacking": stacking}
    two = [example(points=150), example(on="2026-11-20", points=100)]
    await published(shop, shop.hq, examples=two, **weekend)
    assert await refused(shop, shop.hq, examples=[example(points=123)], **weekend) == [
        ("/definition/examples/0/points", "rule_example_differs"),
        ("/definition/stacking", "rule_overlaps"),
    ]
    # the rule that it raises stands beside it
    await published(shop, shop.hq, stacking=stacking)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "rule_overlaps"),
        ({"valid_from": "2026-11-30", "valid_until": "2026-11-30", "examples": []}, "rule_overlaps"),
        ({"valid_from": "2026-12-01", "examples": []}, None),
        ({"priority": 2}, None),
        ({"mode": "best", "priority": 2}, "rule_group_mode"),
        ({"group": "another-group"}, None),
        ({"trigger": "enrolment", "amount": "5", "examples": []}, None),
    ],
)
async def test_it_is_clear_which_rule_of_a_group_goes_first(shop: Shop, fields: Body, code: str | None) -> None:
    stacking = {"group": next(groups), "mode": "priority", "priority": 1}
    first = await published(shop, shop.hq, stacking=stacking, valid_until="2026-11-30")
    other = {"stacking": stacking | {name: fields[name] for name in stacking if name in fields}}
    other |= {name: value for name, value in fields.items() if name not in stacking}
    status, answer = await shop.post("/rules", rule(**other), shop.hq)
    assert status == (422 if code else 201), answer
    if code:
        assert pointers(answer) == [("/definition/stacking", code)]
        assert first["code"] in answer["errors"][0]["detail"]


async def test_of_two_drafts_the_second_is_not_published(shop: Shop) -> None:
    stacking = {"group": next(groups), "mode": "priority", "priority": 1}
    one, other = [await made(shop, shop.hq, stacking=stacking) for _ in range(2)]
    assert (await act(shop, one, "/publication", shop.hq))[0] == 200
    status, answer = await act(shop, other, "/publication", shop.hq)
    assert (status, pointers(answer)) == (422, [("/definition/stacking", "rule_overlaps")])


@pytest.mark.parametrize("locked", [True, False])
async def test_two_publications_race_for_one_place(shop: Shop, monkeypatch: pytest.MonkeyPatch, locked: bool) -> None:
    if not locked:
        monkeypatch.setattr(rules_queries, "one_publication_at_a_time", _nothing)
    both = 0
    for _ in range(5):
        stacking = {"group": next(groups), "mode": "priority", "priority": 1}
        drafts = [await made(shop, shop.hq, stacking=stacking) for _ in range(2)]
        answers = await asyncio.gather(*(act(shop, draft, "/publication", shop.hq) for draft in drafts))
        both += [status for status, _ in answers] == [200, 200]
    assert (both == 0) == locked


async def _nothing(_: AsyncSession) -> None:
    """No lock."""


async def test_the_triggers_are_explained(shop: Shop) -> None:
    answer = await shop.api.call("GET", "/points/triggers", shop.director, headers={"Accept-Language": "en"})
    items = {one["trigger"]: one for one in answer.json()["items"]}
    assert len(items) == 13
    fields = {field["name"]: field for field in items["repair_order"]["fields"]}
    assert fields["event.paid_fen"] == {
        "name": "event.paid_fen", "kind": "number", "label": "amount paid, in fen", "default": None,
    }  # fmt: skip
    assert fields["member.tier"]["default"] == ""
    chinese = await shop.api.call("GET", "/points/triggers", shop.director)
    assert chinese.json()["items"][0]["label"] == "维修保养工单"
