"""Keys from the command line: the one that signs, and those that phone numbers are sealed with."""

import json
from pathlib import Path

import pytest

from app.core.vault import fresh_key
from tests.api import DATA_KEY
from tests.cli.files import MEMBERS, counts
from tests.command import Command

pytestmark = pytest.mark.usefixtures("filled")


def test_a_key_is_rotated(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    file = tmp_path / "data/secret"
    assert command("rotate-key").exit_code == 0
    before = file.read_text().split()
    assert (command("rotate-key").exit_code, file.read_text().split()[1:]) == (0, before)
    dropped = command("rotate-key", "--drop-old")
    left = file.read_text().split()
    assert (dropped.exit_code, len(left), left[0] in before) == (0, 1, False)
    monkeypatch.setenv("CLUB_SECRET", "x" * 32)
    elsewhere = command("rotate-key")
    assert (elsewhere.exit_code, elsewhere.stderr.startswith("club: CLUB_SECRET is set: ")) == (1, True)


def test_phone_numbers_under_a_new_key(command: Command, monkeypatch: pytest.MonkeyPatch):
    new = fresh_key()
    for keys, resealed in ((f"{new},{DATA_KEY}", 2), (f"{new},{DATA_KEY}", 0), (new, 0), (f"{DATA_KEY},{new}", 2)):
        monkeypatch.setenv("CLUB_DATA_KEYS", keys)
        result = command("rotate-data-key")
        assert (result.exit_code, result.stdout.split()[0]) == (0, str(resealed)), result.output
        verified = json.loads(command("verify", "--phones", "--json").stdout)
        assert (verified["ok"], verified["checks"]["phones-readable"]) == (True, [])


def test_phone_numbers_under_a_new_key_of_the_file(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "data" / "data-keys"
    file.parent.mkdir()
    file.write_text(f"{DATA_KEY}\n")
    monkeypatch.setenv("CLUB_DATA_KEYS", "")
    result = command("rotate-data-key")
    assert (result.exit_code, result.stdout.split()[0]) == (0, "2"), result.output
    new, old = file.read_text().split()
    assert old == DATA_KEY
    (tmp_path / "members").write_bytes(MEMBERS)
    assert counts(command("import", "members", tmp_path / "members", "--json")) == (2, 0, 2, 0)
    # broken off before its end: the next one finishes it under the same key
    file.write_text(f"{old}\n{new}\n")
    assert command("rotate-data-key").stdout.split()[0] == "2"
    assert file.read_text().split() == [old, new]


def test_without_the_key_nothing_is_begun(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLUB_DATA_KEYS", fresh_key())
    (tmp_path / "members").write_bytes(MEMBERS)
    for arguments in (["import", "members", str(tmp_path / "members")], ["worker"], ["serve"], ["rotate-data-key"]):
        result = command(*arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "CLUB_DATA_KEYS must name the key" in result.stderr
    monkeypatch.setenv("CLUB_DATA_KEYS", "secret-but-no-key")
    result = command("verify")
    assert result.exit_code == 1
    assert "CLUB_DATA_KEYS: each must be 32 bytes" in result.stderr
    assert "secret-but-no-key" not in result.stderr
