"""Consent where members are met: asked at the door, heeded by segments, calls and files."""

from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from app.core.actors import Role
from tests.api import Api
from tests.identity.staff import hire
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Person, Shop, pointers, problem

_serials = count(870_001)
YES = {"decision": "given", "version": 1}


@pytest.fixture
def person() -> dict[str, Any]:
    """The body of an enrolment of one's own."""
    serial = next(_serials)
    return {"name": "李娜", "phone": f"136{serial:08d}", "vin": car(serial), "source": "delivery"}


async def standing(shop: Shop, member_id: str | UUID) -> dict[str, tuple[Any, ...]]:
    """By purpose: whether it counts, and how it came."""
    status, read = await shop.get(f"/members/{member_id}/consents", shop.hq)
    assert status == 200
    return {item["purpose"]: (item["stands"], item["decision"], item["channel"]) for item in read["items"]}


# --- at the door ---


async def test_the_counter_asks_and_notes_the_answers(shop: Shop, person: dict[str, Any]):
    answers = {"marketing": YES, "profiling": {"decision": "refused", "channel": "paper"}}
    status, made = await shop.post("/members", person | {"consents": answers}, shop.advisor)
    assert status == 201
    said = await standing(shop, made["id"])
    assert said["marketing"] == (True, "given", "counter")
    assert said["profiling"] == (False, "refused", "paper")
    row = await shop.pool.fetchrow(
        "SELECT version, at, recorded_by FROM consent WHERE member_id = $1 AND purpose = 'marketing'", UUID(made["id"])
    )
    assert tuple(row or ()) == (1, NOW, "service_advisor:BJ001")


async def test_who_was_not_asked_has_answered_nothing(shop: Shop, person: dict[str, Any]):
    _, made = await shop.post("/members", person, shop.advisor)
    assert await standing(shop, made["id"]) == dict.fromkeys(
        ("membership", "marketing", "profiling"), (False, None, None)
    )


async def test_an_answer_given_before_is_not_noted_twice_and_another_is(shop: Shop, person: dict[str, Any]):
    for answer in (YES, YES, {"decision": "refused"}):
        status, made = await shop.post("/members", person | {"consents": {"marketing": answer}}, shop.advisor)
        assert status == 201
    rows = await shop.pool.fetch("SELECT decision FROM consent WHERE member_id = $1 ORDER BY id", UUID(made["id"]))
    assert [row["decision"] for row in rows] == ["given", "refused"]


@pytest.mark.parametrize("path", ["/members", "/applications"])
@pytest.mark.parametrize(
    ("answers", "faults"),
    [
        ({"marketing": {"decision": "given"}}, [("/consents/marketing/version", "missing")]),
        ({"marketing": {"decision": "withdrawn"}}, [("/consents/marketing/decision", "literal_error")]),
        ({"partner": YES}, [("/consents/partner/[key]", "literal_error")]),
    ],
)
async def test_answers_that_make_no_sense(
    shop: Shop, person: dict[str, Any], path: str, answers: Any, faults: list[tuple[str, str]]
):
    status, refused = await shop.post(path, person | {"consents": answers}, shop.advisor)
    assert (status, pointers(refused)) == (422, faults)


@pytest.mark.parametrize("path", ["/members", "/applications"])
async def test_only_the_text_in_force_is_agreed_to_and_only_by_grown_ups(shop: Shop, person: dict[str, Any], path: str):
    old = person | {"consents": {"marketing": YES | {"version": 2}}}
    child = person | {"born_on": "2015-06-01", "consents": {"marketing": YES}}
    for body, kind in ((old, "notice-outdated"), (child, "guardian-needed")):
        status, refused = await shop.post(path, body, shop.advisor)
        assert (status, refused["type"]) == (409, f"/problems/{kind}")
    no = {"marketing": {"decision": "refused"}}
    assert (await shop.post(path, child | {"consents": no}, shop.advisor))[0] == 201, "no needs no guardian"


async def test_an_applicants_answers_count_from_the_day_they_were_given(shop: Shop, person: dict[str, Any]):
    answers = {"marketing": YES | {"channel": "web"}}
    status, applied = await shop.post("/applications", person | {"consents": answers}, shop.advisor)
    assert status == 201
    assert applied["consents"] == {"marketing": YES | {"channel": "web"}}
    assert not await shop.pool.fetchval("SELECT count(*) FROM consent WHERE channel = 'web'"), "not a member yet"
    _, listed = await shop.get(f"/applications/{applied['id']}", shop.director)
    assert listed["consents"] == applied["consents"]
    async with shop.at(NOW + timedelta(days=3)):
        _, approved = await shop.post(f"/applications/{applied['id']}/approval", {}, shop.director)
    assert (await standing(shop, approved["member_id"]))["marketing"] == (True, "given", "web")
    _, own = await shop.get(f"/members/{approved['member_id']}/own-data", shop.hq)
    assert own["applications"][0]["consents"] == ["marketing: given"]
    row = await shop.pool.fetchrow("SELECT at, recorded_by FROM consent WHERE channel = 'web'")
    assert tuple(row or ()) == (NOW, "service_advisor:BJ001")


# --- whom it lets be chosen ---


