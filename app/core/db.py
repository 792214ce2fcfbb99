"""Connections: a raw asyncpg pool for the posting path and batches, SQLAlchemy sessions for everything else.

Both connect as `club_app`, which owns nothing, and keep to transaction-local settings (PgBouncer-safe).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import uuid_utils.compat
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from app.core.actors import Reach, acting
from app.core.problems import Problem
from app.core.vault import NO_VAULT, Vault, entrust

APP_ROLE = "club_app"

FEW = 20
"""Rows that are written sooner one by one than a table is made for them."""

Connection = asyncpg.Connection | asyncpg.Pool
"""What a single-statement call needs: a connection, or the pool that lends one for that call."""


def new_id() -> UUID:
    """A resource id: UUIDv7, so that new rows stand at the end of their index."""
    return uuid_utils.compat.uuid7()


def server_settings(role: str | None) -> dict[str, str]:
    """Start-up parameters of every connection."""
    settings = {"application_name": "club", "timezone": "UTC", "jit": "off", "club.reach": Reach.ALL.value}
    return settings | ({"role": role} if role else {})


async def connect(dsn: str, role: str | None = APP_ROLE) -> asyncpg.Connection:
    """One connection of one's own; the caller closes it."""
    return await asyncpg.connect(dsn, server_settings=server_settings(role))


async def beside(dsn: str, name: str, *, make: bool) -> str | None:
    """The DSN of the server's database of another name; None when there is none and `make` does not ask for it."""
    connection = await connect(dsn, role=None)
    try:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name):
            if not make:
                return None
            # who makes it at the same moment makes it for both
            with suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


def engine_options(dsn: str, role: str | None) -> dict[str, Any]:
    """SQLAlchemy options that open connections exactly as `connect` does and keep values out of error texts."""
    return {"async_creator": lambda: connect(dsn, role), "hide_parameters": True}


def _narrow(connection: SyncConnection) -> None:
    """What a session's transaction may read is what its request's caller may: the second wall, in the database."""
    if (actor := acting.get()) is not None:
        dealers = ",".join(sorted(actor.dealers))
        member, partner = str(actor.member_id or ""), actor.partner_code or ""
        reach = (actor.reach, dealers, actor.region_code or "", member, actor.subject, partner, actor.agency_code or "")
        connection.exec_driver_sql(
            "SELECT set_config('club.reach', $1, true), set_config('club.dealer', $2, true),"
            " set_config('club.region', $3, true), set_config('club.member', $4, true),"
            " set_config('club.subject', $5, true), set_config('club.partner', $6, true),"
            " set_config('club.agency', $7, true)",
            reach,
        )


async def unrestricted(session: AsyncSession) -> None:
    """Until commit the session reads all chapters: for a rule that must, such as whether a phone is taken."""
    await session.execute(text("SELECT set_config('club.reach', 'all', true)"))


async def copy_rows(connection: asyncpg.Connection, table: str, records: Iterable[Sequence[Any]], **place: Any) -> None:
    """Rows into a table by COPY, whole even if the caller is cancelled meanwhile: asyncpg does not survive half of one.

    Args:
        place: `columns` and `schema_name`, as asyncpg has them.
    """
    copying = asyncio.ensure_future(connection.copy_records_to_table(table, records=records, **place))
    try:
        await asyncio.shield(copying)
    finally:
        await asyncio.wait([copying])


async def insert_rows(
    connection: asyncpg.Connection, table: str, columns: Sequence[str], records: Iterable[Sequence[Any]]
) -> None:
    """Rows into a table under row-level security, which COPY refuses to fill; inside the caller's transaction."""
    names = ", ".join(columns)
    records = list(records)
    if len(records) <= FEW:
        values = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
        await connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({values})", records)  # noqa: S608
        return
    # by way of a table of our own: three times as fast as a statement a row
    ours = await copy_apart(connection, table, columns, records)
    await connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {ours}")  # noqa: S608 (names of ours)
    await connection.execute(f"DROP TABLE {ours}")


