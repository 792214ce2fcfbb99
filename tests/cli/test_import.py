"""`club import`: what became of a file's rows, and of a file that cannot be read."""

import gzip
import json
import zlib
from pathlib import Path

import pytest

from tests.cli.files import DEALERS, MEMBERS, ORDERS, counts
from tests.command import Command


def test_a_dry_run_counts_and_writes_nothing(command: Command, tmp_path: Path):
    (tmp_path / "dealers").write_bytes(DEALERS)
    for _ in range(2):
        assert counts(command("import", "dealers", tmp_path / "dealers", "--json", "--dry-run")) == (2, 2, 0, 0)
    # the network is not there yet
    (tmp_path / "members").write_bytes(MEMBERS)
    result = command("import", "members", tmp_path / "members", "--json", "--dry-run")
    assert counts(result) == (2, 0, 0, 2)
    assert "2 refused rows with their reasons" in result.stderr


def test_imports_count_what_became_of_the_rows(command: Command, tmp_path: Path):
    for kind, content, first in (
        ("dealers", DEALERS, {"read": 2, "posted": 2, "already_known": 0, "refused": 0}),
        ("members", MEMBERS, {"read": 2, "posted": 2, "already_known": 0, "refused": 0}),
        ("orders", ORDERS, {"read": 4, "posted": 3, "already_known": 0, "refused": 1, "points": 217, "parked": 0}),
    ):
        (tmp_path / kind).write_bytes(content)
        result = command("import", kind, tmp_path / kind, "--json")
        assert (result.exit_code, json.loads(result.stdout)) == (0, first)
    assert "1 refused rows with their reasons" in result.stderr
    assert (
        (tmp_path / "orders.rejected.csv").read_text().splitlines()[1].startswith("5,dealer_code: there is no dealer")
    )


def test_imported_again_nothing_is_posted_and_nothing_is_left_over(command: Command, tmp_path: Path):
    file = tmp_path / "orders.csv.gz"
    (tmp_path / "orders.csv.gz.rejected.csv").write_text("of another day")
    file.write_bytes(gzip.compress(b"\xef\xbb\xbf" + b"\r\n".join(ORDERS.splitlines()[:4])))
    assert counts(command("import", "orders", file, "--json")) == (3, 0, 3, 0, 0, 0)
    assert not (tmp_path / "orders.csv.gz.rejected.csv").exists()


def test_an_import_as_a_table(command: Command, tmp_path: Path):
    (tmp_path / "[orders].csv").write_bytes(ORDERS)
    result = command("import", "orders", tmp_path / "[orders].csv")
    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.replace("│", " ").splitlines()]
    for row in (["[orders].csv"], ["read", "4"], ["already_known", "3"], ["refused", "1"], ["points", "0"]):
        assert row in rows


@pytest.mark.parametrize(("content", "word"), [
    (None, "No such file"),
    (b"", "the file is empty"),
    (b"dealer_code,order_no\n", "lacks the column(s) vin"),
    (gzip.compress(ORDERS)[:12], "damaged gzip"),
])  # fmt: skip
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_an_unreadable_file(command: Command, tmp_path: Path, content: bytes | None, word: str, form: list[str]):
    if content is not None:
        (tmp_path / "orders").write_bytes(content)
    result = command("import", "orders", tmp_path / "orders", *form)
    assert (result.exit_code, result.stdout) == (1, "")
    assert word in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("kind", "content", "known"), [("orders", ORDERS, 3), ("members", MEMBERS, 2), ("dealers", DEALERS, 2)]
)
def test_what_was_read_before_the_damage_is_counted(
    command: Command, tmp_path: Path, kind: str, content: bytes, known: int
):
    # flushed before the damage, so that the rows can be read
    packer = zlib.compressobj(wbits=31)
    (tmp_path / kind).write_bytes(packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH))
    result = command("import", kind, tmp_path / kind, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["already_known"] == known
    assert "damaged gzip" in result.stderr
    assert f"only the {len(content.splitlines()) - 1} rows before it were read" in result.stderr


def test_refused_rows_that_cannot_be_written_are_said(command: Command, tmp_path: Path):
    (tmp_path / "orders").write_bytes(ORDERS)
    (tmp_path / "orders.rejected.csv").mkdir()
    result = command("import", "orders", tmp_path / "orders", "--json")
    assert counts(result) == (4, 0, 3, 1, 0, 0)
    assert "orders.rejected.csv can be neither written nor removed" in result.stderr
    assert "line 5: dealer_code: there is no dealer 'BJ009'" in result.stderr
