"""`club demo` at full size: stopped and killed in a month, started again, looked around in, and stopped."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import club, data_folder, environment, free_port, processes_of, read_to, started

ISSUED, REDEEMED = 24_960_913, 8_361_120
"""Of a run that nothing disturbed; issued is the sum of whole yuan over the shipped orders."""
SIGN_INS = {"hq", "director.sh001", "advisor.sh001", "finance.hz001", "till.hotel", "manager.hotel", "agency"}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with data_folder() as folder:
        yield folder


def test_stopped_and_killed_in_a_month_it_ends_as_if_undisturbed_and_serves(folder: Path):
    port = free_port()
    with started("demo", data_dir=folder, port=port) as process:
        read_to(process.stdout, "2025-05")
        process.terminate()
        assert process.wait(30) == 143
    assert processes_of(folder) == []

    with started("demo", data_dir=folder, port=port) as process:
        read_to(process.stdout, "2025-06")
        time.sleep(0.7)  # July's orders are in the books, or on their way
        process.kill()

    with started("demo", data_dir=folder, port=port) as process:
        said = read_to(process.stdout, "To try in another terminal")
        assert process.stdout is not None
        curls = [process.stdout.readline().strip() for _ in range(4)]
        _check_sums(said)
        _check_curls(curls)
        _check_books(folder)
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert (process.returncode, rest.strip()) == (0, "")
    assert processes_of(folder) == []


def _check_sums(said: str) -> None:
    lines = said.splitlines()
    months = [line.split() for line in lines if line.startswith("202")]
    assert [months[0][0], months[-1][0], len(months)] == ["2025-05", "2026-10", 18]
    assert {month[4] for month in months} == {"0"}
    assert {month[-1] for month in months} == {"0.00"}
    assert f"issued = {ISSUED:,}  redeemed = {REDEEMED:,}  expired = 0" in lines
    assert any(line.startswith("all ") and line.endswith(" invariants hold") for line in lines)
    assert {line.split()[0] for line in lines if line.startswith("  ") and " password " in line} == SIGN_INS


def _check_curls(curls: list[str]) -> None:
    signed_in, program, points, statements = (
        json.loads(subprocess.run(["bash", "-c", curl], env=environment(), capture_output=True, check=True).stdout)
        for curl in curls
    )
    assert signed_in["token_type"] == "Bearer"
    assert "points:redeem" in program["scope"].split()
    assert points["available"] > 0
    assert [item["dealer_code"] for item in statements["items"]] == ["HZ001"]


def _check_books(folder: Path) -> None:
    verified = club("verify", "--json", data_dir=folder)
    assert (verified.returncode, json.loads(verified.stdout)["ok"], verified.stderr) == (0, True, "")
    totals = json.loads(club("totals", "--json", data_dir=folder).stdout)
    assert (totals["issued"], totals["redeemed"], totals["expired"]) == (ISSUED, REDEEMED, 0)
    may = json.loads(club("totals", "--as-of", "2025-05-31", "--json", data_dir=folder).stdout)
    assert (may["issued"], may["as_of"]) == (2_624_485, "2025-05-31")
    closing = json.loads(club("close", "2025-05", "--json", data_dir=folder).stdout)
    assert closing["net_fen"] + closing["hq_net_fen"] == 0 != closing["charge_fen"]


def test_started_again_it_takes_up_in_seconds(folder: Path):
    begun = time.monotonic()
    again = club("demo", "--no-serve", data_dir=folder)
    assert again.returncode == 0
    assert f"issued = {ISSUED:,}  redeemed = {REDEEMED:,}  expired = 0" in again.stdout.splitlines()
    assert "158 dealers" not in again.stdout  # nothing is loaded again
    assert time.monotonic() - begun < 30  # some 5 s on two quiet cores
