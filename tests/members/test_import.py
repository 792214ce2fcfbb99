"""members.csv: the shipped file, bad lines, doubles, and runs side by side."""

import asyncio
import gzip
from datetime import date, timedelta
from pathlib import Path

import pytest

from app.chapters.imports import COLUMNS as DEALER_COLUMNS
from app.chapters.imports import import_dealers
from app.core.clock import china_date
from app.core.db import Database
from app.core.tabular import Rejection, Report, Row, open_rows
from app.members import imports
from app.members.imports import COLUMNS, import_members
from app.members.rules import is_member_number
from tests.members.conftest import car
from tests.now import NOW

SHIPPED = Path(__file__).parents[2] / "app" / "demo" / "data"


@pytest.fixture(scope="module", autouse=True)
async def dealers(database: Database) -> None:
    """The shipped network."""
    rows = open_rows(SHIPPED / "dealers.csv.gz", DEALER_COLUMNS)
    await import_dealers(database, rows, now=NOW, opened_on=date(2025, 5, 1))


async def load(database: Database, path: Path) -> tuple[Report, list[Rejection]]:
    return await import_members(database, open_rows(path, COLUMNS), now=NOW)


async def test_the_shipped_members(database: Database):
    seen: list[int] = []
    report, refused = await import_members(
        database,
        open_rows(SHIPPED / "members.csv.gz", COLUMNS),
        now=NOW,
        on_progress=lambda r: seen.append(r.read),
    )
    assert (report.read, report.posted, refused) == (23_570, 23_570, [])
    assert seen == [5_000, 10_000, 15_000, 20_000, 23_570]
    again, _ = await load(database, SHIPPED / "members.csv.gz")
    assert (again.read, again.posted, again.already_known, again.refused) == (23_570, 0, 23_570, 0)

    row = await database.pool.fetchrow(
        """SELECT count(*) AS members, count(DISTINCT m.dealer_code) AS chapters,
                  count(b.member_id) AS wallets,
                  count(c.id) AS steps, count(*) FILTER (WHERE o.since = m.joined_on) AS owning,
                  min(m.member_no) AS number
             FROM member m LEFT JOIN ledger.member_balance b ON b.member_id = m.id AND b.is_open
             LEFT JOIN member_status_change c ON c.member_id = m.id
             LEFT JOIN ownership o ON o.member_id = m.id"""
    )
    assert row is not None
    assert tuple(row)[:5] == (23_570, 118, 23_570, 23_570, 23_570)
    assert is_member_number(row["number"])


HEADER = "\ufeffphone,name,vin,delivered_on,dealer_code\r\n"


async def test_each_bad_line_has_its_reason(database: Database, tmp_path: Path):
    tomorrow = china_date(NOW) + timedelta(1)
    lines = [
        f"13700000001,王芳,{car(700001)},2026-01-02,BJ001",  # 2
        f"13700000001,王芳,{car(700001)},2026-01-02,BJ001",  # 3 the same again
        f"13700000001,王芳,{car(700002)},2026-01-03,BJ001",  # 4 her second car
        f"13700000001,王方,{car(700003)},2026-01-03,BJ001",  # 5
        f"13700000002,李强,{car(700001)},2026-01-03,BJ001",  # 6
        f"13700000003,赵敏,{car(700004)},2026-01-03,",  # 7 headquarters' roll
        "13700000004,European,WVGZZZ5NZEW069297,2026-01-03,BJ001",  # 8
        f"13700000005,a,{car(700005)},2026-01-03,ZZ999",  # 9
        f"13700000005,a,{car(700005)},2026-01-03,SO001",  # 10
        f"12700000005,a,{car(700005)},2026-01-03,BJ001",  # 11
        "13700000005,a,11111111111111111,2026-01-03,BJ001",  # 12
        "13700000005,a,1M8GDM9A1KP042788,2026-01-03,BJ001",  # 13
        "13700000005,a,SHORT,2026-01-03,BJ001",  # 14
        f"13700000005,a,{car(700005)},2026-W01-3,BJ001",  # 15
        f"13700000005,a,{car(700005)},2026-02-30,BJ001",  # 16
        f"13700000005,a,{car(700005)},{tomorrow},BJ001",  # 17
        f"13700000005, ,{car(700005)},2026-01-03,BJ001",  # 18
        f"13700000005,a\u0000b,{car(700005)},2026-01-03,BJ001",  # 19
        "13700000005,a",  # 20
    ]
    await database.pool.execute(
        "INSERT INTO dealer (code, region_code, has_after_sales, version) VALUES ('SO001', 'BJ', false, 1)"
    )
    path = tmp_path / "members.csv.gz"
    path.write_bytes(gzip.compress((HEADER + "\r\n".join(lines)).encode()))
    report, rejections = await load(database, path)
    assert (report.read, report.posted, report.already_known, report.refused) == (19, 4, 1, 14)
    reasons = {line: reason for line, reason, _ in rejections}
    assert reasons == {
        5: "phone +8613700000001 belongs to a member of another name",
        6: f"vehicle {car(700001)} belongs to another member",
        9: "there is no dealer 'ZZ999'",
        10: "dealer SO001 has no chapter",
        11: "phone '12700000005' is not a mainland mobile number",
        12: "VIN '11111111111111111' is one character 17 times",
        13: "VIN '1M8GDM9A1KP042788' has a wrong check digit at position 9",
        14: "VIN 'SHORT' is not 17 letters and digits without I, O and Q",
        15: "delivered_on '2026-W01-3' is not a date such as 2026-10-31",
        16: "delivered_on '2026-02-30' is not a date such as 2026-10-31",
        17: f"delivered_on {tomorrow} lies in the future",
        18: "the name is empty, over 100 characters or unprintable",
        19: "the name is empty, over 100 characters or unprintable",
        20: "5 columns expected, 2 found",
    }
    cars = await database.pool.fetch(
        "SELECT o.vin, o.since FROM member m JOIN ownership o ON o.member_id = m.id"
        " WHERE m.phone_index = $1 ORDER BY o.vin",
        database.vault.index("+8613700000001"),
    )
    assert [tuple(c) for c in cars] == sorted([(car(700001), date(2026, 1, 2)), (car(700002), date(2026, 1, 3))])
    roll = await database.pool.fetchrow(
        "SELECT dealer_code, source FROM member WHERE phone_index = $1", database.vault.index("+8613700000003")
    )
    assert roll is not None
    assert tuple(roll) == (None, "import")


