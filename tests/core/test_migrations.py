"""A database of an earlier release is brought up to this one, with what is in it."""

from collections.abc import AsyncIterator
from datetime import date
from uuid import uuid4

import asyncpg
import orjson
import pytest
from alembic import command
from sqlalchemy.ext.asyncio import create_async_engine

from app.core import migrations
from app.core.db import connect, engine_options
from app.core.vault import Vault, fresh_key
from app.earning import examples
from app.earning.definitions import Definition, clash, stored
from tests.conftest import with_database

LOT = """
INSERT INTO ledger.lot (member_id, lot_no, posting_no, origin_lot, funder, granted, pending, available, spent,
                        granted_on, spendable_from, expires_on)
VALUES ($1, $2::int, $2::int, $2::int, 'HQ', 100, $3, $4, $5, '2026-01-01', '2026-03-01', '2028-01-31')
"""
MEMBER = """
INSERT INTO member (id, member_no, name, phone, dealer_code, status, source, joined_on, created_at, version)
VALUES ($1, $2, '张伟', $3, 'BJ001', 'active', 'delivery', '2026-01-01', now(), 1)
"""
APPLICATION = """
INSERT INTO application (id, dealer_code, name, phone, vin, source, status, applied_at)
VALUES ($1, 'BJ001', '张伟', $2, 'LJCPCBLCX11000237', 'delivery', 'open', now())
"""
FILES = """
SELECT array_agg(pg_relation_filenode(oid)) FROM pg_class
 WHERE oid IN ('member'::regclass, 'application'::regclass, 'idempotency_record'::regclass)
"""


@pytest.fixture
async def empty(server: str) -> AsyncIterator[str]:
    """A database without any table."""
    name = f"club_test_{uuid4().hex[:12]}"
    owner = await asyncpg.connect(server)
    try:
        await owner.execute(f'CREATE DATABASE "{name}"')
        yield with_database(server, name)
    finally:
        await owner.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await owner.close()


async def upgrade(dsn: str, revision: str) -> None:
    engine = create_async_engine("postgresql+asyncpg://", **engine_options(dsn, role=None))
    async with engine.connect() as connection:
        await connection.run_sync(lambda sync: command.upgrade(migrations.config(sync), revision))
    await engine.dispose()


async def test_wallets_learn_when_they_are_due(empty: str) -> None:
    await upgrade(empty, "0003")
    owner = await connect(empty, role=None)
    try:
        waiting, spending, spent = uuid4(), uuid4(), uuid4()
        for member, lots in {
            waiting: [(1, 100, 0, 0), (2, 0, 100, 0)],
            spending: [(1, 0, 0, 100), (2, 0, 40, 60)],
            spent: [(1, 0, 0, 100)],
        }.items():
            await owner.execute("INSERT INTO ledger.member_balance (member_id) VALUES ($1)", member)
            for lot in lots:
                await owner.execute(LOT, member, *lot)
        assert not await migrations.is_current(empty)

        await migrations.migrate(empty)

        assert await migrations.is_current(empty)
        rows = await owner.fetch("SELECT member_id, nullif(due_on, 'infinity') FROM ledger.member_balance")
        assert {row[0]: row[1] for row in rows} == {waiting: date(2026, 3, 1), spending: date(2028, 2, 1), spent: None}
    finally:
        await owner.close()


ACCOUNTS = """
INSERT INTO region (code, name) VALUES ('BJ', 'Beijing');
INSERT INTO dealer (code, region_code, has_after_sales, version) VALUES ('BJ001', 'BJ', true, 1);
INSERT INTO account (id, username, name, role, dealer_code, scopes, password_hash, is_active, created_at, version)
VALUES
  (gen_random_uuid(), 'boss', 'x', 'hq', NULL, '{}', 'hash', true, '2026-10-31 17:00+00', 1),
  (gen_random_uuid(), 'li', 'x', 'service_advisor', 'BJ001', '{}', 'hash', false, '2026-10-31 15:00+00', 3),
  (gen_random_uuid(), 'dms', 'x', 'api_client', NULL, '{points:earn}', NULL, true, '2026-10-31 15:00+00', 1);
"""


async def test_roles_become_grants(empty: str) -> None:
    await upgrade(empty, "0004")
    owner = await connect(empty, role=None)
    try:
        await owner.execute(ACCOUNTS)

        key = fresh_key()
        await migrations.migrate(empty, vault=Vault(lambda: (key,)))

        granted = await owner.fetch(
            "SELECT username, role, dealer_code, valid_from, valid_until FROM account_grant g"
            " JOIN account a ON a.id = g.account_id ORDER BY username"
        )
        assert [tuple(row) for row in granted] == [
            ("boss", "hq_admin", None, date(2026, 11, 1), None),
            ("li", "service_advisor", "BJ001", date(2026, 10, 31), None),
        ]
        accounts = await owner.fetch("SELECT username, kind, scopes, is_active, version FROM account ORDER BY username")
        assert [tuple(row) for row in accounts] == [
            ("boss", "person", [], True, 1),
            ("dms", "program", ["points:earn"], True, 1),
            ("li", "person", [], False, 3),
        ]
    finally:
        await owner.close()


