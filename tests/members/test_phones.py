"""Phone numbers at rest: sealed in every table, found all the same, brought under a new key while others write."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from app.chapters.imports import import_dealers
from app.core.actors import Role
from app.core.db import Database, connect
from app.core.tabular import Row
from app.core.vault import KeyFile, Vault, WrongKeys, fresh_key
from app.members import queries, sealing
from app.members.imports import import_members
from app.members.models import Application, Member
from app.wiring import verify
from tests.api import Api
from tests.conftest import with_database
from tests.members.conftest import DEALERS, Owner, car
from tests.now import NOW


@pytest.fixture(autouse=True)
def chapters(network: None) -> None:
    """BJ001 and SH001."""


async def enrolled(api: Api, body: dict[str, Any], *, key: str | None = None) -> UUID:
    made = await api.call("POST", "/members", api.token(Role.CARE_DIRECTOR, dealer="BJ001"), json=body, key=key)
    assert made.status_code == 201, made.text
    return UUID(made.json()["id"])


async def applied(api: Api, body: dict[str, Any]) -> UUID:
    made = await api.call("POST", "/applications", api.token(Role.SALES_CONSULTANT, dealer="BJ001"), json=body)
    assert made.status_code == 201, made.text
    return UUID(made.json()["id"])


def row(phone: str, serial: int, name: str = "张伟") -> Row:
    return Row(2, ["BJ001", name, phone, car(serial), "2026-01-02"])


async def stored(database: Database, table: str, row_id: UUID) -> tuple[bytes, bytes]:
    found = await database.pool.fetchrow(f"SELECT phone, phone_index FROM {table} WHERE id = $1", row_id)
    assert found is not None
    return found["phone"], found["phone_index"]


async def test_nothing_in_the_database_is_the_number(api: Api, database: Database, dsn: str, owner: Owner) -> None:
    member, waiting = owner(), owner(dealer_code="BJ001")
    # answered with the whole number, which is remembered under the key
    first = await enrolled(api, member, key="at rest")
    assert await enrolled(api, member, key="at rest") == first
    await applied(api, waiting)
    imported = "13700000101"
    await import_members(database, iter([row(imported, 700_101)]), now=NOW)
    numbers = [member["phone"], waiting["phone"], imported]
    connection = await connect(dsn, role=None)
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        for (table,) in tables:
            # bytea is shown as hex: whatever is readable in it is looked for there too
            plain = await connection.fetch(
                f"SELECT t::text FROM {table} t, unnest($1::text[]) n (number)"
                " WHERE t::text LIKE '%' || n.number || '%'"
                " OR t::text LIKE '%' || encode(convert_to(n.number, 'UTF8'), 'hex') || '%'",
                numbers,
            )
            assert plain == [], table
    finally:
        await connection.close()


async def test_each_way_in_seals_and_indexes(api: Api, database: Database, owner: Owner) -> None:
    member, waiting, imported = owner(), owner(dealer_code="BJ001"), "13700000102"
    await import_members(database, iter([row(imported, 700_102)]), now=NOW)
    index = database.vault.index(f"+86{imported}")
    imported_id = await database.pool.fetchval("SELECT id FROM member WHERE phone_index = $1", index)
    for table, row_id, number in (
        ("member", await enrolled(api, member), member["phone"]),
        ("application", await applied(api, waiting), waiting["phone"]),
        ("member", imported_id, imported),
    ):
        phone, index = await stored(database, table, row_id)
        assert database.vault.open(phone) == f"+86{number}"
        assert index == database.vault.index(f"+86{number}")


async def test_a_session_reads_and_changes_it_as_it_is(api: Api, database: Database, owner: Owner) -> None:
    member_id = await enrolled(api, body := owner())
    async with database.session() as session:
        found = await queries.by_phone(session, f"+86{body['phone']}")
        assert found is not None
        assert (found.id, found.phone) == (member_id, f"+86{body['phone']}")
        before = await stored(database, "member", member_id)
        found.name = "王芳"
        await session.flush()
        assert [*await session.execute(select(Member.phone_index).where(Member.id == member_id))] == [(before[1],)]
        found.phone = "+8613700000103"
    phone, index = await stored(database, "member", member_id)
    assert database.vault.open(phone) == "+8613700000103"
    assert index == database.vault.index("+8613700000103") != before[1]


async def test_the_index_keeps_a_number_to_one_member(database: Database, api: Api, owner: Owner) -> None:
    await enrolled(api, body := owner())
    phone = f"+86{body['phone']}"
    with pytest.raises(asyncpg.UniqueViolationError, match="uq_member_phone_index"):
        await database.pool.execute(
            "INSERT INTO member (id, member_no, name, phone, phone_index, status, source, joined_on, created_at,"
            " version)"
            " SELECT gen_random_uuid(), 'x', name, $1, $2, status, source, joined_on, created_at, 1"
            " FROM member LIMIT 1",
            database.vault.seal(phone), database.vault.index(phone),
        )  # fmt: skip


@pytest.mark.parametrize("table", ["member", "application"])
async def test_the_database_takes_no_plain_number(api: Api, database: Database, owner: Owner, table: str) -> None:
    row_id = await (enrolled(api, owner()) if table == "member" else applied(api, owner(dealer_code="BJ001")))
    for change in ("phone = '+8613700000104'", "phone_index = 'short'"):
        with pytest.raises(asyncpg.CheckViolationError):
            await database.pool.execute(f"UPDATE {table} SET {change} WHERE id = $1", row_id)


async def test_comparing_sealed_columns_is_a_mistake_that_shows(database: Database) -> None:
    for column in (col(Member.phone), col(Application.phone)):
        for compare in (lambda c: c == "+8613700000104", lambda c: c.in_(["+8613700000104"]), lambda c: c.like("+86%")):
            with pytest.raises(TypeError, match="blind index"):
                compare(column)
    assert "phone IS NULL" in str(select(Member.id).where(col(Member.phone).is_(None)))


async def test_the_same_open_application_is_found_by_its_number(api: Api, owner: Owner) -> None:
    body = owner(dealer_code="BJ001")
    assert await applied(api, body) == await applied(api, body)


# --- a new key ---


@pytest.fixture
async def fresh(server: str, template: str) -> AsyncIterator[str]:
    """Books of one test's own."""
    name = f"club_test_{uuid4().hex[:12]}"
    owner = await connect(server, role=None)
    try:
        await owner.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        async with Database.open(with_database(server, name)) as books:
            dealers = (Row(number, line.split(",")) for number, line in enumerate(DEALERS, 2))
            await import_dealers(books, dealers, now=NOW, opened_on=date(2025, 5, 1))
        yield with_database(server, name)
    finally:
        await owner.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await owner.close()


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "data-keys")


