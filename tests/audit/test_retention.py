"""The trail is kept for the years the settings say, never less than three, and its end is on record."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.audit import retention as trail
from app.core.db import connect, new_id
from app.privacy import retention
from app.settings import Settings
from tests.api import SETTINGS, Api
from tests.shop import Shop

TODAY = datetime.now(UTC)
"""The database keeps three years by its own clock, which nobody injects."""


@pytest.fixture
async def owner(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """As the database's owner."""
    connection = await connect(dsn, role=None)
    yield connection
    await connection.close()


async def old_deeds(pool: asyncpg.Pool, **days_ago: int) -> None:
    for name, days in days_ago.items():
        await pool.execute(
            "INSERT INTO audit_event (id, at, action, target_kind, target_ids, changes, outcome)"
            " VALUES ($1, $2, 'closed', 'old', ARRAY[$3], '{}', 'done')",
            new_id(), TODAY - timedelta(days=days), name,
        )  # fmt: skip


async def left(pool: asyncpg.Pool) -> list[str]:
    rows = await pool.fetch("SELECT target_ids[1] FROM audit_event WHERE target_kind = 'old' ORDER BY 1")
    return [name for (name,) in rows]


async def test_the_night_removes_what_is_over_and_says_so(
    shop: Shop, api: Api, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(trail, "BATCH", 2)
    await old_deeds(api.db.pool, young=1000, kept=1090, over=1100, older=1500, oldest=2000)
    five_years = SETTINGS.model_copy(update={"keep_audit_years": 5})
    await retention.apply(api.db, five_years, now=TODAY)
    assert await left(api.db.pool) == ["kept", "older", "over", "young"]
    await retention.apply(api.db, SETTINGS, now=TODAY)
    assert await left(api.db.pool) == ["kept", "young"]
    rows = await api.db.pool.fetch(
        "SELECT actor, changes->>'deeds' AS deeds FROM audit_event WHERE target_kind = 'audit-event' ORDER BY id"
    )
    assert [(row["actor"], row["deeds"]) for row in rows] == [("service", "[1, 0]"), ("service", "[2, 0]")]
    await retention.apply(api.db, SETTINGS, now=TODAY)
    assert len(await api.db.pool.fetch("SELECT FROM audit_event WHERE target_kind = 'audit-event'")) == 2


async def test_three_years_stay_whatever_is_asked(shop: Shop, api: Api, owner: asyncpg.Connection):
    await old_deeds(api.db.pool, near=1090)
    assert await api.db.pool.fetchval("SELECT forget_audit($1, 1000)", TODAY + timedelta(days=365)) == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await owner.execute("DELETE FROM audit_event WHERE target_ids = ARRAY['near']")
    assert "near" in await left(api.db.pool)
    with pytest.raises(ValueError, match="keep_audit_years"):
        Settings(keep_audit_years=2)


async def test_the_service_removes_nothing_by_itself(shop: Shop, api: Api, owner: asyncpg.Connection):
    await old_deeds(api.db.pool, ancient=3000)
    for statement in ("DELETE FROM audit_event", "UPDATE audit_event SET actor = 'nobody'"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await api.db.pool.execute(statement)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await owner.execute("UPDATE audit_event SET actor = 'nobody' WHERE target_ids = ARRAY['ancient']")
