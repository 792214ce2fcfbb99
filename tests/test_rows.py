"""The second wall: a query that forgets its condition returns nothing that is not the caller's."""

from collections.abc import AsyncIterator
from datetime import date

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import SQLModel, col, select

from app.core.actors import Actor, Role
from app.core.clock import china_date
from app.core.db import insert_rows, new_id, raw, unrestricted
from app.members.models import Application, Member, Ownership, StatusChange
from app.points import ledger
from app.points.ledger import Earning, Request
from app.settlement import service as settlement
from app.settlement.models import Statement, StatementLine
from tests.api import Api, running_api
from tests.callers import BJ, HQ, NORTH, PARTNER, SH, as_caller, counted, seen
from tests.now import NOW
from tests.rows import of_everybody
from tests.shop import Person

TODAY = china_date(NOW)


@pytest.fixture(scope="module")
async def rows(dsn: str) -> AsyncIterator[Api]:
    async with running_api(dsn) as api:
        yield api


@pytest.fixture(scope="module")
async def people(rows: Api) -> dict[str, Person]:
    return await of_everybody(rows)


WALLS = {
    # of HQ; BJ001's director; SH001's advisor; the manager of the region BJ; a partner's clerk; SH001's member
    "repair_order": (2, 1, 1, 1, 0, 1),
    "import_job": (2, 1, 1, 1, 0, 0),
    "import_chunk": (2, 1, 1, 1, 0, 0),
    "import_rejection": (2, 1, 1, 1, 0, 0),
    "contract": (3, 2, 2, 2, 1, 1),  # the general terms are everybody's
    "account": (3, 1, 1, 1, 0, 0),
    "account_grant": (2, 1, 1, 1, 0, 0),
    "client_secret": (1, 0, 0, 0, 0, 0),
    "credential": (2, 1, 1, 1, 0, 0),
    "second_factor": (2, 1, 1, 1, 0, 0),
    "recovery_code": (2, 1, 1, 1, 0, 0),
    "external_identity": (2, 1, 1, 1, 0, 0),
    "sign_in_handover": (2, 1, 1, 1, 0, 0),
    "login_session": (4, 2, 2, 2, 0, 1),
    "refresh_token": (4, 2, 2, 2, 0, 1),
    "wechat_user": (2, 1, 1, 1, 0, 1),
    "sign_in_code": (1, 0, 0, 0, 0, 0),
    "consent": (2, 1, 1, 1, 0, 1),
    "provision": (2, 1, 1, 1, 0, 1),
    "member_birth": (2, 1, 1, 1, 0, 1),
    "erasure": (2, 1, 1, 1, 0, 1),
    "member_profile": (2, 1, 1, 1, 0, 1),
    "member_attribute": (2, 1, 1, 1, 0, 1),
    "household_person": (2, 1, 1, 1, 0, 1),
    "member_note": (2, 1, 1, 1, 0, 0),  # among those who care for the member
    "member_place": (2, 1, 1, 1, 0, 1),
    "vehicle_mileage": (2, 1, 1, 1, 0, 1),
    "vehicle_claim": (2, 1, 1, 1, 0, 1),
    "transfer": (2, 1, 1, 1, 0, 1),
    "member_tier": (2, 1, 1, 1, 0, 1),
    "tier_change": (2, 1, 1, 1, 0, 1),
    "chapter_officer": (2, 1, 1, 1, 0, 0),
    "chapter_target": (2, 1, 1, 1, 0, 0),
    "rule": (3, 3, 3, 3, 3, 3),  # what earns points is no secret; to write is another policy
    "rule_version": (3, 2, 2, 2, 1, 1),  # the default rule is everybody's, drafts are their chapters'
    "rule_frame": (2, 1, 1, 1, 0, 0),
    "material_request": (2, 1, 1, 1, 0, 0),
    "material_request_line": (2, 1, 1, 1, 0, 0),
    "material_movement": (2, 1, 1, 1, 0, 0),
    "document_reading": (2, 1, 1, 1, 0, 0),
    "agency": (2, 0, 0, 0, 0, 0),
    "partner": (2, 2, 2, 2, 2, 2),  # so are partners and perks
    "partner_block": (2, 1, 1, 1, 0, 0),
    "perk": (2, 2, 2, 2, 2, 2),
    "perk_claim": (2, 1, 1, 1, 0, 0),
    "voucher": (2, 1, 1, 1, 0, 1),
    "voucher_share": (2, 1, 1, 1, 0, 1),
    "reward": (2, 2, 2, 2, 2, 2),  # what is to be had is no secret; to write is another policy
    "reward_movement": (2, 1, 1, 1, 0, 0),
    "reward_order": (2, 1, 1, 1, 0, 1),
    "reward_code": (2, 1, 1, 1, 0, 1),
    "club_event": (2, 1, 1, 1, 0, 0),  # drafts; published ones are no secret
    "event_step": (2, 1, 1, 1, 0, 0),
    "event_support": (2, 1, 1, 1, 0, 0),
    "event_budget_line": (2, 1, 1, 1, 0, 0),
    "event_approval": (2, 1, 1, 1, 0, 0),
    "chapter_budget": (2, 1, 1, 1, 0, 0),
    "event_report": (2, 1, 1, 1, 0, 0),
    "event_notice": (2, 1, 1, 1, 0, 1),
    "event_draw": (2, 1, 1, 1, 0, 0),  # whoever sees the event
    "auction_lot": (2, 1, 1, 1, 0, 0),
    "registration": (2, 1, 1, 1, 0, 1),
    "companion": (2, 1, 1, 1, 0, 1),
    "queue_decision": (2, 1, 1, 1, 0, 1),
    "check_in": (2, 1, 1, 1, 0, 1),
    "ledger.member_balance": (2, 1, 1, 1, 0, 1),
    "ledger.lot": (4, 2, 2, 2, 0, 2),
    "ledger.hold": (2, 1, 1, 1, 0, 1),
    "ledger.posting": (6, 3, 3, 3, 0, 3),
    "ledger.movement": (6, 3, 3, 3, 0, 3),
    "ledger.entry": (12, 6, 6, 6, 0, 6),
}

