"""The commands on their own: what they print, what they exit with, and the clear word when something is wrong."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import jwt
import pytest
from typer.testing import CliRunner

from app import cli
from app.core.vault import fresh_key
from app.identity.keys import Key
from tests.api import DATA_KEY
from tests.command import club
from tests.conftest import with_database

DEALERS = b"""dealer_code,region_code,region_name,has_after_sales,has_chapter
BJ001,BJ,Beijing,true,true
SH001,SH,Shanghai,true,true
"""
MEMBERS = """dealer_code,name,phone,vin,delivered_on
BJ001,张伟,15400000001,LSVAB26E9S2000001,2025-05-04
BJ001,李娜,15400000002,LSVAB26E0S2000002,2025-05-04
""".encode()
ORDERS = b"""dealer_code,order_no,vin,closed_at,kind,labour_fen,parts_fen,paid_fen
BJ001,RO1,LSVAB26E9S2000001,2025-05-04T14:32:00+08:00,maintenance,3531,8239,11770
SH001,RO2,LSVAB26E9S2000001,2025-06-04T14:32:00+08:00,repair,100,0,99
BJ001,RO3,LSVAB26E0S2000002,2025-06-05T14:32:00+08:00,repair,10000,0,10000
BJ009,RO4,LSVAB26E0S2000002,2025-06-05T14:32:00+08:00,repair,10000,0,10000
"""
Result = Any  # click's, which typer keeps to itself
Command = Callable[..., Result]


@pytest.fixture
def command(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command on the module's database."""
    monkeypatch.setenv("CLUB_DATABASE_URL", dsn)
    monkeypatch.setenv("CLUB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("CLUB_SECRET", raising=False)
    monkeypatch.setenv("CLUB_DATA_KEYS", DATA_KEY)
    return lambda *arguments: CliRunner().invoke(cli.app, list(map(str, arguments)))


def execute(dsn: str, sql: str) -> None:
    async def once() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(sql)
        await connection.close()

    asyncio.run(once())


def counts(result: Result) -> tuple[Any, ...]:
    assert result.exit_code == 0, result.output
    return tuple(json.loads(result.stdout).values())


# --- imports; the tests below live on what these leave in the books ---


def test_imports_count_what_became_of_the_rows(command: Command, tmp_path: Path):
    for kind, content, first in (
        ("dealers", DEALERS, {"read": 2, "posted": 2, "already_known": 0, "refused": 0}),
        ("members", MEMBERS, {"read": 2, "posted": 2, "already_known": 0, "refused": 0}),
        ("orders", ORDERS, {"read": 4, "posted": 3, "already_known": 0, "refused": 1, "points": 217}),
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
    assert counts(command("import", "orders", file, "--json")) == (3, 0, 3, 0, 0)
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
    assert counts(result) == (4, 0, 3, 1, 0)
    assert "orders.rejected.csv can be neither written nor removed" in result.stderr
    assert "line 5: dealer_code: there is no dealer 'BJ009'" in result.stderr


# --- the books ---


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


async def _member_no(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        return str(await connection.fetchval("SELECT member_no FROM member LIMIT 1"))
    finally:
        await connection.close()


def test_the_first_account(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("CLUB_DATABASE_URL", dsn)
    monkeypatch.setenv("CLUB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CLUB_DATA_KEYS", DATA_KEY)

    def account(*arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(cli.app, ["account", *arguments], input=typed)

    made = account("boss", "--role", "hq_admin", typed="a good secret\na good secret\n")
    assert (made.exit_code, "a good secret" in made.output) == (0, False)
    program = account("dms", "--role", "api_client", "--scope", "orders:write")
    assert (program.exit_code, program.output.startswith("client secret, shown this once: ")) == (0, True)
    assert CliRunner().invoke(cli.app, ["token", "dms"]).exit_code == 0
    assert CliRunner().invoke(cli.app, ["token", "boss"]).exit_code == 0
    again = account("dms", "--role", "api_client", "--scope", "orders:write")
    assert (again.exit_code, "username-taken" in again.stderr) == (1, True)
    typed = "a good secret\na good secret\n"
    assert account("clerk", "--role", "finance_clerk", "--dealer", "ZZ9", typed=typed).exit_code == 1
    assert account("partner", "--role", "partner_clerk", "--partner", "P1", typed=typed).exit_code == 0
    assert account("ended", "--role", "auditor", "--until", "2020-01-31", typed=typed).exit_code == 1
    for arguments in (
        ("clerk", "--role", "finance_clerk"),
        ("clerk", "--role", "hq_admin", "--dealer", "BJ001"),
        ("clerk", "--role", "regional_manager", "--dealer", "BJ001"),
        ("clerk", "--role", "auditor", "--until", "soon"),
        ("clerk", "--role", "auditor", "--scope", "points:read"),
        ("clerk", "--role", "member"),
        ("dms2", "--role", "api_client"),
        ("dms2", "--role", "api_client", "--scope", "accounts:write"),
        ("a:b", "--role", "api_client", "--scope", "points:read"),
        ("1000000008", "--role", "api_client", "--scope", "points:read"),
        ("System", "--role", "auditor"),
    ):
        assert account(*arguments).exit_code == 2
    weak = account("clerk", "--role", "auditor", typed="password1234\npassword1234\n")
    assert (weak.exit_code, "the password is one that many people use" in weak.stderr) == (1, True)


def test_a_secret_that_cannot_be_kept(command: Command, dsn: str, tmp_path: Path):
    (tmp_path / "data").write_text("no folder")
    result = command("token", asyncio.run(_member_no(dsn)))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("club: CLUB_SECRET is not set, and ")


# --- what goes wrong ---


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


# --- as a process ---


def test_as_a_user_calls_it(dsn: str, tmp_path: Path):
    for arguments, status in ((["totals", "--json"], 0), (["close", "2999-01"], 1)):
        ended = club(*arguments, database_url=dsn, data_dir=tmp_path, data_keys=DATA_KEY)
        assert (ended.returncode, "Traceback" in ended.stderr) == (status, False)
        assert json.loads(ended.stdout)["issued"] == 217 if status == 0 else ended.stdout == ""


# --- the keys of phone numbers ---


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
