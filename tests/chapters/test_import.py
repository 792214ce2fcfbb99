"""dealers.csv: the shipped file, and what is refused in others."""

import gzip
from datetime import date
from pathlib import Path

import pytest

from app.chapters import queries
from app.chapters.imports import COLUMNS, import_dealers
from app.chapters.rules import is_dealer_code
from app.core.db import Database
from app.core.tabular import Rejection, Report, open_rows
from app.core.unreadable import Unreadable
from tests.now import NOW

SHIPPED = Path(__file__).parents[2] / "app" / "demo" / "data" / "dealers.csv.gz"


async def load(database: Database, path: Path) -> tuple[Report, list[Rejection]]:
    return await import_dealers(database, open_rows(path, COLUMNS), now=NOW, opened_on=date(2025, 5, 1))


async def test_the_shipped_network(database: Database):
    first, refused = await load(database, SHIPPED)
    assert (first.read, first.posted, refused) == (158, 158, [])
    again, _ = await load(database, SHIPPED)
    assert (again.read, again.already_known, again.posted) == (158, 158, 0)
    chapters = await queries.chapter_codes(database.pool)
    regions = await queries.dealer_regions(database.pool)
    assert (len(regions), len(chapters), len(set(regions.values()))) == (158, 118, 6)
    assert await queries.dealer_exists(database.pool, "BJ001")
    assert not await queries.dealer_exists(database.pool, "HQ")
    assert await database.pool.fetchval("SELECT count(*) FROM chapter WHERE opened_on = '2025-05-01'") == 118


async def test_bad_lines_are_named_and_good_ones_taken(database: Database, tmp_path: Path):
    await load(database, SHIPPED)
    path = tmp_path / "dealers.csv"
    path.write_text(
        "\ufeffhas_chapter,dealer_code,region_code,region_name,has_after_sales\r\n"
        "true,XA001,XA,Xi'an,true\r\n"  # 2
        "true,XA001,XA,Xi'an,true\r\n"  # 3 the same again
        "false,XA001,XA,Xi'an,true\r\n"  # 4 changed
        "true,XA002,XA,Chang'an,true\r\n"  # 5
        "true,HQ,XA,Xi'an,true\r\n"  # 6
        "yes,XA003,XA,Xi'an,true\r\n"  # 7
        "true,XA004,,,true\r\n"  # 8
        "true,XA005\r\n"  # 9
        "true,BJ001,SH,Shanghai,false\r\n",  # 10 known otherwise
        encoding="utf-8",
        newline="",
    )
    report, rejections = await load(database, path)
    assert (report.read, report.posted, report.already_known, report.refused) == (9, 1, 1, 7)
    reasons = {line: reason for line, reason, _ in rejections}
    assert list(reasons) == [4, 5, 6, 7, 8, 9, 10]
    assert "has_chapter True, here False" in reasons[4]
    assert "through the API" in reasons[4]
    assert reasons[5] == "region XA is named Xi'an, not Chang'an"
    assert "not a code such as BJ001" in reasons[6]
    assert reasons[7] == "has_chapter must be true or false, not 'yes'"
    assert "must both be given" in reasons[8]
    assert reasons[9] == "5 columns expected, 2 found"
    assert "region_code 'BJ', here 'SH'; has_after_sales True, here False" in reasons[10]


async def test_an_unreadable_file_changes_nothing(database: Database, tmp_path: Path):
    text = "dealer_code,region_code,region_name,has_after_sales,has_chapter\nQD001,QD,Qingdao,true,true\n" * 3_000
    path = tmp_path / "dealers.csv.gz"
    path.write_bytes(gzip.compress(text.encode())[:-200])
    with pytest.raises(Unreadable, match="damaged gzip"):
        await load(database, path)
    assert not await queries.dealer_exists(database.pool, "QD001")


@pytest.mark.parametrize(
    ("code", "good"),
    [("BJ001", True), ("A1", True), ("HQ", False), ("bj001", False), ("B", False), ("BJ 01", False),
     ("京001", False), ("A" * 16 + "1", False), ("BJ001\n", False)],
)  # fmt: skip
def test_dealer_codes(code: str, good: bool):
    assert is_dealer_code(code) is good