OPEN = {
    "region", "dealer", "chapter", "former_chapter", "vehicle", "service_interval", "privacy_notice",
    "tally", "sign_in_attempt", "material", "document", "document_version", "tier", "tier_programme",
    "holiday",
    "ledger.period", "ledger.rollup", "ledger.rollup_watermark",
    "alembic_version", "pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics",
}  # fmt: skip
"""Of nobody: the network and its rules; keyed digests; sums; the machinery's own."""


@pytest.mark.parametrize("table", WALLS)
async def test_a_forgotten_filter_finds_nothing_foreign(rows: Api, people: dict[str, Person], table: str) -> None:
    me = Actor("me", Role.MEMBER, member_id=people["SH001"].id)
    assert tuple([await counted(rows.db, actor, table) for actor in (HQ, BJ, SH, NORTH, PARTNER, me)]) == WALLS[table]


async def test_every_table_is_under_the_wall_or_open_on_purpose(rows: Api) -> None:
    tables = await rows.db.pool.fetch(
        """SELECT format('%s%s', nullif(nspname, 'public') || '.', relname) AS name, relrowsecurity AS walled
             FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
            WHERE nspname IN ('public', 'ledger') AND relkind IN ('r', 'p')
              AND has_table_privilege('club_app', c.oid, 'SELECT')"""
    )
    assert {row["name"] for row in tables if not row["walled"]} == OPEN


