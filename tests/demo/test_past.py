"""The past on a trimmed network: settled month by month, the same however often it is begun."""

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from app.core.db import Database
from app.demo import past, plan
from app.points import totals
from app.wiring import verify
from tests.api import SETTINGS

MONTHS = ("2025-05", "2025-06", "2025-07")
ISSUED, REDEEMED = 3_984_788, 335_990
"""Of a run that nothing disturbed."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped files: all dealers, the members of two regions, three months."""
    folder = tmp_path_factory.mktemp("data")
    members = _trimmed(folder, "members.csv.gz", lambda row: row["dealer_code"][:2] in ("SH", "HZ"))
    vins = {row["vin"] for row in members}
    _trimmed(folder, "dealers.csv.gz", lambda row: True)
    _trimmed(folder, "repair_orders.csv.gz", lambda row: row["vin"] in vins and row["closed_at"][:7] in MONTHS)
    return folder


def _trimmed(folder: Path, name: str, keep: Callable[[dict[str, str]], bool]) -> list[dict[str, str]]:
    with gzip.open(past.DATA / name, "rt", encoding="utf-8-sig") as file:  # type: ignore[call-overload]
        rows = [row for row in csv.DictReader(file) if keep(row)]
    with gzip.open(folder / name, "wt", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return rows


async def lived(dsn: str, data: Path) -> str:
    screen = io.StringIO()
    await past.run(dsn, SETTINGS, Console(file=screen, width=80), data=data)
    return screen.getvalue()


async def test_the_months_are_settled_and_stay_so(dsn: str, database: Database, data: Path, monkeypatch):
    # stopped in the second month, after its orders and some of its redemptions
    monkeypatch.setattr(past, "_redeem", stop_after(40))
    with pytest.raises(InterruptedError):
        await lived(dsn, data)
    monkeypatch.undo()
    first = await lived(dsn, data)
    assert await lived(dsn, data) == first[first.index("month ") :]

    lines = first.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line[:7] for line in lines if line.startswith("202")] == list(MONTHS)
    assert [line.split()[-1] for line in lines if line.startswith("202")] == ["0.00"] * 3
    sums = await totals.read(database.pool)
    assert (sums.issued, sums.expired, sums.reversed, sums.owed) == (ISSUED, 0, 0, 0)
    assert f"issued = {ISSUED:,}  redeemed = {sums.redeemed:,}  expired = 0" in first
    assert sums.redeemed == REDEEMED
    assert [(check.name, rows) for check, rows in await verify(dsn) if rows] == []


def stop_after(count: int):
    redeem, left = past._redeem, [count]

    async def stopping(database: Database, planned: list[plan.Redemption]) -> None:
        await redeem(database, planned[: left[0]])
        left[0] -= len(planned)
        if left[0] < 0:
            raise InterruptedError

    return stopping


async def test_both_directions_show(database: Database):
    regions = "SELECT DISTINCT left(dealer_code, 2) FROM statement WHERE"
    assert [tuple(row) for row in await database.pool.fetch(f"{regions} charge_fen > 0")] == [("HZ",)]
    assert len(await database.pool.fetch(f"{regions} credit_fen > 0")) > 1
