"""`python -m bench.search`: how long a filter's first page takes over a million members, against reading the table.

The members stand in a scratch database, made by set-based SQL, beside cars, visits and wallets. Each filter is asked as
the API asks it: as `club_app`, under row-level security, by way of a session, the first page of 50. The limit is 0.2 of
a sequential scan of `member` (`SELECT count(*)`, parallel where the server likes). With `--plans` the plans follow.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, event, text
from sqlalchemy.ext.asyncio import AsyncSession

import app.wiring  # noqa: F401 (registers fields)
from app.core import db, embedded, migrations
from app.core.actors import Actor, Role, acting
from app.core.clock import china_date, system_clock
from app.core.db import Database
from app.core.filters import seeks_recent
from app.core.vault import Vault
from app.members import queries, segments
from app.members.pinyin import initials
from app.members.rules import member_number
from app.settings import Settings
from bench.databases import execute, scratch
from bench.service import DATA_KEY

MEMBERS = 1_000_000
VISITS = 2 * MEMBERS
LIMIT = 0.2
ROUNDS = 7
PAGE = 50
PHONE, VIN, PLATE = "+8613800138000", "LSVAB26E0T0500000", "京A00Q00"
MEMBER_NO = member_number(500_000)
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林郑谢罗梁宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈单"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰文斌宇浩凯健俊帆雪倩"

HQ = Actor("bench", Role.HQ_ADMIN)
DIRECTOR = Actor("bench", Role.CARE_DIRECTOR, "BJ007")


def _is(field: str, value: object, op: str = "is") -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


FILTERS: dict[str, tuple[Actor, dict[str, Any]]] = {
    "a chapter's members who joined in the last 6 months": (
        DIRECTOR, _is("joined_on", {"months_ago": 6}, "at_least"),
    ),
    "active members of a region with 1,500 points or more": (
        HQ, {"and": [_is("status", "active"), _is("region", "BJ"), _is("points.available", 1_500, "at_least")]},
    ),
    "last visit 6 to 12 months ago (wavering)": (
        HQ, _is("visits.last_on", [{"months_ago": 12}, {"months_ago": 6}], "between"),
    ),
    "3 visits a year or more, over 3,000 yuan": (
        HQ, {"and": [_is("visits.count_12m", 3, "at_least"), _is("visits.paid_12m_fen", 300_000, "more")]},
    ),
    "a chapter's members who never came": (
        DIRECTOR, {"and": [{"field": "visits.last_on", "op": "empty"}, {"not": _is("status", "left")}]},
    ),
    "new members of this week, whole country": (HQ, _is("joined_on", {"days_ago": 7}, "at_least")),
    "three chapters, or 1,990 points or more": (
        HQ, {"or": [_is("chapter", ["BJ001", "SH002", "GZ003"], "one_of"), _is("points.available", 1_990, "at_least")]},
    ),
    "by word of mouth, not in two regions, one car": (
        HQ, {"and": [_is("source", "word_of_mouth"), {"not": _is("region", ["BJ", "SH"], "one_of")},
                     _is("vehicle.count", 1)]},
    ),
    "owners of a model in a region whose insurance ends within 30 days": (
        HQ, {"and": [_is("vehicle.model", "X5"), _is("region", "HZ"),
                     _is("vehicle.insurance_ends_on", [{"days_ago": 0}, {"days_ahead": 30}], "between")]},
    ),
    "owners of a model in a region who bought it in the last year": (
        HQ, {"and": [_is("vehicle.model", "X5"), _is("region", "HZ"),
                     _is("vehicle.purchased_on", {"months_ago": 12}, "at_least")]},
    ),
    "owners of a model in a region who bought it 3 to 4 years ago": (
        HQ, {"and": [_is("vehicle.model", "X5"), _is("region", "HZ"),
                     _is("vehicle.purchased_on", [{"months_ago": 48}, {"months_ago": 36}], "between")]},
    ),
    "photographers of a chapter whose insurance ends within 60 days": (
        DIRECTOR, {"and": [_is("attribute.hobby", "photography"),
                           _is("vehicle.insurance_ends_on", [{"days_ago": 0}, {"days_ahead": 60}], "between")]},
    ),
    "initials begin with sxx": (HQ, _is("initials", "sxx", "starts_with")),
    "name begins with 张伟, at a chapter": (DIRECTOR, _is("name", "张伟", "starts_with")),
}  # fmt: skip

EXACT: dict[str, dict[str, str]] = {
    "phone": {"phone": PHONE},
    "VIN": {"vin": VIN},
    "plate": {"plate": PLATE},
    "member number": {"member_no": MEMBER_NO},
    "name prefix 张伟": {"name": "张伟"},
    "initials prefix zw": {"initials": "zw"},
}


# --- a million members ---

NETWORK = """
INSERT INTO region (code, name) SELECT r, r FROM unnest('{BJ,SH,JN,HZ,GZ,CD}'::text[]) r;
INSERT INTO dealer (code, region_code, has_after_sales, version)
SELECT r || to_char(n, 'FM000'), r, true, 1 FROM unnest('{BJ,SH,JN,HZ,GZ,CD}'::text[]) r, generate_series(1, 20) n;
INSERT INTO chapter (dealer_code, opened_on, version) SELECT code, '2020-01-01', 1 FROM dealer;
"""
NAMES = """
CREATE TEMP TABLE sample AS
SELECT n - 1 AS n, name, initials FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS s (name, initials, n)
"""
MEMBER_ROWS = """
INSERT INTO member (id, member_no, name, name_initials, phone, phone_index, dealer_code, status, source, joined_on,
                    created_at, version)
