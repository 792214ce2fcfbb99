"""Leaving, being forgotten, and what the law keeps all the same."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from app.core.actors import Role
from app.core.db import connect
from app.core.tabular import Row
from app.members.imports import import_members
from app.privacy import retention
from app.wiring import verify
from tests.api import SETTINGS, Api
from tests.now import NOW
from tests.shop import Person, Shop, order, problem

LATER = NOW + timedelta(days=16)
"""After the time to think."""


@pytest.fixture
async def owner(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the tables' owner: what the service never is."""
    connection = await connect(dsn, role=None)
    yield connection
    await connection.close()


async def erase(shop: Shop, member: Person, now: datetime = LATER) -> int:
    asked = await shop.api.call("PUT", f"/members/{member.id}/erasure", shop.hq, json={"reason": "电话要求"})
    assert asked.status_code == 200
    return await retention.apply(shop.api.db, SETTINGS, now=now)


def own(api: Api, member: Person) -> str:
    """The member's token."""
    return api.token(Role.MEMBER, member=member.id)


async def test_a_member_leaves_by_itself(shop: Shop, api: Api):
    member = await shop.member(points=50)
    left = await api.call("POST", f"/members/{member.id}/closing", own(api, member), json={})
    assert left.json()["status"] == "left"
    assert problem(await api.call("POST", f"/members/{member.id}/closing", own(api, member), json={})) == (
        409, "/problems/wrong-status",
    )  # fmt: skip
    status, refused = await shop.earn(member, 10)
    assert (status, refused["type"]) == (409, "/problems/wallet-closed")


async def test_erasure_waits_and_can_be_thought_better_of(shop: Shop, api: Api):
    member = await shop.member()
    first = await api.call("PUT", f"/members/{member.id}/erasure", own(api, member), json={})
    assert first.json()["due_on"] == "2026-12-06"
    assert first.json()["erased_at"] is None
    again = await api.call("PUT", f"/members/{member.id}/erasure", own(api, member), json={"reason": "again"})
    assert again.json() == first.json()
    assert await retention.apply(api.db, SETTINGS, now=NOW + timedelta(days=14)) == 0
    assert (await api.call("DELETE", f"/members/{member.id}/erasure", own(api, member))).status_code == 403
    kept = await api.call("DELETE", f"/members/{member.id}/erasure", shop.hq)
    assert (kept.status_code, kept.json()["status"]) == (200, "left")
    assert await retention.apply(api.db, SETTINGS, now=LATER) == 0
    assert (await api.call("GET", f"/members/{member.id}", shop.hq)).json()["phone"].endswith(member.phone)


STEP = {"to": "active", "reason": "came back"}


async def test_headquarters_brings_back_who_asked_for_erasure_and_takes_that_back(shop: Shop, api: Api):
    member = await shop.member()
    await api.call("PUT", f"/members/{member.id}/erasure", own(api, member), json={})
    assert (await api.call("POST", f"/members/{member.id}/status", shop.hq, json=STEP)).status_code == 200
    assert (await api.call("GET", f"/members/{member.id}/erasure", shop.hq)).status_code == 404
    assert await retention.apply(api.db, SETTINGS, now=LATER) == 0
    assert (await api.call("GET", f"/members/{member.id}", shop.hq)).json()["phone"].endswith(member.phone)


async def test_a_dealer_takes_nobodys_erasure_back(shop: Shop, api: Api):
    member = await shop.member(name="李四")
    person = {"name": "李四", "phone": member.phone, "vin": member.vin, "source": "showroom"}
    applied = await api.call("POST", "/applications", shop.director, json=person)
    await api.call("PUT", f"/members/{member.id}/erasure", own(api, member), json={})
    enrolling = api.token(Role.API_CLIENT, scopes="members:enrol")
    for answer in (
        await api.call("POST", f"/members/{member.id}/status", shop.director, json=STEP),
        await api.call("POST", "/members", shop.advisor, json=person),
        await api.call("POST", "/members", enrolling, json=person | {"dealer_code": "BJ001"}),
        await api.call("POST", f"/applications/{applied.json()['id']}/approval", shop.director),
    ):
        assert problem(answer) == (409, "/problems/erasure-pending")
    asked = await api.call("GET", f"/members/{member.id}/erasure", shop.hq)
    assert (asked.status_code, asked.json()["erased_at"]) == (200, None)
    assert await retention.apply(api.db, SETTINGS, now=LATER) == 1


async def test_who_left_without_asking_for_erasure_comes_back_at_a_dealer(shop: Shop, api: Api):
    member = await shop.member()
    await api.call("POST", f"/members/{member.id}/closing", own(api, member), json={})
    assert (await api.call("POST", f"/members/{member.id}/status", shop.director, json=STEP)).status_code == 200