async def test_a_program_sees_what_its_dealers_have(rows: Api, people: dict[str, Person]) -> None:
    both = Actor("dms", Role.API_CLIENT, dealer_codes=frozenset({"SH001", "BJ001"}))
    one = Actor("dms", Role.API_CLIENT, dealer_codes=frozenset({"SH001"}))
    for table in ("repair_order", "import_job", "ledger.posting"):
        assert await counted(rows.db, both, table) == WALLS[table][0]
        assert await counted(rows.db, one, table) == WALLS[table][2]
    assert await counted(rows.db, one, "client_secret") == 1, "its own"


async def test_a_file_for_two_dealers_is_not_one_dealers(rows: Api, people: dict[str, Person]) -> None:
    job = "UPDATE import_job SET only_dealers = $1 WHERE dealer_code = 'BJ001'"
    await rows.db.pool.execute(job, ["BJ001", "SH001"])
    try:
        assert await counted(rows.db, BJ, "import_job") == 0
        assert await counted(rows.db, BJ, "import_rejection") == 0
    finally:
        await rows.db.pool.execute(job, ["BJ001"])


async def test_answers_to_requests_are_who_sent_them(rows: Api, people: dict[str, Person]) -> None:
    mine = Actor("staff.BJ001", Role.SERVICE_ADVISOR, "BJ001")
    assert await counted(rows.db, mine, "idempotency_record") == 1
    assert await counted(rows.db, BJ, "idempotency_record") == 0


async def test_nobody_gives_himself_a_role_elsewhere(rows: Api, people: dict[str, Person]) -> None:
    mine = Actor("staff.BJ001", Role.CARE_DIRECTOR, "BJ001")
    grant = """INSERT INTO account_grant (id, account_id, role, dealer_code, valid_from, granted_by, granted_at)
               SELECT $1, id, 'care_director', $2, '2026-01-01', 'me', now() FROM account
                WHERE username = 'staff.BJ001'"""
    with as_caller(mine):
        for dealer in ("SH001", None):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                async with rows.db.session() as session:
                    await (await raw(session)).execute(grant, new_id(), dealer)
        async with rows.db.session() as session:
            assert await (await raw(session)).execute(grant, new_id(), "BJ001") == "INSERT 0 1"
            await session.rollback()


async def test_months_of_the_ledger_are_not_read_around_the_wall(rows: Api, people: dict[str, Person]) -> None:
    with as_caller(SH), pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with rows.db.session() as session:
            await (await raw(session)).fetch("SELECT * FROM ledger.movement_2026_11")


async def test_who_works_here_shows_where_else(rows: Api, people: dict[str, Person]) -> None:
    async with rows.db.transaction(undo=True) as connection:
        await connection.execute(
            """INSERT INTO account_grant (id, account_id, role, dealer_code, valid_from, granted_by, granted_at)
               SELECT $1, id, 'care_staff', 'SH001', '2026-01-01', 'hq', now() FROM account
                WHERE username = 'staff.BJ001'""",
            new_id(),
        )
        await connection.execute("SET LOCAL club.reach = 'dealer'; SET LOCAL club.dealer = 'BJ001'")
        places = await connection.fetch("SELECT dealer_code FROM account_grant ORDER BY 1")
        assert [place for (place,) in places] == ["BJ001", "SH001"]


@pytest.mark.parametrize("table", [Member, Application, Ownership, StatusChange])
async def test_a_forgotten_filter_shows_only_ones_own(
    rows: Api, people: dict[str, Person], table: type[SQLModel]
) -> None:
    found = [await seen(rows.db, actor, table) for actor in (HQ, BJ, SH, NORTH, PARTNER)]
    assert found == [2, 1, 1, 1, 0]


async def test_a_member_sees_itself(rows: Api, people: dict[str, Person]) -> None:
    me = Actor("me", Role.MEMBER, member_id=people["SH001"].id)
    found = [await seen(rows.db, me, table) for table in (Member, Ownership, StatusChange, Application, Statement)]
    assert found == [1, 1, 1, 0, 0]
    with as_caller(me):
        async with rows.db.session() as session:
            assert await session.scalar(select(col(Member.id))) == people["SH001"].id


