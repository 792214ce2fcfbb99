"""Accounts and tokens from the command line."""

import asyncio
from datetime import date
from pathlib import Path

import asyncpg
import jwt
import pytest

from app.core.db import Database
from app.identity.keys import Key
from tests.command import Command, Result

pytestmark = pytest.mark.usefixtures("filled")
TYPED = "a good secret\na good secret\n"
PROGRAM = ("--role", "api_client", "--scope", "orders:write")
BOUND = (*PROGRAM, "--until", "2199-12-31")


@pytest.fixture
def account(command: Command) -> Command:
    """Makes an account; `typed` is its password, twice."""

    def made(*arguments: str, typed: str = TYPED) -> Result:
        return command("account", *arguments, typed=typed)

    return made


def test_tokens(command: Command, dsn: str, tmp_path: Path):
    subject = asyncio.run(_member_no(dsn))
    result = command("token", subject)
    assert (result.exit_code, result.stderr, len(result.stdout.splitlines())) == (0, "", 1)
    key = Key.derived((tmp_path / "data/secret").read_bytes())
    claims = jwt.decode(result.stdout.strip(), key.public, ["EdDSA"])
    assert (claims["sub"], claims["role"], claims["exp"] - claims["iat"]) == (subject, "member", 15 * 60)
    unknown = command("token", "nobody")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert unknown.stderr == "club: there is no active account or member 'nobody'\n"


def test_a_secret_that_cannot_be_kept(command: Command, dsn: str, tmp_path: Path):
    (tmp_path / "data").write_text("no folder")
    result = command("token", asyncio.run(_member_no(dsn)))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("club: CLUB_SECRET is not set, and ")


async def _member_no(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        return str(await connection.fetchval("SELECT member_no FROM member LIMIT 1"))
    finally:
        await connection.close()


def test_the_first_account(command: Command, account: Command):
    made = account("boss", "--role", "hq_admin")
    assert (made.exit_code, "a good secret" in made.output) == (0, False)
    assert command("token", "boss").exit_code == 0


def test_accounts_end_and_reach(account: Command):
    assert account("clerk", "--role", "finance_clerk", "--dealer", "ZZ9").exit_code == 1
    assert account("partner", "--role", "partner_clerk", "--partner", "P1").exit_code == 1
    assert account("ended", "--role", "auditor", "--until", "2020-01-31").exit_code == 1


def test_a_program(command: Command, account: Command):
    made = account("dms", *PROGRAM, typed="")
    assert (made.exit_code, made.output.startswith("client secret, shown this once: ")) == (0, True)
    assert command("token", "dms").exit_code == 0
    again = account("dms", *PROGRAM, typed="")
    assert (again.exit_code, "username-taken" in again.stderr) == (1, True)


def test_programs_reach_as_far_as_they_are_bound(account: Command, dsn: str):
    assert account("dms.two", *BOUND, "--dealer", "BJ001", "--dealer", "SH001", typed="").exit_code == 0
    assert account("dms.region", *BOUND, "--region", "BJ", typed="").exit_code == 0
    for wrong in (("--dealer", "ZZ9"), ("--dealer", "BJ001", "--region", "BJ")):
        assert account("dms.wrong", *BOUND, *wrong, typed="").exit_code == 1
    assert asyncio.run(_reaches(dsn)) == {
        "dms": ([], None, None),
        "dms.two": (["BJ001", "SH001"], None, date(2199, 12, 31)),
        "dms.region": ([], "BJ", date(2199, 12, 31)),
    }


async def _reaches(dsn: str) -> dict[str, tuple[list[str], str | None, date | None]]:
    async with Database.open(dsn) as database, database.connection() as connection:
        rows = await connection.fetch("SELECT * FROM account WHERE username LIKE 'dms%'")
    return {row["username"]: (row["dealer_codes"], row["region_code"], row["last_day"]) for row in rows}


@pytest.mark.parametrize("arguments", [
    ("clerk", "--role", "finance_clerk"),
    ("clerk", "--role", "hq_admin", "--dealer", "BJ001"),
    ("clerk", "--role", "regional_manager", "--dealer", "BJ001"),
    ("clerk", "--role", "auditor", "--until", "soon"),
    ("clerk", "--role", "auditor", "--scope", "points:read"),
    ("clerk", "--role", "member"),
    ("clerk", "--role", "finance_clerk", "--dealer", "BJ001", "--dealer", "SH001"),
    ("dms2", *PROGRAM, "--partner", "P1"),
    ("dms2", "--role", "api_client"),
    ("dms2", "--role", "api_client", "--scope", "accounts:write"),
    ("a:b", "--role", "api_client", "--scope", "points:read"),
    ("1000000008", "--role", "api_client", "--scope", "points:read"),
    ("System", "--role", "auditor"),
])  # fmt: skip
def test_an_account_that_cannot_be(account: Command, arguments: tuple[str, ...]):
    assert account(*arguments, typed="").exit_code == 2


def test_a_weak_password(account: Command):
    weak = account("clerk", "--role", "auditor", typed="password1234\npassword1234\n")
    assert (weak.exit_code, "the password is one that many people use" in weak.stderr) == (1, True)