async def test_functions_of_another_release_are_replaced(dsn: str) -> None:
    owner = await connect(dsn, role=None)
    try:
        await owner.execute(
            "COMMENT ON SCHEMA ledger IS 'functions of another release';"
            " CREATE OR REPLACE FUNCTION ledger.month_of(p_day date) RETURNS date LANGUAGE sql AS 'SELECT p_day'"
        )
        assert not await migrations.is_current(dsn)

        await migrations.migrate(dsn)

        assert await migrations.is_current(dsn)
        assert await owner.fetchval("SELECT ledger.month_of('2026-11-22')") == date(2026, 11, 1)
    finally:
        await owner.close()


async def test_phone_numbers_are_sealed(empty: str) -> None:
    await upgrade(empty, "0009")
    owner = await connect(empty, role=None)
    key = fresh_key()
    vault = Vault(lambda: (key,))
    phones = {uuid4(): f"+86139{serial:08d}" for serial in range(12)}
    answer = b'{"phone":"+8613900000003"}'
    try:
        await owner.execute(
            "INSERT INTO region (code, name) VALUES ('BJ', 'Beijing');"
            " INSERT INTO dealer (code, region_code, has_after_sales, version) VALUES ('BJ001', 'BJ', true, 1);"
            " INSERT INTO chapter (dealer_code, opened_on, version) VALUES ('BJ001', '2025-05-01', 1);"
            f" INSERT INTO idempotency_record VALUES ('me', 'k', '\\x00', 201, '\\x{answer.hex()}', now())"
        )
        for member_id, phone in phones.items():
            await owner.execute(MEMBER, member_id, str(member_id), phone)
            await owner.execute(APPLICATION, member_id, phone)
        old_files = await owner.fetchval(FILES)
        with pytest.raises(ValueError, match="needs the vault"):
            await migrations.migrate(empty)

        await migrations.migrate(empty, vault=vault)

        for table in ("member", "application"):
            rows = await owner.fetch(f"SELECT id, phone, phone_index FROM {table}")
            assert {row["id"]: vault.open(row["phone"]) for row in rows} == phones
            assert all(row["phone_index"] == vault.index(phones[row["id"]]) for row in rows)
        assert vault.open(await owner.fetchval("SELECT body FROM idempotency_record")).encode() == answer
        # whatever is left of the numbers lay in files that are gone
        assert not set(old_files) & set(await owner.fetchval(FILES))
        again = next(iter(phones.values()))
        with pytest.raises(asyncpg.UniqueViolationError, match="uq_application_open"):
            await owner.execute(
                "INSERT INTO application (id, dealer_code, name, phone, phone_index, vin, source, status, applied_at)"
                " SELECT gen_random_uuid(), dealer_code, name, $1, phone_index, vin, source, status, applied_at"
                " FROM application WHERE phone_index = $2",
                vault.seal(again), vault.index(again),
            )  # fmt: skip
    finally:
        await owner.close()


ORDER_RULES = """
INSERT INTO region (code, name) VALUES ('HZ', 'Hangzhou');
INSERT INTO order_rule (id, region_code, valid_from, points_per_yuan, expiry_months, funding) VALUES
  (gen_random_uuid(), 'HZ', '2025-05-01', 1, 24, 'dealer'),
  (gen_random_uuid(), 'HZ', '2026-01-01', 2, 12, 'dealer'),
  (gen_random_uuid(), NULL, '2026-03-01', 3, 36, 'hq');
"""
CONVERTED = """
SELECT code, v.version, v.valid_from, v.valid_until, definition FROM rule JOIN rule_version v ON v.rule_id = rule.id
 ORDER BY code, v.version
"""


async def test_rules_for_orders_become_rules_like_any_other(empty: str) -> None:
    await upgrade(empty, "0027")
    owner = await connect(empty, role=None)
    try:
        await owner.execute(ORDER_RULES)
        await upgrade(empty, "0028")
        rows = await owner.fetch(CONVERTED)
        assert [tuple(row)[:4] for row in rows] == [
            ("orders", 1, date(2000, 1, 1), date(2026, 2, 28)),
            ("orders", 2, date(2026, 3, 1), None),
            ("orders-hz", 1, date(2025, 5, 1), date(2025, 12, 31)),
            ("orders-hz", 2, date(2026, 1, 1), None),
        ]
        definitions = [Definition.model_validate_json(row["definition"]) for row in rows]
        assert [examples.faults(one, None) for one in definitions] == [[], [], [], []]
        assert [one.amount for one in definitions] == [
            "event.paid_fen / 100", "event.paid_fen / 100 * 3", "event.paid_fen / 100", "event.paid_fen / 100 * 2",
        ]  # fmt: skip
        # as it would be kept today, to the letter
        assert [stored(one) for one in definitions] == [orjson.loads(row["definition"]) for row in rows]
        general, _, region, _ = definitions
        assert (general.condition, region.condition) == ("true", 'dealer.region == "HZ"')
        assert (general.funders[0].party, region.funders[0].party) == ("hq", "dealer")
        assert clash(general, region) is None
    finally:
        await owner.close()
