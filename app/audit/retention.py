"""The trail's end: what is older than the settings say is removed, and that is on record."""

from datetime import datetime

from app.audit.models import Action
from app.audit.service import record
from app.core.db import Database

BATCH = 10_000
"""Deeds removed in one transaction."""


async def forget_deeds(database: Database, before: datetime) -> int:
    """Remove the deeds from before a moment; how many. The database keeps those of the last three years in any case."""
    gone = 0
    while some := await database.pool.fetchval("SELECT forget_audit($1, $2)", before, BATCH):
        gone += some
    if gone:
        changes = {"deeds": (gone, 0), "before": (None, before)}
        await record(database.pool, Action.DELETED, "audit-event", changes=changes)
    return gone
