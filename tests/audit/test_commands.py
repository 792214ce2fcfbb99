"""An operator's commands, in the name of the system's user."""

import asyncio
import errno
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.cli import keys
from app.core.origin import origin
from tests.cli.files import DEALERS
from tests.command import Command, invoke


@pytest.fixture(autouse=True)
def _as_mia(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "mia")


def club(*arguments: str, typed: str = "") -> str:
    before = origin.get()
    result = invoke(*arguments, typed=typed)
    assert result.exit_code == 0, result.output
    assert origin.get() is before
    return str(result.stdout)


def trail(dsn: str, operation: str) -> list[dict[str, Any]]:
    """What a command left, oldest first."""

    async def read() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(dsn)
        found = await connection.fetch(
            "SELECT to_jsonb(e)::text AS deed FROM audit_event e WHERE operation = $1 ORDER BY id", operation
        )
        await connection.close()
        return [json.loads(row["deed"]) for row in found]

    found = asyncio.run(read())
    assert all((deed["actor"], deed["role"], deed["reach"]) == ("mia", "operator", None) for deed in found)
    return found


def test_an_account_and_a_token_for_it(dsn: str):
    password = "a long enough password"
    club("account", "boss", "--role", "hq_admin", typed=f"{password}\n{password}\n")
    made = trail(dsn, "club account")
    assert {(deed["action"], deed["target_kind"]) for deed in made} >= {("created", "account"), ("created", "grant")}
    assert password not in str(made)
    token = club("token", "boss").strip()
    (issued,) = trail(dsn, "club token")
    assert (issued["action"], issued["target_ids"]) == ("token-issued", ["boss"])
    assert token not in str(issued)


def test_a_token_for_nobody(dsn: str):
    before = len(trail(dsn, "club token"))
    assert invoke("token", "13912345678").exit_code == 1
    assert len(trail(dsn, "club token")) == before


def test_an_import(dsn: str, tmp_path: Path):
    (tmp_path / "dealers.csv").write_bytes(DEALERS)
    club("import", "dealers", str(tmp_path / "dealers.csv"))
    (imported,) = [deed for deed in trail(dsn, "club import") if deed["action"] == "imported"]
    assert imported["target_ids"] == ["dealers"]
    assert imported["changes"] == {
        "read": [None, 2], "posted": [None, 2], "already_known": [None, 0], "refused": [None, 0],
    }  # fmt: skip


def test_a_month_closed(dsn: str):
    club("close", "2025-05", "--dry-run")
    assert trail(dsn, "club close") == []
    club("close", "2025-05")
    (closed,) = trail(dsn, "club close")
    assert (closed["action"], closed["target_ids"]) == ("closed", ["2025-05"])


def test_a_signing_key_rotated(dsn: str, tmp_path: Path):
    club("rotate-key")
    club("rotate-key", "--drop-old")
    rotated = trail(dsn, "club rotate-key")
    assert [(deed["action"], deed["target_kind"], deed["changes"]) for deed in rotated] == [
        ("key-rotated", "signing-key", {"old_ones_dropped": [None, dropped]}) for dropped in (False, True)
    ]
    assert (tmp_path / "data/secret").read_text().strip() not in str(rotated)


def test_a_rotation_that_failed_is_none(dsn: str, monkeypatch: pytest.MonkeyPatch):
    before = len(trail(dsn, "club rotate-key"))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keys, "rotate_secret", full)
    result = invoke("rotate-key")
    assert (result.exit_code, "No space left on device" in result.stderr) == (1, True)
    assert len(trail(dsn, "club rotate-key")) == before


def test_a_data_key_rotated(dsn: str):
    club("rotate-data-key")
    (rotated,) = trail(dsn, "club rotate-data-key")
    assert (rotated["action"], rotated["changes"]) == ("key-rotated", {"phones": [None, 0]})
