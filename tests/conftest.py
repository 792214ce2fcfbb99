"""Real PostgreSQL for every test: the server of CLUB_DATABASE_URL, else the embedded one, in databases made here.

A template is migrated once a run; `dsn` is a database of one test module, made from it and dropped afterwards.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from app.core import embedded, migrations
from app.core.db import Database
from app.core.vault import vault_of
from app.wiring import open_books
from tests.api import SETTINGS, Api, running_api
from tests.command import Command, invoke, surround
from tests.shop import Shop


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A DSN on which databases may be made."""
    if url := os.environ.get("CLUB_DATABASE_URL"):
        yield url
        return
    folder = Path(
        os.environ.get("CLUB_TEST_DATA_DIR") or Path(tempfile.gettempdir()) / f"owner-club-tests-{os.getuid()}"
    )
    with embedded.server(folder) as dsn:
        yield dsn


def with_database(dsn: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


async def _execute(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


def execute(dsn: str, sql: str) -> None:
    """Run statements, from a test that is not async itself."""
    asyncio.run(_execute(dsn, sql))


@asynccontextmanager
async def migrated_template(server: str) -> AsyncIterator[str]:
    """A migrated, empty database that others are copied from."""
    name = f"club_test_{uuid4().hex[:12]}"
    await _execute(server, f'CREATE DATABASE "{name}"')
    try:
        await migrations.migrate(with_database(server, name))
        await open_books(with_database(server, name), date(2025, 5, 1), 5000, date(2025, 5, 1))
        yield name
    finally:
        await _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
async def template(server: str) -> AsyncIterator[str]:
    """A migrated, empty database that others are copied from."""
    async with migrated_template(server) as name:
        yield name


@asynccontextmanager
async def fresh_database(server: str, template: str) -> AsyncIterator[str]:
    """The DSN of a copy of the template, for the life of the block."""
    name = f"club_test_{uuid4().hex[:12]}"
    await _execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield with_database(server, name)
    finally:
        await _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="module")
async def dsn(server: str, template: str) -> AsyncIterator[str]:
    """A fresh database for one test module; what its tests commit stays in it."""
    async with fresh_database(server, template) as made:
        yield made


@pytest.fixture(scope="module")
async def database(dsn: str) -> AsyncIterator[Database]:
    """The service's connections to the module's database, as `club_app`."""
    async with Database.open(dsn, vault=vault_of(SETTINGS), pool_size=64, session_pool_size=16) as opened:
        yield opened


@pytest.fixture(scope="module")
async def api(dsn: str) -> AsyncIterator[Api]:
    """The API over the module's database."""
    async with running_api(dsn) as running:
        yield running


@pytest.fixture(scope="module")
async def shop(api: Api) -> Shop:
    """The module's small network."""
    return await Shop.open(api)


@pytest.fixture
def command(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command within this process, on the module's database."""
    surround(monkeypatch, dsn, tmp_path / "data")
    return invoke