SELECT ('01900000-' || to_char(i / 65536, 'FM0000') || '-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
       CASE WHEN i = 500000 THEN $3 ELSE to_char(i, 'FM0000000000') END,
       s.name, s.initials, $1, CASE WHEN i = 500000 THEN $2 ELSE sha256(i::text::bytea) END,
       CASE WHEN i % 1000 > 0 THEN d.codes[(1 + (i * 7919) % 120)::int] END,
       CASE WHEN i % 20 = 0 THEN 'left' WHEN i % 33 = 0 THEN 'suspended' ELSE 'active' END,
       (array['delivery', 'delivery', 'delivery', 'showroom', 'word_of_mouth', 'event', 'import'])[(1 + i % 7)::int],
       $4::date - ((1000000 - i) / 500)::int, now(), 1
  FROM generate_series(1, 1000000::bigint) i JOIN sample s ON s.n = i * 31 % (SELECT count(*) FROM sample),
       (SELECT array_agg(code ORDER BY md5(code)) AS codes FROM dealer) d
 ORDER BY i
"""
CARS = """
INSERT INTO vehicle (vin, check_digit_ok, created_at, model)
SELECT 'LSVAB26E0T' || to_char(i, 'FM0000000'), true, now(), (array['A4', 'A6', 'Q3', 'Q5', 'X5'])[1 + i % 5]
  FROM generate_series(1, 1000000) i;
INSERT INTO ownership (id, vin, member_id, since, purchased_on, insurance_ends_on, plate)
SELECT gen_random_uuid(), 'LSVAB26E0T' || to_char(m.n, 'FM0000000'), m.id, m.joined_on, m.joined_on,
       current_date + (m.n * 7 % 365)::int, CASE WHEN m.n = 500000 THEN '京A00Q00' ELSE '沪' || to_hex(m.n) END
  FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM member) m;
INSERT INTO member_attribute (id, member_id, attribute_key, value)
SELECT gen_random_uuid(), id, 'hobby', (array['food', 'music', 'photography'])[1 + abs(hashtext(member_no)) % 3]
  FROM member WHERE abs(hashtext(member_no)) % 10 < 3;
INSERT INTO ledger.member_balance (member_id, available) SELECT id, abs(hashtext(id::text)) % 2000 FROM member;
"""
VISIT_ROWS = """
INSERT INTO repair_order (dealer_code, order_no, revision, vin, member_id, closed_at, business_date, kind, labour_fen,
                          parts_fen, paid_fen, points, received_at)
SELECT coalesce(m.dealer_code, 'BJ001'), 'RO' || v.i, 1, 'LSVAB26E0T0000000', m.id, now(),
       $1::date - (v.i * 17 % 900)::int, 'repair', 100000, 100000, 10000 + v.i * 7919 % 190000, 0, now()
  FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM member) m
  JOIN LATERAL (SELECT m.n * 2 + k AS i FROM generate_series(1, (abs(hashint8(m.n)) % 5)::int) k) v ON true
