"""Bringing a database up to this release: tables by Alembic's revisions, the ledger's functions from their file."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.db import connect, engine_options

ALEMBIC_DIR = Path(__file__).parents[2] / "alembic"
LEDGER_SQL = Path(__file__).parents[1] / "points" / "ledger.sql"
_ONE_AT_A_TIME = 7_310_000_001


class UnsuitableServer(Exception):
    """The database server cannot run this release; the message says what would be right."""


async def migrate(dsn: str, **attributes: Any) -> None:
    """Upgrade the database to the newest schema; concurrent callers wait for one another.

    Raises:
        UnsuitableServer: PostgreSQL is older than 15, or the user may not create the role `club_app` or the tables.
    """
    guard = await connect(dsn, role=None)
    try:
        await _require_suitable(guard)
        await guard.execute("SELECT pg_advisory_lock($1)", _ONE_AT_A_TIME)
        engine = create_async_engine("postgresql+asyncpg://", **engine_options(dsn, role=None))
        try:
            async with engine.connect() as connection:
                await connection.run_sync(_upgrade, attributes)
            await guard.execute(_functions())
        except (asyncpg.InsufficientPrivilegeError, ProgrammingError) as error:
            cause = error.orig and error.orig.__cause__ if isinstance(error, ProgrammingError) else error
            if isinstance(cause, asyncpg.InsufficientPrivilegeError):
                raise UnsuitableServer(f"the database user needs more rights: {cause}") from error
            raise
        finally:
            await engine.dispose()
    finally:
        await guard.close()


async def _require_suitable(connection: asyncpg.Connection) -> None:
    version = connection.get_server_version()
    if version.major < 15:
        raise UnsuitableServer(f"PostgreSQL {version.major} is too old: 15 or newer is needed")
    may = await connection.fetchval(
        "SELECT rolsuper OR rolcreaterole OR EXISTS (SELECT FROM pg_roles WHERE rolname = 'club_app')"
        " FROM pg_roles WHERE rolname = current_user"
    )
    if not may:
        raise UnsuitableServer(
            "the database user may not create the role club_app: grant it CREATEROLE, or create the role"
        )


async def is_current(dsn: str) -> bool:
    """Whether the database has exactly this release's tables and functions."""
    connection = await connect(dsn, role=None)
    try:
        if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
            return False
        head = ScriptDirectory.from_config(config()).get_current_head()
        found = await connection.fetchrow(
            "SELECT version_num, obj_description(to_regnamespace('ledger')) FROM alembic_version"
        )
        return found is not None and tuple(found) == (head, _digest())
    finally:
        await connection.close()


def config(connection: Connection | None = None, **attributes: Any) -> Config:
    """Alembic's configuration; `connection` is what env.py migrates."""
    settings = Config()
    settings.set_main_option("script_location", str(ALEMBIC_DIR))
    settings.attributes.update(attributes, connection=connection)
    return settings


def _upgrade(connection: Connection, attributes: dict[str, Any]) -> None:
    command.upgrade(config(connection, **attributes), "head")


def _functions() -> str:
    """The ledger's functions, which replace those there, and a note of which these are: all or none."""
    return f"{LEDGER_SQL.read_text(encoding='utf-8')}\nCOMMENT ON SCHEMA ledger IS '{_digest()}';"


def _digest() -> str:
    return "functions " + sha256(LEDGER_SQL.read_bytes()).hexdigest()[:16]


def run_script(sql: str) -> None:
    """Run many SQL statements inside a migration (asyncpg's simple protocol takes them in one go)."""
    driver: Any = op.get_bind().connection.dbapi_connection
    driver.run_async(lambda connection: connection.execute(sql))