async def test_verify_names_an_erasure_of_somebody_who_has_not_left(
    shop: Shop, api: Api, owner: asyncpg.Connection, dsn: str
):
    member = await shop.member()
    await api.call("PUT", f"/members/{member.id}/erasure", shop.hq, json={})
    await owner.execute("UPDATE member SET status = 'active' WHERE id = $1", member.id)
    assert ("erasures-asked", [f"member {member.id} is active"]) in [
        (check.name, rows) for check, rows in await verify(dsn) if rows
    ]
    assert await retention.apply(api.db, SETTINGS, now=LATER) == 0
    await owner.execute("UPDATE member SET status = 'left' WHERE id = $1", member.id)
    assert await retention.apply(api.db, SETTINGS, now=LATER) == 1


async def test_nothing_in_the_database_names_the_erased(shop: Shop, api: Api, owner: asyncpg.Connection):
    member = await shop.member(points=50, name="欧阳独一")
    body = {"name": "欧阳独一", "phone": member.phone, "vin": member.vin, "source": "showroom", "dealer_code": "SH001"}
    assert (await api.call("POST", "/applications", shop.hq, json=body)).status_code == 201
    guardian = {"born_on": "2015-06-01", "guardian": {"name": "欧阳监护", "relation": "father"}}
    assert (await api.call("PUT", f"/members/{member.id}/birth", shop.hq, json=guardian)).status_code == 200
    closing = {"to": "suspended", "reason": "欧阳独一来电"}
    assert (await api.call("POST", f"/members/{member.id}/status", shop.hq, json=closing)).status_code == 200
    sealed = await owner.fetchval("SELECT phone FROM member WHERE id = $1", member.id)
    index = await owner.fetchval("SELECT phone_index FROM member WHERE id = $1", member.id)

    secrets = ("欧阳", member.phone, bytes(sealed).decode(), index.hex())
    before = await _mentions(owner, *secrets)
    assert before == ["public.application", "public.member", "public.member_birth", "public.member_status_change"]

    assert await erase(shop, member) == 1

    assert await _mentions(owner, *secrets) == []


async def _mentions(owner: asyncpg.Connection, *secrets: str) -> list[str]:
    """The tables any of whose rows holds one of these; remembered answers go by themselves after a week."""
    tables = await owner.fetch(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'ledger',"
        " 'restricted') AND tablename NOT IN ('idempotency_record')"
    )
    return [
        table
        for table in sorted(row[0] for row in tables)
        if await owner.fetchval(
            f"SELECT EXISTS (SELECT FROM {table} t, unnest($1::text[]) s WHERE strpos(t::text, s) > 0"
            " OR strpos(t::text, encode(convert_to(s, 'UTF8'), 'hex')) > 0)",
            list(secrets),
        )
    ]


async def test_the_erased_are_nobodys_to_see_and_the_books_stay_whole(shop: Shop, api: Api, dsn: str):
    member = await shop.member(points=50)
    accepted = await api.call("POST", "/repair-orders", shop.hq, json=order(member.vin), headers={})
    assert accepted.status_code in {200, 201}, accepted.text
    assert await erase(shop, member) == 1
    for token in (shop.hq, shop.director, api.token(Role.AUDITOR), own(api, member)):
        for path in (f"/members/{member.id}", f"/members/{member.id}/points", f"/members/{member.id}/own-data"):
            assert (await api.call("GET", path, token)).status_code in {403, 404}
    listed = await api.call("POST", "/members/search", shop.hq, json={"member_no": member.member_no})
    assert listed.json()["items"] == []
    by_id = {
        e["member_id"]: e
        for e in (await api.call("GET", "/privacy/erasures?done=true&limit=200", shop.hq)).json()["items"]
    }
    assert by_id[str(member.id)]["erased_at"]
    assert [(check.name, rows) for check, rows in await verify(dsn) if rows] == []