@pytest.fixture
async def serving(fresh: str, keys: KeyFile) -> AsyncIterator[Database]:
    """A process that serves, on books of its own."""
    async with Database.open(fresh, vault=Vault(keys), pool_size=8, session_pool_size=8) as opened:
        yield opened


async def under(database: Database, vault: Vault) -> tuple[int, int]:
    """How many members a vault's newest key sealed and indexed, of how many."""
    rows = await database.pool.fetch("SELECT phone, phone_index FROM member")
    fresh = [r for r in rows if vault.is_newest(r["phone"]) and vault.index(vault.open(r["phone"])) == r["phone_index"]]
    return len(fresh), len(rows)


async def test_rotation_while_others_enrol_and_look(
    serving: Database, keys: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "BATCH", 7)
    rows = [row(f"136{n:08d}", 860_000 + n) for n in range(60)]
    await import_members(serving, iter(rows), now=NOW)
    (old,) = keys()
    keys.renew()

    async def busy() -> None:
        # the same people again and some new ones: nobody gets a second membership under the second key
        for n in range(0, 90, 10):
            again = [row(f"136{m:08d}", 860_000 + m) for m in range(n, n + 10)]
            await import_members(serving, iter(again), now=NOW)
            assert await queries.at_counter(serving, phone=f"136{n:08d}") is not None

    resealed, _ = await asyncio.gather(sealing.reseal(serving), busy())
    assert resealed == 60
    newest = Vault(lambda: (keys()[0],))
    assert await under(serving, newest) == (90, 90)
    assert await under(serving, Vault(lambda: (old,))) == (0, 90)
    assert await sealing.reseal(serving) == 0
    assert await sealing.fits(serving.pool, newest)
    assert not await sealing.fits(serving.pool, Vault(lambda: (old,)))