def line(name: str, phone: str, vin: str, delivered_on: str) -> Row:
    return Row(2, ["BJ001", name, phone, vin, delivered_on])


async def reasons_against(database: Database, *rows: Row) -> list[str | None]:
    """Of each row on its own: why it is refused; None when it is taken or known."""
    refused = [(await import_members(database, iter([row]), now=NOW))[1] for row in rows]
    return [rejections[0].reason if rejections else None for rejections in refused]


async def cars_of(database: Database, phone: str) -> list[str]:
    rows = await database.pool.fetch(
        "SELECT o.vin FROM member m JOIN ownership o ON o.member_id = m.id"
        " WHERE m.phone_index = $1 AND o.until IS NULL ORDER BY o.vin",
        database.vault.index(f"+86{phone}"),
    )
    return [vin for (vin,) in rows]


@pytest.mark.parametrize(("status", "phone"), [("suspended", "13500000001"), ("left", "13500000002")])
async def test_an_import_reactivates_nobody(database: Database, status: str, phone: str):
    first, second = (line("孙丽", phone, car(900_000 + int(phone[-1]) * 10 + n), "2026-01-02") for n in range(2))
    assert await reasons_against(database, first) == [None]
    index = database.vault.index(f"+86{phone}")
    await database.pool.execute("UPDATE member SET status = $1 WHERE phone_index = $2", status, index)
    left = f"the member with phone +86{phone} has left the club, and an import reactivates nobody"
    assert await reasons_against(database, first, second) == [None, left if status == "left" else None]
    assert len(await cars_of(database, phone)) == (1 if status == "left" else 2)
    assert await database.pool.fetchval("SELECT status FROM member WHERE phone_index = $1", index) == status


async def test_the_next_owner_from_the_day_of_sale_on(database: Database):
    vin, seller, buyer = car(910_000), "13500000011", "13500000012"
    sold = line("周杰", seller, vin, "2026-01-02")
    assert await reasons_against(database, sold) == [None]
    await database.pool.execute("UPDATE ownership SET until = '2026-10-05' WHERE vin = $1", vin)
    too_early = f"vehicle {vin} was another owner's until 2026-10-05, after delivered_on 2026-10-04"
    bought_too_early, bought = (line("吴磊", buyer, vin, day) for day in ("2026-10-04", "2026-10-05"))
    assert await reasons_against(database, bought_too_early, sold, bought) == [too_early, None, None]
    # the old file again: the sale stands, with the next owner and without
    assert await reasons_against(database, sold) == [None]
    assert (await cars_of(database, seller), await cars_of(database, buyer)) == ([], [vin])


def owners(first: int, count: int) -> list[Row]:
    return [
        Row(line, ["BJ001", "车主", f"136{serial:08d}", car(800_000 + serial), "2026-01-02"])
        for line, serial in enumerate(range(first, first + count), 2)
    ]


async def test_doubles_across_chunks(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(imports, "CHUNK", 7)
    rows = owners(0, 20)
    report, _ = await import_members(database, iter(rows + rows[::-1]), now=NOW)
    assert (report.read, report.posted, report.already_known, report.refused) == (40, 20, 20, 0)


async def test_runs_side_by_side_share_the_work(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(imports, "CHUNK", 25)
    rows = owners(100, 200)
    halves = [rows, rows[::-1], rows[100:] + rows[:100]]
    reports = await asyncio.gather(*(import_members(database, iter(half), now=NOW) for half in halves))
    assert sum(report.posted for report, _ in reports) == 200
    assert sum(report.already_known for report, _ in reports) == 400
    assert sum(report.refused for report, _ in reports) == 0
