"""PostgreSQL's own pgbench: TPC-B, which is the limit, and the ledger's functions called the same way."""

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from app.core.db import APP_ROLE
from app.core.embedded import bin_dir
from bench.databases import DEALER, WALLETS, all_posted
from bench.figures import BenchError

SCALE = 50
LOAD = ["-c", "16", "-j", "2", "-M", "prepared"]
"""The same for all: clients, threads, protocol."""
WARM_UP_SECONDS = 2
"""Not counted."""

# pgbench replaces :name even in quotes; keys are its own numbers, as gen_random_uuid() opens /dev/urandom each time
_DRAW = f"\\set i random(0, {WALLETS - 1})\n\\set r random(1, 9000000000000000000)\n"
_KEYS = "'bench', md5(:r::text)::uuid, md5(:r::text)::uuid, now()"
_TODAY = "(now() AT TIME ZONE 'Asia/Shanghai')::date"

EARN = _DRAW + (
    f"SELECT ledger.earn(md5(:i::text)::uuid, 100, 'HQ', '{DEALER}', 'bench:' || :r, NULL, {_TODAY}, {_TODAY},"
    f" {_TODAY} + 730, {_KEYS});\n"
)
REDEEM = _DRAW + (
    f"SELECT ledger.redeem('redeem', md5(:i::text)::uuid, 20, '{DEALER}', 'bench', NULL, {_TODAY}, NULL, false, NULL,"
    f" NULL, {_KEYS});\n"
)


def prepare(dsn: str) -> None:
    """Fill an empty database with TPC-B's tables, vacuumed and analysed."""
    _pgbench(dsn, ["-i", "-q", "-s", str(SCALE)])


def tpc_b(dsn: str, seconds: int) -> float:
    """TPC-B's transactions per second."""
    return _load(dsn, seconds).per_second


def calls(dsn: str, script: str, seconds: int) -> float:
    """Postings per second of a script that makes one a run, as the service's role."""
    with tempfile.TemporaryDirectory() as folder, all_posted(dsn) as claimed:
        file = Path(folder) / "call.sql"
        file.write_text(script, encoding="utf-8")
        load = _load(dsn, seconds, ["-n", "-f", str(file)], f"-c role={APP_ROLE}")
        claimed.append(load.transactions)
    return load.per_second


class Outcome(NamedTuple):
    """What pgbench says of its load."""

    per_second: float
    transactions: int
    """All of them, with those of the warm-up."""

    @classmethod
    def read(cls, said: str) -> "Outcome":
        """From pgbench's report, with a line of progress for every second.

        Raises:
            BenchError: it is none, or transactions failed.
        """
        # the first seconds open connections, make plans and fill caches, which a service does once in its life
        seconds = re.findall(r"^progress: [0-9.]+ s, ([0-9.]+) tps", said, re.MULTILINE)[WARM_UP_SECONDS:]
        processed = re.search(r"actually processed: (\d+)", said)
        if not seconds or processed is None or "failed transactions: 0 " not in said:
            raise BenchError(f"pgbench did not do its work:\n{said}")
        return cls(mean(map(float, seconds)), int(processed[1]))


def _load(dsn: str, seconds: int, options: Sequence[str] = (), server_options: str = "") -> Outcome:
    timing = ["-T", str(WARM_UP_SECONDS + seconds), "-P", "1"]
    return Outcome.read(_pgbench(dsn, [*LOAD, *timing, *options], server_options))


def _pgbench(dsn: str, options: list[str], server_options: str = "") -> str:
    # not an argument: everyone sees a process's arguments, and the DSN may hold a password
    environment = os.environ | {"PGDATABASE": dsn, "PGOPTIONS": server_options}
    done = subprocess.run(
        [bin_dir() / "pgbench", *options], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BenchError(f"pgbench {' '.join(options)} failed: {done.stderr.strip()}")
    return done.stderr + done.stdout