async def copy_apart(
    connection: asyncpg.Connection, table: str, columns: Sequence[str], records: Iterable[Sequence[Any]]
) -> str:
    """Rows by COPY into a table of the transaction's own, like these columns of another; its name."""
    ours = f"incoming_{table}"
    like = f"SELECT {', '.join(columns)} FROM {table} LIMIT 0"  # noqa: S608 (names of ours)
    await connection.execute(f"CREATE TEMP TABLE {ours} ON COMMIT DROP AS {like}")
    await copy_rows(connection, ours, records, columns=columns, schema_name="pg_temp")
    return f"pg_temp.{ours}"


async def _keep_session_state(_: object) -> None:
    """Nothing to reset: settings are transaction-local, and the reset query would be a second round trip."""


@asynccontextmanager
async def rehearsal(pool: asyncpg.Pool, dry_run: bool) -> AsyncIterator[Connection]:
    """What to post with: the pool itself, or for a dry run a connection whose work is undone at the end."""
    if not dry_run:
        yield pool
        return
    async with pool.acquire() as connection, _transaction(connection, undo=True):
        yield cast(asyncpg.Connection, connection)


@asynccontextmanager
async def _transaction(connection: asyncpg.Connection | PoolConnectionProxy, *, undo: bool) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    except BaseException:
        await transaction.rollback()
        raise
    await (transaction.rollback() if undo else transaction.commit())


class Database:
    """One process's connections to the service's database."""

    def __init__(self, pool: asyncpg.Pool, engine: AsyncEngine, vault: Vault) -> None:
        self.pool = pool
        self.engine = engine
        self.vault = vault
        entrust(engine.dialect, vault)
        event.listen(engine.sync_engine, "begin", _narrow)
        self.sessions = async_sessionmaker(engine, expire_on_commit=False)
        self.known_dealers: set[str] = set()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, dsn: str, *, vault: Vault = NO_VAULT, pool_size: int = 4, session_pool_size: int = 4
    ) -> AsyncIterator["Database"]:
        """Open both ways in for the life of the block; without a vault, for work that touches no personal data."""
        engine = create_async_engine(
            "postgresql+asyncpg://",
            poolclass=AsyncAdaptedQueuePool,
            pool_size=session_pool_size,
            **engine_options(dsn, APP_ROLE),
        )
        try:
            async with asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=pool_size,
                server_settings=server_settings(APP_ROLE),
                reset=_keep_session_state,
            ) as pool:
                yield cls(pool, engine, vault)
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A raw connection, for callers that keep their own transactions."""
        async with self.pool.acquire() as connection:
            yield cast(asyncpg.Connection, connection)

    @asynccontextmanager
    async def transaction(self, *, undo: bool = False) -> AsyncIterator[asyncpg.Connection]:
        """A raw connection inside one transaction: committed at the end, rolled back on an exception or with `undo`."""
        async with self.connection() as connection, _transaction(connection, undo=undo):
            yield connection

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session inside one transaction: committed at the end, rolled back on an exception."""
        async with self.sessions.begin() as session:
            yield session


async def raw(session: AsyncSession) -> asyncpg.Connection:
    """The asyncpg connection of a session's transaction: what it does commits or rolls back with the session."""
    connection = (await (await session.connection()).get_raw_connection()).driver_connection
    assert isinstance(connection, asyncpg.Connection)
    if not connection.is_in_transaction():
        # SQLAlchemy's BEGIN goes out with its first statement; without it a raw one would commit by itself
        await session.execute(text("SELECT 1"))
    return connection


async def flush_unless(session: AsyncSession, constraint: str, broken: Problem | type[Problem]) -> None:
    """Write what the session holds.

    Raises:
        broken: it breaks this constraint or unique index, maybe because somebody else was first.
    """
    try:
        await session.flush()
    except IntegrityError as error:
        if broken_constraint(error) != constraint:
            raise
        raise broken from None


def broken_constraint(error: IntegrityError) -> str | None:
    """The name of the constraint or unique index a statement broke."""
    return getattr(error.orig and error.orig.__cause__, "constraint_name", None)
