"""What time does to referrals: windows end, overdue leads are escalated, buyers of long ago are forgotten."""

import logging
from datetime import date, datetime, timedelta

import asyncpg

from app.core.clock import china_date
from app.core.db import Database, insert_rows, new_id
from app.referrals import success
from app.referrals.rules import TIME_OUT
from app.settings import Settings
from app.visits import purchases

log = logging.getLogger("club.referrals")

_LAPSE = """
UPDATE referral SET status = 'lapsed', due_on = NULL, escalated = NULL, ended_on = $1
 WHERE status IN ('asked', 'open', 'following') AND valid_until < $1 RETURNING id
"""
# first to the chapter, then beyond it
_ESCALATE = """
UPDATE referral SET escalated = CASE WHEN due_on < $2 THEN 'headquarters' ELSE 'chapter' END
 WHERE status IN ('asked', 'open', 'following', 'ordered') AND due_on < $1
   AND escalated IS DISTINCT FROM CASE WHEN due_on < $2 THEN 'headquarters' ELSE 'chapter' END
RETURNING id
"""
_FORGET = """
WITH old AS (
  UPDATE referral SET buyer_name = NULL, phone = NULL, phone_index = NULL, answer = NULL
   WHERE ended_on < $1 AND phone IS NOT NULL RETURNING id
)
UPDATE referral_step s SET note = NULL FROM old WHERE s.referral_id = old.id AND s.note IS NOT NULL
"""


async def work(database: Database, settings: Settings, *, now: datetime) -> None:
    """The night's work: successes that came to light, windows that ended, feedback that is overdue."""
    today = china_date(now)
    async with database.transaction() as connection:
        await success.match_waiting(connection, now)
        await success.award_buyers(connection, now)
        await purchases.of_late(connection, now)
        lapsed = await _lapse(connection, today, now)
        beyond = today - timedelta(days=settings.lead_escalation_days)
        escalated = await connection.fetch(_ESCALATE, today, beyond)
        await connection.execute(_FORGET, today - timedelta(days=settings.keep_leads_days))
    log.info("%d referrals lapsed, %d leads escalated", lapsed, len(escalated))


async def _lapse(connection: asyncpg.Connection, today: date, now: datetime) -> int:
    lapsed = await connection.fetch(_LAPSE, today)
    steps = [(new_id(), row["id"], "lapsed", TIME_OUT, now) for row in lapsed]
    if steps:
        await insert_rows(connection, "referral_step", ("id", "referral_id", "status", "actor", "at"), steps)
    return len(steps)
