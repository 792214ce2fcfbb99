"""What a command stands on: the settings, the keys, the database. What is missing leaves with a clear word."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import asyncpg
from alembic.util import CommandError
from pydantic import ValidationError

from app import wiring
from app.cli.terminal import fail
from app.core import db, embedded, migrations, process
from app.core.clock import china_date, system_clock
from app.core.commands import FULL_DATABASE, on_full_network
from app.core.db import Database
from app.core.problems import Problem
from app.core.vault import WrongKeys, vault_of
from app.members import sealing
from app.settings import Settings

Result = TypeVar("Result")


def configured() -> Settings:
    """The settings; a wrong one leaves with a clear word."""
    try:
        return Settings()
    except ValidationError as error:
        # what was given stays unsaid: it may be a password
        words = [
            "".join(f"CLUB_{name}: ".upper() for name in fault["loc"][:1]) + fault["msg"] for fault in error.errors()
        ]
        fail("; ".join(words).replace("Value error, ", ""))


def signing_key(settings: Settings) -> bytes:
    """The key of new tokens, made when there is none yet."""
    try:
        return settings.signing_key
    except OSError as error:
        fail(f"CLUB_SECRET is not set, and {error.filename} cannot be used: {error.strerror}")


def require_keys(settings: Settings) -> None:
    """Leave unless the service could sign tokens and open what is sealed."""
    signing_key(settings)
    try:
        vault_of(settings).keys()
    except OSError as error:
        fail(f"CLUB_DATA_KEYS is not set, and {error.filename} cannot be used: {error.strerror}")
    except WrongKeys as error:
        fail(str(error))


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run async work; a refusal or a lost database leaves with a clear word, SIGTERM with 143."""
    ends = signal.getsignal(signal.SIGTERM)
    try:
        return asyncio.run(_until_told(work))
    except asyncio.CancelledError:
        sys.exit(143)
    except Problem as problem:
        fail(str(problem))
    except (ConnectionError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError) as error:
        fail(f"the database was lost: {error}")
    finally:
        signal.signal(signal.SIGTERM, ends)


async def _until_told(work: Coroutine[Any, Any, Result]) -> Result:
    # cancelled, as by Ctrl-C: an exception out of the signal itself may strike within asyncpg's protocol, and crash it
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


def on_books(work: Callable[[Database], Coroutine[Any, Any, Result]]) -> Result:
    """Run async work on the books' database."""
    settings = configured()

    async def opened(dsn: str) -> Result:
        async with Database.open(dsn, vault=vault_of(settings)) as database:
            return await work(database)

    with books(settings) as dsn:
        return run(opened(dsn))


@contextmanager
def books(settings: Settings, *, migrated: bool = False) -> Iterator[str]:
    """The DSN of a migrated database: the one configured, or the embedded server's, held while in use.

    With --full the one of the full-size network beside it.

    Args:
        migrated: migrate the configured one too (the embedded server's always is), and make the full-size one.
    """
    with server(settings, make=migrated) as dsn:
        if migrated or settings.database_url is None:
            migrate(dsn, settings)
        elif not run(migrations.is_current(dsn)):
            fail("the database's schema is not this release's: run `club migrate`")
        run(_require_fitting_keys(dsn, settings))
        yield dsn


@contextmanager
def server(settings: Settings, *, make: bool = False) -> Iterator[str]:
    """As `books`, of whatever schema.

    Args:
        make: make the full-size network's database when there is none.
    """
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
        run(_reach(dsn))
        yield _chosen(dsn, make)
        return
    try:
        with embedded.server(settings.data_dir) as dsn, process.undisturbed_end():
            yield _chosen(dsn, make)
    except embedded.EmbeddedServerError as error:
        fail(str(error))


def migrate(dsn: str, settings: Settings) -> None:
    """Bring the schema up to this release and open the books."""
    run(_migrate(dsn, settings))


async def _migrate(dsn: str, settings: Settings) -> None:
    try:
        await migrations.migrate(dsn, vault=vault_of(settings))
    except (migrations.UnsuitableServer, CommandError) as error:
        fail(f"the database cannot be migrated: {error}")
    await wiring.open_books(dsn, settings.first_period, settings.rate_fen_per_thousand, china_date(system_clock()))


def _chosen(dsn: str, make: bool) -> str:
    if not on_full_network.get():
        return dsn
    try:
        full = run(db.beside(dsn, FULL_DATABASE, make=make))
    except asyncpg.InsufficientPrivilegeError as error:
        fail(f"the database {FULL_DATABASE} cannot be made: {error}")
    return full or fail(f"there is no database {FULL_DATABASE} yet: run `club demo --full --no-serve`")


async def _reach(dsn: str) -> None:
    try:
        connection = await db.connect(dsn, role=None)
    # ValueError: a URL that is none
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        fail(f"the database of CLUB_DATABASE_URL cannot be reached: {str(error) or type(error).__name__}")
    await connection.close()


async def _require_fitting_keys(dsn: str, settings: Settings) -> None:
    connection = await db.connect(dsn)
    try:
        if not await sealing.fits(connection, vault_of(settings)):
            fail(str(WrongKeys()))
    finally:
        await connection.close()
