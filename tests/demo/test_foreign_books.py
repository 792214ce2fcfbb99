"""The demonstration keeps out of a real club's books."""

import io

import pytest
from rich.console import Console

from app.core.db import Database
from app.core.tabular import Row
from app.demo import ForeignBooks, past
from app.members.imports import import_members
from tests.api import SETTINGS
from tests.members.conftest import car
from tests.now import NOW


async def test_books_with_other_members_are_left_alone(dsn: str, database: Database):
    own = Row(2, ["", "张伟", "13900000001", car(1), "2026-01-01"])
    assert (await import_members(database, iter([own]), now=NOW))[0].posted == 1
    with pytest.raises(ForeignBooks, match="members of its own"):
        await past.run(dsn, SETTINGS, Console(file=io.StringIO()))
    for table in ("dealer", "account", "ledger.posting"):
        assert await database.pool.fetchval(f"SELECT count(*) FROM {table}") == 0