"""


async def fill(dsn: str) -> None:
    """A million members in 120 chapters, each with a car and a wallet, and up to four visits in 900 days."""
    vault = Vault(lambda: (DATA_KEY,))
    today = china_date(system_clock())
    names = [a + b + c for a in SURNAMES for b in GIVEN for c in ("", *GIVEN)]
    connection = await db.connect(dsn, role=None)
    try:
        await connection.execute(NETWORK)
        await connection.execute(NAMES, names, [*map(initials, names)])
        await connection.execute(MEMBER_ROWS, vault.seal(PHONE), vault.index(PHONE), MEMBER_NO, today)
        await connection.execute(CARS)
        await connection.execute(VISIT_ROWS, today)
    finally:
        await connection.close()


# --- asking ---

Asked = Callable[[AsyncSession], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Timing:
    """A search: milliseconds in the median, how many rows its first page has, and the plan."""

    name: str
    milliseconds: float
    rows: int
    plan: str


@contextmanager
def _watched(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """The statements that go out meanwhile, with their parameters."""
    seen: list[tuple[str, Any]] = []

    def note(_: Connection, __: object, statement: str, parameters: Any, *___: object) -> None:
        seen.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def _conditions(
    session: AsyncSession, actor: Actor, asked: dict[str, Any], today: date
) -> tuple[list[ColumnElement[bool]], bool]:
    """What is asked, and whether the newest members come first."""
    if "search" in asked:
        return queries.sought(**dict.fromkeys(SOUGHT) | asked["search"]), False
    node = await segments.read(session, actor, asked)
    return [segments.condition(node, today)], seeks_recent(node)


async def _ask(database: Database, name: str, actor: Actor, asked: dict[str, Any], today: date) -> Timing:
    """Ask for a first page as the API does, again and again."""
    took, rows = [], 0
    token = acting.set(actor)
    try:
        with _watched(database) as seen:
            for _ in range(ROUNDS):
                async with database.session() as session:
                    started = time.perf_counter()
                    conditions, newest_first = await _conditions(session, actor, asked, today)
                    found = await queries.members(
                        session, actor, *conditions, after=None, limit=PAGE + 1, newest_first=newest_first
                    )
                    took.append(time.perf_counter() - started)
                    rows = len(found)
            statement, parameters = next(one for one in reversed(seen) if "FROM member" in one[0])
        async with database.session() as session:
            connection = await session.connection()
            plan = await connection.exec_driver_sql(
                f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS OFF) {statement}", parameters
            )
            lines = "\n".join(line for (line,) in plan)
    finally:
        acting.reset(token)
    return Timing(name, statistics.median(took) * 1_000, min(rows, PAGE), lines)


SOUGHT = ("member_no", "phone", "vin", "plate", "name", "initials")


async def _scan(database: Database) -> float:
    """A sequential scan of the table, in milliseconds, as the owner would read it."""
    took = []
    async with database.session() as session:
        await session.execute(text("SET LOCAL enable_indexonlyscan = off; "))
        await session.execute(text("SET LOCAL enable_indexscan = off"))
        await session.execute(text("SET LOCAL enable_bitmapscan = off"))
        for _ in range(ROUNDS):
            started = time.perf_counter()
            await session.execute(text("SELECT count(*) FROM member"))
            took.append(time.perf_counter() - started)
    return statistics.median(took) * 1_000


async def measure(dsn: str) -> tuple[float, list[Timing]]:
    """The scan, and every search."""
    today = china_date(system_clock())
    async with Database.open(dsn, vault=Vault(lambda: (DATA_KEY,))) as database:
        scan = await _scan(database)
        timings = [await _ask(database, name, actor, tree, today) for name, (actor, tree) in FILTERS.items()]
        timings += [await _ask(database, name, HQ, {"search": search}, today) for name, search in EXACT.items()]
    return scan, timings


def main() -> int:
    """Fill, measure, print; 1 when a search misses the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plans", action="store_true", help="print each search's plan")
    asked = parser.parse_args()
    with _server() as server, scratch(server) as dsn:
        started = time.perf_counter()
        asyncio.run(migrations.migrate(dsn))
        asyncio.run(fill(dsn))
        execute(dsn, "VACUUM (ANALYZE)")
        print(f"{MEMBERS:,} members in {time.perf_counter() - started:.0f} s")
        scan, timings = asyncio.run(measure(dsn))
    print(f"sequential scan of member: {scan:.1f} ms; limit {LIMIT} of it, {scan * LIMIT:.1f} ms\n")
    print("| first page of 50 | rows | ms | ÷ scan |\n| --- | ---: | ---: | ---: |")
    for timing in timings:
        print(f"| {timing.name} | {timing.rows} | {timing.milliseconds:.1f} | {timing.milliseconds / scan:.3f} |")
    if asked.plans:
        for timing in timings:
            print(f"\n{timing.name}\n{timing.plan}")
    return int(any(timing.milliseconds > LIMIT * scan for timing in timings))


@contextmanager
def _server() -> Iterator[str]:
    settings = Settings()
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    with embedded.server(settings.data_dir) as dsn:
        yield dsn


if __name__ == "__main__":
    sys.exit(main())
