"""Commands on the books: totals, months, expiry, and the proof that all of it adds up."""

import json
from pathlib import Path

import pytest

from tests.api import DATA_KEY
from tests.command import Command, club
from tests.conftest import execute

pytestmark = pytest.mark.usefixtures("filled")


def test_totals(command: Command):
    now, may = (json.loads(command("totals", "--json", *more).stdout) for more in ([], ["--as-of", "2025-05-31"]))
    assert (now["issued"], now["available"], now["outstanding"], now["as_of"]) == (217, 217, 217, None)
    assert (may["issued"], may["outstanding"], may["as_of"]) == (117, 117, "2025-05-31")
    assert ["issued", "217"] in [line.replace("│", " ").split() for line in command("totals").stdout.splitlines()]


def test_closing_in_order(command: Command):
    rehearsed = json.loads(command("close", "2025-06", "--dry-run", "--json").stdout)
    assert (rehearsed["sealed_at"], rehearsed["statements"]) == (None, 2)
    gap = command("close", "2025-06")
    assert (gap.exit_code, gap.stderr.startswith("club: period-gap: ")) == (1, True)
    closed = json.loads(command("close", "2025-05", "--json").stdout)
    assert closed["sealed_at"] is not None
    assert json.loads(command("close", "2025-05", "--json").stdout) == closed
    assert command("close", "2999-01").stderr.startswith("club: period-not-ended: ")
    assert command("close", "2024-01").stderr.startswith("club: period-before-first: ")


def test_expire(command: Command):
    result = command("expire")
    assert (result.exit_code, result.stdout) == (0, "0 members touched, 0 points expired\n")


def test_verify_says_what_holds_and_names_what_fails(command: Command, dsn: str):
    good = command("verify")
    assert good.exit_code == 0
    assert good.stdout.splitlines()[-1].endswith("invariants hold")
    execute(dsn, "UPDATE ledger.member_balance SET available = available + 1 WHERE available = 117")
    try:
        bad, as_json = command("verify"), command("verify", "--json")
    finally:
        execute(dsn, "UPDATE ledger.member_balance SET available = available - 1 WHERE available = 118")
    assert (bad.exit_code, as_json.exit_code) == (1, 1)
    assert "fails  balances-lots" in bad.stdout
    told = json.loads(as_json.stdout)
    assert told["ok"] is False
    assert len(told["checks"]["balances-lots"]) == 1
    assert told["checks"]["refunds"] == []
    assert json.loads(command("verify", "--json").stdout)["ok"] is True


def test_as_a_user_calls_it(dsn: str, tmp_path: Path):
    for arguments, status in ((["totals", "--json"], 0), (["close", "2999-01"], 1)):
        ended = club(*arguments, database_url=dsn, data_dir=tmp_path, data_keys=DATA_KEY)
        assert (ended.returncode, "Traceback" in ended.stderr) == (status, False)
        assert json.loads(ended.stdout)["issued"] == 217 if status == 0 else ended.stdout == ""
