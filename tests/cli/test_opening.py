"""What a command needs before it begins: the right words, the settings, the database; a clear word when it is wrong."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from tests.command import Command, Result
from tests.conftest import execute, with_database


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["close"],
        ["close", "2025"],
        ["close", "2025-13"],
        ["totals", "--as-of", "May"],
        ["import", "cars", "x"],
    ],
)
def test_wrong_usage(command: Command, arguments: list[str]):
    assert command(*arguments).exit_code == 2


@pytest.mark.parametrize(("name", "value", "word"), [
    ("CLUB_PORT", "abc", "CLUB_PORT: Input should be a valid integer"),
    ("CLUB_PORT", "70000", "CLUB_PORT: Input should be less than or equal to 65535"),
    ("CLUB_WORKERS", "0", "CLUB_WORKERS: Input should be greater than or equal to 1"),
    ("CLUB_SECRET", "a password", "CLUB_SECRET: must have at least 32 characters"),
    ("CLUB_SMS", "pigeon", "CLUB_SMS: Input should be 'none', 'console' or 'aliyun'"),
    ("CLUB_SMS", "aliyun", "CLUB_SMS=aliyun needs CLUB_SMS_KEY_ID"),
    ("CLUB_FIRST_PERIOD", "2025-05-03", "CLUB_FIRST_PERIOD: 2025-05-03 is not the first day of a month"),
    ("CLUB_FIRST_PERIOD", "May", "CLUB_FIRST_PERIOD: Input should be a valid date"),
])  # fmt: skip
def test_wrong_settings(command: Command, monkeypatch: pytest.MonkeyPatch, name: str, value: str, word: str):
    monkeypatch.setenv(name, value)
    result = command("totals")
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
    assert result.stderr.startswith(f"club: {word}")


@pytest.mark.parametrize("value", ["2025-05", "2025-05-01"])
def test_a_first_period_is_a_month(command: Command, monkeypatch: pytest.MonkeyPatch, value: str):
    monkeypatch.setenv("CLUB_FIRST_PERIOD", value)
    assert command("totals", "--json").exit_code == 0


@pytest.mark.parametrize(
    "url", ["nonsense", "http://club/club", "postgresql://club@127.0.0.1:1/club", "postgresql://club@no.invalid/club"]
)
def test_an_unreachable_database(command: Command, monkeypatch: pytest.MonkeyPatch, url: str):
    monkeypatch.setenv("CLUB_DATABASE_URL", url)
    _fails_with(command("totals"), "the database of CLUB_DATABASE_URL cannot be reached: ")


def test_a_database_that_is_not_there_or_not_migrated(command: Command, monkeypatch: pytest.MonkeyPatch, server: str):
    monkeypatch.setenv("CLUB_DATABASE_URL", with_database(server, "nowhere"))
    _fails_with(command("totals"), "the database of CLUB_DATABASE_URL cannot be reached: ")
    monkeypatch.setenv("CLUB_DATABASE_URL", with_database(server, "postgres"))
    _fails_with(command("totals"), "the database's schema is not this release's: run `club migrate`")


def test_a_wrong_password(command: Command, monkeypatch: pytest.MonkeyPatch):
    async def refused(*_: Any, **__: Any) -> None:
        raise asyncpg.InvalidPasswordError('password authentication failed for user "club"')

    monkeypatch.setattr(asyncpg, "connect", refused)
    _fails_with(
        command("totals"), "the database of CLUB_DATABASE_URL cannot be reached: password authentication failed"
    )


def test_a_server_too_old(command: Command, monkeypatch: pytest.MonkeyPatch):
    version = asyncpg.types.ServerVersion(14, 9, 0, "final", 0)
    monkeypatch.setattr(asyncpg.Connection, "get_server_version", lambda _: version)
    _fails_with(command("migrate"), "the database cannot be migrated: PostgreSQL 14 is too old")


def test_a_schema_of_a_later_release(command: Command, dsn: str):
    execute(dsn, "UPDATE alembic_version SET version_num = '9999' || version_num")
    try:
        _fails_with(command("totals"), "the database's schema is not this release's")
        _fails_with(command("migrate"), "the database cannot be migrated: Can't locate revision")
    finally:
        execute(dsn, "UPDATE alembic_version SET version_num = substr(version_num, 5)")
    migrated = command("migrate")
    assert (migrated.exit_code, migrated.stdout) == (0, "schema up to date\n")


def test_a_user_who_may_not_migrate(command: Command, monkeypatch: pytest.MonkeyPatch, server: str):
    name = f"club_test_{uuid4().hex[:12]}"
    execute(server, f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD '{name}'")
    try:
        weak = urlsplit(server)._replace(netloc=f"{name}:{name}@{urlsplit(server).netloc.rpartition('@')[2]}")
        monkeypatch.setenv("CLUB_DATABASE_URL", with_database(urlunsplit(weak), "postgres"))
        _fails_with(
            command("migrate"),
            "the database cannot be migrated: the database user needs more rights: permission denied",
        )
    finally:
        execute(server, f"DROP ROLE {name}")


def _fails_with(result: Result, word: str) -> None:
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1), result.output
    assert result.stderr.startswith(f"club: {word}")