async def test_statements_are_their_dealers(rows: Api, people: dict[str, Person]) -> None:
    await settlement.close(rows.db, date(2025, 5, 1), now=rows.app.state.now)
    all_of_them, north = await seen(rows.db, HQ, Statement), await seen(rows.db, NORTH, Statement)
    assert 0 < north < all_of_them
    assert await seen(rows.db, BJ, Statement) == 1
    assert await seen(rows.db, PARTNER, StatementLine) == 0


async def test_nor_does_it_change_others(rows: Api, people: dict[str, Person]) -> None:
    with as_caller(SH):
        async with rows.db.session() as session:
            await session.execute(text("UPDATE member SET name = 'x'"))
    unchanged = "SELECT count(*) FROM member WHERE name <> 'x' AND dealer_code = 'BJ001'"
    assert await rows.db.pool.fetchval(unchanged) == 1
    with as_caller(SH), pytest.raises(ProgrammingError, match="row-level security"):
        async with rows.db.session() as session:
            await session.execute(text("UPDATE member SET dealer_code = 'BJ001'"))


async def test_who_sees_a_published_event_does_not_change_what_is_won_there(
    rows: Api, people: dict[str, Person]
) -> None:
    """Neighbours and members see its draw and lots, whoever holds or supports it alone writes them."""
    published = "UPDATE club_event SET status = $1 WHERE dealer_code = 'BJ001'"
    await rows.db.pool.execute(published, "published")
    member = Actor("m", Role.MEMBER, member_id=people["SH001"].id)
    try:
        for caller in (SH, member):
            assert await counted(rows.db, caller, "auction_lot") >= 1
            for change in ("UPDATE auction_lot SET start_points = 9", "UPDATE event_draw SET public_value = NULL"):
                with as_caller(caller), pytest.raises(ProgrammingError, match="row-level security"):
                    async with rows.db.session() as session:
                        await session.execute(text(change))
    finally:
        await rows.db.pool.execute(published, "draft")


async def test_a_rule_that_must_reads_all(rows: Api, people: dict[str, Person]) -> None:
    with as_caller(SH):
        async with rows.db.session() as session:
            await unrestricted(session)
            assert len((await session.scalars(select(Member))).all()) == 2
        async with rows.db.session() as session:
            assert len((await session.scalars(select(Member))).all()) == 1


async def test_without_a_setting_nothing_is_seen(rows: Api, people: dict[str, Person]) -> None:
    async with rows.db.transaction() as connection:
        await connection.execute("SET LOCAL club.reach = ''")
        assert await connection.fetchval("SELECT count(*) FROM member") == 0


async def test_posting_does_not_ask_the_wall(rows: Api, people: dict[str, Person]) -> None:
    async with rows.db.transaction(undo=True) as connection:
        await connection.execute("SET LOCAL club.reach = ''")
        earning = Earning(people["SH001"].id, 10, "HQ", "HQ", "campaign:wall", TODAY, TODAY, TODAY)
        assert (await ledger.earn(connection, earning, Request("hq", "wall", NOW))).points == 10
        assert await connection.fetchval("SELECT count(*) FROM ledger.posting") == 0
        assert await connection.fetchval("SELECT count(*) FROM ledger.entry") == 0


@pytest.mark.parametrize("count", [0, 1, 20, 21])
async def test_rows_are_written_whatever_their_number(rows: Api, count: int) -> None:
    async with rows.db.transaction(undo=True) as connection:
        records = [(new_id(), "HQ", "csv", False, "done", 1, 0, 0, 0, 0, 0, 0, NOW) for _ in range(count)]
        columns = [
            "id", "owner", "format", "dry_run", "status", "bytes", "line", "read", "posted", "already_known", "refused",
            "points", "created_at",
        ]  # fmt: skip
        await insert_rows(connection, "import_job", columns, records)
        assert await connection.fetchval("SELECT count(*) FROM import_job WHERE owner = 'HQ'") == count
