"""`club import orders` on the shipped purchases: the import itself, and the whole command as its user waits for it.

`python -m bench.imports` times the import itself, in a process as fresh as the command's.
"""

import asyncio
import json
import subprocess
import sys
import time
from typing import Any

from app.core import process, tabular
from app.core.clock import system_clock
from app.core.db import Database
from app.settings import Settings
from app.visits.rules import COLUMNS
from app.visits.service import OrderReport, import_orders
from bench.databases import SHIPPED
from bench.figures import BenchError
from bench.service import ROOT, environment

ORDERS = SHIPPED / "repair_orders.csv.gz"


def itself(dsn: str) -> float:
    """Rows per second of the import, from the first row read to the last one committed."""
    answer = _run(dsn, ["bench.imports"])
    return int(answer["read"]) / float(answer["seconds"])


def command(dsn: str) -> float:
    """Rows per second of `club import orders FILE`, from the process's start to its end."""
    began = time.perf_counter()
    answer = _run(dsn, ["app.cli", "import", "orders", str(ORDERS), "--json"])
    return int(answer["read"]) / (time.perf_counter() - began)


def _run(dsn: str, module: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", *module], cwd=ROOT, env=environment(dsn), stdout=subprocess.PIPE, check=False
    )
    if done.returncode != 0:
        raise BenchError(f"python -m {' '.join(module)} ended with {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if answer["posted"] != answer["read"] or not answer["points"]:
        raise BenchError(f"not every row was posted: {answer}")
    return answer


async def _timed(dsn: str) -> tuple[OrderReport, float]:
    async with Database.open(dsn) as database:
        began = time.perf_counter()
        report, _ = await import_orders(database, tabular.open_rows(ORDERS, COLUMNS), actor="bench", now=system_clock())
        return report, time.perf_counter() - began


def main() -> None:
    """Time the import into the database of CLUB_DATABASE_URL."""
    process.begin()
    url = Settings().database_url
    assert url is not None
    report, seconds = asyncio.run(_timed(url.get_secret_value()))
    print(json.dumps(report.model_dump() | {"seconds": seconds}))


if __name__ == "__main__":
    main()