async def test_a_rotation_that_was_broken_off_is_finished(serving: Database, keys: KeyFile) -> None:
    await import_members(serving, (row(f"136{n:08d}", 860_000 + n) for n in range(30)), now=NOW)
    keys.renew()
    third = await serving.pool.fetchrow("SELECT id, phone FROM member ORDER BY id OFFSET 2 LIMIT 1")
    assert third is not None
    damaged = b"gAAAA" + b"x" * 95
    await serving.pool.execute("UPDATE member SET phone = $2 WHERE id = $1", third["id"], damaged)
    with pytest.raises(WrongKeys):
        await sealing.reseal(serving)
    await serving.pool.execute("UPDATE member SET phone = $2 WHERE id = $1", third["id"], third["phone"])
    await sealing.reseal(serving)
    assert await under(serving, serving.vault) == (30, 30)


async def test_rotation_leaves_versions_alone(serving: Database, keys: KeyFile) -> None:
    await import_members(serving, iter([row("13600000000", 860_000)]), now=NOW)
    before = await serving.pool.fetch("SELECT version, name, member_no FROM member")
    keys.renew()
    assert await sealing.reseal(serving) == 1
    assert await serving.pool.fetch("SELECT version, name, member_no FROM member") == before


async def test_verify_names_what_cannot_be_read(serving: Database, fresh: str) -> None:
    await import_members(serving, (row(f"136{n:08d}", 860_000 + n) for n in range(3)), now=NOW)

    async def found(vault: Vault) -> list[str]:
        return next(list(rows) for check, rows in await verify(fresh, vault) if check.name == "phones-readable")

    assert await found(serving.vault) == []
    swapped = await serving.pool.fetchval(
        "UPDATE member SET phone = $1 WHERE id = (SELECT id FROM member LIMIT 1) RETURNING id",
        serving.vault.seal("+8613699999999"),
    )
    assert await found(serving.vault) == [f"member {swapped}: the index is not the phone number's"]
    other = fresh_key()
    lost = await found(Vault(lambda: (other,)))
    assert len(lost) == 3
    assert lost[0].endswith("no key at hand opens the phone number")


async def test_a_lock_does_not_tell_the_number(database: Database) -> None:
    """Whoever reads pg_locks, or the log of a server that writes its statements down, could try all numbers."""
    phone = "+8613700000199"
    async with database.session() as session:
        await queries.lock_phone(session, phone)
        held = await database.pool.fetch("SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory'")
    keys = {(row["classid"] << 32 | row["objid"]).to_bytes(8, "big") for row in held}
    assert database.vault.index(f"lock:phone:{phone}")[:8] in keys
    assert sha256(f"phone:{phone}".encode()).digest()[:8] not in keys


@pytest.mark.parametrize("newest_first", [True, False])
async def test_processes_between_two_data_keys_wait_for_one_another(dsn: str, newest_first: bool) -> None:
    """One knows the new key already, or the old one no longer: the number is locked for the other all the same."""
    old, new = fresh_key(), fresh_key()
    both = [new, old]
    one, other = (both, [old]) if newest_first else ([new], both)
    async with (
        Database.open(dsn, vault=Vault(lambda: one)) as first,
        Database.open(dsn, vault=Vault(lambda: other)) as second,
        first.session() as holding,
        second.session() as waiting,
    ):
        await queries.lock_phone(holding, "+8613700000198")
        await waiting.execute(text("SET LOCAL lock_timeout = '100ms'"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            await queries.lock_phone(waiting, "+8613700000198")