@pytest.fixture
async def crowd(shop: Shop, request: pytest.FixtureRequest) -> dict[str, Person]:
    """Members of one name: who agreed to marketing, who refused, who was not asked, and who agreed and left."""
    name = f"众{request.node.name[:60]}"
    crowd = {who: await shop.member(name=name) for who in ("willing", "unwilling", "silent", "gone")}
    for who, decision in (("willing", "given"), ("unwilling", "refused"), ("gone", "given")):
        body = {"purpose": "marketing", "decision": decision, "version": 1, "channel": "phone"}
        assert (await shop.post(f"/members/{crowd[who].id}/consents", body, shop.hq))[0] == 200
    assert (await shop.post(f"/members/{crowd['gone'].id}/closing", {}, shop.hq))[0] == 200
    return crowd


USES = [
    (None, {"willing", "unwilling", "silent", "gone"}),
    ("marketing", {"willing"}),
    ("ask_marketing", {"silent"}),
    ("profiling", set()),
    ("ask_profiling", {"willing", "unwilling", "silent"}),
]


@pytest.mark.parametrize(("use", "chosen"), USES)
async def test_a_segment_gives_only_whom_its_use_allows(
    shop: Shop, crowd: dict[str, Person], use: str | None, chosen: set[str]
):
    _, first = await shop.get(f"/members/{crowd['willing'].id}", shop.hq)
    tree = {"field": "name", "op": "is", "value": first["name"]}
    by_id = {str(person.id): who for who, person in crowd.items()}
    for token in (shop.hq, shop.director):
        status, tried = await shop.post("/segments/preview", {"filter": tree, "use": use}, token)
        assert (status, {by_id[one["id"]] for one in tried["items"]}, tried["count"]) == (200, chosen, len(chosen))
    _, segment = await shop.post("/segments", {"name": f"{first['name']} {use}"[:100], "filter": tree}, shop.hq)
    params = {"use": use} if use else {}
    _, listed = await shop.get(f"/segments/{segment['id']}/members", shop.hq, **params)
    assert {by_id[one["id"]] for one in listed["items"]} == chosen
    answer = await shop.api.call("GET", "/members/export", shop.hq, params={"segment_id": segment["id"]} | params)
    assert {who for who, person in crowd.items() if person.member_no in answer.text} == chosen


async def test_a_foreign_chapters_segment_is_not_exported(shop: Shop):
    tree = {"field": "status", "op": "is", "value": "active"}
    _, segment = await shop.post("/segments", {"name": "自家", "filter": tree}, shop.director)
    theirs = shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")
    refused = await shop.api.call("GET", "/members/export", theirs, params={"segment_id": segment["id"]})
    assert problem(refused) == (404, "/problems/not-found")


async def test_who_said_no_may_be_asked_again_after_a_year(shop: Shop, crowd: dict[str, Person]):
    _, first = await shop.get(f"/members/{crowd['willing'].id}", shop.hq)
    body = {"filter": {"field": "name", "op": "is", "value": first["name"]}, "use": "ask_marketing"}
    async with shop.at(NOW + timedelta(days=366)):
        _, tried = await shop.post("/segments/preview", body, shop.hq)
    assert {one["id"] for one in tried["items"]} == {str(crowd[who].id) for who in ("unwilling", "silent")}


async def test_calls_are_made_only_as_far_as_the_member_has_agreed(shop: Shop, api: Api, crowd: dict[str, Person]):
    await hire(api, "caller-of-consents", Role.CARE_STAFF, dealer="BJ001")
    expected = {
        "willing": {None: 201, "marketing": 201, "ask_marketing": 409},
        "unwilling": {None: 201, "marketing": 409, "ask_marketing": 409},
        "silent": {None: 201, "marketing": 409, "ask_marketing": 201},
    }
    for who, outcomes in expected.items():
        for use, outcome in outcomes.items():
            body = {
                "member_id": str(crowd[who].id), "question": "?", "assigned_to": "caller-of-consents", "use": use,
            }  # fmt: skip
            status, read = await shop.post("/verification-calls", body, shop.director)
            assert status == outcome, (who, use, read)
            if status == 409:
                assert read["type"] == f"/problems/{'not-to-be-asked' if use == 'ask_marketing' else 'consent-missing'}"
            else:
                assert read["use"] == use


async def test_how_the_club_sees_a_member_chooses_only_who_agreed_to_that(shop: Shop):
    willing, silent = await shop.member(name="看得见"), await shop.member(name="看得见")
    for member in (willing, silent):
        changed = await shop.api.call(
            "PATCH", f"/members/{member.id}/profile", shop.hq,
            json={"value_class": "G", "circle": "loyal"}, headers={"If-Match": '"0"'},
        )  # fmt: skip
        assert changed.status_code == 200
    body = {"purpose": "profiling", "decision": "given", "version": 1, "channel": "phone"}
    assert (await shop.post(f"/members/{willing.id}/consents", body, shop.hq))[0] == 200
    for field, value in (("value_class", "G"), ("circle", "loyal")):
        named = {"field": "name", "op": "is", "value": "看得见"}
        such = {"field": field, "op": "is", "value": value}
        for tree, found in ((such, willing), ({"not": such}, silent)):
            _, tried = await shop.post("/segments/preview", {"filter": {"and": [named, tree]}}, shop.hq)
            assert [one["id"] for one in tried["items"]] == [str(found.id)]
