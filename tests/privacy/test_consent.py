"""What members agree to, how they take it back, and what partners get by it."""

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import ColumnElement, select
from sqlmodel import col

from app.core.actors import Role
from app.members import consent_queries as queries
from app.members import consents
from app.members.consent_rules import Purpose, Use
from app.members.models import Member
from tests.api import SETTINGS, Api
from tests.now import NOW
from tests.shop import Person, Shop, problem

HOTEL = {"code": "HOTEL-01", "name": "西湖酒店"}


def own(api: Api, member: Person) -> str:
    """The member's token."""
    return api.token(Role.MEMBER, member=member.id)


def says(decision: str = "given", purpose: str = "marketing", **fields: Any) -> dict[str, Any]:
    return {"purpose": purpose, "decision": decision, "version": 1, "channel": "app"} | fields


async def decide(shop: Shop, member: Person, token: str | None = None, **answer: Any) -> Any:
    return await shop.api.call(
        "POST", f"/members/{member.id}/consents", token or own(shop.api, member), json=says(**answer)
    )


async def stand(shop: Shop, member: Person, purpose: str = "marketing") -> dict[str, Any]:
    answer = await shop.api.call("GET", f"/members/{member.id}/consents", shop.hq)
    return next(item for item in answer.json()["items"] if item["purpose"] == purpose)


async def recorded(shop: Shop, member: Person) -> list[str]:
    rows = await shop.pool.fetch("SELECT decision FROM consent WHERE member_id = $1 ORDER BY id", member.id)
    return [decision for (decision,) in rows]


async def test_who_was_never_asked_has_agreed_to_nothing_and_may_be_asked(shop: Shop):
    member = await shop.member()
    answer = await shop.api.call("GET", f"/members/{member.id}/consents", own(shop.api, member))
    assert {item["purpose"] for item in answer.json()["items"]} == {"membership", "marketing", "profiling"}
    assert all(item["may_ask"] and not item["stands"] and item["at"] is None for item in answer.json()["items"])


async def test_consent_is_withdrawn_by_the_call_that_gave_it(shop: Shop):
    member = await shop.member()
    assert (await decide(shop, member)).status_code == 200
    given = await stand(shop, member)
    assert given["stands"]
    assert given["channel"] == "app"
    assert (await decide(shop, member, decision="withdrawn")).status_code == 200
    withdrawn = await stand(shop, member)
    assert not withdrawn["stands"]
    assert not withdrawn["may_ask"]
    assert await recorded(shop, member) == ["given", "withdrawn"]


async def test_the_same_answer_again_is_one_record(shop: Shop):
    member = await shop.member()
    for _ in range(3):
        assert (await decide(shop, member)).status_code == 200
    assert await recorded(shop, member) == ["given"]


async def test_a_refusal_is_not_asked_about_again_for_a_year(shop: Shop):
    member = await shop.member()
    await decide(shop, member, decision="refused")
    assert not (await stand(shop, member))["may_ask"]
    async with shop.at(NOW + timedelta(days=364)):
        assert not (await stand(shop, member))["may_ask"]
    async with shop.at(NOW + timedelta(days=366)):
        assert (await stand(shop, member))["may_ask"]


async def test_the_member_may_change_its_mind_in_the_quiet_time(shop: Shop):
    member = await shop.member()
    await decide(shop, member, decision="refused")
    await decide(shop, member)
    assert (await stand(shop, member))["stands"]


async def chosen(api: Api, people: Collection[UUID], *conditions: ColumnElement[bool]) -> set[UUID]:
    """Those of some members on whom conditions hold."""
    among = select(col(Member.id)).where(col(Member.id).in_(people), *conditions)
    async with api.db.session() as session:
        return set((await session.scalars(among)).all())


async def test_only_consenting_members_are_written_to(shop: Shop, api: Api):
    willing, unwilling, silent = [await shop.member() for _ in range(3)]
    await decide(shop, willing)
    await decide(shop, unwilling)
    await decide(shop, unwilling, decision="withdrawn")
    everybody = [willing.id, unwilling.id, silent.id]
    assert await chosen(api, everybody, *consents.usable(Use.MARKETING, NOW, SETTINGS)) == {willing.id}
    assert await chosen(api, everybody, *consents.usable(Use.PROFILING, NOW, SETTINGS)) == set()
    await api.call("POST", f"/members/{willing.id}/closing", own(api, willing), json={})
    assert await chosen(api, everybody, *consents.usable(Use.MARKETING, NOW, SETTINGS)) == set(), "left in peace"


async def may_be_asked(
    api: Api, people: Collection[UUID], now: datetime = NOW, partner: str | None = None
) -> set[UUID]:
    conditions = consents.usable(Use.ASK_MARKETING, now, SETTINGS)
    if partner is not None:
        quiet = timedelta(days=SETTINGS.ask_again_days)
        conditions = [queries.may_be_asked(col(Member.id), Purpose.PARTNER, partner, now=now, quiet=quiet)]
    return await chosen(api, people, *conditions)


