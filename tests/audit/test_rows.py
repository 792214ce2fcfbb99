"""Changed rows record themselves: who, when, from where, before and after; personal data by reference."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlmodel import SQLModel

from app.audit.rows import AUDITED, audited
from app.chapters.models import Region
from app.core.db import engine_options
from tests import generated
from tests.api import Api
from tests.audit.trail import deeds
from tests.now import NOW
from tests.shop import Shop


async def test_a_change_with_before_and_after(api: Api, shop: Shop):
    member = await shop.member()
    await shop.post(f"/members/{member.id}/status", {"to": "suspended", "reason": "asked for it"}, shop.director)
    changed = (await deeds(api, target_kind="member", target_id=member.id, action="changed"))[0]
    (created,) = await deeds(api, target_id=member.id, action="created")
    assert changed | {"id": None, "request_id": None} == {
        "id": None,
        "at": NOW.isoformat().replace("+00:00", "Z"),
        "actor": "care_director:BJ001",
        "role": "care_director",
        "reach": "dealer:BJ001",
        "request_id": None,
        "address": "127.0.0.1",
        "operation": "members_change_status",
        "action": "changed",
        "target_kind": "member",
        "target_ids": [str(member.id)],
        "changes": {"status": ["active", "suspended"]},
        "outcome": "done",
    }
    assert (created["action"], created["operation"], created["role"], created["reach"]) == (
        "created", "members_enrol", "hq_admin", "all",
    )  # fmt: skip
    assert created["changes"]["dealer_code"] == [None, "BJ001"]


async def test_personal_data_is_named_and_not_kept(api: Api, shop: Shop):
    member = await shop.member(name="欧阳娜娜")
    read = await api.call("GET", f"/members/{member.id}", shop.director)
    await api.call(
        "PATCH", f"/members/{member.id}", shop.director, json={"name": "上官婉儿"},
        headers={"If-Match": read.headers["ETag"]},
    )  # fmt: skip
    (changed,) = await deeds(api, target_id=member.id, action="changed")
    (created,) = await deeds(api, target_id=member.id, action="created")
    assert changed["changes"] == {"name": None}
    assert (created["changes"]["name"], created["changes"]["phone"]) == (None, None)
    rows = await api.db.pool.fetch("SELECT to_jsonb(e)::text AS row FROM audit_event e")
    whole = "".join(row["row"] for row in rows)
    assert not any(word in whole for word in ("欧阳娜娜", "上官婉儿", member.phone, member.vin))


async def test_the_request_is_named(api: Api, shop: Shop):
    answer = await api.call(
        "POST", "/regions", shop.hq, json={"code": "QD", "name": "Qingdao"}, headers={"X-Request-Id": "ask-42"}
    )
    assert answer.status_code == 201
    (created,) = await deeds(api, target_kind="region", target_id="QD")
    assert (created["request_id"], created["changes"]) == ("ask-42", {"name": [None, "Qingdao"]})


async def test_what_is_rolled_back_leaves_no_trail(api: Api, shop: Shop):
    count = text("SELECT count(*) FROM audit_event WHERE 'GONE' = ANY (target_ids)")
    async with api.db.sessions() as session:
        session.add(Region(code="GONE", name="never"))
        await session.flush()
        assert await session.scalar(count) == 1
        await session.rollback()
    assert await deeds(api, target_id="GONE") == []


async def test_what_nobody_asked_for_is_the_services(api: Api, shop: Shop):
    async with _region(api, "SELF") as region:
        region.name = "another"
    async with _region(api, "SELF") as region:
        region.name = str(region.name)
    changed, created = await deeds(api, target_id="SELF")
    assert (created["actor"], created["role"], created["request_id"]) == ("service", "service", None)
    assert (changed["action"], changed["changes"]) == ("changed", {"name": ["SELF", "another"]})


@asynccontextmanager
async def _region(api: Api, code: str) -> AsyncIterator[Any]:
    async with api.db.session() as session:
        found = await session.get(Region, code)
        if found is None:
            found = Region(code=code, name=code)
            session.add(found)
            await session.flush()
        yield found


async def test_a_removed_row(api: Api, shop: Shop, dsn: str):
    # by the database's owner: the service may not remove a region
    engine = create_async_engine("postgresql+asyncpg://", **engine_options(dsn, role=None))
    async with AsyncSession(engine) as session:
        session.add(region := Region(code="OLD", name="old"))
        await session.flush()
        await session.delete(region)
        await session.commit()
    await engine.dispose()
    removed, _ = await deeds(api, target_id="OLD")
    assert (removed["action"], removed["changes"]) == ("deleted", {"name": ["old", None]})


def test_what_looks_personal_or_secret_is_not_kept():
    generated.problem_kinds()  # imports every module, and so every table
    words = {"name", "phone", "vin", "email", "openid", "reason", "born", "hash", "digest", "secret", "sealed"}
    public = {
        ("region", "name"), ("dealer", "name"), ("chapter", "name"),
        ("consent", "partner_name"), ("provision", "partner_name"), ("segment", "name"), ("material", "name"),
        ("agency", "name"), ("auction_lot", "name"), ("budget", "name"), ("holiday", "name_zh"), ("holiday", "name_en"),
        ("partner", "name"), ("partner", "name_en"), ("perk", "name"), ("perk", "name_en"),
        ("reward", "name"), ("reward", "name_en"),
        # a code; and what a merge has to be audited with
        ("delivery", "miss_reason"), ("merge", "reason"), ("merge", "undone_reason"),
    }  # fmt: skip
    kept = {
        (table.kind, field)
        for model, table in AUDITED.items()
        for field in model.model_fields
        if words & set(field.split("_")) and field not in table.unkept | table.untold
    }
    assert kept <= public


ELSEWHERE = {
    "auction_bid": "a record itself; its points are the ledger's",
    "audience_member": "found anew each night",
    "audit_event": "the trail itself",
    "award": "a record itself, written once, with its posting",
    "bill_payment": "a record itself, written once, beside its posting",
    "budget_use": "sums of awards",
    "check_in": "a record itself, with who and when",
    "companion": "with its registration, by the member",
    "document_reading": "a record itself, written once",
    "event_approval": "a record itself, written once, with its actor",
    "event_notice": "a message, written once",
    "event_step": "a record itself, written once, with its actor",
    "former_chapter": "what a chapter's audited row said before",
    "idempotency_record": "remembered answers",
    "import_chunk": "an upload's bytes; its job is recorded by name",
    "import_job": "recorded by name",
    "import_rejection": "an upload's result",
    "incentive_line": "written once, with its list",
    "invitation": "a record itself; the answer is the member's",
    "login_session": "signing in and out are recorded by name",
    "material_movement": "a record itself, written once, with its actor",
    "member_place": "written by the database, when a member's chapter changes",
    "member_status_change": "a record itself, written once, with its actor",
    "member_tier": "its changes are `tier_change`",
    "network_month": "figures, written once",
    "queue_decision": "a record itself, written once",
    "recovery_code": "digests; its second factor is audited",
    "referral_step": "a record itself, written once, with its actor",
    "refresh_token": "digests; every quarter of an hour a new one",
    "registration": "the member's own; decisions about it are recorded",
    "repair_order": "written once; cancelling is recorded by name",
    "reward_code": "given with its order",
    "reward_image": "its reward's audited row names it",
    "reward_movement": "a record itself, written once, with its actor",
    "rule_use": "sums of awards",
    "sign_in_attempt": "counters",
    "sign_in_code": "digests; signing in is recorded by name",
    "sign_in_handover": "digests; signing in is recorded by name",
    "statement_commission": "written once, with the close of its month",
    "statement_line": "written once, with its statement",
    "survey_answer": "the member's own, written once",
    "tally": "counters",
    "tier_change": "a record itself, written once, with its actor",
    "vehicle": "its key is personal; changes are recorded by name",
    "vehicle_mileage": "written once; withdrawing is recorded by name",
    "voucher_share": "written once, with its voucher",
    "wechat_user": "its key is personal; unlinking is recorded by name",
}
"""Tables whose rows do not record themselves, and why."""


def test_every_table_is_audited_or_says_why_not():
    generated.problem_kinds()
    assert {model.__tablename__ for model in AUDITED} == SQLModel.metadata.tables.keys() - ELSEWHERE.keys()


def test_a_declaration_names_real_fields():
    with pytest.raises(AssertionError, match="has no \\['nmae'\\]"):
        audited("region", personal=("nmae",))(Region)


async def test_earning_and_redeeming_leave_it_to_the_ledger(api: Api, shop: Shop):
    member = await shop.member(points=100)
    before = await api.db.pool.fetchval("SELECT count(*) FROM audit_event")
    assert (await shop.earn(member, 50))[0] == 201
    status, _ = await shop.redeem(member, 30, shop.advisor, code=await shop.code(member))
    assert status == 201
    assert await api.db.pool.fetchval("SELECT count(*) FROM audit_event") == before