async def test_vehicles_and_orders_stay_under_a_pseudonym_out_of_reach(shop: Shop, api: Api, owner: asyncpg.Connection):
    member = await shop.member()
    made = order(member.vin)
    assert (await api.call("POST", "/repair-orders", shop.hq, json=made)).status_code in {200, 201}
    assert await erase(shop, member) == 1
    record = await owner.fetchrow("SELECT * FROM restricted.owner_record WHERE vin = $1", member.vin)
    assert record is not None
    assert (record["pseudonym"], record["is_first"], record["until"]) == (member.id, True, date(2026, 12, 7))
    kept = await owner.fetchrow("SELECT * FROM restricted.workshop_record WHERE order_no = $1", made["order_no"])
    assert kept is not None
    assert kept["pseudonym"] == member.id
    assert await owner.fetchval("SELECT member_id FROM repair_order WHERE order_no = $1", made["order_no"]) is None
    for table in ("owner_record", "workshop_record"):
        for statement in (f"SELECT * FROM restricted.{table}", f"DELETE FROM restricted.{table}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await shop.pool.execute(statement)


async def test_a_member_who_has_not_left_cannot_be_erased_even_by_the_service(shop: Shop):
    member = await shop.member()
    with pytest.raises(asyncpg.RaiseError):
        await shop.pool.execute("SELECT restricted.erase($1, $2)", member.id, NOW)


async def test_the_car_and_the_phone_are_free_but_an_old_file_brings_nobody_back(shop: Shop, api: Api):
    member = await shop.member(name="李四")
    assert await erase(shop, member) == 1
    line = ["BJ001", "李四", member.phone, member.vin, "2026-11-20"]
    report, rejections = await import_members(api.db, iter([Row(2, line)]), now=LATER)
    assert (report.posted, report.refused) == (0, 1)
    assert "another owner's until" in rejections[0].reason
    body = {"name": "王五", "phone": member.phone, "vin": member.vin, "source": "delivery", "dealer_code": "BJ001"}
    again = await api.call("POST", "/members", shop.hq, json=body)
    assert again.json()["outcome"] == "new_member"
    assert again.json()["id"] != str(member.id)


async def test_two_workers_erase_each_member_once(shop: Shop, api: Api):
    people = [await shop.member() for _ in range(4)]
    for member in people:
        await api.call("PUT", f"/members/{member.id}/erasure", shop.hq, json={})
    done = await asyncio.gather(*(retention.apply(api.db, SETTINGS, now=LATER) for _ in range(3)))
    assert sum(done) == len(people)


# --- the times ---


async def age(owner: asyncpg.Connection, statement: str, *values: Any) -> None:
    assert (await owner.execute(statement, *values)).split()[-1] != "0"


async def test_members_who_left_long_ago_are_erased_unasked(shop: Shop, api: Api, owner: asyncpg.Connection):
    member, recent = await shop.member(), await shop.member()
    for person in (member, recent):
        await api.call("POST", f"/members/{person.id}/closing", shop.hq, json={})
    await age(
        owner, "UPDATE member_status_change SET at = $2 WHERE member_id = $1", member.id, NOW - timedelta(days=1097)
    )
    assert await retention.apply(api.db, SETTINGS, now=NOW) == 1
    assert (await api.call("GET", f"/members/{member.id}", shop.hq)).status_code == 404
    assert (await api.call("GET", f"/members/{recent.id}", shop.hq)).status_code == 200


async def test_records_go_when_their_time_has_come_and_not_before(shop: Shop, api: Api, owner: asyncpg.Connection):
    gone, stays = await shop.member(), await shop.member()
    for member in (gone, stays):
        body = {"purpose": "partner", "decision": "given", "version": 1, "channel": "app"}
        body["partner"] = {"code": "HOTEL-01", "name": "西湖酒店"}
        assert (await api.call("POST", f"/members/{member.id}/consents", own(api, member), json=body)).is_success
        sent = {"partner_code": "HOTEL-01", "kinds": ["name"], "reason": "booking"}
        assert (await api.call("POST", f"/members/{member.id}/provisions", shop.hq, json=sent)).is_success
    await age(
        owner,
        "UPDATE provision SET at = $2 WHERE member_id = $1",
        gone.id,
        datetime(2023, 11, 20, 15, 59, tzinfo=NOW.tzinfo),
    )
    await age(
        owner,
        "UPDATE provision SET at = $2 WHERE member_id = $1",
        stays.id,
        datetime(2023, 11, 20, 16, 1, tzinfo=NOW.tzinfo),
    )
    await retention.apply(api.db, SETTINGS, now=NOW)
    left = await owner.fetch("SELECT member_id FROM provision WHERE member_id = ANY ($1)", [gone.id, stays.id])
    assert [row["member_id"] for row in left] == [stays.id]


async def test_consents_of_the_erased_go_after_their_provisions(shop: Shop, api: Api, owner: asyncpg.Connection):
    member = await shop.member()
    body = {"purpose": "marketing", "decision": "given", "version": 1, "channel": "app"}
    assert (await api.call("POST", f"/members/{member.id}/consents", own(api, member), json=body)).is_success
    assert await erase(shop, member) == 1
    count = "SELECT count(*) FROM consent WHERE member_id = $1"
    assert await owner.fetchval(count, member.id) == 1
    await age(owner, "UPDATE erasure SET erased_at = $2 WHERE member_id = $1", member.id, NOW - timedelta(days=1100))
    await retention.apply(api.db, SETTINGS, now=NOW)
    assert await owner.fetchval(count, member.id) == 0


async def test_ended_applications_and_refused_rows_go(shop: Shop, api: Api, owner: asyncpg.Connection):
    person = await shop.member()
    made = []
    for phone in ("13500000001", "13500000002"):
        body = {"name": "赵六", "phone": phone, "vin": person.vin, "source": "showroom", "dealer_code": "BJ001"}
        application = (await api.call("POST", "/applications", shop.hq, json=body)).json()["id"]
        await api.call("POST", f"/applications/{application}/refusal", shop.hq, json={"reason": "no"})
        made.append(application)
    await age(owner, "UPDATE application SET decided_at = $2 WHERE id = $1", made[0], NOW - timedelta(days=366))
    await retention.apply(api.db, SETTINGS, now=NOW)
    statuses = [(await api.call("GET", f"/applications/{one}", shop.hq)).status_code for one in made]
    assert statuses == [404, 200]


async def test_what_the_law_keeps_is_kept_whatever_is_asked(shop: Shop, owner: asyncpg.Connection):
    today = date.today()  # noqa: DTZ011 (the database's own day)
    insert = (
        "INSERT INTO restricted.owner_record (pseudonym, vin, since, until, is_first)"
        " VALUES (gen_random_uuid(), $1, $2, $2, $3)"
    )
    for vin, years, is_first in (("A", 11, True), ("B", 9, True), ("C", 6, False), ("D", 4, False)):
        await owner.execute(insert, f"KEPT{vin}", today.replace(day=1, year=today.year - years), is_first)
    # headquarters' settings cannot go below the law, and neither can the call
    await shop.pool.execute("SELECT restricted.forget($1, $1)", today)
    rows = await owner.fetch("SELECT vin FROM restricted.owner_record WHERE vin LIKE 'KEPT%' ORDER BY vin")
    assert [row["vin"] for row in rows] == ["KEPTB", "KEPTD"]


async def test_verify_names_an_erasure_that_was_undone(shop: Shop, api: Api, owner: asyncpg.Connection, dsn: str):
    member = await shop.member()
    assert await erase(shop, member) == 1
    undone = "INSERT INTO ownership (id, vin, member_id, since) VALUES (gen_random_uuid(), $1, $2, '2026-11-21')"
    await owner.execute(undone, member.vin, member.id)
    assert [(check.name, rows) for check, rows in await verify(dsn) if rows] == [
        ("erased-are-gone", [f"member {member.id}: owns a vehicle"])
    ]
    await owner.execute("DELETE FROM ownership WHERE member_id = $1", member.id)


async def test_erasure_is_in_the_trail_without_who_it_was(shop: Shop, api: Api):
    member = await shop.member()
    assert await erase(shop, member) == 1
    path = f"/audit-events?target_kind=member&action=deleted&target_id={member.id}"
    [deed] = (await api.call("GET", path, shop.hq)).json()["items"]
    assert (deed["actor"], deed["changes"]) == ("service", {})


@pytest.mark.parametrize("table", ["consent", "provision", "member_birth", "erasure"])
async def test_a_forgotten_filter_shows_a_foreign_chapter_nothing(shop: Shop, api: Api, table: str):
    member = await shop.member()
    partner = {"code": "HOTEL-01", "name": "西湖酒店"}
    body = {"purpose": "partner", "decision": "given", "version": 1, "channel": "app", "partner": partner}
    await api.call("POST", f"/members/{member.id}/consents", own(api, member), json=body)
    sent = {"partner_code": "HOTEL-01", "kinds": ["name"], "reason": "booking"}
    await api.call("POST", f"/members/{member.id}/provisions", shop.hq, json=sent)
    await api.call("PUT", f"/members/{member.id}/birth", shop.hq, json={"born_on": "1990-01-01"})
    await api.call("PUT", f"/members/{member.id}/erasure", shop.hq, json={})
    found = {}
    for dealer in ("BJ001", "SH001"):
        async with api.db.transaction() as connection:
            await connection.execute(
                "SELECT set_config('club.reach', 'dealer', true), set_config('club.dealer', $1, true)", dealer
            )
            found[dealer] = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE member_id = $1", member.id)
    assert found == {"BJ001": 1, "SH001": 0}
    await api.call("DELETE", f"/members/{member.id}/erasure", shop.hq)