async def test_who_said_yes_or_no_is_not_asked_by_a_campaign(shop: Shop, api: Api):
    silent, willing, unwilling, gone = [await shop.member() for _ in range(4)]
    everybody = [person.id for person in (silent, willing, unwilling, gone)]
    await decide(shop, willing)
    await decide(shop, unwilling, decision="refused")
    await api.call("POST", f"/members/{gone.id}/closing", own(api, gone), json={})
    assert await may_be_asked(api, everybody) == {silent.id}
    assert await may_be_asked(api, everybody, NOW + timedelta(days=366)) == {silent.id, unwilling.id}


async def test_sql_and_rule_agree_on_what_counts(shop: Shop, api: Api):
    people = [await shop.member() for _ in range(4)]
    decisions = [(), ("given",), ("given", "withdrawn"), ("refused", "given")]
    for member, said in zip(people, decisions, strict=True):
        for decision in said:
            await decide(shop, member, decision=decision)
    for later in (NOW, NOW + timedelta(days=365), NOW + timedelta(days=365, seconds=-1)):
        async with shop.at(later):
            one_by_one = {member.id: await stand(shop, member) for member in people}
        for use, rule in ((Use.MARKETING, "stands"), (Use.ASK_MARKETING, "may_ask")):
            at_once = await chosen(api, one_by_one, *consents.usable(use, later, SETTINGS))
            assert at_once == {member_id for member_id, told in one_by_one.items() if told[rule]}


async def test_one_partners_refusal_is_not_anothers(shop: Shop, api: Api):
    member = await shop.member()
    await decide(shop, member, purpose="partner", partner=HOTEL, decision="refused")
    assert await may_be_asked(api, [member.id], partner="HOTEL-01") == set()
    assert await may_be_asked(api, [member.id], partner="SALON-7") == {member.id}
    assert await may_be_asked(api, [member.id]) == {member.id}


async def test_a_child_is_asked_through_its_guardian_only(shop: Shop, api: Api):
    child = await shop.member()
    guardian = {"name": "张父", "relation": "father"}
    assert (await born(shop, child, shop.hq, "2015-06-01", guardian=guardian)).status_code == 200
    assert await may_be_asked(api, [child.id]) == set()
    assert await may_be_asked(api, [child.id], datetime(2029, 6, 2, 8, tzinfo=NOW.tzinfo)) == {child.id}


@pytest.mark.parametrize(
    ("answer", "pointer", "code"),
    [
        ({"channel": "paper"}, "/channel", "enum"),
        ({"version": None}, "/version", "missing"),
        ({"partner": HOTEL}, "/partner", "extra_forbidden"),
        ({"purpose": "partner"}, "/partner", "missing"),
        ({"purpose": "partner", "partner": {"code": "HOTEL-01"}}, "/partner/name", "missing"),
        ({"purpose": "partner", "partner": {"code": "NOBODY", "name": "酒店"}}, "/partner/code", "unknown_partner"),
        ({"purpose": "partner", "partner": HOTEL | {"name": "东湖酒店"}}, "/partner/name", "enum"),
    ],
)
async def test_answers_that_make_no_sense_are_refused(shop: Shop, answer: dict[str, Any], pointer: str, code: str):
    member = await shop.member()
    refused = await decide(shop, member, **answer)
    assert refused.status_code == 422
    assert [(fault["pointer"], fault["code"]) for fault in refused.json()["errors"]] == [(pointer, code)]
    assert await recorded(shop, member) == []


async def test_a_foreign_member_is_not_found(shop: Shop, api: Api):
    mine, theirs = await shop.member(), await shop.member(dealer="SH001")
    assert problem(await decide(shop, theirs, own(api, mine))) == (404, "/problems/not-found")
    for path in ("consents", "provisions", "birth", "own-data", "own-data/page", "erasure"):
        assert (await api.call("GET", f"/members/{theirs.id}/{path}", own(api, mine))).status_code == 404
    seen = await api.call("GET", f"/members/{theirs.id}/consents", shop.director)
    assert problem(seen) == (404, "/problems/not-found")


# --- partners ---


async def provide(shop: Shop, member: Person, **fields: Any) -> Any:
    body = {"partner_code": "HOTEL-01", "kinds": ["phone", "name"], "reason": "预订"} | fields
    return await shop.api.call("POST", f"/members/{member.id}/provisions", shop.hq, json=body)


async def test_a_partner_gets_data_by_a_consent_that_names_it_and_no_longer(shop: Shop, api: Api):
    member = await shop.member()
    assert problem(await provide(shop, member)) == (409, "/problems/consent-missing")
    await decide(shop, member, purpose="partner", partner=HOTEL)
    assert problem(await provide(shop, member, partner_code="SALON-7")) == (409, "/problems/consent-missing")
    made = await provide(shop, member)
    assert made.status_code == 201
    assert made.json()["partner_name"] == "西湖酒店"
    assert made.json()["kinds"] == ["name", "phone"]
    await decide(shop, member, purpose="partner", partner=HOTEL, decision="withdrawn")
    assert problem(await provide(shop, member)) == (409, "/problems/consent-missing")
    listed = await api.call("GET", f"/members/{member.id}/provisions", own(api, member))
    assert [item["id"] for item in listed.json()["items"]] == [made.json()["id"]]


async def test_consents_to_two_partners_are_two(shop: Shop, api: Api):
    member = await shop.member()
    await decide(shop, member, purpose="partner", partner=HOTEL)
    await decide(shop, member, purpose="partner", partner={"code": "SALON-7", "name": "发廊"}, decision="refused")
    answer = await api.call("GET", f"/members/{member.id}/consents", own(api, member))
    partners = {i["partner"]["code"]: i["stands"] for i in answer.json()["items"] if i["partner"]}
    assert partners == {"HOTEL-01": True, "SALON-7": False}


# --- children ---


async def born(shop: Shop, member: Person, token: str, born_on: str, **fields: Any) -> Any:
    return await shop.api.call("PUT", f"/members/{member.id}/birth", token, json={"born_on": born_on} | fields)


async def test_a_guardian_agrees_for_a_child_through_headquarters(shop: Shop, api: Api):
    child, guardian = await shop.member(), {"name": "张父", "relation": "father"}
    assert problem(await born(shop, child, shop.hq, "2015-06-01")) == (409, "/problems/guardian-needed")
    alone = await born(shop, child, own(api, child), "2015-06-01", guardian=guardian)
    assert problem(alone) == (409, "/problems/guardian-needed")
    noted = await born(shop, child, shop.hq, "2015-06-01", guardian=guardian)
    assert noted.status_code == 200
    assert noted.json()["needs_guardian"]
    assert (await stand(shop, child, "membership"))["stands"]
    grown = await born(shop, child, own(api, child), "1990-06-01")
    assert problem(grown) == (409, "/problems/guardian-needed"), "nobody grows up by its own word"

    assert problem(await decide(shop, child)) == (409, "/problems/guardian-needed")
    assert problem(await decide(shop, child, by_guardian=True)) == (409, "/problems/guardian-needed")
    assert problem(await decide(shop, child, shop.hq, channel="paper")) == (409, "/problems/guardian-needed")
    assert (await decide(shop, child, shop.hq, channel="paper", by_guardian=True)).status_code == 200
    assert (await decide(shop, child, decision="withdrawn")).status_code == 200, "no needs no guardian"


async def test_an_adult_notes_its_own_birthday(shop: Shop, api: Api):
    member = await shop.member()
    assert (await api.call("GET", f"/members/{member.id}/birth", own(api, member))).status_code == 404
    assert (await born(shop, member, own(api, member), "1990-02-03")).status_code == 200
    read = await api.call("GET", f"/members/{member.id}/birth", own(api, member))
    assert read.json() == {"born_on": "1990-02-03", "guardian": None, "needs_guardian": False}
    assert (await born(shop, member, own(api, member), "2027-01-01")).status_code == 422


# --- texts: last, since they change what every member is asked with ---


async def test_a_new_text_asks_everybody_anew_only_if_it_renews(shop: Shop, api: Api):
    member = await shop.member()
    await decide(shop, member, purpose="profiling")
    text = {"purpose": "profiling", "text_zh": "新", "text_en": "new", "renews": False}
    assert (await api.call("POST", "/privacy/notices", shop.hq, json=text)).json()["version"] == 2
    assert (await stand(shop, member, "profiling"))["stands"]
    assert (await api.call("POST", "/privacy/notices", shop.hq, json=text | {"renews": True})).json()["version"] == 3
    now = await stand(shop, member, "profiling")
    assert (now["stands"], now["may_ask"]) == (False, True)
    refused = await decide(shop, member, purpose="profiling", version=2)
    assert problem(refused) == (409, "/problems/notice-outdated")
    assert refused.json()["version"] == 3
    assert (await decide(shop, member, purpose="profiling", version=3)).status_code == 200
    assert (await stand(shop, member, "profiling"))["stands"]
    listed = await api.call("GET", "/privacy/notices", own(api, member))
    assert {item["purpose"]: item["version"] for item in listed.json()["items"]}["profiling"] == 3


async def test_what_was_answered_is_never_rewritten(shop: Shop):
    for statement in ("UPDATE consent SET decision = 'given'", "UPDATE privacy_notice SET text_en = ''"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await shop.pool.execute(statement)


async def test_two_new_texts_at_once_are_two_versions(shop: Shop, api: Api):
    text = {"purpose": "marketing", "text_zh": "同", "text_en": "same", "renews": False}
    made = await asyncio.gather(*(api.call("POST", "/privacy/notices", shop.hq, json=text) for _ in range(8)))
    assert [answer.status_code for answer in made] == [201] * 8
    assert sorted(answer.json()["version"] for answer in made) == list(range(2, 10))
